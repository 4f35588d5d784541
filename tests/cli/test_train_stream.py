# SPDX-License-Identifier: BSD-3-Clause
"""cbn-train of images that become bits as they are read: the bytes of a training that holds them all."""

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
from helpers import programs as cli
from helpers.folders import save
from helpers.streams import HIDDEN, IMAGES, RATE, RNG, both, folder, interrupt_reading, mixed


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("cbn.datasets.stream.CHUNK_BYTES", 3000)


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
    from cbn.datasets import pages

    def read(path, options, notes, known=pages.pages_of):
        if path.name == "100.png" and os.path.exists("p/train/a/170.png"):
            os.unlink("p/train/a/170.png")
        return known(path, options, notes)

    monkeypatch.setattr(pages, "pages_of", read)
    cli.assert_one_line_error(cli.call("cbn-train", "--data", "p"), 1, "170.png", "No such file")
    assert os.listdir(".") == ["p"]


def test_ctrl_c_while_reading(monkeypatch):
    np.save(Path("x.npy"), IMAGES)
    with monkeypatch.context() as patch:
        interrupt_reading(patch, 1)
        assert cli.call("cbn-train", "--data", "x.npy").code == 130
    interrupt_reading(monkeypatch, 4)
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
    interrupt_reading(monkeypatch, 7)
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


def test_a_dry_run_says_what_is_held():
    data = mixed()

    def memory(*more):
        return cli.done("cbn-train", "--data", data, "--json", "--dry-run", *more).json()["memory_bytes"]

    bits = 56 * 8
    assert memory()["images"] == 200 * 56 and memory("--shift", "1")["images"] == 10 * 200 * 56
    assert memory()["bit_planes"] == bits * 4 and memory("--digit", "all")["bit_planes"] == bits * (2 + 2)
    with open("x.npy", "wb") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": (2000, 300, 400)})
        file.truncate(file.tell() + 2000 * 300 * 400)
    data = "x.npy"
    assert memory()["images"] == 2**25 + 3000
