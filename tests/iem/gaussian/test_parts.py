# SPDX-License-Identifier: BSD-3-Clause
"""Eigenvectors, whitening, features and maps of Gaussian energy models."""

import numpy as np
import pytest

from cbn.iem.gaussian import positions
from cbn.iem.gaussian.features import PretrainedFeatures, averaged
from cbn.iem.gaussian.maps import at_pixels, picture_energies, settled, sharpened, smoothed
from cbn.iem.gaussian.usual import Usual, relative_without_own
from cbn.iem.gaussian.whitening import UNIT, Whitening, eigenvectors
from cbn.iem.pretrained.efficientnet import EfficientNetLite0


@pytest.mark.parametrize("size", [1, 2, 5, 16, 33])
def test_eigenvectors_are_those_of_lapack(size):
    rng = np.random.default_rng(size)
    data = rng.normal(size=(3 * size, size)) * np.geomspace(1e-3, 1e3, size)
    matrix = data.T @ data
    values, vectors = eigenvectors(matrix)
    np.testing.assert_allclose(np.sort(values), np.linalg.eigvalsh(matrix), rtol=1e-9, atol=1e-11 * values.max())
    np.testing.assert_allclose(vectors.T @ vectors, np.eye(size), atol=1e-12)
    np.testing.assert_allclose(vectors @ np.diag(values) @ vectors.T, matrix, atol=1e-11 * np.abs(matrix).max())


@pytest.mark.parametrize(
    "matrix",
    [np.zeros((4, 4)), np.eye(5), np.ones((6, 6)), np.diag([3.0, 1, 2]), np.array([[0.0, 1], [1, 0]]), -np.eye(3)],
    ids=["zero", "identity", "ones", "diagonal", "swap", "negative"],
)
def test_eigenvectors_of_special_matrices(matrix):
    values, vectors = eigenvectors(matrix)
    np.testing.assert_allclose(vectors @ np.diag(values) @ vectors.T, matrix, atol=1e-14)
    np.testing.assert_allclose(vectors.T @ vectors, np.eye(len(matrix)), atol=1e-14)


def rounded_features(n, height, width, size, seed=0):
    rng = np.random.default_rng(seed)
    mixed = np.linalg.qr(rng.normal(size=(size, size)))[0] * np.linspace(0.5, 2, size)
    values = rng.normal(size=(n, height, width, size)) @ mixed * 100
    return np.clip(values.round(), -2047, 2047).astype(np.int16)


def pooled(x, threads=1):
    moments = positions.PooledMoments(x.shape[-1])
    moments.add(x, threads)
    return moments


@pytest.mark.parametrize("rows", [(1, 1, 2), (3, 5, 7), (4, 4, 4)])
def test_pooled_moments_are_those_of_all_rows(rows):
    x = rounded_features(*rows, 6)
    mean, covariance = pooled(x, threads=2).covariance(0.5)
    values = x.reshape(-1, 6) * 0.5
    np.testing.assert_allclose(mean, values.mean(axis=0), atol=1e-9)
    np.testing.assert_allclose(covariance, np.cov(values.T, bias=True), atol=1e-6)


def test_whitened_features_have_variance_1_and_no_correlation():
    x = rounded_features(40, 5, 6, 12)
    mean, covariance = pooled(x).covariance(0.25)
    for directions in (12, 5):
        white = Whitening.of(mean, covariance, directions)(x, 0.25) * UNIT
        flat = white.reshape(-1, directions)
        np.testing.assert_allclose(flat.mean(axis=0), 0, atol=0.01)
        np.testing.assert_allclose(np.cov(flat.T), np.eye(directions), atol=0.05)


def test_features_that_never_change_stay_0():
    x = np.full((3, 2, 2, 4), 7, np.int16)
    mean, covariance = pooled(x).covariance(1.0)
    assert not Whitening.of(mean, covariance, 4)(x, 1.0).any()


@pytest.mark.parametrize("shape", [(1, 1), (7, 30), (64, 48), (65, 41)])
def test_features_lie_on_positions_eight_pixels_apart(shape):
    extractor = PretrainedFeatures(EfficientNetLite0())
    rng = np.random.default_rng(0)
    grey = rng.random((2, *shape, 1), dtype=np.float32)
    features = extractor.features(grey)
    assert features.shape == (2, *extractor.shape(*shape), 256) and features.dtype == np.int16
    np.testing.assert_array_equal(features, extractor.features(np.repeat(grey, 3, axis=3), 2))
    np.testing.assert_array_equal(features[1:], extractor.features(grey[1:]))
    own = extractor.network.features(grey, (4,))[0]
    np.testing.assert_allclose(features[..., 24:64] / 32, own, atol=1 / 64 + 1e-6)


