# SPDX-License-Identifier: BSD-3-Clause
"""cbn-iem-score: energies, p-values and verdicts as the model gives them, maps of one scale, wrong usage."""

import numpy as np
import pytest
from PIL import Image

import cbn
import cbn.plots.pictures
from cbn.datasets import load_mvtec, make_category, write_mvtec
from helpers import programs as cli

SCORE = "cbn-iem-score"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A category "carpet" and a model of it, carpet.cbn."""
    root = tmp_path_factory.mktemp("score")
    write_mvtec(root / "carpet", make_category("texture", 12, 2, 1, size=32))
    cli.done("cbn-iem-train", "--data", root / "carpet", "--levels", 1, "--epochs", 1, "--false-alarm-rate", 0.2, "--held-out", 0,
             "--out", root / "carpet.cbn", "--quiet")  # fmt: skip
    return root


@pytest.fixture(scope="module")
def bayesian(tmp_path_factory):
    """A model file of another kind."""
    path = tmp_path_factory.mktemp("bayesian") / "model.cbn"
    cbn.ConvolutionalBayesianNetwork(false_alarm_rate=0.5).fit(cli.grey_images(9, 5, 5)).save(path)
    return path


def test_rows_are_what_the_model_says(folder):
    model, data = cbn.load(folder / "carpet.cbn"), load_mvtec(folder / "carpet")
    found = cli.done(SCORE, folder / "carpet.cbn", "--data", folder / "carpet", "--json").json()
    scores = model.score_samples(data.test)
    rows = found["images"]
    assert [row["image"] for row in rows] == list(data.test_names)
    assert [row["label"] for row in rows] == list(data.defects)
    np.testing.assert_allclose([row["energy"] for row in rows], -scores)
    np.testing.assert_allclose([row["p_value"] for row in rows], model.p_values(data.test))
    assert [row["verdict"] == "outlier" for row in rows] == (model.predict(data.test) == -1).tolist()
    assert found["n"] == 6 and found["n_outliers"] == (model.predict(data.test) == -1).sum()
    assert found["threshold"] == pytest.approx(-model.offset_) and found["false_alarm_rate"] == 0.2
    assert found["seconds"]["score_per_image"] > 0 and found["n_calibration"] == 12


def test_table_for_people(folder):
    result = cli.done(SCORE, "--model", folder / "carpet.cbn", "--images", folder / "carpet/test", "--n", 3)
    lines = [line.split("\t") for line in result.out.splitlines()]
    assert lines[0] == ["image", "label", "energy (lower = more normal)", "p_value", "verdict"] and len(lines) == 4
    assert lines[1][:2] == ["good/000.png", "good"]
    assert "of 3 pictures are outliers at a false-alarm rate of 0.2" in result.err
    plain = cli.done(SCORE, folder / "carpet.cbn", "--data", folder / "carpet/train/good", "--quiet")
    assert plain.out.splitlines()[0] == "image\tenergy (lower = more normal)\tp_value\tverdict" and plain.err == ""


def test_false_alarm_rate_moves_the_verdicts(folder):
    command = (SCORE, folder / "carpet.cbn", "--data", folder / "carpet", "--json")
    few, many = (cli.done(*command, "--false-alarm-rate", rate).json() for rate in (0.1, 0.9))
    assert few["threshold"] > many["threshold"] and few["n_outliers"] < many["n_outliers"]
    none = cli.done(*command, "--false-alarm-rate", 0.01)
    assert none.json()["n_outliers"] == 0 and none.json()["threshold"] is None and "at least 99" in none.err


def test_one_picture_of_any_size_and_colour(folder, tmp_path):
    Image.new("RGB", (50, 70), (9, 90, 200)).save(tmp_path / "blue.jpg")
    found = cli.done(SCORE, folder / "carpet.cbn", "--data", tmp_path / "blue.jpg", "--json").json()
    assert found["n"] == 1 and found["images"][0]["image"] == "blue.jpg"


@pytest.mark.slow
def test_default_model_and_synthetic_pictures(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    cli.done("cbn-iem-train", "--synthetic", "object", "--size", 32, "--levels", 0, "--quick", "--quiet")
    found = cli.done(SCORE, "--synthetic", "object", "--n", 25, "--json").json()
    assert found["n"] == 25 and found["model"] == "iem.cbn" and found["images"][24]["label"] == "scratch"


def test_maps_have_one_scale(folder, tmp_path):
    model, data = cbn.load(folder / "carpet.cbn"), load_mvtec(folder / "carpet")
    command = (SCORE, folder / "carpet.cbn", "--data", folder / "carpet", "--maps")
    found = cli.done(*command, tmp_path / "maps", "--json").json()
    assert found["scale"] == model.provenance_["heat_map_scale"]
    names = sorted(path.name for path in (tmp_path / "maps").iterdir())
    assert names == ["good_000.png", "good_001.png", "misplaced_000.png", "missing_000.png", "scratch_000.png",
                     "spot_000.png"]  # fmt: skip
    assert [row["map"] for row in found["images"]] == [str(tmp_path / "maps" / name) for name in names]
    drawn = np.asarray(Image.open(tmp_path / "maps" / "scratch_000.png"))
    row = found["images"][4]
    mask = data.masks[4]
    expected = cbn.plots.pictures.energy_map(
        data.test[4], model.energy_map(data.test[4:5])[0], found["scale"],
        f"{row['image']}: {row['verdict']}, p = {row['p_value']:.4g}", mask,
    )  # fmt: skip
    np.testing.assert_array_equal(drawn, np.asarray(expected))
    cli.done(*command, tmp_path / "level", "--level", 1, "--n", 5)
    cli.done(*command, tmp_path / "scaled", "--scale", 9, "--n", 5)
    for other in ("level", "scaled"):
        assert not np.array_equal(np.asarray(Image.open(tmp_path / other / "scratch_000.png")), drawn)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], ["--data", "none given"]),
        (["--data", "x", "--synthetic", "object"], ["both given"]),
        (["a.cbn", "--model", "b.cbn", "--data", "x"], ["--model", "name one model"]),
        (["--data", "x", "--level", "1"], ["--level", "--maps"]),
        (["--data", "x", "--scale", "2"], ["--scale", "--maps"]),
        (["--data", "x", "--maps", "m", "--scale", "0"], ["--scale", "above 0"]),
        (["--data", "x", "--n", "0"], ["--n"]),
    ],
)
def test_wrong_usage(arguments, words):
    cli.assert_one_line_error(cli.call(SCORE, *arguments), 2, *words)


def test_what_cannot_be_used(folder, bayesian, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    carpet = folder / "carpet.cbn"
    (tmp_path / "empty").mkdir()
    (tmp_path / "bad.png").write_bytes(b"text")
    for arguments, words in (
        (["--data", folder / "carpet"], ["iem.cbn"]),
        ([bayesian, "--data", folder / "carpet"], ["model.cbn", "cbn-score"]),
        ([folder / "carpet/test/good/000.png", "--data", "x"], ["000.png", "not a cbn model"]),
        ([carpet, "--data", "none"], ["--data", "none does not exist"]),
        ([carpet, "--data", "empty"], ["--data", "no pictures"]),
        ([carpet, "--data", "bad.png"], ["--data", "bad.png", "replace the file"]),
        ([carpet, "--data", folder / "carpet", "--maps", carpet], ["carpet.cbn"]),
        ([carpet, "--data", folder / "carpet", "--maps", ""], ["--maps", "empty"]),
        ([carpet, "--data", folder / "carpet", "--maps", "m", "--level", 2], ["--level 2", "levels 0 to 1"]),
    ):
        cli.assert_one_line_error(cli.call(SCORE, *arguments), 1, *words)


@pytest.mark.parametrize("program", [name for name in cli.READERS if name != "cbn-show"])
def test_programs_of_bayesian_networks_name_the_right_one(program, folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    hole = ("--hole", "0:1,0:1") if program == "cbn-inpaint" else ()
    result = cli.call(program, "--model", folder / "carpet.cbn", *hole)
    cli.assert_one_line_error(result, 1, "carpet.cbn", "cbn-iem-score")


@pytest.mark.parametrize("scale", ["wide", -1.0, 0.0, True])
def test_a_colour_scale_that_no_training_wrote(scale, folder, tmp_path):
    model = cbn.load(folder / "carpet.cbn")
    model.provenance_["heat_map_scale"] = scale
    model.save(tmp_path / "odd.cbn")
    command = SCORE, tmp_path / "odd.cbn", "--data", folder / "carpet", "--maps", tmp_path / "maps"
    result = cli.call(*command)
    assert result.code == 1 and "odd.cbn" in result.err and "--scale" in result.err
    cli.done(*command, "--scale", "3")
