# SPDX-License-Identifier: BSD-3-Clause
"""The programs as processes: entry points, pipes, full disks, signals, and bytes that stay the same."""

import importlib
import json
import os
import signal
import subprocess
import sys
import time
import types
from pathlib import Path

import numpy as np
import pytest

import cbn
import cbn.cli
from cbn.cli._parser import Parser
from cbn.cli._running import run
from helpers import programs as cli

pytestmark = pytest.mark.slow

linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs Linux")
RATE = ("--false-alarm-rate", "0.1")

# Runs a program by its entry point, which says when everything is imported, so that a signal meets its work and not the
# imports, nor a line that is not the program's.
READY = """
import sys
import cbn.cli
from cbn.cli import {name} as program
main = program.main
def announced():
    print("ready", file=sys.stderr, flush=True)
    return main()
program.main = announced
sys.exit(cbn.cli.start_{name}())
"""

# Runs cbn-train and kills it: just before the first file is written, so many seconds after that, or just before the
# renaming. Audit events tell the moments; nothing is assumed about how the file is written.
KILLED = """
import os, signal, sys, threading
from cbn.cli.train import main
when = sys.argv.pop(1)
def kill():
    os.kill(os.getpid(), signal.SIGKILL)
def watch(event, arguments):
    if event == "open" and isinstance(arguments[1], str) and set(arguments[1]) & set("wx+"):
        if when == "open":
            kill()
        if when != "rename":
            timer = threading.Timer(float(when), kill)
            timer.daemon = True
            timer.start()
    if event == "os.rename" and when == "rename":
        kill()
sys.addaudithook(watch)
main(sys.argv[1:])
kill()  # it was faster; that is as good a moment as any
"""


# A shell that runs the tests in the background makes them, and the programs they start, deaf to Ctrl-C: undo that.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """model.cbn of 6 x 5 pixels and its images grey.npy."""
    folder = tmp_path_factory.mktemp("process")
    np.save(folder / "grey.npy", cli.grey_images(40, 6, 5))
    cli.done("cbn-train", "--data", folder / "grey.npy", *RATE, "--out", folder / "model.cbn")
    return folder


