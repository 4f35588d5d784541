# SPDX-License-Identifier: BSD-3-Clause
"""Thresholds of one's own: given as a number, set by normal pictures, and kept in a model file."""

import shutil
from dataclasses import replace

import numpy as np
import pytest

import cbn
from cbn.datasets import make_category, write_mvtec
from helpers import programs as cli

TRAIN, GOOD, TEST = (cli.grey_images(n, 6, 5, seed) for n, seed in ((60, 1), (40, 2), (30, 3)))
TEST[::5] = TEST[::5, ::-1]


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    folder = tmp_path_factory.mktemp("network")
    for name, images in (("train", TRAIN), ("good", GOOD), ("test", TEST)):
        np.save(folder / f"{name}.npy", images)
    for preset in ("pixel", "tree"):
        cli.done("cbn-train", "--data", folder / "train.npy", "--false-alarm-rate", 0.1, "--out", folder / f"{preset}.cbn",
                 "--preset", preset)  # fmt: skip
    return folder


@pytest.fixture(scope="module")
def energy(tmp_path_factory):
    folder = tmp_path_factory.mktemp("energy")
    made = make_category("texture", 48, 4, 1, size=32)
    for name, own in (("carpet", slice(24)), ("today", slice(24, None))):
        write_mvtec(folder / name, replace(made, train=made.train[own], train_names=made.train_names[own]))
    for name, how in (("gaussian", ("--directions", 8, "--size", 32)), ("neural", ("--levels", 1, "--epochs", 1))):
        cli.done("cbn-iem-train", "--data", folder / "carpet", *how, "--false-alarm-rate", 0.2, "--out", folder / f"{name}.cbn",
                 "--quiet")  # fmt: skip
    return folder


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def rows_of(*argv):
    return cli.done(*argv, "--json").json()["images"]


def test_a_given_threshold(network):
    command = "cbn-score", network / "pixel.cbn", "--data", network / "test.npy"
    scores = [row["score"] for row in rows_of(*command)]
    threshold = sorted(scores)[6] + 1e-9
    found = cli.done(*command, "--alarm-threshold", threshold, "--json").json()
    assert [row["verdict"] == "outlier" for row in found["images"]] == [score < threshold for score in scores]
    assert found["n_outliers"] == 7 and found["threshold"] == threshold and found["basis"] == "none"
    assert found["false_alarm_rate"] is None
    said = cli.done(*command, f"--alarm-threshold={threshold}").err
    assert "7 of 30 images are outliers by the threshold that was given" in said and "scores;" not in said


def test_a_threshold_outside_of_all_scores_is_told(network, energy):
    """As that of a CSV file, whose sign is the other one, made outliers of all pictures without a word."""
    score = "cbn-score", network / "pixel.cbn", "--data", network / "test.npy"
    iem = "cbn-iem-score", energy / "gaussian.cbn", "--data", energy / "carpet"
    for command, inside, all_of, none_of, place, direction in (
        (score, cbn.load(network / "pixel.cbn").offset_, 20, -1e6, "above", "a score (higher = more normal)"),
        (iem, -cbn.load(energy / "gaussian.cbn").offset_, -2, 1e6, "below", "minus the energy"),
    ):
        assert "--alarm-threshold" not in cli.done(*command, f"--alarm-threshold={inside}").err
        [line] = [own for own in cli.done(*command, f"--alarm-threshold={all_of}").err.splitlines() if "--alarm" in own]
        assert f"warning: --alarm-threshold {all_of}: {place} the " in line and direction in line
        assert line.endswith("will all be outliers")
        result = cli.done(*command, f"--alarm-threshold={none_of}")
        assert "no image like these will be an outlier" in result.err and "warning" not in result.err


@pytest.mark.parametrize("preset", ["pixel", "tree"])
def test_calibration_of_a_network(network, preset, here):
    """What the estimator's calibrate does; the file of the model stays as it was."""
    model = network / f"{preset}.cbn"
    before = model.read_bytes()
    command = "cbn-score", "--model", model, "--data", network / "test.npy"
    found = cli.done(*command, "--calibration", network / "good.npy", "--save-calibrated", "today.cbn", "--json").json()
    expected = cbn.load(model).calibrate(GOOD)
    assert found["threshold"] == expected.offset_ and found["calibration"] == "separate images"
    np.testing.assert_array_equal([row["p_value"] for row in found["images"]], expected.p_values(TEST))
    again = cli.done("cbn-score", "today.cbn", "--data", network / "test.npy", "--json").json()
    assert again["images"] == found["images"] and model.read_bytes() == before
    facts = cli.done("cbn-show", "today.cbn", "--out", "s.png", "--json").json()
    assert facts["provenance"]["calibrated_with"] == str(network / "good.npy")


