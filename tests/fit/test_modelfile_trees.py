# SPDX-License-Identifier: BSD-3-Clause
"""Model files of trees and boosted trees: nothing is lost, and version 3 loads for ever."""

import copy
import json
import pickle
import warnings
from pathlib import Path

import numpy as np
import pytest
from sklearn.base import clone

import cbn
from cbn.fit.writing import NOT_KEPT
from helpers.modelfiles import assert_same_arguments, members_of, save, use, version_of
from helpers.networks import Boosting, Classifier, Network
from helpers.trees import QUICK, SMALL, X, fitted

FORMAT_V3 = Path(__file__).parents[1] / "data" / "format_v3"
SCORES = ("log_probability", "surprise", "standardized", "normalized")


MODELS = [
    ("tree", {}), ("tree", {"threshold": (0.2, 0.5, 0.8), "penalty": 0.1, "shrinkage": 3, "pseudocount": 0.25}),
    ("tree", {"max_leaves": 2, "min_leaf": 9, "score": "normalized", "folds": 4, "shift": 1}),
    ("tree", {"penalty": np.float32(1e6), "threshold": "auto"}), ("pixel", {"cpd": "tree", "reach": np.int64(2)}),
    ("boosted", {}), ("boosted", {"threshold": (0.2, 0.6), "score": "standardized"}),
    ("boosted", {"boosting": Boosting(rounds=np.int64(3), rate=np.float32(0.5), min_gain=0)}),
    ("boosted", {"boosting": Boosting(rounds=0)}), ("boosted", {"boosting": Boosting(min_gain=1e6)}),
    ("best", {}), ("best", {"threshold": (0.2, 0.6), "layer_weights": (1, 0, 2.5), "score": "surprise"}),
    ("best", {"hidden": ((3, 1, 1),)}),  # a receptive field of one pixel, and kernels that are no thresholds
    ("best", {"iterations": 1, "activation": (0.3, 0.6), "max_parents": 2}),
    ("hidden", {"hidden": ((3, 3, 1),), "activation": (0.3, 0.6), "cpd": "tree", "iterations": 2}),
    ("tree", {"hidden": ((2, 3, 1),), "iterations": 0}), ("pixel", {"threshold": "auto"}),
    ("hidden", {"hidden": ((2, 3, 1),), "iterations": 1}), ("pixel", {"cpd": "table"}),
]  # fmt: skip


@pytest.mark.parametrize("preset, arguments", MODELS, ids=repr)
def test_a_network_comes_back_as_it_was(preset, arguments, tmp_path):
    model = fitted(preset, **arguments)
    path = save(model, tmp_path / "a.cbn")
    loaded = cbn.load(path)
    assert version_of(path) == (11 if model.fitted_.network.contrast else 6)
    assert save(loaded, tmp_path / "b.cbn").read_bytes() == path.read_bytes()
    for score in SCORES:
        np.testing.assert_array_equal(loaded.layer_scores(X, score), model.layer_scores(X, score))
        np.testing.assert_array_equal(loaded.score_samples(X, score), model.score_samples(X, score))
    np.testing.assert_array_equal(loaded.surprise_map(X), model.surprise_map(X))
    np.testing.assert_array_equal(loaded.p_values(X), model.p_values(X))
    np.testing.assert_array_equal(loaded.sample(5, random_state=3), model.sample(5, random_state=3))
    assert vars(loaded).keys() == vars(model).keys() and loaded.calibration_ == model.calibration_
    assert loaded.bic() == model.bic() and loaded.heat_map_scale() == model.heat_map_scale()
    for own, other in zip(loaded.fitted_.network.networks, model.fitted_.network.networks, strict=True):
        for array, wanted in zip(own.layer.arrays(), other.layer.arrays(), strict=True):
            np.testing.assert_array_equal(array, wanted)
            assert array.dtype == wanted.dtype
    assert_same_arguments(loaded, model)
    assert save(clone(loaded).set_params(n_jobs=1).fit(X), tmp_path / "d.cbn").read_bytes() == path.read_bytes()