def test_smoothing_keeps_sums_inside_and_constants_everywhere():
    energies = np.ones((2, 4, 1), np.float32)
    np.testing.assert_allclose(smoothed(energies), 1, rtol=1e-6)
    point = np.zeros((1, 7, 7), np.float32)
    point[0, 3, 3] = 1
    result = smoothed(point)[0]
    assert result.sum() == pytest.approx(1) and np.unravel_index(result.argmax(), (7, 7)) == (3, 3)
    np.testing.assert_allclose(result, result.T)
    assert result[3, 2] / result[3, 3] == pytest.approx(np.exp(-2), rel=1e-5)  # a Gaussian of half a position


def test_sharpening_raises_places_above_their_surroundings_and_keeps_the_rest():
    np.testing.assert_allclose(sharpened(np.ones((2, 4, 5), np.float32), 2), 1, rtol=1e-6)
    edge = np.ones((1, 9, 9), np.float32)
    edge[0, 4, 4] = 2
    result = sharpened(edge, 2)[0]
    assert result[4, 4] > 3 and result[4, 3] < 1 and result[0, 0] == pytest.approx(1)
    assert result.sum() == pytest.approx(edge.sum(), rel=1e-6) and (sharpened(10 * edge - 9, 2) >= 0).all()
    assert (sharpened(edge, 4)[0, 4, 4] > result[4, 4]).all()
    np.testing.assert_array_equal(sharpened(edge, 0), edge)
    np.testing.assert_array_equal(settled(edge, 0), smoothed(edge))


def test_picture_energies_are_means_of_the_largest():
    energies = np.arange(200, dtype=np.float32).reshape(2, 10, 10)
    np.testing.assert_allclose(picture_energies(energies, 0.01), [99, 199])
    np.testing.assert_allclose(picture_energies(energies, 0.03), [98, 198])
    np.testing.assert_allclose(picture_energies(energies, 1.0), [49.5, 149.5])
    np.testing.assert_allclose(picture_energies(energies, 1e-6), [99, 199])


def test_maps_are_linear_between_centres_of_positions():
    energies = np.array([[[0.0, 8.0]]], np.float32)
    (row,) = at_pixels(energies, 8, 1, 16)[0]
    np.testing.assert_allclose(row[:4], 0)
    np.testing.assert_allclose(row[12:], 8)
    np.testing.assert_allclose(np.diff(row[4:12]), 1, atol=1e-6)


@pytest.mark.parametrize("shape", [(1, 1), (1, 5), (4, 3)])
def test_averages_have_weights_1_2_1(shape):
    maps = np.random.default_rng(0).normal(size=(2, *shape, 3)).astype(np.float32)
    padded = np.pad(maps.astype(float), [(0, 0), (1, 1), (1, 1), (0, 0)], mode="edge")
    expected = sum(
        weight * other * padded[:, i : i + shape[0], j : j + shape[1]] / 16
        for i, weight in enumerate((1, 2, 1))
        for j, other in enumerate((1, 2, 1))
    )
    found = averaged(maps)
    np.testing.assert_allclose(found, expected, atol=1e-6)
    np.testing.assert_array_equal(averaged(maps[1:]), found[1:])
    np.testing.assert_array_equal(averaged(np.ones_like(maps)), np.ones_like(maps))


def position_energies(n=30):
    """Energies whose mean and deviation differ much from position to position."""
    rng = np.random.default_rng(1)
    mean, deviation = rng.uniform(0.5, 2, (4, 5)), rng.uniform(0.05, 0.3, (4, 5))
    return (mean + deviation * rng.normal(size=(n, 4, 5))).astype(np.float32)


def test_relative_energies_are_alike_at_all_positions():
    energies = position_energies(2000)
    relative = Usual.of(energies, 0.0)(energies)
    np.testing.assert_allclose(relative.mean(axis=0), energies.mean(), rtol=1e-3)
    np.testing.assert_allclose(relative.var(axis=0), energies.var(axis=0).mean(), rtol=0.02)
    np.testing.assert_allclose(Usual.of(energies, 1e9)(energies), energies, atol=1e-3)  # all positions are one


def test_usual_energies_know_no_order():
    energies = position_energies()
    one, other = Usual.of(energies, 5.0), Usual.of(energies[::-1], 5.0)
    np.testing.assert_array_equal(one.slope, other.slope)
    np.testing.assert_array_equal(one.offset, other.offset)


@pytest.mark.parametrize("n", [2, 3, 30, 150])
def test_relative_energies_without_own_are_those_of_the_others(n):
    energies = position_energies(n)
    found = relative_without_own(energies, 5.0)
    for own in (0, n - 1):
        others = Usual.of(np.delete(energies, own, axis=0), 5.0)
        np.testing.assert_array_equal(found[own], others(energies[own]))


def test_energies_that_never_change_stay():
    energies = np.ones((4, 2, 2), np.float32)
    np.testing.assert_allclose(Usual.of(energies, 5.0)(energies), 1)
    np.testing.assert_allclose(Usual.of(energies, 0.0)(energies), 1)
