# SPDX-License-Identifier: BSD-3-Clause
"""The estimator on a frozen backbone: kernels stay, grey pictures, files, checkpoints, arguments."""

import copy

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.metrics import roc_auc_score

import cbn
from cbn import DataError
from cbn.iem.pretrained.backbone import Backbone, Preparation
from helpers.inspection import SMALL, energy_model, textures, with_defects

TRAIN, NORMAL = textures(40), textures(20, seed=1)
ODD = with_defects(NORMAL)


@pytest.fixture(scope="module")
def backbone():
    rng, parameters, channels = np.random.default_rng(0), [[]], 3
    for level in SMALL.levels[1:]:
        inner = []
        for step in level.steps:
            inner.append({k: rng.normal(size=s).astype(np.float32) for k, s in step.parameter_shapes(channels).items()})
            channels = step.channels(channels)
        parameters.append(inner)
    return Backbone(SMALL, parameters, Preparation("bgr", 2.0, (0.9, 1.0, 1.1)))


def model_of(backbone, **arguments):
    usual = {"held_out": 0, "epochs": 4, "learning_rate": 0.01, "random_state": 0, "n_jobs": 1, "false_alarm_rate": 0.1}
    return energy_model(**usual | {"backbone": backbone} | arguments)


def test_finds_defects_with_kernels_as_they_were(backbone):
    before = copy.deepcopy(backbone.parameters)
    model = model_of(backbone, epochs=8, level_weights=1).fit(TRAIN)  # with the image: these kernels are random
    for level, own, kept in zip(model.levels_, backbone.parameters, before):
        for found, given, earlier in zip(level.kernels, own, kept):
            for name in earlier:
                np.testing.assert_array_equal(given[name], earlier[name])
                np.testing.assert_array_equal(found[name], earlier[name])
    scores = np.concatenate([model.score_samples(NORMAL), model.score_samples(ODD)])
    assert roc_auc_score(np.repeat([1, 0], 20), scores) > 0.9
    assert model.picture_shape_ == (16, 16, 1) and model.levels_[0].shape == (16, 16, 3)
    assert model.energy_map(ODD).shape == ODD.shape


def test_the_image_itself_does_not_count_beside_a_backbone(backbone):
    model = model_of(backbone, epochs=1).fit(TRAIN)
    scaled = (model.level_energies(ODD) ** 0.25 - model.level_scales_[:, 0]) / model.level_scales_[:, 1]
    np.testing.assert_allclose(model.score_samples(ODD), -scaled[:, 1:].sum(axis=1))
    thesis = model_of(backbone, epochs=1, energy="sum", floor=0).fit(TRAIN)
    np.testing.assert_allclose(thesis.score_samples(ODD), -thesis.level_energies(ODD).sum(axis=1))

    def stop(state):
        raise KeyboardInterrupt

    only_image = model_of(backbone)
    with pytest.raises(KeyboardInterrupt):
        only_image.fit(TRAIN, progress=stop)
    assert len(only_image.levels_) == 1 and np.ptp(only_image.score_samples(ODD)) > 0
    assert only_image.energy_map(ODD).any()


@pytest.mark.parametrize("arguments", [{}, {"brightness": "median", "sharing": "a", "epochs": (1, 2, 1)}], ids=str)
@pytest.mark.parametrize("stop_after", [None, 2])
def test_files_hold_the_backbone(arguments, stop_after, backbone, tmp_path):
    def stop(state):
        if state.n_done == stop_after:
            raise KeyboardInterrupt

    model = model_of(backbone, **arguments)
    try:
        model.fit(TRAIN, progress=stop)
    except KeyboardInterrupt:
        assert stop_after
    model.save(tmp_path / "model.cbn")
    other = cbn.load(tmp_path / "model.cbn")
    np.testing.assert_array_equal(other.score_samples(ODD), model.score_samples(ODD))
    np.testing.assert_array_equal(other.energy_map(ODD), model.energy_map(ODD))
    again, whole = clone(other).fit(TRAIN), model_of(backbone, **arguments).fit(TRAIN)  # without a file of weights
    np.testing.assert_array_equal(again.score_samples(ODD), whole.score_samples(ODD))


def test_resumes_to_the_same_bytes(backbone, tmp_path):
    class Stop(Exception):
        pass

    def stop(state):
        if state.n_done == 6:
            raise Stop

    with pytest.raises(Stop):
        model_of(backbone).fit(TRAIN, checkpoint=tmp_path / "checkpoint", progress=stop)
    resumed = model_of(backbone).fit(TRAIN, checkpoint=tmp_path / "checkpoint", resume=True)
    np.testing.assert_array_equal(resumed.score_samples(ODD), model_of(backbone).fit(TRAIN).score_samples(ODD))
    other = copy.deepcopy(backbone)
    other.parameters[1][0]["bias"][0] += 1
    with pytest.raises(cbn.ModelFileError, match="of other images, arguments"):
        model_of(other).fit(TRAIN, checkpoint=tmp_path / "checkpoint", resume=True)


def test_named_backbones(tmp_path):
    rng = np.random.default_rng(0)
    weights = {"conv1_w": rng.normal(size=(64, 3, 3, 3)).astype(np.float32), "conv1_b": np.zeros(64, np.float32)}
    np.savez(tmp_path / "weights.npz", **weights)
    model = model_of("squeezenet1_1", backbone_weights=tmp_path / "weights.npz", epochs=1).fit(TRAIN)
    assert len(model.levels_) == 2 and model.backbone == "squeezenet1_1"
    np.testing.assert_array_equal(model.levels_[1].kernels[0]["weights"][4, :, 7], weights["conv1_w"][7, :, 1, 1])
    model.save(tmp_path / "model.cbn")
    (tmp_path / "weights.npz").unlink()
    np.testing.assert_array_equal(cbn.load(tmp_path / "model.cbn").score_samples(ODD), model.score_samples(ODD))


def test_arguments_that_contradict_each_other(backbone, tmp_path):
    cases = [
        (model_of("alexnet"), "^backbone_weights: None; "), (model_of("resnet"), "^backbone: 'resnet'; "),
        (model_of(None, backbone_weights="w.npz"), "^backbone_weights: 'w.npz'; "), (model_of(3), "^backbone: 3; "),
        (model_of(backbone, architecture=SMALL), "^architecture: "),
    ]  # fmt: skip
    for model, message in cases:
        with pytest.raises(ValueError, match=message):
            model.fit(TRAIN)
    with pytest.raises(DataError, match="nowhere.npz"):
        model_of("alexnet", backbone_weights=tmp_path / "nowhere.npz").fit(TRAIN)
