# SPDX-License-Identifier: BSD-3-Clause
"""Model files of every version that there was load for ever and answer as they did."""

import json
import warnings
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import cbn
from cbn.metrics.conformal import TIE
from helpers.modelfiles import members_of, save, script_of, use, version_of

DATA = Path(__file__).parents[1] / "data"
VERSIONS = {
    1: 3,
    2: 3,
    3: 5,
    5: 6,
    6: 6,
    10: 2,  # with tied trees
    11: 2,  # with a contrast, or where there could be one
}  # and how many files each has; energy models, of version 4 too, are in tests/iem
NEWEST = 6  # of what has neither


def folder_of(version):
    return DATA / f"format_v{version}"


def make_of(version):
    """The script that made the files of a version."""
    return script_of(folder_of(version) / "make.py")


def expected_of(version):
    return json.loads((folder_of(version) / "expected.json").read_text())


def compare(found, wanted, where):
    if isinstance(wanted, dict):
        assert found.keys() >= wanted.keys(), where
        for name in wanted:
            compare(found[name], wanted[name], f"{where}/{name}")
    elif isinstance(wanted, list):
        assert len(found) == len(wanted), where
        for i, pair in enumerate(zip(found, wanted, strict=True)):
            compare(*pair, f"{where}/{i}")
    elif isinstance(wanted, float):
        assert found == pytest.approx(wanted, rel=2e-12, abs=1e-11), where
    else:
        assert found == wanted, where


# ---- arguments that were flat ----

OF_FEATURES = {
    "layer_weights", "max_parents", "forced_relations", "forbidden_relations", "initialization", "activation",
    "iterations", "learning_rate", "momentum", "normalize_kernels", "keep_activation", "replace_worst",
}  # fmt: skip
OF_CPD = {"offsets", "reach", "penalty", "max_leaves", "min_leaf", "shrinkage", "pseudocount"}


def less_rounding(wanted, model):
    """Offsets as they are since version 6: lower by what makes a tie, so that equal images are equally normal."""
    if "networks" in wanted:
        for own, network in zip(wanted["networks"], model.networks_, strict=True):
            less_rounding(own, network)
    elif wanted.get("offset") is not None:
        wanted["offset"] -= TIE * max(1.0, np.abs(model.calibration_scores_).max())


def check_flat(model, flat, plain):
    """Every argument of versions 1 to 3 is where it belongs now; what none gave is left to the preset."""
    given = {name: value for name, value in flat.items() if value is not None}
    settings = getattr(model.fitted_, "settings", None) or model.fitted_.networks[0].settings
    cpd, features = plain(settings.cpd), plain(settings.features)
    assert (model.cpd is None) == (not given.keys() & (OF_CPD | {"cpd", "boosting"}))
    for name, value in given.items():
        if name in OF_CPD:
            assert cpd[name] == value, name
        elif name == "cpd":
            assert settings.kind.name == value
        elif name == "boosting":
            assert cpd | value == cpd
        elif name in OF_FEATURES:
            assert features[name] == value, name
        elif name == "hidden":
            assert features["layers"] == value
        else:
            assert plain(getattr(model, {"score": "outlier_score"}.get(name, name))) == value, name
    if "pseudocount" in given and "hidden" in flat:
        assert features["pseudocount"] == given["pseudocount"]


def behaviour_of(version, model):
    if version == 3:  # its script needs modules that there were
        newest = make_of(NEWEST)
        new = np.concatenate([newest.images(4, 300), newest.images(4, 300, kind=1)])
        if isinstance(model, cbn.ConvolutionalBayesianNetworkClassifier):
            return {
                "classes": model.classes_.tolist(),
                "joint_log_probability": newest.rounded(model.joint_log_probability(new)),
                "predict": model.predict(new).tolist(),
                "networks": [newest.of_network(network, new) for network in model.networks_],
            }
        return newest.of_network(model, new)
    make = make_of(version)
    if version == 2:  # its script writes the arguments of its time, see check_flat
        make.json = SimpleNamespace(loads=lambda text: text, dumps=lambda arguments: None)
    return make.behaviour(model)


def content_of(path):
    """Members of a file as they are unpacked, but for the version of the package and what tells the images."""
    members = members_of(path)
    header = json.loads(members.pop("header.json"))
    del header["package"]
    for network in header.get("networks", [header]):
        for name in ("data_sha256", "data_digest"):
            network["provenance"].pop(name, None)
    return members | {"header": header}


@pytest.mark.filterwarnings("ignore::cbn.CalibrationWarning")  # of classes with few images
@pytest.mark.parametrize("version, name", [(version, name) for version in VERSIONS for name in expected_of(version)])
def test_old_files_load_for_ever(version, name, tmp_path):
    wanted = expected_of(version)[name]
    arguments = wanted.pop("arguments", {})
    path = folder_of(version) / name
    assert version_of(path) == version
    model = cbn.load(path)
    if version < NEWEST:
        less_rounding(wanted, model)
    if version == 5 and "score" in arguments:  # the argument has another name since
        arguments["outlier_score"] = arguments.pop("score")
    found = behaviour_of(version, model)
    if version == 1:
        assert found.keys() == wanted.keys()
    compare(found, wanted, name)
    plain = make_of(NEWEST).plain
    if version in (2, 3):
        check_flat(model, arguments, plain)
    else:
        compare(plain(model), arguments, "arguments")
    use(model, tmp_path / "again.cbn")
    # what is saved of it is of the newest version of its kind, answers alike, and is stable
    again = save(model, tmp_path / "new.cbn")
    assert version_of(again) == max(version, NEWEST)
    loaded = cbn.load(again)
    compare(behaviour_of(version, loaded), wanted, f"{name} saved again")
    assert save(loaded, tmp_path / "newer.cbn").read_bytes() == again.read_bytes()
    if version >= NEWEST:
        assert content_of(again) == content_of(path)


@pytest.mark.parametrize("version", VERSIONS)
def test_all_stored_files_are_tried(version):
    folder = folder_of(version)
    assert sorted(expected_of(version)) == sorted(
        path.name for path in folder.glob("*.cbn") if path.name != "energy.cbn"
    )
    assert len(expected_of(version)) == VERSIONS[version]


def test_arguments_of_version_1():
    grey = cbn.load(folder_of(1) / "grey.cbn")
    assert grey.threshold == (0.25, 0.6) and grey.cpd == cbn.Table(((-1, 0), (0, -1), (-2, 1)), 0.5)
    assert (grey.outlier_score, grey.false_alarm_rate) == ("normalized", 0.05)
    assert cbn.load(folder_of(1) / "pixel.cbn").random_state == 3
    assert cbn.load(folder_of(1) / "classifier.cbn").class_prior == (0.5, 0.25, 0.25)
    assert len(cbn.load(folder_of(2) / "interrupted.cbn").hidden_layers_) == 1


@pytest.mark.parametrize("version", [NEWEST, 10, 11])
def test_the_newest_files_are_still_made_alike(version, tmp_path, monkeypatch):
    # kernels of so few images see a third of them today
    monkeypatch.setattr("cbn.fit.preparing.LEAST_FOR_KERNELS", 0)
    make = make_of(version)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", cbn.CalibrationWarning)
        for name, model in make.models().items():
            if (version, name) != (6, "best.cbn"):  # which has a contrast today
                assert content_of(save(model, tmp_path / name)) == content_of(folder_of(version) / name), name
