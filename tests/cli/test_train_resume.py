# SPDX-License-Identifier: BSD-3-Clause
"""cbn-train: checkpoints, Ctrl-C, kills, and --resume to the bytes of an uninterrupted training."""

import json
import signal
import subprocess
import sys

import numpy as np
import pytest

import cbn
from helpers import programs as cli

pytestmark = pytest.mark.slow

N_ITERATIONS = 3
# Two layers that fit 20 x 20 pixels; so few images that a training takes a fraction of a second.
HIDDEN = (
    "--hidden",
    "3,3,1;3,2,2",
    "--iterations",
    N_ITERATIONS,
    "--false-alarm-rate",
    "0.1",
    "--seed",
    "7",
    "--quiet",
)
PER_LAYER = N_ITERATIONS + 1

# Runs cbn-train and sends it signals just before files are renamed to their names: audit events tell the moments. The
# first argument is a list of [name, how many times that name is written before, signal].
SIGNALLED = """
import json, os, signal, sys
from cbn.cli.train import main
signal.signal(signal.SIGINT, signal.default_int_handler)
moments, seen = json.loads(sys.argv.pop(1)), {}
def watch(event, arguments):
    if event == "os.rename":
        name = os.path.basename(arguments[1])
        seen[name] = seen.get(name, -1) + 1
        for moment, count, number in moments:
            if (moment, count) == (name, seen[name]):
                signal.raise_signal(number)
sys.addaudithook(watch)
sys.exit(main(sys.argv[1:]))
"""


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A folder with images.npy, and whole.cbn of an uninterrupted training."""
    folder = tmp_path_factory.mktemp("whole")
    np.save(folder / "images.npy", cli.digit_images(200))
    assert cli.spawn("cbn-train", *arguments_of("--out", "whole.cbn"), cwd=folder).code == 0
    assert sorted(path.name for path in folder.iterdir()) == ["images.npy", "whole.cbn"]  # no checkpoint is left
    return folder


@pytest.fixture
def here(whole, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "images.npy").write_bytes((whole / "images.npy").read_bytes())
    return tmp_path


def arguments_of(*more):
    return ("--data", "images.npy", *HIDDEN, *more)


def signalled(*moments, arguments=None, cwd=None):
    """cbn-train that meets signals at moments."""
    words = map(str, arguments_of() if arguments is None else arguments)
    finished = subprocess.run(
        [sys.executable, "-P", "-c", SIGNALLED, json.dumps(moments), *words], cwd=cwd, env=cli.environment(),
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    return cli.Result("cbn-train", finished.returncode, finished.stdout, finished.stderr)


def names(folder):
    """Names of files; temporary ones, which only SIGKILL leaves, left out."""
    return sorted(path.name for path in folder.iterdir() if not path.name.endswith(".tmp"))


# in the first layer, at its end, in the second layer, in its last iteration but one
MOMENTS = [1, N_ITERATIONS, PER_LAYER + 1, PER_LAYER + N_ITERATIONS]


@pytest.mark.parametrize(("count", "threads"), list(zip(MOMENTS, (1, 2, 1, 2))))
def test_killed_training_resumes_to_the_same_bytes(whole, here, count, threads):
    killed = signalled(["model.cbn.checkpoint", count, signal.SIGKILL], arguments=arguments_of("--threads", 1))
    assert killed.code == -signal.SIGKILL
    assert names(here) == ["images.npy", "model.cbn.checkpoint"]
    cli.done("cbn-train", *arguments_of("--resume", "--threads", threads))
    assert (here / "model.cbn").read_bytes() == (whole / "whole.cbn").read_bytes()
    assert names(here) == ["images.npy", "model.cbn"]


@pytest.mark.parametrize("count", MOMENTS)
def test_interrupted_training_keeps_the_best_and_resumes_to_the_same_bytes(whole, here, count):
    stopped = signalled(["model.cbn.checkpoint", count, signal.SIGINT])
    cli.assert_one_line_error(stopped, 130, "interrupted", "hidden layer", "model.cbn", "--resume")
    assert names(here) == ["images.npy", "model.cbn", "model.cbn.checkpoint"]
    model = cbn.load("model.cbn")
    assert len(model.hidden_layers_) == (1 if count < PER_LAYER else 2)
    # the iteration whose checkpoint could not be written is in this model all the same
    assert sum(len(layer.curve) for layer in model.hidden_layers_) == count + 1
    last = model.hidden_layers_[-1]
    assert last.curve[last.best].gain == max(point.gain for point in last.curve)
    assert "unfinished" in model.provenance_
    assert np.isfinite(model.score_samples(np.load("images.npy"))).all()
    cli.done("cbn-train", *arguments_of("--resume"))
    assert (here / "model.cbn").read_bytes() == (whole / "whole.cbn").read_bytes()
    assert names(here) == ["images.npy", "model.cbn"]


def test_interrupted_again_and_again(whole, here):
    """A script that resumes in a loop ends with the model of an undisturbed training."""
    codes = []
    for _ in range(2 * PER_LAYER):
        stopped = signalled(["model.cbn.checkpoint", 2, signal.SIGKILL], arguments=arguments_of("--resume"))
        codes.append(stopped.code)
        if stopped.code == 0:
            break
    assert codes[-1] == 0 and codes.count(-signal.SIGKILL) >= 2
    assert (here / "model.cbn").read_bytes() == (whole / "whole.cbn").read_bytes()


def test_second_interruption_leaves_no_half_file(here):
    """While the best model so far is being written."""
    earlier = b"PK\3\4" + bytes(26) + b"header.json of an earlier model"
    (here / "model.cbn").write_bytes(earlier)
    stopped = signalled(["model.cbn.checkpoint", PER_LAYER + 1, signal.SIGINT], ["model.cbn", 0, signal.SIGINT])
    cli.assert_one_line_error(stopped, 130, "interrupted")
    assert sorted(path.name for path in here.iterdir()) == ["images.npy", "model.cbn", "model.cbn.checkpoint"]
    assert (here / "model.cbn").read_bytes() == earlier
    assert len(cli.done("cbn-train", *arguments_of("--resume", "--json")).json()["gain"]) == 2


def test_kill_before_the_model_is_written_loses_nothing(whole, here):
    """The checkpoint goes only when the model is there."""
    killed = signalled(["model.cbn", 0, signal.SIGKILL])
    assert killed.code == -signal.SIGKILL
    assert names(here) == ["images.npy", "model.cbn.checkpoint"]
    resumed = signalled(["model.cbn.checkpoint", 0, signal.SIGKILL], arguments=arguments_of("--resume"))
    assert resumed.code == 0  # no iteration was done again
    assert (here / "model.cbn").read_bytes() == (whole / "whole.cbn").read_bytes()


def test_interruption_in_the_first_iteration(here):
    """There is a best model already, but no checkpoint yet to promise anything of."""
    stopped = signalled(["model.cbn.checkpoint", 0, signal.SIGINT])
    cli.assert_one_line_error(stopped, 130, "interrupted", "model.cbn is the best model so far")
    assert "--resume" not in stopped.err
    assert names(here) == ["images.npy", "model.cbn"]


# ---- what --resume and its absence refuse ----


@pytest.fixture(scope="module")
def checkpoint(whole, tmp_path_factory):
    """The bytes of a checkpoint in the second layer."""
    folder = tmp_path_factory.mktemp("stopped")
    (folder / "images.npy").write_bytes((whole / "images.npy").read_bytes())
    assert signalled(["model.cbn.checkpoint", PER_LAYER + 2, signal.SIGKILL], cwd=folder).code == -signal.SIGKILL
    return (folder / "model.cbn.checkpoint").read_bytes()


@pytest.fixture
def stopped(here, checkpoint):
    """Where a training was killed in its second layer."""
    (here / "model.cbn.checkpoint").write_bytes(checkpoint)
    return here


def test_checkpoint_is_not_overwritten_without_resume(stopped):
    content = (stopped / "model.cbn.checkpoint").read_bytes()
    result = cli.call("cbn-train", *arguments_of())
    cli.assert_one_line_error(result, 1, "model.cbn.checkpoint", "--resume", "delete")
    assert (stopped / "model.cbn.checkpoint").read_bytes() == content


@pytest.mark.parametrize(
    "other",
    [("--seed", "8"), ("--iterations", "5"), ("--learning-rate", "0.5"), ("--momentum", "0.1"), ("--max-parents", "1"),
     ("--hidden", "3,3,1;2,2,2"), ("--activation", "0.2,0.3"), ("--replace-worst", "1"), ("--shift", "1"),
     ("--pseudocount", "2"), ("--initialization", "promising"), ("--no-keep-activation",), ("--no-normalize-kernels",),
     ("--forbid-relation", "1,0,0,-3,0"), ("--data", "other.npy")],
)  # fmt: skip
def test_resume_with_other_arguments_or_images(stopped, other):
    np.save("other.npy", np.load("images.npy")[1:])
    content = (stopped / "model.cbn.checkpoint").read_bytes()
    result = cli.call("cbn-train", *arguments_of("--resume", *other))
    what = "random_state 7, not 8" if other[0] == "--seed" else "other images, arguments or version"
    cli.assert_one_line_error(result, 1, "model.cbn.checkpoint", what, "delete it")
    assert (stopped / "model.cbn.checkpoint").read_bytes() == content
    assert not (stopped / "model.cbn").exists()


@pytest.mark.parametrize("damage", ["empty", "half", "text", "model", "folder"])
def test_damaged_checkpoint(whole, stopped, damage):
    path = stopped / "model.cbn.checkpoint"
    content = path.read_bytes()
    path.unlink()
    if damage == "folder":
        path.mkdir()
    else:
        model = (whole / "whole.cbn").read_bytes()
        path.write_bytes({"empty": b"", "half": content[:1500], "text": b"text", "model": model}[damage])
    result = cli.call("cbn-train", *arguments_of("--resume"))
    cli.assert_one_line_error(result, 1, "model.cbn.checkpoint")


def test_resume_without_a_checkpoint_trains_and_says_so(whole, here):
    words = [word for word in arguments_of("--resume") if word != "--quiet"]
    result = cli.done("cbn-train", *words)
    assert len(cli.unassumed(result.err)) == 1 and "nothing to go on from" in result.err
    assert (here / "model.cbn").read_bytes() == (whole / "whole.cbn").read_bytes()


def test_resume_after_the_end_keeps_the_model(whole, here):
    """The same report, and nothing is trained again."""
    first = cli.done("cbn-train", *arguments_of("--json")).json()
    written = (here / "model.cbn").stat().st_mtime_ns
    words = [word for word in arguments_of("--resume", "--json") if word != "--quiet"]
    again = cli.done("cbn-train", *words)
    assert "complete" in again.err
    assert (here / "model.cbn").stat().st_mtime_ns == written
    assert {k: v for k, v in again.json().items() if k != "seconds"} == {
        k: v for k, v in first.items() if k != "seconds"
    }


@pytest.mark.parametrize(
    "other", [("--seed", "8"), ("--score", "standardized"), ("--false-alarm-rate", "0.2"), ("--layer-weights", "1,1,2"),
              ("--calibration", "more.npy")]
)  # fmt: skip
def test_resume_never_takes_the_model_of_another_training(here, other):
    np.save("more.npy", cli.digit_images(260)[200:])
    cli.done("cbn-train", *arguments_of())
    earlier = (here / "model.cbn").read_bytes()
    cli.done("cbn-train", *arguments_of("--resume", *other))
    resumed = (here / "model.cbn").read_bytes()
    cli.done("cbn-train", *arguments_of("--out", "new.cbn", *other))
    assert resumed == (here / "new.cbn").read_bytes() != earlier


# ---- several models ----


@pytest.fixture
def labelled(here):
    """pair.npz: two labels of 100 images, and the models of an uninterrupted training as a-x.cbn and a-y.cbn."""
    images = np.concatenate([cli.digit_images(100, 2), cli.digit_images(100, 3)])
    np.savez(here / "pair.npz", images=images, labels=np.array(["x"] * 100 + ["y"] * 100))
    cli.done("cbn-train", "--data", "pair.npz", "--digit", "all", *HIDDEN, "--out", "a.cbn")
    return here


def test_whole_job_resumes(labelled):
    arguments = ("--data", "pair.npz", "--digit", "all", *HIDDEN, "--out", "b.cbn")
    stopped = signalled(["b-y.cbn.checkpoint", 2, signal.SIGINT], arguments=arguments)
    cli.assert_one_line_error(stopped, 130, "interrupted", "b-y.cbn", "--resume")
    refused = cli.call("cbn-train", *arguments)
    cli.assert_one_line_error(refused, 1, "b-y.cbn.checkpoint", "--resume")
    written = (labelled / "b-x.cbn").stat().st_mtime_ns
    cli.done("cbn-train", *arguments, "--resume")
    assert (labelled / "b-x.cbn").stat().st_mtime_ns == written
    for label in "xy":
        assert (labelled / f"b-{label}.cbn").read_bytes() == (labelled / f"a-{label}.cbn").read_bytes()
    assert list(labelled.glob("*.checkpoint")) == []


def test_whole_job_resumed_with_other_images_trains_again(labelled):
    images = np.concatenate([cli.digit_images(100, 4), cli.digit_images(100, 3)])
    np.savez(labelled / "pair.npz", images=images, labels=np.array(["x"] * 100 + ["y"] * 100))
    before = {label: (labelled / f"a-{label}.cbn").read_bytes() for label in "xy"}
    cli.done("cbn-train", "--data", "pair.npz", "--digit", "all", *HIDDEN, "--out", "a.cbn", "--resume")
    assert (labelled / "a-x.cbn").read_bytes() != before["x"]
    assert (labelled / "a-y.cbn").read_bytes() == before["y"]