@pytest.mark.parametrize("preset", QUICK)
def test_copies_and_calibration(preset, tmp_path):
    model = fitted(preset)
    path = save(model, tmp_path / "a.cbn")
    for other in (pickle.loads(pickle.dumps(model)), copy.deepcopy(model), cbn.load(path)):
        assert save(other, tmp_path / "b.cbn").read_bytes() == path.read_bytes()
    loaded = cbn.load(save(model.calibrate(X[:101, :, ::-1]), tmp_path / "c.cbn"))
    assert loaded.calibration_ == "separate images" and loaded.offset_ == model.offset_
    mask = np.zeros(model.image_shape_, bool)
    mask[4:7, 2:5] = True
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", cbn.MixingWarning)
        own, other = (m.inpaint(X[0], mask, 4, random_state=1) for m in (model, loaded))
    np.testing.assert_array_equal(own.samples, other.samples)
    np.testing.assert_array_equal(own.mean, other.mean)


@pytest.mark.parametrize("preset", ["tree", "boosted"])
@pytest.mark.parametrize("threshold", [0.3, (0.2, 0.6), "auto"])
def test_a_classifier_comes_back_as_it_was(preset, threshold, tmp_path):
    labels = np.array(["a", "b", "c"])[np.arange(len(X)) % 3]
    arguments = {name: value for name, value in QUICK[preset].items() if name != "folds"}
    model = Classifier(preset, threshold=threshold, **SMALL | arguments).fit(X, labels)
    loaded = cbn.load(save(model, tmp_path / "a.cbn"))
    assert version_of(tmp_path / "a.cbn") == 6
    np.testing.assert_array_equal(loaded.joint_log_probability(X), model.joint_log_probability(X))
    assert save(loaded, tmp_path / "b.cbn").read_bytes() == (tmp_path / "a.cbn").read_bytes()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", cbn.CalibrationWarning)
        use(loaded, tmp_path / "c.cbn")


def test_an_interrupted_fit(tmp_path):
    def interrupt(state, n=None):
        if n is None and state.finished:  # an iteration of kernels, not trees of the contrast
            raise KeyboardInterrupt

    model = Network("best", **SMALL, hidden=((3, 2, 1), (2, 2, 1)), reach=4, iterations=1)
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, progress=interrupt)
    loaded = cbn.load(save(model, tmp_path / "a.cbn"))
    assert 1 + len(loaded.hidden_layers_) == len(loaded.fitted_.network)
    np.testing.assert_array_equal(loaded.score_samples(X), model.score_samples(X))
    np.testing.assert_array_equal(loaded.surprise_map(X[:5]), model.surprise_map(X[:5]))


def test_a_single_image(tmp_path):
    for preset in QUICK:
        with pytest.warns(cbn.CalibrationWarning):
            model = Network(preset, **SMALL | QUICK[preset]).fit(X[:1])
        loaded = cbn.load(save(model, tmp_path / "a.cbn"))
        assert loaded.calibration_ == "training images" and loaded.offset_ == -np.inf
        np.testing.assert_array_equal(loaded.score_samples(X), model.score_samples(X))


def test_objects_in_a_file(tmp_path):
    """Every field of the objects, with the name of the kind; what none of them has is beside the arrays."""
    header = json.loads(members_of(save(fitted("boosted"), tmp_path / "a.cbn"))["header.json"])
    assert header["arguments"].keys() == (
        Network().get_params(deep=False).keys() - {"outlier_score", "contrast"} | {"score"}
    ) - set(NOT_KEPT)
    for part in ("arguments", "settings"):
        cpd = header[part]["cpd"]
        assert cpd.pop("kind") == "boosted" and cpd["rounds"] == 4 and cpd.keys() == cbn.Boosted().get_params().keys()
    assert "pseudocount" not in header["networks"][0]
    header = json.loads(members_of(save(fitted("tree"), tmp_path / "a.cbn"))["header.json"])
    assert header["settings"]["cpd"] == {"kind": "tree", "reach": 3, "penalty": 0.4, "max_leaves": 200, "min_leaf": 1,
                                         "shrinkage": 35.0, "pseudocount": 1.0}  # fmt: skip
    assert header["settings"]["folds"] == 2 and header["networks"][0]["shrinkage"] == 35.0
