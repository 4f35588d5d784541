# SPDX-License-Identifier: BSD-3-Clause
"""Energy "pattern": patterns of errors, what is usual of them, models and files."""

import zipfile

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

import cbn
from cbn.iem.energy import ErrorStatistics
from cbn.iem.patterns import PatternScale, patterns, positions_of, reach_of, variance_of
from helpers.inspection import SMALL, energy_model, textures

RNG = np.random.default_rng(0)
ERRORS = RNG.normal(size=(12, 20, 17, 3)).astype(np.float32) * np.array([1, 2, 0.5], np.float32)


def model_of(**arguments):
    usual = {"architecture": SMALL, "epochs": 4, "learning_rate": 0.01, "random_state": 0, "n_jobs": 1}
    return energy_model(**usual | {"false_alarm_rate": 0.1, "energy": "pattern"} | arguments)


def test_positions_are_about_twelve_pixels_apart():
    assert [reach_of((300, 300, 1), stride) for stride in (1, 2, 4, 8, 16)] == [12, 6, 3, 1, 1]
    assert reach_of((3, 40, 1), 1) == 3 and positions_of(3, 3).tolist() == [1]
    assert positions_of(20, 8).tolist() == [4, 12] and positions_of(5, 1).tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("reach", [1, 2, 4, 17])
def test_patterns(reach):
    variance = np.array([1, 4, 0.25], np.float32)
    found = patterns(ERRORS, variance, reach)
    rows, columns = positions_of(20, reach), positions_of(17, reach)
    assert found.shape == (12, len(rows), len(columns), 3) and found.dtype == np.float32
    for i, row in enumerate(rows):
        for j, column in enumerate(columns):
            window = ERRORS[:, max(row - reach, 0) : row + reach + 1, max(column - reach, 0) : column + reach + 1]
            expected = (np.square(window).mean(axis=(1, 2)) / variance + 0.02) ** 0.125
            np.testing.assert_allclose(found[:, i, j], expected, rtol=1e-5)
    np.testing.assert_array_equal(patterns(ERRORS[4:5], variance, reach)[0], found[4])


def test_what_is_usual():
    statistics = ErrorStatistics(ERRORS.shape[1:])
    statistics.add(ERRORS)
    variance = variance_of(statistics.scale(0.25))
    np.testing.assert_allclose(variance, np.square(ERRORS).mean(axis=(0, 1, 2)), rtol=1e-5)
    found = patterns(ERRORS, variance, 2)
    scale, energies = PatternScale.of(found, variance, 2)
    again, same = PatternScale.of(found, variance, 2, num_threads=2)
    np.testing.assert_array_equal(energies, same)
    np.testing.assert_array_equal(scale.basis, again.basis)
    medians = np.median(found, axis=(1, 2))
    left = found - medians[:, None, None]
    np.testing.assert_allclose(scale.mean, left.mean(axis=0), atol=1e-6)
    without = np.array([left[i] - np.delete(left, i, axis=0).mean(axis=0) for i in range(12)])
    flat = without.reshape(-1, 3)
    covariance = flat.T @ flat / len(flat)
    inverse = np.linalg.inv(covariance + 0.01 * np.trace(covariance) / 3 * np.eye(3))
    expected = np.einsum("nyxk,kl,nyxl->nyx", without, inverse, without) / 3
    usual = (expected.mean(axis=0) + expected.mean()) / 2
    np.testing.assert_allclose(energies, expected / usual, rtol=1e-3)
    new = scale.position_energies(ERRORS)  # of pictures among them: nearer to the mean
    np.testing.assert_allclose(new, energies * (11 / 12) ** 2, rtol=1e-3)
    assert scale.centres(3.5, 4) == (7.5, 8) and 0.8 < energies.mean() < 1.2


def test_pictures_that_are_unusual_as_a_whole():
    variance = np.square(ERRORS).mean(axis=(0, 1, 2))
    scale, energies = PatternScale.of(patterns(ERRORS, variance, 2), variance, 2)
    assert scale.position_energies(20 * ERRORS[:1]).mean() > 3 * energies.mean()
    assert scale.position_energies(0 * ERRORS[:1]).mean() > 3 * energies.mean()


def test_errors_that_never_change():
    nothing = np.zeros((5, 6, 6, 2), np.float32)
    statistics = ErrorStatistics(nothing.shape[1:])
    statistics.add(nothing)
    variance = variance_of(statistics.scale(0.25))
    scale, energies = PatternScale.of(patterns(nothing, variance, 1), variance, 1)
    assert not energies.any() and not scale.position_energies(nothing).any()
    assert np.isfinite(scale.position_energies(nothing + 1)).all()


def test_finds_what_is_smoother_than_the_rest(tmp_path):
    train, normal, odd = (textures(n, 48, seed) for n, seed in ((40, 0), (20, 1), (20, 2)))
    rng = np.random.default_rng(3)
    train, normal, odd = (
        (own + rng.normal(0, 12, own.shape)).clip(0, 255).astype(np.uint8) for own in (train, normal, odd)
    )
    for own in odd:  # the same waves without noise
        row, column = rng.integers(4, 28, 2)
        own[row : row + 16, column : column + 16] = own[row : row + 16, column : column + 16].mean()
    labels, test = np.repeat([0, 1], 20), np.concatenate([normal, odd])
    model = model_of(epochs=6).fit(train)
    assert roc_auc_score(labels, -model.score_samples(test)) > 0.9
    maps = model.energy_map(test)
    assert maps.shape == test.shape and maps.dtype == np.float32
    model.save(tmp_path / "a.cbn")
    loaded = cbn.load(tmp_path / "a.cbn")
    np.testing.assert_array_equal(loaded.score_samples(test), model.score_samples(test))
    np.testing.assert_array_equal(loaded.energy_map(test), maps)
    loaded.save(tmp_path / "b.cbn")
    model_of(epochs=6, n_jobs=2).fit(train).save(tmp_path / "c.cbn")
    contents = [(tmp_path / name).read_bytes() for name in ("a.cbn", "b.cbn", "c.cbn")]
    assert contents[0] == contents[1] == contents[2]


def test_damaged_files(tmp_path):
    model_of(epochs=1).fit(textures(50)).save(tmp_path / "a.cbn")
    with zipfile.ZipFile(tmp_path / "a.cbn") as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    assert b'"version": 8' in parts["header.json"]
    for without in ("level1_pattern_mean.npy", "level0_pattern_usual.npy"):
        with zipfile.ZipFile(tmp_path / "b.cbn", "w") as archive:
            for name, content in parts.items():
                if name != without:
                    archive.writestr(name, content)
        with pytest.raises(cbn.ModelFileError, match="damaged"):
            cbn.load(tmp_path / "b.cbn")
