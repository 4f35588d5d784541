# SPDX-License-Identifier: BSD-3-Clause
"""cbn-train of images that become bits as they are read: the bytes of a training that holds them all."""

import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import cbn.cli._running as running
import cbn.cli._train_fit as fitting
from helpers import programs as cli
from helpers.folders import save

RNG = np.random.default_rng(3)
IMAGES = RNG.integers(0, 256, (300, 7, 8), np.uint8)
RATE = ("--false-alarm-rate", "0.1")


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("cbn.datasets.stream.CHUNK_BYTES", 3000)


def folder(name="p", n=(200, 20, 90), labels=("1", "2")):
    for split, count in zip(("train", "val", "test"), n):
        for label in labels:
            for i in range(count):
                save(Path(f"{name}/{split}/{label}/{i:03}.png"), IMAGES[i])


def both(monkeypatch, *argv):
    """The result as JSON, after the models of the stream and those of all images at once were found to be the same bytes."""
    found = []
    rate = () if "--classifier" in argv else RATE
    for streams in (True, False):
        with monkeypatch.context() as patch:
            if not streams:
                patch.setattr("cbn.cli._train_jobs.can_stream", lambda *_: False)
            else:
                patch.setattr("cbn.cli._train_jobs.load_images", None)
            done = cli.done("cbn-train", *argv, *rate, "--out", "m.cbn", "--json")
            text = cli.done("cbn-train", *argv, *rate, "--out", "text.cbn")
        told = done.json()
        for own in told.get("digits", [told]):
            assert set(own.pop("seconds")) == {"load", "fit", "score"}
        models = {path.name: path.read_bytes() for path in Path().glob("m*.cbn")}
        for name in models:
            os.unlink(name)
        lines = [line for line in text.out.splitlines() if not line.startswith("seconds")]
        found.append((models, told, sorted(done.err.splitlines()), lines))
    assert found[0] == found[1]
    return found[0][1]


@pytest.mark.parametrize(
    "more", [(), ("--preset", "tree", "--threads", "1"), ("--threshold", "0.2,0.6", "--threads", "2")]
)
def test_pictures(more, monkeypatch):
    folder()
    told = both(monkeypatch, "--data", "p", *more)
    assert told["n_train"] == 400 and told["n_test"] == 180
    assert told["reading"]["read"] == {"train": 400, "val": 40, "test": 180}


def test_pictures_that_are_resized_made_grey_and_left_out(monkeypatch):
    folder(labels=("a",))
    colour = np.zeros((9, 9, 3), np.uint8)
    colour[2:5, 3:7, 1] = 250
    save(Path("p/train/a/zz.png"), colour)
    with open("p/test/a/bad.png", "wb") as file:
        file.write(b"x")
    given = "--data", "p", "--color", "grey", "--size", "6x5", "--skip-bad"
    for path in Path("p/val/a").iterdir():  # which are training pictures too
        save(path, np.flip(np.asarray(Image.open(path))))
    both(monkeypatch, *given, "--calibration", "p/val")


@pytest.mark.parametrize("dtype", ["u1", ">u2", "f4", "?"])
def test_arrays(dtype, monkeypatch):
    images = IMAGES > 99 if dtype == "?" else np.asarray(IMAGES / 255 if dtype == "f4" else IMAGES, dtype)
    np.save(Path("x.npy"), images * 257 if dtype == ">u2" else images)
    both(monkeypatch, "--data", "x.npy")
    np.save(Path("y.npy"), np.arange(300) % 3)
    both(monkeypatch, "--data", "x.npy", "--labels", "y.npy")
    np.savez("x.npz", x_train=images, x_test=images[:100], y_train=np.arange(300) % 2, y_test=np.arange(100) % 2)
    both(monkeypatch, "--data", "x.npz")