def test_nothing_needs_to_be_scored(network, here):
    model, good = network / "pixel.cbn", network / "good.npy"
    result = cli.done(
        "cbn-score", model, "--calibration", good, "--save-calibrated", "a.cbn", "--false-alarm-rate", 0.3
    )
    assert result.out.startswith("a.cbn: log_probability -") and "rate of 0.3, from 40 separate images" in result.out
    found = cli.done("cbn-score", model, "--calibration", good, "--save-calibrated", "b.cbn", "--json").json()
    assert found["threshold"] == cbn.load("b.cbn").offset_ and found["false_alarm_rate"] == 0.1
    assert cli.done("cbn-score", "a.cbn", "--data", good, "--json").json()["false_alarm_rate"] == 0.3


@pytest.mark.parametrize("kind", ["gaussian", "neural"])
def test_a_rate_is_kept_by_energy_models(energy, kind, here):
    command = "cbn-iem-score", energy / f"{kind}.cbn"
    good = energy / "today" / "train" / "good"
    for how in ((), ("--calibration", good)):
        cli.done(*command, *how, "--save-calibrated", "x.cbn", "--false-alarm-rate", 0.5)
        found = cli.done("cbn-iem-score", "x.cbn", "--data", energy / "carpet", "--json").json()
        own = cli.done(*command, *how, "--data", energy / "carpet", "--false-alarm-rate", 0.5, "--json").json()
        assert found["false_alarm_rate"] == 0.5
        assert found["images"] == own["images"] and found["threshold"] == own["threshold"]


@pytest.mark.parametrize("preset", ["pixel", "tree"])
def test_a_rate_is_kept_by_networks(network, preset, here):
    model = network / f"{preset}.cbn"
    cli.done("cbn-score", model, "--save-calibrated", "x.cbn", "--false-alarm-rate", 0.3)
    data = "--data", network / "test.npy"
    found, own = rows_of("cbn-score", "x.cbn", *data), rows_of("cbn-score", model, *data, "--false-alarm-rate", 0.3)
    assert found == own != rows_of("cbn-score", model, *data)
    loaded = cbn.load("x.cbn")
    assert loaded.get_params()["false_alarm_rate"] == 0.3 and loaded.offset_ == cbn.load(model).threshold_at(0.3)


def test_training_images_set_no_threshold(network, energy, here):
    """They did, and nearly every new image was an outlier."""
    pictures = energy / "carpet/train/good"
    for program, model, good, source in (
        ("cbn-score", network / "pixel.cbn", network / "train.npy", "60 leave-one-out scores"),
        ("cbn-score", network / "tree.cbn", network / "train.npy", "60 cross-validation scores"),
        ("cbn-iem-score", energy / "gaussian.cbn", pictures, "24 leave-one-out scores"),
        ("cbn-iem-score", energy / "neural.cbn", pictures, "of its own"),
    ):
        result = cli.call(program, model, "--calibration", good, "--save-calibrated", "x.cbn")
        cli.assert_one_line_error(result, 1, "--calibration: are the images that the model was trained on", source)
    some = here / "some"
    shutil.copytree(pictures, some)
    for path in sorted(some.iterdir())[21:]:
        path.unlink()
    cli.done(
        "cbn-iem-train", "--good", pictures, "--size", 32, "--false-alarm-rate", 0.2, "--out", "all.cbn", "--quiet"
    )
    result = cli.done("cbn-iem-score", "all.cbn", "--calibration", some, "--save-calibrated", "x.cbn")
    assert "24 of 24 images left out of it outliers" in result.err


def test_training_images_set_no_threshold_at_training(network, energy, here):
    pictures = energy / "carpet/train/good"
    network_of = "cbn-train", "--preset", "tree", "--false-alarm-rate", 0.1, "--out", "x.cbn", "--data"
    np.savez("grey.npz", x_train=TRAIN, y_train=np.arange(60) % 2)
    np.save("some.npy", np.concatenate([TRAIN[1:12:2], GOOD]))
    gaussian = "cbn-iem-train", "--good", pictures, "--size", 32, "--directions", 8, "--out", "x.cbn"
    result = cli.call(*gaussian, "--calibration", pictures)
    cli.assert_one_line_error(result, 1, "--calibration: all 24 images are among those of the training")
    images = network / "train.npy"  # which become bits as they are read
    result = cli.call(*network_of, images, "--calibration", images)
    cli.assert_one_line_error(result, 1, "--calibration: all 60 images are among those of the training")
    assert not (here / "x.cbn").exists()
    result = cli.done(*network_of, "grey.npz", "--digit", 1, "--calibration", "some.npy")
    assert "--calibration: 6 of 46 images are among those of the training" in result.err
    np.save("twins.npy", np.repeat(GOOD[:2], 30, axis=0))  # equal by chance
    np.save("more.npy", np.repeat(GOOD[:2], 20, axis=0))
    assert "among" not in cli.done(*network_of, "twins.npy", "--calibration", "more.npy", "--threshold", "auto").err


