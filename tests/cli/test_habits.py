# SPDX-License-Identifier: BSD-3-Clause
"""What all programs do alike: help, version, common options, model files that cannot be used."""

import argparse
import importlib
import json
import os
import shlex
import sys
import zipfile

import numpy as np
import pytest

import cbn
from cbn.cli._running import progress
from cbn.cpd.kinds import kind_named
from helpers import programs as cli


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A model of 6 x 5 pixels, with the 40 images it was trained on beside it as grey.npy."""
    folder = tmp_path_factory.mktemp("model")
    np.save(folder / "grey.npy", cli.grey_images(40, 6, 5))
    cli.done("cbn-train", "--data", folder / "grey.npy", "--false-alarm-rate", "0.1", "--out", folder / "model.cbn")
    return folder / "model.cbn"


def ordinary(program, model):
    """Arguments of an ordinary successful run that writes into the working folder."""
    data = ("--data", model.with_name("grey.npy"))
    return {
        "cbn-train": (*data, "--false-alarm-rate", "0.1"),
        "cbn-sample": ("--model", model, "--n", "9"),
        "cbn-score": ("--model", model, *data),
        "cbn-inpaint": ("--model", model, *data, "--hole", "0:1,0:1"),
        "cbn-show": ("--model", model),
    }[program]


@pytest.mark.parametrize("program", cli.PROGRAMS + cli.ENERGY_PROGRAMS + cli.REPORT_PROGRAMS)
def test_help_has_examples_that_parse(program):
    result = cli.call(program, "--help")
    assert (result.code, result.err) == (0, "")
    for option in ("--threads", "--json", "--quiet", "--version"):
        assert option in result.out
    _, _, examples = result.out.partition("examples:")
    lines = [line.strip() for line in examples.splitlines() if line.strip()]
    assert len(lines) >= 2
    parser = importlib.import_module(cli.module_of(program)).build_parser()
    for line in lines:
        words = shlex.split(line, comments=True)
        assert words[0] == program
        parser.parse_args(words[1:])  # raises SystemExit on an example that does not parse


@pytest.mark.parametrize("program", cli.PROGRAMS + cli.ENERGY_PROGRAMS + cli.REPORT_PROGRAMS)
def test_version(program):
    result = cli.call(program, "--version")
    assert (result.code, result.err) == (0, "")
    assert result.out.split() == [program, cbn.__version__]


@pytest.mark.parametrize("program", cli.PROGRAMS)
def test_quiet_success_leaves_stderr_empty(program, model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    """What was asked for stays on stdout, and --help says so."""
    result = cli.done(program, *ordinary(program, model), "--quiet")
    assert result.err == ""
    assert result.out.strip()
    said = " ".join(cli.done(program, "--help").out.split())
    assert "no progress, assumptions, notes or warnings on stderr, errors excepted; the result stays on stdout" in said


@pytest.mark.parametrize("program", cli.PROGRAMS)
def test_json_is_all_of_stdout(program, model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = cli.done(program, *ordinary(program, model), "--json").json()
    assert found["binarization"] == "value > 0.3 x 255"  # no likelihood without it


@pytest.mark.parametrize("program", cli.PROGRAMS)
def test_warnings_and_messages_name_the_program_or_stay_on_one_line(program, model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = cli.done(program, *ordinary(program, model))
    assert len(cli.unassumed(result.err)) <= 1
    assert "Warning" not in result.err  # Python's own form of a warning, with file and line


@pytest.mark.parametrize("program", cli.PROGRAMS + cli.ENERGY_PROGRAMS + cli.REPORT_PROGRAMS)
@pytest.mark.parametrize(
    ("arguments", "word"),
    [(["--unknown"], "--unknown"), (["extra", "surplus"], "surplus"), (["--threads", "0"], "--threads"),
     (["--threads", "-1"], "--threads"), (["--threads", "1.5"], "--threads"), (["--threads", "9999"], "--threads"),
     (["--threads"], "--threads"), (["--js"], "--js")],
)  # fmt: skip
def test_wrong_usage_of_common_options(program, arguments, word):
    cli.assert_one_line_error(cli.call(program, *arguments), 2, word, "--help")


@pytest.mark.parametrize("program", ["cbn-train", "cbn-sample", "cbn-inpaint"])
@pytest.mark.parametrize("seed", ["-1", "1.5", "x", str(2**64)])
def test_seeds_out_of_range(program, seed):
    cli.assert_one_line_error(cli.call(program, f"--seed={seed}"), 2, "--seed", seed)


@pytest.mark.parametrize(
    ("program", "option"),
    [("cbn-sample", "--out"), ("cbn-sample", "--npz"), ("cbn-sample", "--gif"), ("cbn-inpaint", "--out"),
     ("cbn-inpaint", "--npz"), ("cbn-show", "--out")],
)  # fmt: skip
def test_missing_output_folder_is_refused_before_any_work(program, option, model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = cli.call(program, *ordinary(program, model), option, "missing/file")
    cli.assert_one_line_error(result, 1, "missing/file", "folder")
    result = cli.call(program, *ordinary(program, model), option, tmp_path)
    cli.assert_one_line_error(result, 1, tmp_path.name, "folder")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("program", ["cbn-sample", "cbn-inpaint"])
def test_one_file_for_two_outputs_is_refused(program, model, tmp_path, monkeypatch):
    """Otherwise one output silently replaces the other."""
    monkeypatch.chdir(tmp_path)
    result = cli.call(program, *ordinary(program, model), "--out", "same.png", "--npz", "same.png")
    assert result.code in (1, 2), result.out
    assert "same.png" in result.err


@pytest.mark.parametrize("program", ["cbn-sample", "cbn-inpaint", "cbn-show"])
def test_output_over_the_model_is_refused(program, model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    content = model.read_bytes()
    (tmp_path / "mine.cbn").write_bytes(content)
    arguments = [tmp_path / "mine.cbn" if word == model else word for word in ordinary(program, model)]
    result = cli.call(program, *arguments, "--out", "mine.cbn")
    assert (tmp_path / "mine.cbn").read_bytes() == content
    assert result.code in (1, 2)


# ---- model files ----


def _rewritten(content, folder, change):
    """The model file with its header changed."""
    (folder / "old.cbn").write_bytes(content)
    with zipfile.ZipFile(folder / "old.cbn") as old, zipfile.ZipFile(folder / "bad.cbn", "w") as new:
        for name in old.namelist():
            data = old.read(name)
            if name == "header.json":
                header = json.loads(data)
                change(header)
                data = json.dumps(header).encode()
            new.writestr(name, data)


def _newer(header):
    header["version"] = 999


def _other_format(header):
    header["format"] = "something else"


def _without_networks(header):
    del header["networks"]


def _wrong_size(header):
    header["networks"][0]["layer"]["height"] = 7


MODELS = {
    "not a model": (lambda content, folder: (folder / "bad.cbn").write_bytes(b"hello, world"), ["not a cbn model"]),
    "empty": (lambda content, folder: (folder / "bad.cbn").write_bytes(b""), ["not a cbn model"]),
    "half": (
        lambda content, folder: (folder / "bad.cbn").write_bytes(content[: len(content) // 2]),
        ["damaged", "cut short"],
    ),
    "another zip": (lambda content, folder: np.savez(folder / "bad.cbn", a=np.zeros(3)), ["not a cbn model"]),
    "newer": (lambda content, folder: _rewritten(content, folder, _newer), ["newer", "999", "upgrade"]),
    "another format": (lambda content, folder: _rewritten(content, folder, _other_format), ["not a cbn model"]),
    "no networks": (lambda content, folder: _rewritten(content, folder, _without_networks), ["damaged"]),
    "wrong size": (lambda content, folder: _rewritten(content, folder, _wrong_size), ["damaged"]),
    "folder": (lambda content, folder: (folder / "bad.cbn").mkdir(), ["folder"]),
    "missing": (lambda content, folder: None, ["no such file", "check the spelling"]),
}


@pytest.mark.parametrize("case", MODELS)
@pytest.mark.parametrize("program", cli.READERS)
def test_model_file_that_cannot_be_used(program, case, model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make, words = MODELS[case]
    make(model.read_bytes(), tmp_path)
    (tmp_path / "bad.cbn.npz").rename("bad.cbn") if (tmp_path / "bad.cbn.npz").exists() else None
    before = sorted(tmp_path.iterdir())
    cli.assert_one_line_error(cli.call(program, "--model", "bad.cbn", "--quiet"), 1, "bad.cbn", *words)
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize("program", cli.READERS)
def test_default_model_that_was_never_trained(program, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    cli.assert_one_line_error(cli.call(program), 1, "model.cbn", "cbn-train")


def test_any_damaged_byte_is_found_or_harmless(model, tmp_path, monkeypatch):
    """Never a traceback or an internal error, whichever byte of the file is wrong. All programs read models alike."""
    monkeypatch.chdir(tmp_path)
    content = model.read_bytes()
    for position in range(0, len(content), 97):
        damaged = bytearray(content)
        damaged[position] ^= 0x55
        (tmp_path / "bad.cbn").write_bytes(damaged)
        result = cli.call("cbn-sample", "--model", "bad.cbn", "--n", "1", "--quiet")
        if result.code:
            cli.assert_one_line_error(result, 1, "bad.cbn")


@pytest.mark.parametrize("program", ["cbn-sample", "cbn-inpaint"])
def test_too_few_calibration_images_are_no_news_where_nothing_is_judged(program, model, tmp_path, monkeypatch):
    """The warning belongs to the programs that call images outliers."""
    monkeypatch.chdir(tmp_path)
    cli.done("cbn-train", "--data", model.with_name("grey.npy"), "--quiet", "--out", "few.cbn")  # rate 0.01
    arguments = ["few.cbn" if word == model else word for word in ordinary(program, model)]
    assert cli.unassumed(cli.done(program, *arguments).err) == []


def test_rate_of_the_command_line_replaces_that_of_the_model(model, tmp_path, monkeypatch):
    """No warning about a rate that is not used."""
    monkeypatch.chdir(tmp_path)
    cli.done("cbn-train", "--data", model.with_name("grey.npy"), "--quiet", "--out", "few.cbn")  # rate 0.01
    data = ("--data", model.with_name("grey.npy"))
    result = cli.done("cbn-score", "--model", "few.cbn", *data, "--false-alarm-rate", "0.5")
    assert "0.01" not in result.err and "allow no alarm" not in result.err


@pytest.mark.parametrize(
    ("program", "word", "meant"),
    [
        ("cbn-score", "--alarm-treshold", "--alarm-threshold"), ("cbn-train", "--preest=best", "--preset"),
        ("cbn-iem-train", "--calibraton", "--calibration"), ("cbn-report", "--fals-alarm-rate", "--false-alarm-rate"),
    ],
)  # fmt: skip
def test_misspelt_options_are_answered_with_the_one_that_is_meant(program, word, meant):
    cli.assert_one_line_error(cli.call(program, word, "3"), 2, word.partition("=")[0], f"did you mean {meant}?")


def test_words_that_are_like_no_option_are_not_guessed_at():
    result = cli.call("cbn-score", "--zzz")
    cli.assert_one_line_error(result, 2, "unrecognized arguments: --zzz")
    assert "did you mean" not in result.err


@pytest.mark.skipif(os.name != "posix", reason="terminals of POSIX")
@pytest.mark.parametrize("size", [(0, 0), (24, 100)])
def test_bars_are_drawn_on_terminals_that_do_not_know_their_size(size, monkeypatch):
    import fcntl
    import pty
    import struct
    import termios

    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", *size, 0, 0))
    with open(slave, "w") as terminal, open(master, "rb", buffering=0) as screen:
        monkeypatch.setattr(sys, "stderr", terminal)
        bar = progress(None, argparse.Namespace(quiet=False), 160, "tree", "training")
        bar.refresh()
        assert b"0/160" in screen.read(4096)
        bar.close()


def test_a_bar_of_tied_trees_counts_trees():
    assert kind_named("tied").steps(cbn.Tied(rounds=30, networks=2), 784) == (60, "tree")
    assert kind_named("boosted").steps(cbn.Boosted(), 784) == (784, "pixel")