def start(name, *argv, cwd):
    """Starts a program and returns once it has been imported."""
    process = subprocess.Popen(
        [sys.executable, "-P", "-c", READY.format(name=name), *map(str, argv)], cwd=cwd, env=cli.environment(),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stderr.readline() == "ready\n"
    return process


def shell(command, cwd, **environ):
    """A command line in which {program} stands for the installed program."""
    for program in cli.PROGRAMS:
        command = command.replace(f"{{{program}}}", f"'{cli.installed(program)}'")
    return subprocess.run(
        ["bash", "-c", command],
        cwd=cwd,
        env=cli.environment(**environ),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


# ---- entry points ----


@pytest.mark.parametrize("program", cli.PROGRAMS)
def test_installed_program_answers(program, tmp_path):
    result = cli.spawn(program, "--version", cwd=tmp_path)
    assert (result.code, result.out.split(), result.err) == (0, [program, cbn.__version__], "")


def test_exit_codes_leave_the_process(folder, tmp_path):
    assert cli.spawn("cbn-sample", "--model", folder / "model.cbn", "--quiet", cwd=tmp_path).code == 0
    cli.assert_one_line_error(cli.spawn("cbn-sample", cwd=tmp_path), 1, "model.cbn")
    cli.assert_one_line_error(cli.spawn("cbn-sample", "--foo", cwd=tmp_path), 2, "--foo")


# ---- standard output that takes nothing ----


@linux
@pytest.mark.parametrize(
    "command",
    ["{cbn-train} --data grey.npy --quiet --out full.cbn", "{cbn-train} --data grey.npy --quiet --json --out full.cbn",
     "{cbn-score} --data grey.npy --quiet", "{cbn-sample}", "{cbn-inpaint} --data grey.npy --quiet", "{cbn-show}"],
)  # fmt: skip
def test_full_standard_output(folder, command):
    finished = shell(f"{command} > /dev/full", folder)
    assert finished.returncode == 1
    assert len(cli.unassumed(finished.stderr)) == 1, finished.stderr
    assert "No space left" in finished.stderr
    assert "internal error" not in finished.stderr


@linux
@pytest.mark.parametrize("option", ["--out", "--npz", "--gif"])
def test_full_device_as_output(folder, tmp_path, option):
    result = cli.call("cbn-sample", "--model", folder / "model.cbn", "--out", tmp_path / "s.png", option, "/dev/full")
    cli.assert_one_line_error(result, 1, "/dev/full", "full")


def test_closed_pipe(folder):
    """More output than a pipe holds, into a reader that stops after one line."""
    np.save(folder / "many.npy", np.tile(cli.grey_images(40, 6, 5), (200, 1, 1)))
    for option in ("", "--json"):
        finished = shell(f"{{cbn-score}} --data many.npy {option} | head -n 1; echo ${{PIPESTATUS[0]}}", folder)
        assert finished.stdout.splitlines()[-1] in ("0", "1", "141")
        assert "Traceback" not in finished.stderr and "Broken pipe" not in finished.stderr, finished.stderr
        assert "rror" not in finished.stderr, finished.stderr
    first = shell("{cbn-score} --data many.npy --quiet | head -n 1", folder).stdout
    assert first == "image\tscore (higher = more normal)\tp_value\tverdict\n"


@pytest.mark.parametrize("command", ["{cbn-sample} --n 4 >&-", "{cbn-score} --data grey.npy --quiet >&-"])
def test_standard_output_closed_from_the_start(folder, command):
    """As under some schedulers and services: not the program's fault."""
    finished = shell(command, folder)
    assert "internal error" not in finished.stderr and "Traceback" not in finished.stderr, finished.stderr


def test_standard_error_closed_from_the_start(folder):
    """Messages without a place to go must not end up on standard output."""
    finished = shell("{cbn-train} --data grey.npy --json --out few.cbn 2>&-", folder)  # warns: few images
    assert finished.returncode == 0
    assert len(finished.stdout.splitlines()) == 1 and finished.stdout.startswith("{"), finished.stdout


@pytest.mark.parametrize("encoding", ["ascii", "utf-8"])
def test_names_that_the_terminal_cannot_show(folder, encoding):
    """Undecodable and unencodable file names are shown escaped; they do not stop the program."""
    name = b"\xff.png" if encoding == "utf-8" else "\u00e9.png".encode()
    pictures = folder / f"pictures-{encoding}"
    cli.write_pictures(pictures, cli.grey_images(1, 6, 5))
    try:
        os.rename(pictures / "000.png", os.fsencode(pictures) + b"/" + name)
    except OSError:
        pytest.skip("the file system refuses the name")
    result = cli.spawn("cbn-score", "--data", pictures.name, "--quiet", cwd=folder, PYTHONIOENCODING=encoding)
    assert result.code == 0, result.err
    assert len(result.out.splitlines()) == 2


# ---- signals ----


@pytest.mark.parametrize("delay", [0.05, 0.4])
def test_interrupted_sampling(folder, tmp_path, delay):
    (tmp_path / "samples.png").write_bytes(b"earlier")
    arguments = ("--model", folder / "model.cbn", "--method", "gibbs", "--steps", 10**12, "--n", 4)
    process = start("sample", *arguments, cwd=tmp_path)
    time.sleep(delay)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=20)
    assert process.returncode == 130, err
    assert out == ""
    assert len(cli.unassumed(err)) == 1 and "interrupted" in err, err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["samples.png"]
    assert (tmp_path / "samples.png").read_bytes() == b"earlier"


def test_interrupted_inpainting(folder, tmp_path):
    arguments = ("--model", folder / "model.cbn", "--data", folder / "grey.npy", "--sweeps", 10**10)
    process = start("inpaint", *arguments, cwd=tmp_path)
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=20)
    assert process.returncode == 130, err
    assert len(cli.unassumed(err)) == 1 and "interrupted" in err, err
    assert list(tmp_path.iterdir()) == []


def test_interrupted_training(tmp_path):
    """At several moments of reading, fitting and scoring; a moment too late is a success."""
    codes = []
    for delay in (0.0, 0.1, 0.2, 0.5):
        process = start("train", "--digit", "all", "--quiet", cwd=tmp_path)
        time.sleep(delay)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=30)
        codes.append(process.returncode)
        assert process.returncode in (0, 130), err
        assert "Traceback" not in err and len(cli.unassumed(err)) == (process.returncode == 130), err
        for path in tmp_path.iterdir():
            assert path.suffix == ".cbn", path  # no temporary file is left
            assert cbn.load(path).image_shape_ == (28, 28)
    assert 130 in codes


