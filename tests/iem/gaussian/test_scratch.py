# SPDX-License-Identifier: BSD-3-Clause
"""Features without a pretrained network: whitened principal components of patches, and models on them."""

import json

import numpy as np
import pytest

import cbn
from cbn.datasets import make_category
from cbn.iem import Gaussian
from cbn.iem.gaussian.scratch import FIRST, FIRST_SIDE, PIXEL_UNIT, SCALES, Patches, PCAFeatures, pyramid
from helpers import programs as cli
from helpers.modelfiles import assert_damaged_arrays_are_refused

SMALL = Gaussian(directions=24)


@pytest.fixture(scope="module")
def category():
    return make_category("texture", n_train=24, n_good=8, n_defects=3, size=48, random_state=3)


@pytest.fixture(scope="module")
def model(category):
    return cbn.IntrospectiveEnergyModel(gaussian=SMALL, backbone="none", false_alarm_rate=0.05).fit(category.train)


def noise(n, height, width, channels, seed=0):
    return np.random.default_rng(seed).random((n, height, width, channels), dtype=np.float32)


def learned(pictures, together=4, threads=1):
    return PCAFeatures.learned(
        lambda: (pictures[begin : begin + together] for begin in range(0, len(pictures), together)),
        pictures.shape[3],
        threads,
    )


def test_filters_are_the_eigenvectors_of_patches_in_units_of_their_deviations():
    pictures = noise(6, 20, 24, 1).cumsum(axis=2, dtype=np.float32)  # neighbours are alike
    (own, *_) = pyramid(pictures)
    sums = Patches(FIRST_SIDE, 1, PIXEL_UNIT)
    sums.add(own[:2], 1)
    sums.add(own[2:], 2)
    padded = np.pad(own, [(0, 0), (3, 3), (3, 3), (0, 0)], mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, (7, 7), (1, 2))[:, ::2, ::2].reshape(-1, 49)
    values = np.linalg.eigvalsh(np.cov(windows.T, bias=True))[::-1][:FIRST]
    outputs = (windows - windows.mean(axis=0)) @ sums.filters(FIRST).weights[:, 0]
    expected = np.diag(values / (values + 1e-2 * np.trace(np.cov(windows.T)) / 49))
    np.testing.assert_allclose(np.cov(outputs.T, bias=True), expected, atol=0.02)


@pytest.mark.parametrize("shape", [(1, 1), (2, 40), (33, 17), (64, 48)])
@pytest.mark.parametrize("channels", [1, 3])
def test_features_lie_on_positions_eight_pixels_apart(shape, channels):
    pictures = noise(5, *shape, channels)
    own = learned(pictures)
    features = own.features(pictures)
    assert features.shape == (5, *own.shape(*shape), own.n_features) and features.dtype == np.int16
    np.testing.assert_array_equal(features[3:], own.features(pictures[3:], 2))
    other = learned(pictures, together=2, threads=3)  # sums are exact
    for ours, theirs in zip((*own.first, *own.second), (*other.first, *other.second), strict=True):
        assert ours.weights.tobytes() == theirs.weights.tobytes() and ours.bias.tobytes() == theirs.bias.tobytes()


def test_contrast_and_brightness_of_a_picture_say_nothing():
    pictures = noise(8, 48, 48, 1)
    own = learned(pictures)
    same, changed = (own.features(values).astype(float) for values in (pictures, pictures * 0.5 + 0.25))
    assert np.abs(changed - same).mean() < 0.12 * np.abs(same).mean()  # 0.02 is added to deviations of 0.29 and 0.14
    assert np.abs(own.features(np.full((1, 24, 24, 1), 0.7, np.float32)) * own.unit).max() < 12  # flat: no noise


def test_defects_are_found_without_a_network(category, model):
    scores = model.score_samples(category.test)
    defective = category.labels == 1
    assert (scores[defective][:, None] < scores[~defective]).mean() > 0.9
    assert model.backbone_ is None and model.calibration_ == "leave-one-out"
    assert model.fitted_.gaussians.gaussian.strength == 5 and model.fitted_.gaussians.gaussian.directions == 24
    assert cbn.IntrospectiveEnergyModel(backbone="none").get_params()["gaussian"] is None


def test_without_a_network_more_directions_are_kept(category):
    pictures = category.train[:4]
    own = cbn.IntrospectiveEnergyModel(backbone="none", false_alarm_rate=0.3).fit(pictures).fitted_
    assert own.whitening.basis.shape == (112 * SCALES, 256) and own.gaussians.gaussian.directions == 256


def test_files(category, model, tmp_path):
    model.save(tmp_path / "a.cbn")
    again = cbn.load(tmp_path / "a.cbn")
    assert again.score_samples(category.test).tobytes() == model.score_samples(category.test).tobytes()
    assert again.backbone == "none" and again.backbone_ is None
    again.save(tmp_path / "b.cbn")
    assert (tmp_path / "a.cbn").read_bytes() == (tmp_path / "b.cbn").read_bytes()
    refit = again.fit(category.train)
    assert refit.score_samples(category.test).tobytes() == model.score_samples(category.test).tobytes()


@pytest.mark.parametrize("name", ["first_weights_0", "second_bias_3"])
def test_damaged_files_are_refused(model, tmp_path, name):
    model.save(tmp_path / "a.cbn")
    assert_damaged_arrays_are_refused(tmp_path / "a.cbn", tmp_path / "b.cbn", name)


def test_wrong_arguments(category):
    with pytest.raises(ValueError, match=r"^backbone_weights: .*name their|^backbone_weights: .*name the"):
        cbn.IntrospectiveEnergyModel(backbone="none", backbone_weights="x.npz").fit(category.train)
    with pytest.raises(ValueError, match="^backbone_weights: "):
        cbn.IntrospectiveEnergyModel(sidewards="neural", backbone="none", backbone_weights="x").fit(category.train)


def test_neural_models_learn_their_kernels_with_none(category):
    from cbn.iem import TABLE_4, Architecture, Training

    own = cbn.IntrospectiveEnergyModel(
        Architecture(TABLE_4.levels[:1]), backbone="none", training=Training(epochs=1), false_alarm_rate=0.4
    ).fit(category.train[:8])
    assert own.backbone_ is None and len(own.levels_) == 1


def test_programs(category, tmp_path):
    from cbn.datasets import write_mvtec

    write_mvtec(tmp_path / "carpet", category)
    options = ("--data", tmp_path / "carpet", "--size", 48, "--backbone", "none")
    planned = json.loads(cli.done("cbn-iem-train", *options, "--dry-run", "--json").out)
    assert "256" in json.dumps(planned)
    done = cli.done(
        "cbn-iem-train", *options, "--directions", 24, "--false-alarm-rate", 0.1, "--out", tmp_path / "m.cbn"
    )
    assert "AUROC" in done.out
    shown = cli.done("cbn-show", tmp_path / "m.cbn", "--out", tmp_path / "m.png")
    assert "principal components of patches" in shown.out
    refused = cli.call("cbn-iem-train", *options, "--weights", "x.npz")
    assert refused.code == 2 and "--weights: goes with --backbone" in refused.err