def test_too_few_images_for_a_rate_keep_no_model(network, energy, here):
    """They did: of a threshold of infinity."""
    score, good = ("cbn-score", network / "pixel.cbn"), ("--calibration", network / "good.npy")
    save, strict, few = ("--save-calibrated", "c.cbn"), ("--false-alarm-rate", 0.001), "few.npy"
    np.save(few, GOOD[:6])
    hold = "images cannot hold a false-alarm rate of"
    for words, said in (
        ((*good, *save, *strict), f"--calibration: 40 {hold} 0.001; give at least 999, or --false-alarm-rate 0.03"),
        ((*good, "--data", network / "test.npy", *strict), f"--calibration: 40 {hold} 0.001"),
        ((*save, *strict), f"--false-alarm-rate: 60 {hold} 0.001; give --false-alarm-rate 0.02"),
        (("--calibration", few, *save), f"--calibration: 6 {hold} 0.1; give at least 9, or --false-alarm-rate 0.2"),
        (("--calibration", few, *save, "--extrapolate", "--data", few), f"--calibration: 6 {hold} 0.1"),
    ):
        cli.assert_one_line_error(cli.call(*score, *words), 1, said)
    assert {path.name for path in here.iterdir()} == {few}
    result = cli.done(*score, "--data", network / "test.npy", "--calibration", few, "--extrapolate")
    assert "extrapolated" in result.err and result.err.count("warning") == 1
    cli.done(*score, "--data", network / "test.npy", "--calibration", few, "--alarm-threshold=-20")
    cli.done(*score, "--calibration", few, *save, "--false-alarm-rate", 0.2)


def test_a_model_without_a_threshold_says_what_would_make_one(energy, here):
    pictures = energy / "carpet/train/good"
    (here / "few").mkdir()
    for path in sorted(pictures.iterdir())[:12]:
        shutil.copy(path, here / "few")
    command = "cbn-iem-train", "--good", "few", "--size", 32, "--directions", 8, "--out"
    told = (
        "threshold        none at false-alarm rate 0.05: 12 leave-one-out scores allow rates from 0.077; give more, or "
        "--false-alarm-rate 0.08"
    )
    for result in (cli.done(*command, "x.cbn"), cli.done("cbn-show", "x.cbn", "--out", "x.png")):
        assert told in result.out.splitlines() and " inf" not in result.out
    result = cli.done("cbn-iem-score", "x.cbn", "--data", energy / "carpet")
    assert "undecided: the rate needs 19 calibration scores (12 leave-one-out scores)" in result.err
    assert "none" not in cli.done(*command, "y.cbn", "--false-alarm-rate", 0.08).out


def test_networks_without_a_threshold_say_so_too(network, here):
    np.save("few.npy", TRAIN[:12])
    told = "none at false-alarm rate 0.01: 12 leave-one-out scores allow rates from 0.077"
    for command in (("cbn-train", "--data", "few.npy"), ("cbn-show", "--out", "x.png")):
        result = cli.done(*command)
        assert told in result.out and "-inf" not in result.out
    np.save("more.npy", TRAIN[12:15])
    assert (
        "none at false-alarm rate 0.01: 3 leave-one-out scores"
        in cli.done("cbn-train", "--data", "more.npy", "--add", "model.cbn", "--out", "all.cbn").out
    )


def test_wrong_usage(network, here):
    model = "cbn-score", network / "pixel.cbn"
    good, data = ("--calibration", network / "good.npy"), ("--data", network / "test.npy")
    for words, own in [
        (("--save-calibrated", "x.cbn"), ("--save-calibrated", "--calibration", "--false-alarm-rate")),
        ((*good, "--save-calibrated", network / "pixel.cbn"), ("--save-calibrated", "--model")),
        ((*good, "--save-calibrated", "x.cbn", "--csv", "rows.csv"), ("--csv", "--data")),
        ((*good, "--save-calibrated", "x.cbn", "--top", 3), ("--top", "--data")),
        ((*data, "--alarm-threshold", "nan"), ("--alarm-threshold",)),
        ((*data, "--alarm-threshold", "-3", "--fdr", 0.1), ("--alarm-threshold", "--fdr")),
        ((*data, "--alarm-threshold", "-3", "--false-alarm-rate", 0.1), ("--alarm-threshold", "--false-alarm-rate")),
        ((*data, "--alarm-threshold", "-3", "--repair", "r"), ("--repair", "--alarm-threshold")),
    ]:
        cli.assert_one_line_error(cli.call(*model, *words), 2, *own)
    np.savez("split.npz", x_train=GOOD, x_test=TEST)
    np.save("other.npy", GOOD[:, :4])
    for path, code, words in (("split.npz", 2, "train and test"), ("other.npy", 1, "4 x 5"), ("none", 1, "none")):
        result = cli.call(*model, *data, "--calibration", path)
        cli.assert_one_line_error(result, code, "--calibration", words)
    assert {path.name for path in here.iterdir()} == {"split.npz", "other.npy"}