@pytest.mark.parametrize("wrapped", [False, True], ids=["plain", "while a class is made"])
@pytest.mark.parametrize("where", ["start", "body"])
def test_interrupts_that_python_wraps(where, wrapped, monkeypatch, capsys):
    """Python 3.11 makes a RuntimeError of Ctrl-C in __set_name__: while modules load, also those that a body loads."""

    class Field:
        def __set_name__(self, owner, name):
            raise KeyboardInterrupt

    def interrupted(*_):
        if not wrapped:
            raise KeyboardInterrupt
        type("Owner", (), {"field": Field()})

    if where == "start":
        monkeypatch.setattr(cbn.cli.importlib, "import_module", interrupted)
        code = cbn.cli.start_train()
    else:
        code = run("cbn-train", Parser, interrupted, [])
    out, err = capsys.readouterr()
    assert code == 130 and out == ""
    assert err.startswith("cbn-train: error: interrupted") and len(err.splitlines()) == 1, err


def test_interrupts_wait_for_imports(tmp_path, monkeypatch, capsys):
    """Extensions that Ctrl-C meets while they load, as NumPy, may lose it; so it comes when the import is over."""
    (tmp_path / "loaded_slowly.py").write_text(
        "import signal\ntry:\n    signal.raise_signal(signal.SIGINT)\nexcept KeyboardInterrupt:\n    lost = True\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    done = []

    def body(_):
        module = importlib.import_module("loaded_slowly")
        done.append(not hasattr(module, "lost"))
        time.sleep(20)

    main = types.SimpleNamespace(main=lambda: run("cbn-train", Parser, body, []))
    monkeypatch.setattr(cbn.cli, "importlib", types.SimpleNamespace(import_module=lambda *_: main))
    code = cbn.cli.start_train()
    out, err = capsys.readouterr()
    assert (code, out, done) == (130, "", [True])
    assert err.startswith("cbn-train: error: interrupted") and len(err.splitlines()) == 1, err
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert signal.getsignal(signal.SIGALRM) is signal.SIG_DFL


def wait_for_imports(process):
    """Until Python itself has started and NumPy is being imported."""
    maps = Path(f"/proc/{process.pid}/maps")
    if not maps.exists():
        time.sleep(0.1)
        return
    end = time.monotonic() + 20
    while "_multiarray_umath" not in maps.read_text() and time.monotonic() < end:
        time.sleep(0.002)


def test_interrupted_while_starting(tmp_path):
    """Ctrl-C before the modules are imported: also without a traceback."""
    process = subprocess.Popen(
        [cli.installed("cbn-train"), "--digit", "2"], cwd=tmp_path, env=cli.environment(), stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    wait_for_imports(process)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=20)
    assert process.returncode in (130, -signal.SIGINT)
    assert "Traceback" not in err and len(err.splitlines()) <= 1, err


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """Images whose model file takes a while to write, and an earlier model of other images."""
    folder = tmp_path_factory.mktemp("large")
    np.save(folder / "new.npy", np.random.default_rng(1).integers(0, 256, (300, 60, 60), dtype=np.uint8))
    np.save(folder / "old.npy", cli.grey_images(40, 6, 5))
    cli.done("cbn-train", "--data", folder / "old.npy", *RATE, "--out", folder / "model.cbn")
    return folder


@pytest.mark.parametrize("when", ["open", "0", "0.005", "0.02", "0.05", "rename"])
def test_killed_while_writing(large, when):
    """The earlier model is whole, or the new one is; never a half of either."""
    earlier = (large / "model.cbn").read_bytes()
    finished = subprocess.run(
        [sys.executable, "-P", "-c", KILLED, when, "--data", "new.npy", *RATE, "--quiet"], cwd=large,
        env=cli.environment(), capture_output=True, timeout=60, check=False,
    )  # fmt: skip
    assert finished.returncode == -signal.SIGKILL, finished.stderr
    model = cbn.load(large / "model.cbn")
    if when in ("open", "rename"):
        assert (large / "model.cbn").read_bytes() == earlier
    assert model.image_shape_ in ((6, 5), (60, 60))
    assert model.n_images_ == (40 if model.image_shape_ == (6, 5) else 300)
    assert [path.name for path in large.glob("*.cbn")] == ["model.cbn"]


def test_killed_at_any_moment(large):
    """Kills by the clock, from the start of the program to its end."""
    earlier = (large / "model.cbn").read_bytes()
    for delay in (0.05, 0.3, 0.5, 0.7, 0.9):
        process = subprocess.Popen(
            [cli.installed("cbn-train"), "--data", "new.npy", *RATE, "--quiet"], cwd=large, env=cli.environment(),
            stdout=subprocess.DEVNULL,
        )  # fmt: skip
        time.sleep(delay)
        process.kill()
        process.wait(20)
        content = (large / "model.cbn").read_bytes()
        model = cbn.load(large / "model.cbn")
        assert content == earlier or (model.n_images_, model.image_shape_) == (300, (60, 60))
        assert [path.name for path in large.glob("*.cbn")] == ["model.cbn"]


def test_training_after_a_kill_still_works(large):
    cli.done("cbn-train", "--data", large / "old.npy", *RATE, "--out", large / "model.cbn")
    assert cbn.load(large / "model.cbn").image_shape_ == (6, 5)


@linux
def test_disk_that_fills_up_while_writing(large):
    """A limit of 4 KB on the size of files, met in the middle of the model."""
    cli.done("cbn-train", "--data", large / "old.npy", *RATE, "--out", large / "model.cbn")
    earlier = (large / "model.cbn").read_bytes()
    before = {path.name for path in large.iterdir()}
    finished = shell("ulimit -f 4; {cbn-train} --data new.npy --false-alarm-rate 0.1", large)
    assert finished.returncode == 1, finished.stderr
    assert len(cli.unassumed(finished.stderr)) == 1 and "model.cbn" in finished.stderr, finished.stderr
    assert (large / "model.cbn").read_bytes() == earlier
    assert {path.name for path in large.iterdir()} == before


def test_two_at_once(large):
    """Two programs write one name: the file is that of one of them."""
    command = "{cbn-train} --data new.npy --false-alarm-rate 0.1 --quiet"
    # by process number: a job that has ended already has no job number
    finished = shell(f"{command} & first=$!; {command} --seed 1 && wait $first", large)
    assert finished.returncode == 0, finished.stderr
    assert cbn.load(large / "model.cbn").n_images_ == 300


# ---- same seed, same bytes ----


# Several programs, one after the other, in one process.
SEVERAL = """
import importlib, json, sys
for program, *arguments in json.loads(sys.argv[1]):
    code = importlib.import_module("cbn.cli." + program).main(arguments)
    if code:
        sys.exit(code)
"""


def test_same_bytes_on_every_instruction_set(tmp_path):
    """The portable code path gives the bytes of the fast one."""
    np.save(tmp_path / "images.npy", cli.grey_images(300, 17, 13))
    data = ("--data", "../images.npy", "--quiet", "--threads", "2")
    draw = ("--n", "70", "--seed", "3", "--quiet")
    runs = (
        ("train", *data, "--threshold", "0.1,0.3,0.6", "--out", "levels.cbn"),
        ("train", *data),
        ("sample", *draw, "--model", "levels.cbn", "--npz", "l.npz"),
        ("sample", *draw, "--npz", "s.npz"),
        ("sample", *draw, "--method", "gibbs", "--steps", "3000", "--npz", "g.npz"),
        ("inpaint", *data, "--seed", "3", "--sweeps", "20", "--npz", "i.npz"),
        ("score", *data),
    )
    written = {}
    for generic in ("", "1"):
        folder = tmp_path / f"generic{generic}"
        folder.mkdir()
        finished = subprocess.run(
            [sys.executable, "-P", "-c", SEVERAL, json.dumps(runs)], cwd=folder, capture_output=True, text=True,
            env=cli.environment(**({"CBN_FORCE_GENERIC": generic} if generic else {})), timeout=60, check=False,
        )  # fmt: skip
        assert (finished.returncode, finished.stderr) == (0, "")
        written[generic] = {path.name: path.read_bytes() for path in folder.iterdir()}
        written[generic]["scores"] = finished.stdout.partition("image\t")[2]
        assert len(written[generic]["scores"].splitlines()) == 301
    assert set(written[""]) >= {"model.cbn", "levels.cbn", "l.npz", "s.npz", "g.npz", "i.npz", "inpainted.png"}
    assert written[""] == written["1"]


def test_same_bytes_in_another_process_with_other_hashes(folder, tmp_path):
    """Nothing depends on the order of sets, the time or the process."""
    written = []
    for hash_seed in ("1", "2"):
        arguments = ("--data", folder / "grey.npy", *RATE, "--quiet", "--out", f"{hash_seed}.cbn")
        assert cli.spawn("cbn-train", *arguments, cwd=tmp_path, PYTHONHASHSEED=hash_seed).code == 0
        written.append((tmp_path / f"{hash_seed}.cbn").read_bytes())
    assert written[0] == written[1]
    assert written[0] == (folder / "model.cbn").read_bytes()
