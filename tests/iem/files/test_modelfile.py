# SPDX-License-Identifier: BSD-3-Clause
"""Model files and checkpoints of introspective energy models: nothing is lost; anything damaged is one line."""

import io
import json
from pathlib import Path

import numpy as np
import pytest

import cbn
from cbn import IntrospectiveEnergyModel, ModelFileError
from cbn.iem import TABLE_4, Architecture, Training
from helpers.inspection import SMALL, energy_model, textures, with_defects
from helpers.modelfiles import members_of, npy, refused, script_of, with_header
from helpers.modelfiles import write_stored as write

TRAIN = textures(24)
ODD = with_defects(textures(6, seed=1))


def model_of(**arguments):
    usual = {"held_out": 0, "architecture": SMALL, "epochs": 2, "random_state": 0, "n_jobs": 1, "false_alarm_rate": 0.2}
    return energy_model(**usual | arguments)


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    path = tmp_path_factory.mktemp("models") / "model.cbn"
    model_of().fit(TRAIN).save(path)
    return path


VARIANTS = [
    {"sharing": "a"}, {"sharing": "c", "optimizer": "sgd"},
    {"sharing": "d", "architecture": Architecture(SMALL.levels[:1])},
    {"sharing": "e", "energy": "sum", "floor": 0}, {"sharing": "f", "level_weights": (1, 0, 2)}, {"held_out": 0.25},
    {"epochs": (1, 2, 1), "brightness": "median", "learning_rate": 0.01, "random_state": None},
]  # fmt: skip


@pytest.mark.parametrize("arguments", [{}, *VARIANTS], ids=str)
def test_nothing_is_lost(arguments, tmp_path):
    model = model_of(**arguments).fit(TRAIN)
    model.provenance_["note"] = "π"
    model.save(tmp_path / "model.cbn")
    other = cbn.load(tmp_path / "model.cbn")
    assert type(other) is IntrospectiveEnergyModel
    assert other.get_params() == model.get_params() | {"n_jobs": None}
    np.testing.assert_array_equal(other.score_samples(ODD), model.score_samples(ODD))
    np.testing.assert_array_equal(other.energy_map(ODD), model.energy_map(ODD))
    np.testing.assert_array_equal(other.p_values(ODD), model.p_values(ODD))
    np.testing.assert_array_equal(other.dead_kernels_, model.dead_kernels_)
    for name in ("offset_", "calibration_", "n_images_", "picture_shape_", "provenance_", "n_features_in_"):
        assert getattr(other, name) == getattr(model, name)
    assert [level.curve for level in other.levels_] == [level.curve for level in model.levels_]
    other.save(tmp_path / "again.cbn")
    assert (tmp_path / "again.cbn").read_bytes() == (tmp_path / "model.cbn").read_bytes()


def test_a_default_architecture_stays_one(tmp_path):
    pictures = textures(4, side=64)
    model = model_of(architecture=None, epochs=1, false_alarm_rate=0.3).fit(pictures)
    model.save(tmp_path / "model.cbn")
    assert cbn.load(tmp_path / "model.cbn").architecture is None
    assert [level.level for level in model.levels_] == list(TABLE_4.levels)


def test_an_interrupted_model_is_kept(tmp_path):
    def stop(state):
        if state.n_done == 3:
            raise KeyboardInterrupt

    model = model_of()
    with pytest.raises(KeyboardInterrupt):
        model.fit(TRAIN, progress=stop)
    model.save(tmp_path / "model.cbn")
    other = cbn.load(tmp_path / "model.cbn")
    assert [len(level.curve) for level in other.levels_] == [2, 1]
    np.testing.assert_array_equal(other.score_samples(ODD), model.score_samples(ODD))


def test_files_begin_with_a_version_that_older_readers_refuse(saved):
    header = json.loads(members_of(saved)["header.json"])
    assert (header["format"], header["version"], header["kind"]) == ("cbn-model", 5, "energy")


