# SPDX-License-Identifier: BSD-3-Clause
"""Gaussian models of positions: exact sums, factors, energies with and without the picture itself; twin and engine."""

import numpy as np
import pytest

import reference
import reference.gaussian
from helpers.engines import ALL, PATHS

UNIT = 1 / 128


@pytest.fixture(params=ALL, ids=str)
def engine(request):
    return request.param


def pictures(n, height, width, size, seed=0, spread=300):
    rng = np.random.default_rng(seed)
    mixed = rng.normal(size=(size, size)) / np.sqrt(size)
    places = rng.normal(0, 1, (height, width, size))
    values = (rng.normal(0, 1, (n, height, width, size)) @ mixed + places) * spread
    return np.clip(values.round(), -2047, 2047).astype(np.int16)


def moments(engine, x, batches=None, threads=1):
    n, height, width, size = x.shape
    sums = np.zeros((height * width, size), np.int64)
    products = np.zeros((height * width, size * (size + 1) // 2), np.int64)
    with engine._path() as module:
        for begin, end in batches or [(0, n)]:
            module.moments_add(x[begin:end].reshape(end - begin, -1, size), sums, products, threads)
    return sums, products


def factors(engine, sums, products, law, threads=1):
    mean = np.empty(sums.shape, np.float32)
    packed = np.empty((len(sums), reference.factor_floats(sums.shape[1])), np.float32)
    with engine._path() as module:
        module.gaussian_factors(sums, products, law, mean, packed, threads)
    return mean, packed


def energies(engine, x, mean, packed, law, reach, without_own=False, threads=1):
    out = np.empty(x.shape[:3], np.float32)
    with engine._path() as module:
        module.gaussian_energies(x, mean, packed, law, reach, without_own, out, threads)
    return out


@pytest.mark.parametrize(("n", "size"), [(1, 1), (2, 5), (7, 17), (127, 16), (129, 33), (300, 20)])
def test_sums_are_exact_in_any_batches_and_threads(engine, n, size):
    x = pictures(n, 2, 3, size)
    x[0, 0, 0] = 2047  # the largest products that 32 bits must hold
    sums, products = moments(engine, x)
    values = x.reshape(n, 6, size).astype(np.int64)
    rows, columns = np.tril_indices(size)
    np.testing.assert_array_equal(sums, values.sum(axis=0))
    for position in range(6):
        own = values[:, position]
        np.testing.assert_array_equal(products[position], (own.T @ own)[rows, columns])
    halves = [(0, n // 3), (n // 3, n)] if n >= 3 else [(0, n)]
    for threads in (1, 2, 3):
        again = moments(engine, x, halves, threads)
        np.testing.assert_array_equal(again[0], sums)
        np.testing.assert_array_equal(again[1], products)


def test_largest_values_do_not_overflow(engine):
    x = np.full((260, 1, 1, 18), 2047, np.int16)
    x[::2, ..., 1] = -2047
    products = moments(engine, x)[1]
    assert products.max() == 260 * 2047**2 and products.min() == 0


@pytest.mark.parametrize("value", [2048, -2048, 32767, -32768])
def test_values_beyond_12_bits_are_refused(engine, value):
    x = np.zeros((3, 1, 2, 4), np.int16)
    x[2, 0, 1, 3] = value
    with pytest.raises(ValueError):
        moments(engine, x)


def law_of(n, strength=3.0, ridge=0.01, prior=0.5):
    return n, UNIT, strength, ridge, prior


@pytest.mark.parametrize("size", [1, 5, 16, 37])
def test_factors_are_inverse_roots_of_shrunk_covariances(engine, size):
    x = pictures(9, 3, 2, size)
    mean, packed = factors(engine, *moments(engine, x), law_of(9))
    values = x.reshape(9, 6, size) * UNIT
    scatters = np.stack([np.cov(values[:, p].T, bias=True).reshape(size, size) for p in range(6)])
    np.testing.assert_allclose(mean, values.mean(axis=0), atol=1e-5)
    for position, inverse in enumerate(reference.gaussian.unpacked(packed, size)):
        covariance = (9 * scatters[position] + 3 * scatters.mean(axis=0)) / 12 + 0.01 * np.eye(size)
        np.testing.assert_allclose(inverse @ covariance @ inverse.T, np.eye(size), atol=1e-4)
        assert not np.triu(inverse, 1).any()


def test_covariances_that_are_not_positive_are_refused():
    x = np.zeros((4, 1, 2, 3), np.int16)
    for engine in PATHS:
        with pytest.raises(ValueError):
            factors(engine, *moments(engine, x), law_of(4, ridge=0.0))


def mahalanobis(x, others, strength, ridge, prior, reach, pooled=None):
    """By the book: least distances (height, width) of one picture from Gaussians of other pictures."""
    n, height, width, size = others.shape
    values = others.reshape(n, -1, size) * UNIT
    scatters = np.stack([np.cov(own.T, bias=True).reshape(size, size) for own in values.transpose(1, 0, 2)])
    pooled = scatters.mean(axis=0) if pooled is None else pooled
    least = np.full((height, width), np.inf)
    for place in range(height * width):
        row, column = divmod(place, width)
        covariance = (n * scatters[place] + strength * pooled) / (n + strength) + ridge * np.eye(size)
        centre = n / (n + prior) * values[:, place].mean(axis=0)
        for r in range(max(row - reach, 0), min(row + reach + 1, height)):
            for c in range(max(column - reach, 0), min(column + reach + 1, width)):
                away = x[r, c] * UNIT - centre
                least[r, c] = min(least[r, c], np.sqrt(away @ np.linalg.solve(covariance, away)))
    return least


@pytest.mark.parametrize("reach", [0, 1])
@pytest.mark.parametrize("shape", [(1, 1), (1, 4), (3, 2)])
def test_energies_are_mahalanobis_distances(engine, shape, reach):
    x, fresh = pictures(12, *shape, 19), pictures(6, *shape, 19, seed=1)
    mean, packed = factors(engine, *moments(engine, x), law_of(12))
    found = energies(engine, fresh, mean, packed, law_of(12), reach)
    for own, picture in zip(found, fresh, strict=True):
        np.testing.assert_allclose(own, mahalanobis(picture, x, 3.0, 0.01, 0.5, reach), rtol=2e-4)


@pytest.mark.parametrize("reach", [0, 1])
def test_without_own_is_a_refit_without_the_picture_under_the_same_shared_covariance(engine, reach):
    x, ridge = pictures(8, 2, 3, 11), 1e-5  # a ridge counts as much for n - 1 pictures as for n: keep it small
    mean, packed = factors(engine, *moments(engine, x), law_of(8, ridge=ridge))
    found = energies(engine, x, mean, packed, law_of(8, ridge=ridge), reach, True)
    values = x.reshape(8, 6, 11) * UNIT
    pooled = np.mean([np.cov(own.T, bias=True) for own in values.transpose(1, 0, 2)], axis=0)
    for i in range(8):
        expected = mahalanobis(x[i], np.delete(x, i, axis=0), 3.0, ridge, 0.5, reach, pooled)
        np.testing.assert_allclose(found[i], expected, rtol=5e-3)


def test_same_bytes_for_instruction_sets_threads_and_batches():
    x = pictures(21, 3, 4, 35)
    law = law_of(21)
    results = []
    for engine in PATHS:
        for threads in (1, 2, 3):
            made = factors(engine, *moments(engine, x, threads=threads), law, threads)
            for own in (False, True):
                whole = energies(engine, x, *made, law, 1, own, threads)
                parts = [energies(engine, x[i : i + 5], *made, law, 1, own, threads) for i in range(0, 21, 5)]
                np.testing.assert_array_equal(np.concatenate(parts), whole)
                results.append((own, *(array.tobytes() for array in (*made, whole))))
    assert len(set(results)) == 2  # with and without the picture itself


def test_wrong_arguments_are_refused():
    x = pictures(3, 1, 2, 4)
    engine = PATHS[0]
    sums, products = moments(engine, x)
    mean, packed = factors(engine, sums, products, law_of(3))
    with pytest.raises(ValueError):
        factors(engine, sums, products[:, 1:].copy(), law_of(3))
    for law in (law_of(0), (3, 0.0, 1.0, 0.1, 0.5), (3, UNIT, -1.0, 0.1, 0.5), (3, UNIT, 1.0, float("nan"), 0.5)):
        with pytest.raises(ValueError):
            factors(engine, sums, products, law)
    for reach, law in ((2, law_of(3)), (-1, law_of(3)), (0, law_of(3, prior=-1.0))):
        with pytest.raises(ValueError):
            energies(engine, x, mean, packed, law, reach)
    with pytest.raises(ValueError):
        energies(engine, x, mean, packed, law_of(1), 0, True)


# ---- eigenvectors ----


def eigen(engine, matrix):
    values, vectors = np.empty(len(matrix)), np.empty(matrix.shape)
    with engine._path() as module:
        module.eigenvectors(matrix, values, vectors)
    return values, vectors


def symmetric(kind, size):
    rng = np.random.default_rng(size)
    if kind == "covariance":  # of features whose variances are far apart
        x = rng.normal(size=(size + 3, size)) * 10.0 ** -rng.uniform(0, 6, size)
        return x.T @ x
    if kind == "any signs":
        x = rng.normal(size=(size, size))
        return x + x.T
    if kind == "few images":  # most values are 0
        x = rng.normal(size=(max(1, size // 5), size))
        return x.T @ x
    if kind == "few values":
        basis = np.linalg.qr(rng.normal(size=(size, size)))[0]
        return (basis * rng.integers(0, 3, size)) @ basis.T
    return {"zero": np.zeros((size, size)), "ones": np.ones((size, size)), "diagonal": np.diag(np.arange(size) - 1.0)}[
        kind
    ]


@pytest.mark.parametrize("size", [1, 2, 3, 16, 61])
@pytest.mark.parametrize("kind", ["covariance", "any signs", "few images", "few values", "zero", "ones", "diagonal"])
@pytest.mark.parametrize("unit", [1.0, 1e-290, 1e290])
def test_eigenvectors(engine, kind, size, unit):
    matrix = symmetric(kind, size) * unit
    lower = np.tril(matrix)
    values, vectors = eigen(engine, lower)  # what lies above the diagonal is not read
    largest = max(np.abs(matrix).max(), np.finfo(float).tiny)
    np.testing.assert_allclose(vectors @ vectors.T, np.eye(size), atol=1e-13)
    scaled = matrix / largest
    np.testing.assert_allclose((scaled @ vectors.T), vectors.T * (values / largest), atol=2e-13)
    np.testing.assert_allclose(np.sort(values / largest), np.linalg.eigvalsh(scaled), atol=2e-13)


def test_eigenvectors_are_the_same_bytes_on_every_path():
    matrix = symmetric("covariance", 61)
    first, *others = [eigen(path, matrix) for path in PATHS]
    for other in others:
        assert first[0].tobytes() == other[0].tobytes() and first[1].tobytes() == other[1].tobytes()


def test_eigenvectors_that_cannot_be(engine):
    for wrong in (np.nan, np.inf):
        matrix = np.eye(4)
        matrix[2, 1] = wrong
        with pytest.raises(ValueError, match="range"):
            eigen(engine, matrix)
        eigen(engine, np.ascontiguousarray(matrix.T))  # above the diagonal nothing is read


# ---- sums of features that are not whitened yet ----


def test_gaussians_of_sums_that_are_whitened_later(engine):
    x = pictures(30, 2, 3, 11)
    rng = np.random.default_rng(1)
    basis, offset = rng.normal(size=(11, 6)), rng.normal(size=6)
    law = (30, UNIT, 20.0, 0.01, 0.5)
    sums, products = moments(engine, x)
    found = []
    for threads in (1, 3):
        mean = np.empty((6, 6), np.float32)
        packed = np.empty((6, reference.factor_floats(6)), np.float32)
        with engine._path() as module:
            module.gaussian_factors(sums, products, law, mean, packed, threads, basis, offset)
        found.append((mean.tobytes(), packed.tobytes()))
    assert found[0] == found[1]
    white = (x.reshape(30, 6, 11) * UNIT) @ basis + offset
    np.testing.assert_allclose(mean, white.mean(axis=0), rtol=1e-5, atol=1e-5)
    covariances = np.stack([np.cov(white[:, p].T, bias=True) for p in range(6)])
    expected = (30 * covariances + 20 * covariances.mean(axis=0)) / 50 + 0.01 * np.eye(6)
    inverse = reference.gaussian.unpacked(packed, 6)
    np.testing.assert_allclose(
        np.einsum("pij,pik->pjk", inverse, inverse), np.linalg.inv(expected), rtol=2e-4, atol=1e-5
    )


def test_whitened_later_is_the_same_bytes_on_every_path():
    x, basis, offset = pictures(12, 2, 2, 19), np.random.default_rng(0).normal(size=(19, 17)), np.zeros(17)
    found = set()
    for path in PATHS:
        sums, products = moments(path, x)
        mean, packed = np.empty((4, 17), np.float32), np.empty((4, reference.factor_floats(17)), np.float32)
        with path._path() as module:
            module.gaussian_factors(sums, products, (12, UNIT, 5.0, 0.01, 0.5), mean, packed, 2, basis, offset)
        found.add((mean.tobytes(), packed.tobytes()))
    assert len(found) == 1
