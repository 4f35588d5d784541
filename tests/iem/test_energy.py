# SPDX-License-Identifier: BSD-3-Clause
"""Errors to energies: statistics batch by batch, leave-one-out, floor, pooling, enlargement to the image."""

import numpy as np
import pytest

from cbn.iem.energy import (
    LEAST_ERROR,
    ErrorStatistics,
    combined,
    enlarged,
    image_energies,
    in_deviations,
    level_scales,
    mean_3x3,
    position_energies,
)


def errors_of(n, shape=(4, 5, 2), seed=0):
    rng = np.random.default_rng(seed)
    return (rng.normal(size=(n, *shape)) * rng.uniform(0.5, 2, shape) + rng.normal(size=shape)).astype(np.float32)


def statistics_of(errors, *cuts):
    statistics = ErrorStatistics(errors.shape[1:])
    for part in np.split(errors, cuts):
        statistics.add(part)
    return statistics


def test_statistics_come_batch_by_batch():
    errors = errors_of(17) + 100
    for cuts in ((), (1, 2, 9), range(1, 17)):
        scale = statistics_of(errors, *cuts).scale(0)
        assert scale.n == 17
        np.testing.assert_allclose(scale.mean, errors.mean(axis=0, dtype=np.float64), rtol=1e-6)
        np.testing.assert_allclose(scale.deviation, errors.std(axis=0, dtype=np.float64), rtol=1e-5)


def test_normalized_errors_are_those_of_the_thesis():
    errors = errors_of(12)
    scale = statistics_of(errors).scale(0)
    expected = (errors - errors.mean(axis=0)) / errors.std(axis=0)
    np.testing.assert_allclose(scale.normalized(errors.copy()), expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("n", [2, 3, 12])
def test_each_image_by_the_others(n):
    errors = errors_of(n)
    found = statistics_of(errors).scale(0.1).normalized_without(errors)
    full = statistics_of(errors).scale(0.1)
    for i in range(n):
        others = np.delete(errors, i, axis=0).astype(np.float64)
        deviation = np.maximum(others.std(axis=0), full.least)
        expected = (errors[i] - others.mean(axis=0)) / deviation
        np.testing.assert_allclose(found[i], expected, rtol=2e-3, atol=2e-3)


def test_floor_is_a_share_of_the_kernels_mean_deviation():
    errors = errors_of(40)
    errors[:, 1, 2, 0] = 3.0  # never changes
    errors[..., 1] = 0.0  # a whole kernel that never does
    scale = statistics_of(errors).scale(0.5)
    deviation = errors.std(axis=(0), dtype=np.float64)[..., 0]
    moved = errors[:1] + 0.25
    normalized = scale.normalized(moved.copy())
    assert np.isclose(normalized[0, 1, 2, 0], 0.25 / (0.5 * deviation.mean()), rtol=1e-4)
    assert np.allclose(normalized[..., 1], 0.25 / LEAST_ERROR, rtol=1e-4)
    assert np.isfinite(scale.normalized_without(errors)).all()


def test_mean_over_existing_neighbours():
    values = np.arange(12.0).reshape(1, 3, 4)
    found = mean_3x3(values)
    for y, x in np.ndindex(3, 4):
        window = values[0, max(0, y - 1) : y + 2, max(0, x - 1) : x + 2]
        assert np.isclose(found[0, y, x], window.mean())
    np.testing.assert_array_equal(mean_3x3(np.ones((2, 1, 1))), np.ones((2, 1, 1)))
    np.testing.assert_allclose(mean_3x3(np.array([[[1.0, 3.0]]])), [[[2.0, 2.0]]])


def test_energies_of_the_thesis_and_pooled():
    normalized = errors_of(3)
    thesis = position_energies(normalized.copy(), "sum")
    total = np.abs(normalized).sum(axis=(1, 2, 3))  # eq. 15
    np.testing.assert_allclose(image_energies(thesis, "sum"), total, rtol=1e-5)
    np.testing.assert_allclose(in_deviations(thesis, 2, "sum"), np.abs(normalized).mean(axis=3), rtol=1e-5)
    pooled = position_energies(normalized.copy(), "pooled")
    np.testing.assert_allclose(pooled, mean_3x3((normalized**2).mean(axis=3)), rtol=1e-5)
    np.testing.assert_allclose(image_energies(pooled, "pooled"), pooled.max(axis=(1, 2)))
    np.testing.assert_allclose(in_deviations(pooled, 2, "pooled") ** 2, pooled, rtol=1e-5)


def test_relative_energies_do_not_know_the_size_of_all_errors():
    normalized = 100 * errors_of(3)
    squares = (normalized**2).mean(axis=3)
    expected = mean_3x3(squares / (np.median(squares, axis=(1, 2), keepdims=True) + 0.1))
    relative = position_energies(normalized.copy(), "relative")
    np.testing.assert_allclose(relative, expected, rtol=1e-5)
    np.testing.assert_allclose(position_energies(2 * normalized, "relative"), relative, rtol=1e-3)
    assert not position_energies(np.zeros((1, 4, 4, 2), np.float32), "relative").any()
    limited = position_energies(normalized.copy(), "relative", 1.9)  # outliers as a whole
    np.testing.assert_allclose(limited, mean_3x3(squares) / 2, rtol=1e-5)
    errors = errors_of(12)
    scale = statistics_of(errors).scale(0.1)
    energies, typical = scale.energies_without(errors, "relative")
    own = np.square(scale.normalized_without(errors)).mean(axis=3)
    np.testing.assert_allclose(typical, np.median(own, axis=(1, 2)), rtol=1e-6)
    np.testing.assert_allclose(energies, mean_3x3(own / (typical + 0.1)[:, None, None]).max(axis=(1, 2)), rtol=1e-5)


def test_levels_are_combined():
    energies = np.random.default_rng(0).gamma(2.0, (1, 100, 0.01), (50, 3))
    scales = level_scales(energies, "pooled")
    roots = energies**0.25
    standard = (roots - roots.mean(axis=0)) / roots.std(axis=0)
    np.testing.assert_allclose(
        combined(energies, scales, np.array([1, 0, 2]), "pooled"), standard[:, 0] + 2 * standard[:, 2]
    )
    sums = level_scales(energies, "sum")
    np.testing.assert_allclose(combined(energies, sums, np.array([1, 0, 2]), "sum"), energies @ [1, 0, 2])
    constant = level_scales(np.full((5, 2), 3.7), "pooled")
    assert np.allclose(combined(np.full((1, 2), 3.7), constant, np.ones(2), "pooled"), 0)


def test_maps_are_enlarged_between_centres():
    maps = np.array([[[0.0, 1.0], [2.0, 3.0]]], np.float32)
    large = enlarged(maps, 1.5, 4, 8, 8)
    assert large.dtype == np.float32 and large.shape == (1, 8, 8)
    row = [0, 0, 0.125, 0.375, 0.625, 0.875, 1, 1]  # pixels 1.5 and 5.5 are the centres
    np.testing.assert_allclose(large[0, 0], row, atol=1e-6)
    np.testing.assert_allclose(large[0, :, 0], 2 * np.array(row), atol=1e-6)
    np.testing.assert_array_equal(enlarged(maps, 0.0, 1, 2, 2), maps)
    np.testing.assert_array_equal(enlarged(maps[:, :1, :1], 0.0, 7, 3, 5), np.zeros((1, 3, 5)))