HEADER_CHANGES = {
    "older": ({"version": 3}, ""), "shape": ({"picture_shape": [16, 16]}, "picture_shape"),
    "large": ({"picture_shape": [2**19, 2**19, 1]}, "level0_error_mean"),
    "channels": ({"picture_shape": [16, 16, 2]}, "2 channels"),
    "smaller": ({"picture_shape": [16, 8, 1]}, "level0_error_mean"), "epochs": ({"epochs": [2, 2, 3]}, "epochs: 3"),
    "levels": ({"epochs": []}, "level"), "more levels": ({"epochs": [2] * 4}, "level"),
    "images": ({"n_images": 1}, "n_images"),
    "measured": ({"n_measured": 25}, "n_measured"), "calibration": ({"calibration": "guess"}, "calibration"),
    "provenance": ({"provenance": []}, "provenance"), "arguments": ({"arguments": []}, "arguments"),
}  # fmt: skip


@pytest.mark.parametrize("name", HEADER_CHANGES)
def test_damaged_headers(name, saved, tmp_path):
    change, word = HEADER_CHANGES[name]
    members = members_of(saved)
    members["header.json"] = json.dumps(json.loads(members["header.json"]) | change)
    refused(write(tmp_path / "odd.cbn", members), "damaged", word)


ARGUMENT_CHANGES = {
    "sharing": "z", "training": [2, 2], "floor": -1, "n_jobs": 2, "architecture": {"levels": []}, "random_state": -1,
    "unknown": 1, "backbone": None,
}  # fmt: skip


@pytest.mark.parametrize("name", ARGUMENT_CHANGES)
def test_damaged_arguments(name, saved, tmp_path):
    def change(header):
        header["arguments"][name] = ARGUMENT_CHANGES[name]

    refused(with_header(saved, tmp_path / "odd.cbn", change), "damaged")