# Labels come mixed, and one label's images are brighter than the other's: networks of their own have other thresholds.
def mixed(labels=("1", "2")):
    RNG.shuffle(order := np.arange(300) % 2)
    images = np.where(order[:, None, None] == 0, IMAGES // 2, IMAGES)
    images[:, :3] //= 8
    images[:, :, 0] = 0
    np.savez(
        "x.npz", x_train=images[:200], y_train=np.array(labels)[order[:200]], x_test=images[200:],
        y_test=np.array(labels)[order[200:]],
    )  # fmt: skip
    return "x.npz"


HIDDEN = ("--preset", "hidden", "--hidden", "2,2,1", "--iterations", "2")
BEST = ("--preset", "best", "--hidden", "2,2,1", "--no-contrast")


OF_PIXELS = [(), ("--preset", "tree"), ("--threshold", "0.1,0.4")]
OF_ONE_LABEL = [*OF_PIXELS, ("--threshold", "auto"), HIDDEN, BEST]
DIGITS = [(), ("--digit", "2"), ("--digit", "all")]


@pytest.mark.parametrize(
    "digit, model",
    [*itertools.product(DIGITS, OF_ONE_LABEL), *itertools.product([("--classifier",)], OF_PIXELS)],
)
def test_labels_layers_and_automatic_thresholds(digit, model, monkeypatch):
    monkeypatch.setattr("cbn.bits.stream.FIRST", 60)
    monkeypatch.setattr("cbn.fit.preparing.FIRST", 60)
    monkeypatch.setattr("cbn.cli._train_jobs.FIRST", 60)
    monkeypatch.setattr("cbn.bits.stream.BATCH_BYTES", 8000)
    monkeypatch.setattr("cbn.bits.stream.Parts.LEAST_BYTES", 2000)
    told = both(monkeypatch, "--data", mixed(), *digit, *model, "--threads", "2")
    if "all" in digit:
        rules = {own["binarization"] for own in told["digits"]}
        assert len(rules) == (2 if "auto" in model or "best" in model else 1)


@pytest.mark.parametrize("digit", [(), ("--digit", "b"), ("--digit", "all"), ("--classifier",)])
def test_labels_of_folders_with_pages_and_bad_pictures(digit, monkeypatch):
    """Their number is known at the end: the hash of kernels' images, which begins with it, takes a second reading."""
    folder(labels=("a", "b"), n=(60, 3, 20))
    pages = [Image.fromarray(image) for image in IMAGES[:3]]
    pages[0].save("p/train/b/pages.tif", save_all=True, append_images=pages[1:])
    for name in ("a", "b"):
        with open(f"p/train/{name}/bad.png", "wb") as file:
            file.write(b"x")
    model = ("--preset", "tree") if "--classifier" in digit else HIDDEN
    told = both(monkeypatch, "--data", "p", "--skip-bad", *digit, *model)
    assert sum(own["n_train"] for own in told.get("digits", [told])) == (63 if "b" in digit else 123)


def test_a_label_of_which_no_picture_can_be_read(monkeypatch):
    folder(labels=("a", "b"), n=(60, 3, 20))
    for i in range(60):
        os.truncate(f"p/train/b/{i:03}.png", 9)
    found = []
    for streams in (True, False):
        with monkeypatch.context() as patch:
            if not streams:
                patch.setattr("cbn.cli._train_jobs.can_stream", lambda *_: False)
            argv = ("cbn-train", "--data", "p", "--skip-bad", *RATE)
            done = cli.done(*argv, "--digit", "all", "--json").json()
            assert [own["digit"] for own in done["digits"]] == ["a"]
            found.append(cli.call(*argv, "--digit", "b"))
    assert found[0] == found[1]
    assert found[0].code == 1
    assert found[0].err.splitlines()[-1] == "cbn-train: error: --digit: no image has the label 'b'; choose one of a"


@pytest.mark.parametrize(
    "more", [("--digit", "3"), ("--digit", "all"), ("--classifier",), ("--digit", "1", "--calibration", "p")]
)
def test_labels_that_are_not_there(more, monkeypatch):
    """The same is said, but before any image is read."""
    np.save(Path("x.npy"), IMAGES)
    folder(n=(20, 0, 3))
    for data in ("x.npy", "p") if more[0] == "--digit" and more[1] != "all" and len(more) < 3 else ("x.npy",):
        found = []
        for streams in (True, False):
            with monkeypatch.context() as patch:
                if streams:
                    patch.setattr("cbn.cli._packing.PackingReader.read", None)
                else:
                    patch.setattr("cbn.cli._train_jobs.can_stream", lambda *_: False)
                found.append(cli.call("cbn-train", "--data", data, *more))
        assert found[0] == found[1] and found[0].code == 1


def test_a_training_of_the_same_images_is_gone_on_from(monkeypatch):
    """Whether images were held or not: a model that is complete is kept, and one that is not has the same end."""
    argv = ("cbn-train", "--data", mixed(), *RATE, *HIDDEN, "--digit", "all")
    cli.done(*argv)
    whole = {path.name: path.read_bytes() for path in Path().glob("*.cbn")}
    monkeypatch.setattr("cbn.cli._train_jobs.load_images", None)
    done = cli.done(*argv, "--resume")
    assert done.err.count("complete, and of the same training: kept") == 2
    os.unlink("model-2.cbn")
    calls = []

    def interrupted(self, state, *more, known=fitting.Progress.__call__):
        known(self, state, *more)
        calls.append(state)
        if len(calls) == 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(fitting.Progress, "__call__", interrupted)
        assert cli.call(*argv, "--resume").code == 130
    assert os.path.exists("model-2.cbn.checkpoint")
    with monkeypatch.context() as patch:
        patch.setattr("cbn.cli._packing.PackingReader.read", None)
        cli.assert_one_line_error(cli.call(*argv), 1, "model-2.cbn.checkpoint", "--resume")
    cli.done(*argv, "--resume")
    assert {path.name: path.read_bytes() for path in Path().glob("*.cbn*")} == whole


@pytest.mark.parametrize("more", [("--shift", "1"), ("--classifier", "--threshold", "auto"), ("--dry-run",),
                                  ("--binarization", "stochastic")])  # fmt: skip
def test_what_needs_all_images_gets_them(more, monkeypatch):
    folder()
    monkeypatch.setattr("cbn.cli._packing.PackingReader", None)
    cli.done("cbn-train", "--data", "p", *(() if "--classifier" in more else RATE), *more)


@pytest.mark.parametrize("threads", [1, 2])
def test_damage_in_the_middle_leaves_no_file(threads):
    folder(n=(200, 0, 0), labels=("a",))
    with open("p/train/a/150.png", "r+b") as file:
        file.truncate(50)
    shutil.copytree("p/train/a", "q")
    argv = ("cbn-train", "--data", "q", *RATE, "--threads", threads)
    before = sorted(os.listdir("."))
    cli.assert_one_line_error(
        cli.call(*argv), 1, "--data: q/150.png", "replace the file, or leave such out by --skip-bad"
    )
    assert sorted(os.listdir(".")) == before
    assert cli.done(*argv, "--skip-bad", "--json").json()["n_train"] == 199
    save(Path("q/160.png"), IMAGES[0, :5])
    cli.assert_one_line_error(
        cli.call(*argv, "--skip-bad"), 1, "198 of 7x8 (000.png, ...), 1 of 5x8 (160.png)", "--size"
    )
    os.unlink("model.cbn")
    np.save(Path("q.npy"), IMAGES)
    os.truncate("q.npy", 5000)
    cli.assert_one_line_error(cli.call("cbn-train", "--data", "q.npy"), 1, "q.npy", "replace the file")
    assert sorted(os.listdir(".")) == [*before, "q.npy"]


def test_a_damaged_test_picture_is_found_before_a_model_is_written():
    folder()
    with open("p/test/2/080.png", "r+b") as file:
        file.truncate(50)
    cli.assert_one_line_error(cli.call("cbn-train", "--data", "p"), 1, "p/test/2/080.png")
    assert os.listdir(".") == ["p"]


def test_a_folder_that_changes_while_it_is_read(monkeypatch):
    folder(n=(200, 0, 0), labels=("a",))
    from cbn.datasets import picturestream

    def read(path, options, notes, known=picturestream.pages_of):
        if path.name == "100.png" and os.path.exists("p/train/a/170.png"):
            os.unlink("p/train/a/170.png")
        return known(path, options, notes)

    monkeypatch.setattr(picturestream, "pages_of", read)
    cli.assert_one_line_error(cli.call("cbn-train", "--data", "p"), 1, "170.png", "No such file")
    assert os.listdir(".") == ["p"]


def test_ctrl_c_while_reading(monkeypatch):
    np.save(Path("x.npy"), IMAGES)
    from cbn.datasets import pieces

    def interrupted(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(pieces, "fill", interrupted)
        assert cli.call("cbn-train", "--data", "x.npy").code == 130
    n = []

    def later(stream, size, known=pieces.fill):
        n.append(size)
        return interrupted() if len(n) == 4 else known(stream, size)

    monkeypatch.setattr(pieces, "fill", later)
    cli.assert_one_line_error(cli.call("cbn-train", "--data", "x.npy"), 130, "interrupted; no model has been written")
    assert os.listdir(".") == ["x.npy"]


@pytest.mark.slow
def test_ctrl_c_in_a_process():
    for i in range(3000):
        save(Path(f"p/{i:04}.png"), IMAGES[i % 300])
    process = subprocess.Popen(
        [cli.installed("cbn-train"), "--data", "p"], stderr=subprocess.PIPE, text=True, env=cli.environment()
    )
    time.sleep(1.0)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    # on a busy machine Python may not have come to the program yet
    assert process.returncode in (0, 130, -signal.SIGINT), err
    if process.returncode == 130:
        assert len(err.splitlines()) == 1 and "interrupted" in err
        assert os.listdir(".") == ["p"]


@pytest.mark.parametrize("more", [("--digit", "all"), HIDDEN])
def test_ctrl_c_between_the_labels_and_layers(more, monkeypatch):
    data = mixed()
    from cbn.datasets import pieces

    n = []

    def later(stream, size, known=pieces.fill):
        n.append(size)
        if len(n) == 7:
            raise KeyboardInterrupt
        return known(stream, size)

    monkeypatch.setattr(pieces, "fill", later)
    monkeypatch.setattr("cbn.datasets.arraystream.SURVEY_BYTES", 2**20)
    done = cli.call("cbn-train", "--data", data, *RATE, *more)
    cli.assert_one_line_error(done, 130, "interrupted; no model has been written")
    assert os.listdir(".") == [data]


@pytest.mark.parametrize(
    "more, again", [((), False), (("--digit", "all", *HIDDEN), False), (("--skip-bad", *HIDDEN), True)]
)
def test_the_bar_counts_images_to_the_end(more, again, monkeypatch):
    folder(n=(200, 20, 90), labels=("a",))
    if again:
        os.truncate("p/train/a/199.png", 9)
    bars = []

    class Bar(running.NoBar):
        def update(self, n):
            self.n += n

    def progress(iterable, arguments, total, unit, description):
        bars.append((Bar(iterable, total), unit, description))
        return bars[-1][0]

    monkeypatch.setattr("cbn.cli._packing.common.progress", progress)
    cli.done("cbn-train", "--data", "p", *RATE, *more)
    found = [(bar.n, bar.total, unit, description) for bar, unit, description in bars if "reading" in description]
    assert found == [(310, 310, "image", "reading"), (200, 200, "image", "reading again")][: 1 + again]


MEMORY = """
import json, sys, threading, time
from cbn.cli.train import main
most, end = 0, threading.Event()
def watch():
    global most
    while not end.wait(0.002):
        status = dict(line.split(":", 1) for line in open("/proc/self/status"))
        most = max(most, int(status["RssAnon"].split()[0]) * 1024)
thread = threading.Thread(target=watch)
thread.start()
code = main(sys.argv[1:])
end.set()
thread.join()
print(json.dumps(most))
sys.exit(code)
"""


@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="no /proc")
def test_memory_is_that_of_the_bits():
    images = RNG.integers(0, 256, (200, 30, 40), np.uint8)
    with open("x.npy", "wb") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": (200_000, 30, 40)})
        file.writelines(images.tobytes() for _ in range(1000))
    np.save(Path("y.npy"), images)
    peaks = []
    for name in ("y.npy", "x.npy"):
        run = subprocess.run(
            [sys.executable, "-c", MEMORY, "--data", name, "--quiet"],
            check=False,
            capture_output=True,
            text=True,
            env=cli.environment(),
        )
        assert run.returncode == 0, run.stderr
        peaks.append(json.loads(run.stdout.splitlines()[-1]))
    bits = 200_000 * 30 * 40 // 8
    assert peaks[1] - peaks[0] < bits + 100e6, peaks
