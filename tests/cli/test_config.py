# SPDX-License-Identifier: BSD-3-Clause
"""--config of the programs that train, and models that say the command that makes them again."""

import importlib
import json
import shlex
import tomllib
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import cbn
from cbn.cli import _config, _given, _show_command
from helpers import programs as cli

TRAINING = ("cbn-train", "cbn-iem-train")


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    images, labels = cli.grey_images(60, 8, 8), np.arange(60) % 2
    np.savez("more.npz", x_train=images[::-1, ::-1], y_train=labels)
    np.savez("split.npz", x_train=images[:40], y_train=labels[:40], x_test=images[40:], y_test=labels[40:])
    np.save("a.npy", cli.grey_images(30, 8, 8, seed=1))
    np.save("b.npy", cli.grey_images(20, 8, 8, seed=2))
    return tmp_path


def parser_of(program):
    return importlib.import_module(cli.module_of(program)).build_parser()


def text_of(path):
    return Path(path).read_text()


def refused(program, text, *words, argv=()):
    Path("bad.toml").write_text(text)
    cli.assert_one_line_error(cli.call(program, "--config", "bad.toml", *argv), 2, "--config bad.toml", *words)
    assert not Path("model.cbn").exists()


# ---- the same bytes again ----

RUNS = {
    "pixel": ("cbn-train", "--data a.npy --false-alarm-rate 0.1"),
    "seed as by default": ("cbn-train", "--data a.npy --seed 0 --preset pixel"),
    "thresholds": ("cbn-train", "--data a.npy --threshold 0.2,0.50 --pseudocount 2"),
    "tree": ("cbn-train", "--data split.npz --label 1 --preset tree --penalty 0.5 --reach 2 --folds 3"),
    "fields": ("cbn-train", "--data a.npy --cpd boosted --fields rounds=4,rate=0.2"),
    "tied": ("cbn-train", "--data a.npy --preset tied --tied-rounds 3 --quick"),
    "hidden": ("cbn-train", "--data a.npy --hidden 2,2,1 --iterations 2 --force-relation 1,0,1,-2,0 --force-relation=1,1,0,-2,0"),
    "no contrast": ("cbn-train", "--data a.npy --preset best --no-contrast --hidden 2,2,1 --seed 3"),
    "classifier": ("cbn-train", "--data split.npz --classifier --digit all --preset tree"),
    "calibration": ("cbn-train", "--data a.npy --calibration b.npy --false-alarm-rate 0.1"),
    "stochastic": ("cbn-train", "--data a.npy --binarization stochastic --seed 9 --shift 1"),
    "gaussian": ("cbn-iem-train", "--synthetic texture --directions 20 --size 32x40 --backbone none"),
    "neural": ("cbn-iem-train", "--synthetic object --sidewards neural --quick --size 32 --levels 1 --seed 4"),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("name", RUNS)
def test_a_model_says_what_makes_it_again(name, here):
    program, words = RUNS[name]
    cli.done(program, *shlex.split(words), "--out", "one.cbn", "--threads", "1", "--quiet")
    found = cli.done("cbn-show", "one.cbn", "--save-config", "one.toml", "--json").json()
    assert found["config"] == "one.toml"
    cli.done(program, "--config", "one.toml", "--out", "two.cbn", "--json", "--threads", "2")
    assert Path("two.cbn").read_bytes() == Path("one.cbn").read_bytes()
    said, *again = shlex.split(found["command"])
    assert said == program and again[-2:] == ["--out", "one.cbn"]
    # the command asks for what the file asks for, so that it makes the same; one of each program is run
    by_command, by_file = (
        parser_of(program).read(words) for words in (again, ["--config", "one.toml", "--out", "one.cbn"])
    )
    assert by_command.kept == {key: value for key, value in by_file.kept.items() if key != "config"}
    assert asked_of(by_command) == asked_of(by_file)
    if name in ("pixel", "gaussian"):
        cli.done(program, *again[:-2], "--out", "three.cbn")
        assert Path("three.cbn").read_bytes() == Path("one.cbn").read_bytes()
        assert found["command"] in cli.done("cbn-show", "three.cbn").out.replace("three.cbn", "one.cbn")


def asked_of(arguments):
    """What a program is asked for, however."""
    return {key: value for key, value in vars(arguments).items() if key not in ("config", "given", "kept")}


def test_one_model_of_each_label_is_that_of_its_label_alone(here):
    words = ("--data", "split.npz", "--preset", "tree", "--folds", "3")
    cli.done("cbn-train", *words, "--digit", "all")
    cli.done("cbn-train", *words, "--digit", "1", "--out", "one.cbn")
    assert Path("model-1.cbn").read_bytes() == Path("one.cbn").read_bytes()
    command = cli.done("cbn-show", "one.cbn", "--json").json()["command"]
    assert command == "cbn-train --data split.npz --digit 1 --folds 3 --preset tree --out one.cbn"


def test_with_calibration_images_by_label_the_job_is_kept(here):
    words = ("--data", "split.npz", "--calibration", "more.npz", "--digit", "all", "--false-alarm-rate", "0.1")
    cli.done("cbn-train", *words)
    command = cli.done("cbn-show", "model-1.cbn", "--json").json()["command"]
    assert shlex.split(command)[1:] == ["--calibration", "more.npz", "--data", "split.npz", "--digit", "all",
                                        "--false-alarm-rate", "0.1"]  # fmt: skip


def test_models_of_models_say_their_own_command(here):
    for name in "ab":
        cli.done("cbn-train", "--data", f"{name}.npy", "--out", f"{name}.cbn", "--false-alarm-rate", "0.1")
    cli.done("cbn-train", "--merge", "a.cbn", "b.cbn", "--out", "all.cbn")
    command = cli.done("cbn-show", "all.cbn", "--save-config", "all.toml", "--json").json()["command"]
    assert command == "cbn-train --merge a.cbn --merge b.cbn --out all.cbn"
    assert tomllib.loads(text_of("all.toml")) == {"merge": ["a.cbn", "b.cbn"]}
    cli.done("cbn-train", "--config", "all.toml", "--out", "again.cbn")
    assert Path("again.cbn").read_bytes() == Path("all.cbn").read_bytes()
    cli.done("cbn-train", "--add", "a.cbn", "--data", "b.npy", "--out", "both.cbn")
    assert "--add a.cbn --data b.npy" in cli.done("cbn-show", "both.cbn", "--json").json()["command"]


def test_a_model_that_was_changed_no_longer_says_a_command(here):
    cli.done("cbn-train", "--data", "a.npy", "--false-alarm-rate", "0.1")
    model = cbn.load("model.cbn")
    assert "command" in model.provenance_
    assert "command" not in cbn.load("model.cbn").partial_fit(np.load("b.npy")).provenance_


def test_a_model_of_another_threshold_says_so(here):
    cli.done("cbn-train", "--data", "a.npy", "--false-alarm-rate", "0.1")
    assert cli.done("cbn-show", "--json").json()["changed"] is False
    cbn.load("model.cbn").calibrate(np.load("b.npy")).save("other.cbn")
    assert cli.done("cbn-show", "other.cbn", "--json").json()["changed"] is True
    assert "--out other.cbn, then another threshold (from elsewhere)\n" in cli.done("cbn-show", "other.cbn").out


def test_a_recalibrated_model_of_pictures_says_so(here):
    cli.done("cbn-iem-train", "--synthetic", "texture", "--backbone", "none", "--directions", "10", "--size", "32")
    cli.write_pictures(here / "today", cli.grey_images(25, 32, 32))
    cli.done("cbn-iem-score", "iem.cbn", "--calibration", "today", "--save-calibrated", "today.cbn")
    out = cli.done("cbn-show", "today.cbn").out
    assert "--synthetic texture --out today.cbn, then another threshold (today)\n" in out


# ---- what is kept ----


def test_what_changes_no_byte_is_not_kept(here):
    cli.done("cbn-train", "--data", "./a.npy", "--threads", "2", "--quiet", "--seed", "0", "--out", "m.cbn")
    with zipfile.ZipFile("m.cbn") as archive:
        record = json.loads(archive.read("header.json"))["networks"][0]["provenance"]
    assert record["command"]["program"] == "cbn-train"
    assert record["command"]["options"] == {"data": "./a.npy"}  # the path as it was given
    assert str(here) not in json.dumps(record)


def test_models_without_a_record_still_show(here):
    cbn.ConvolutionalBayesianNetwork(false_alarm_rate=0.1).fit(np.load("a.npy")).save("m.cbn")
    assert "command          not recorded\n" in cli.done("cbn-show", "m.cbn").out
    assert cli.done("cbn-show", "m.cbn", "--json").json()["command"] is None
    cli.assert_one_line_error(cli.call("cbn-show", "m.cbn", "--save-config", "m.toml"), 1, "--save-config", "m.cbn")
    assert not Path("m.toml").exists()


@pytest.mark.parametrize(
    "record",
    [None, 3, "cbn-train", {}, {"program": "rm", "options": {}}, {"program": "cbn-train"},
     {"program": "cbn-train", "options": {"data": 5}}, {"program": "cbn-train", "options": {"a b": "c"}},
     {"program": "cbn-train", "options": {"data": [["a"]]}}, {"program": ["cbn-train"], "options": {}}],
)  # fmt: skip
def test_a_record_that_is_none_is_as_no_record(record):
    assert _show_command.command_of({"command": record}) is None
    assert _show_command.command_line({"command": record}, "model.cbn") is None


def test_a_record_does_not_say_where_to_write():
    record = {"program": "cbn-train", "options": {"out": "elsewhere.cbn", "resume": True, "report": "x", "digit": "3"}}
    assert _show_command.command_of({"command": record}) == ("cbn-train", {"digit": "3"})
    assert _show_command.command_line({"command": record}, "model.cbn") == "cbn-train --digit 3"


def test_a_command_is_safe_to_paste_and_to_print(here):
    cli.done("cbn-train", "--data", "a.npy", "--false-alarm-rate", "0.1")
    model = cbn.load("model.cbn")
    nasty = "x; rm -rf ~\n\x1b[2J$(id)"
    model.provenance_["command"] = {"program": "cbn-train", "options": {"data": nasty, "digit": "-1"}}
    model.save("model.cbn")
    out = cli.done("cbn-show").out
    assert "\x1b" not in out and "digit=-1" in out
    command = cli.done("cbn-show", "--json").json()["command"]
    assert shlex.split(command) == ["cbn-train", "--data", nasty, "--digit=-1"]


def test_save_config_is_checked_before_any_work(here):
    cli.done("cbn-train", "--data", "a.npy", "--false-alarm-rate", "0.1")
    cli.assert_one_line_error(cli.call("cbn-show", "--save-config", "x.json"), 2, "--save-config", ".toml")
    cli.assert_one_line_error(cli.call("cbn-show", "--save-config", "no/x.toml"), 1, "no/x.toml", "folder")
    assert not Path("show.png").exists()


# ---- reading files ----

# Values, one of which every option takes.
TRIED = ("3", "0.5", "1,0,2,-2,0", "5,3,2", "-1,0", "1", "0", "64", "0.2,0.4", "0.3,0.6")


def test_the_command_line_goes_before_the_file(here):
    Path("t.toml").write_text(
        'data = "a.npy"\nseed = 3\npreset = "tree"\nquick = false\nforce-relation = "1,0,1,-2,0"\n'
    )
    parser = parser_of("cbn-train")
    arguments = parser.read(["--config", "t.toml", "--seed", "0", "--force-relation", "1,1,0,-2,0"])
    assert (arguments.seed, arguments.preset, arguments.data, arguments.quick) == (0, "tree", "a.npy", False)
    assert arguments.force_relation == [(1, 1, 0, -2, 0)]
    assert arguments.given["seed"] == "0" and "seed" not in arguments.kept
    assert arguments.kept == {"data": "a.npy", "preset": "tree", "force-relation": ["1,1,0,-2,0"], "config": "t.toml"}


@pytest.mark.parametrize("program", TRAINING)
def test_every_option_can_be_in_a_file(program):
    parser = parser_of(program)
    for name, action in _given.long_options(parser).items():
        if name == "config":
            continue
        if _given.is_flag(action) or _given.is_switch(action):
            value = True
        else:
            tried = [*map(str, action.choices or ()), *TRIED]
            for value in tried:
                try:
                    _config._checked(action, value)
                    break
                except ValueError:
                    continue
            else:
                pytest.fail(f"--{name}: no value found")
        found = parser_read(parser, {name: [value] if _given.is_repeated(action) else value})
        assert list(found) == [_given.name_of(action)]
        parser.parse_args(_given.words_of(found))


def parser_read(parser, options):
    path = Path("every.toml")
    path.write_text(_config.config_text("cbn-train", options))
    try:
        return _config.read_config(parser, str(path))
    finally:
        path.unlink()


def test_values_of_toml(here):
    Path("t.toml").write_text(
        'label = 2\nimages = "ż ó.npy"\nthreshold = [0.1, 0.3]\nhidden = [[8, 5, 3], [5, 3, 2]]\ncontrast = false\n'
        'skip-bad = false\nresume = true\nforce-relation = [[1, 0, 1, -2, 0], "1,1,0,-2,0"]\nfalse-alarm-rate = 1e-3\n'
    )
    arguments = parser_of("cbn-train").read(["--config", "t.toml"])
    assert (arguments.digit, arguments.data, arguments.threshold) == ("2", "ż ó.npy", (0.1, 0.3))
    assert [own.kernels for own in arguments.hidden] == [8, 5]
    assert arguments.contrast is False and arguments.skip_bad is False
    assert arguments.resume is True and arguments.force_relation == [(1, 0, 1, -2, 0), (1, 1, 0, -2, 0)]
    assert arguments.false_alarm_rate == 0.001
    assert parser_of("cbn-train").read(["--contrast", "--config", "t.toml"]).contrast is True


def test_keys_and_values_that_cannot_be(here):
    refused("cbn-train", "fales-alarm-rate = 0.1", "fales-alarm-rate", "did you mean false-alarm-rate?")
    refused("cbn-train", "false_alarm_rate = 0.1", "did you mean false-alarm-rate?")
    refused("cbn-train", "directions = 3", "directions", "no option of cbn-train")
    refused("cbn-iem-train", "preset = 'best'", "preset", "no option of cbn-iem-train")
    refused("cbn-train", "seed = 'x'", "seed = 'x'", "whole number")
    refused("cbn-train", "seed = true", "seed = true", "a number")
    refused("cbn-train", "quick = 1", "quick = 1", "true or false")
    refused("cbn-train", "no-contrast = true", "contrast = false")
    refused("cbn-train", "preset = 'bset'", "'bset'", "pixel, hidden")
    refused("cbn-train", "cpd = 'forest'", "'forest'", "table, tree")
    refused("cbn-iem-train", "held-out = 'much'", "'much'", "number")
    refused("cbn-train", "data = 'a'\nimages = 'b'", "images", "same option as data")
    refused("cbn-train", "config = 'a'", "config", "leave it out")
    refused("cbn-train", "version = 1", "version", "leave it out")
    refused("cbn-train", "[train]\nseed = 1", "train", "without tables")
    refused("cbn-train", "data = 1979-05-27", "1979-05-27", "text")
    refused("cbn-train", "data = [[['a']]]", "text")
    refused("cbn-train", "seed = ", "TOML")
    refused("cbn-train", "seed = 1\nseed = 2", "TOML")
    Path("bad.toml").write_bytes(b"data = '\xff'")
    cli.assert_one_line_error(cli.call("cbn-train", "--config", "bad.toml"), 2, "bad.toml", "TOML")


def test_files_that_cannot_be_read(here):
    cli.assert_one_line_error(cli.call("cbn-train", "--config", "none.toml"), 1, "--config", "none.toml")
    cli.assert_one_line_error(cli.call("cbn-train", "--config", "."), 1, "--config")
    Path("t.toml").write_text("data = 'a.npy'")
    cli.assert_one_line_error(cli.call("cbn-train", "--config", "t.toml", "--out", "t.toml"), 2, "t.toml", "--config")
    assert text_of("t.toml") == "data = 'a.npy'"


def test_what_goes_against_one_another_in_a_file_is_refused_as_on_the_line(here):
    Path("t.toml").write_text("data = 'a.npy'\npenalty = 1")
    cli.assert_one_line_error(cli.call("cbn-train", "--config", "t.toml"), 2, "--penalty", "--cpd tree")


@pytest.mark.parametrize(
    "text",
    ["", "2", "02", "2.0", "2.00", "1e5", "1e-05", "1_000", "-3", "a\tb\n", 'q"\\', "ż", "\x7f\x00", "inf", "nan", "true",
     "9" * 5000, "0x1", "٣"],
)  # fmt: skip
def test_text_stays_as_it_is_through_a_file(text, here):
    assert parser_read(parser_of("cbn-train"), {"data": text}) == {"data": text}
    assert _given.given_options(parser_of("cbn-train"), _given.words_of({"data": text})) == {"data": text}


def test_a_name_that_is_not_utf8(here):
    with pytest.raises(ValueError, match="UTF-8"):
        _config.config_text("cbn-train", {"data": "\udcff"})


def test_models_as_they_were_before_any_record_restore(here):
    cli.done("cbn-train", "--data", "a.npy", "--false-alarm-rate", "0.1")
    fitted = cbn.load("model.cbn").fitted_
    old = {name: value for name, value in fitted.provenance.items() if name != "command"}
    replace(fitted, provenance=old).save("old.cbn")
    assert "not recorded" in cli.done("cbn-show", "old.cbn").out