def test_damaged_arrays(saved, tmp_path):
    members = members_of(saved)
    for name, content in members.items():
        if name == "header.json":
            continue
        array = np.lib.format.read_array(io.BytesIO(content))
        for odd in (None, npy(array[None]), npy(array.astype(array.dtype.newbyteorder())), content[:-1], b""):
            refused(write(tmp_path / "odd.cbn", {**members, name: odd}), "damaged")
        if array.size:
            broken = array.copy()
            broken.flat[array.size // 2] = np.nan
            refused(write(tmp_path / "odd.cbn", {**members, name: npy(broken)}), "damaged")
    for name in ("level1_deviation", "level1_error_deviation", "level_scales", "dead_kernels"):
        array = np.lib.format.read_array(io.BytesIO(members[f"{name}.npy"]))
        refused(write(tmp_path / "odd.cbn", {**members, f"{name}.npy": npy(-array - 1)}), "damaged")


# ---- checkpoints ----


class Stop(Exception):
    pass


def interrupted(path, after, **arguments):
    """Leaves the checkpoint of a fit that stopped after some epochs."""

    def stop(state):
        if state.n_done == after:
            raise Stop

    with pytest.raises(Stop):
        model_of(**arguments).fit(TRAIN, checkpoint=path, progress=stop)
    return path


@pytest.fixture(scope="module", params=[{}, {"sharing": "a", "optimizer": "sgd", "held_out": 0.2}], ids=str)
def undisturbed(request, tmp_path_factory):
    """(arguments, bytes of the model of a whole fit, bytes of the checkpoint after each of its epochs)."""
    folder, checkpoints = tmp_path_factory.mktemp("undisturbed"), {}

    def keep(state):
        checkpoints[state.n_done] = (folder / "checkpoint").read_bytes()

    model_of(**request.param).fit(TRAIN, checkpoint=folder / "checkpoint", progress=keep).save(folder / "model.cbn")
    return request.param, (folder / "model.cbn").read_bytes(), checkpoints


@pytest.mark.parametrize("after", range(1, 7))
def test_resumes_to_the_same_bytes(after, undisturbed, tmp_path):
    arguments, whole, checkpoints = undisturbed
    path, seen = tmp_path / "checkpoint", []
    path.write_bytes(checkpoints[after])
    model = model_of(**arguments, n_jobs=1 + (after == 3))
    model.fit(TRAIN, checkpoint=path, resume=True, progress=lambda state: seen.append(state.n_done))
    assert seen == list(range(after + 1, 7))
    model.save(tmp_path / "resumed.cbn")
    assert (tmp_path / "resumed.cbn").read_bytes() == whole


def test_without_resume_or_file_training_begins_anew(tmp_path):
    expected = model_of().fit(TRAIN).score_samples(ODD)
    path = interrupted(tmp_path / "checkpoint", 3)
    seen = []
    model_of().fit(TRAIN, checkpoint=path, progress=lambda state: seen.append(state.n_done))
    assert seen[0] == 1
    absent = model_of().fit(TRAIN, checkpoint=tmp_path / "none", resume=True)
    np.testing.assert_array_equal(absent.score_samples(ODD), expected)


def test_a_seed_that_was_drawn_is_kept(tmp_path):
    path = interrupted(tmp_path / "checkpoint", 2, random_state=None)
    first = model_of(random_state=None).fit(TRAIN, checkpoint=path, resume=True)
    interrupted(tmp_path / "other", 2, random_state=None)
    again = model_of(random_state=None).fit(TRAIN, checkpoint=tmp_path / "other", resume=True)
    assert (first.score_samples(ODD) != again.score_samples(ODD)).any()
    with pytest.raises(ModelFileError, match="a checkpoint of random_state"):
        model_of(random_state=7).fit(TRAIN, checkpoint=path, resume=True)


@pytest.mark.parametrize(
    "arguments", [{"sharing": "a"}, {"learning_rate": 0.01}, {"epochs": 3}, {"held_out": 0.1}, {"batch_size": 4},
                  {"architecture": Architecture(SMALL.levels[:2])}, {"brightness": "median"}], ids=str
)  # fmt: skip
def test_checkpoints_of_other_trainings_are_refused(arguments, tmp_path):
    path = interrupted(tmp_path / "checkpoint", 3)
    with pytest.raises(ModelFileError, match="of other images, arguments or version"):
        model_of(**arguments).fit(TRAIN, checkpoint=path, resume=True)
    with pytest.raises(ModelFileError, match="of other images, arguments or version"):
        model_of().fit(TRAIN[::-1], checkpoint=path, resume=True)
    model_of(floor=0, energy="sum").fit(TRAIN, checkpoint=path, resume=True)  # these have no part in training


def test_damaged_checkpoints(tmp_path):
    path = interrupted(tmp_path / "checkpoint", 3)
    members = members_of(path)
    changes = [(name, odd) for name in members if name != "header.json" for odd in (None, members[name][:-1])]
    header = json.loads(members["header.json"])
    for key, values in {"epochs": [[], [2, 3], [1, 1], [2] * 4, "2"], "steps": [0, -1, 1.5], "seed": [-1, "1"]}.items():
        changes += [("header.json", json.dumps(header | {key: value})) for value in values]
    for name, odd in changes:
        write(tmp_path / "odd", {**members, name: odd})
        with pytest.raises(ModelFileError) as caught:
            model_of().fit(TRAIN, checkpoint=tmp_path / "odd", resume=True)
        assert "damaged" in str(caught.value) and "\n" not in str(caught.value)
    with pytest.raises(ModelFileError, match="not a cbn model"):
        cbn.load(path)


def test_files_of_version_4_load_for_ever(tmp_path):
    folder = Path(__file__).parents[2] / "data" / "format_v4"
    make = script_of(folder / "make.py")
    expected = json.loads((folder / "expected.json").read_text())
    assert sorted(expected) == sorted(path.name for path in folder.glob("*.cbn")) and len(expected) == 2
    for name, wanted in expected.items():
        model = cbn.load(folder / name)
        found = make.behaviour(model)
        assert found.keys() == wanted.keys() and found["calibration"] == wanted["calibration"]
        for key in ("dead_kernels", "scores", "p_values", "maps"):
            assert found[key] == pytest.approx(wanted[key], rel=1e-8), (name, key)
        for curves in zip(found["curves"], wanted["curves"], strict=True):
            assert curves[0] == pytest.approx(curves[1], rel=1e-8), name
        assert model.training == Training(epochs={"learned.cbn": (2, 1), "backbone.cbn": 1}[name])
        model.save(tmp_path / name)  # in the newest version
        assert json.loads(members_of(tmp_path / name)["header.json"])["version"] == 5
        again = cbn.load(tmp_path / name)
        assert (
            make.behaviour(again) == found
            and again.get_params(deep=False).keys() == model.get_params(deep=False).keys()
        )
