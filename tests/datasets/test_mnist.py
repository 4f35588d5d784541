# SPDX-License-Identifier: BSD-3-Clause
"""ImageSet, the embedded MNIST and the download of the grey one."""

import hashlib
import http.client
import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from urllib.error import HTTPError, URLError

import numpy as np
import pytest

import cbn
from cbn.datasets import ImageSet, fetch_mnist_grey, load_images, load_mnist, mnist
from helpers.folders import refused

ROOT = Path(__file__).resolve().parents[2]
DATA = Path(os.environ.get("CBN_DATA", ROOT.parent / "shared" / "data"))


@pytest.fixture(scope="module")
def embedded():
    return load_mnist()


@pytest.fixture(scope="module")
def grey():
    if not (DATA / "mnist").is_dir():
        pytest.skip(f"no folder {DATA / 'mnist'}; set CBN_DATA to the folder that holds mnist/ with the four IDX files")
    return load_images(DATA / "mnist")


def images(n=3, h=4, w=5):
    return np.arange(n * h * w, dtype=np.uint8).reshape(n, h, w)


# --- ImageSet


def test_imageset_holds_and_counts():
    data = ImageSet(images(), np.array([1, 2, 1]), ["a", "b", "c"], "here")
    assert len(data) == 3 and data.names == ("a", "b", "c")
    assert repr(data) == "ImageSet(3 images of 4x5, grey, labels 1, 2, source='here')"
    assert "no labels" in repr(ImageSet(images()))


def test_imageset_is_frozen():
    with pytest.raises(AttributeError):
        ImageSet(images()).images = None


@pytest.mark.parametrize("label", [1, "1", np.int64(1), np.uint8(1), " 1 ", "01"])
def test_select_matches_integers_and_text(label):
    chosen = ImageSet(images(), np.array([1, 2, 1]), ("a", "b", "c"), "here").select(label)
    assert np.array_equal(chosen.images, images()[[0, 2]])
    assert chosen.labels.tolist() == [1, 1] and chosen.names == ("a", "c") and chosen.source == "here, label 1"


def test_select_text_labels_and_keep_binarization():
    data = ImageSet(images() % 2, np.array(["1", "good", "1"]), binarization="odd")
    assert len(data.select("good")) == 1 and len(data.select(1)) == 2
    assert data.select("good").binarization == "odd"


def test_select_unknown_label_lists_the_labels():
    data = ImageSet(images(), np.array([1, 2, 1]))
    refused(lambda: data.select(7), "label", "7", "1, 2")
    refused(lambda: data.select("1\n0"), "1\\n0")
    for label in (None, "", "-", "1_0", "²", 1.5, [1]):
        refused(lambda label=label: data.select(label), "no image has the label")
    many = ImageSet(np.ones((40, 1, 1), np.uint8), np.arange(40))
    refused(lambda: many.select(99), "99", "10, 11, ...")
    refused(lambda: ImageSet(images(), source="src").select(1), "no labels", "src")


@pytest.mark.parametrize(
    "arguments, part",
    [
        ((images().astype(float),), "float64"),
        ((images()[0],), "(4, 5)"),
        ((images().tolist(),), "list"),
        ((images()[:0],), "(0, 4, 5)"),
        ((images()[:, :0],), "(3, 0, 5)"),
        ((images(), np.arange(2)), "2 for 3"),
        ((images(), np.arange(3.0)), "float64"),
        ((images(), [1, 2, 3]), "list"),
        ((images(), np.ones((3, 1), int)), "(3, 1)"),
        ((images(), None, ("a",)), "1 for 3"),
        ((images(), None, None, "", "by hand"), "59"),
    ],
)
def test_imageset_refuses(arguments, part):
    refused(lambda: ImageSet(*arguments), part)


# --- the embedded MNIST


def test_embedded_shapes_types_and_facts(embedded):
    train, test = embedded
    for part, n, twos in ((train, 60_000, 5_958), (test, 10_000, 1_032)):
        assert part.images.shape == (n, 28, 28) and part.images.dtype == np.uint8 and part.labels.dtype == np.int64
        assert part.images.flags.c_contiguous and part.images.flags.writeable and part.labels.flags.writeable
        assert part.images.max() == 1 and part.binarization == "value > 0.3 x 255"
        assert len(part.select(2)) == len(part.select("2")) == twos
    assert train.labels[:10].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]
    assert test.labels[:10].tolist() == [7, 2, 1, 0, 4, 1, 4, 9, 5, 9]


def test_embedded_file_is_small_and_has_its_licence():
    folder = Path(mnist.__file__).with_name("data")
    assert (folder / "mnist_binary.xz").stat().st_size < 1_450_000
    licence = (folder / "MNIST-LICENSE.txt").read_text()
    for part in ("LeCun", "Cortes", "Burges", "CC BY-SA 3.0", "0.3", "BSD"):
        assert part in licence


def test_embedded_equals_the_grey_files(embedded, grey):
    for ours, original in zip(embedded, grey):
        assert np.array_equal(ours.images, original.images > 0.3 * 255)
        assert np.array_equal(ours.labels, original.labels)


def test_the_script_makes_the_embedded_payload(grey):
    path = ROOT / "python" / "analysis" / "embed_mnist.py"
    if not path.exists():
        pytest.skip("the analysis scripts are not beside the tests")
    spec = importlib.util.spec_from_file_location("embed_mnist", path)
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    assert hashlib.sha256(script.pack(*grey)).hexdigest() == mnist.PAYLOAD_SHA256


def damaged_copies():
    import lzma

    good = mnist._FILE.read_bytes()
    flipped = bytearray(good)
    flipped[len(good) // 2] ^= 1
    return {
        "cut": good[:-5000],
        "flipped": bytes(flipped),
        "empty": b"",
        "other": lzma.compress(b"x" * 7_910_000),
        "text": b"no",
    }


@pytest.mark.parametrize("kind", ["cut", "flipped", "empty", "other", "text", "missing"])
def test_damaged_install_is_reported(kind, tmp_path, monkeypatch):
    path = tmp_path / "mnist_binary.xz"
    if kind != "missing":
        path.write_bytes(damaged_copies()[kind])
    monkeypatch.setattr(mnist, "_FILE", path)
    refused(load_mnist, str(path), "damaged", "install cbn again")


def test_python_without_lzma_is_reported(monkeypatch):
    monkeypatch.setitem(sys.modules, "lzma", None)
    refused(load_mnist, "lzma")


def test_importing_datasets_stays_light():
    heavy = ["PIL", "sklearn", "scipy", "matplotlib", "pandas"]
    code = f"import sys, cbn.datasets; print([m for m in {heavy} if m in sys.modules])"
    env = dict(os.environ, PYTHONPATH=str(Path(cbn.__file__).parents[1]))
    # -P: not the source folder, in which the engine is not compiled
    run = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, env=env, check=True)
    assert run.stdout.strip() == "[]"


# --- the grey MNIST through scikit-learn


def replace_fetch(monkeypatch, function):
    import sklearn.datasets

    monkeypatch.setattr(sklearn.datasets, "fetch_openml", function)


def bunch(data=None, target=None):
    if data is None:
        data = np.zeros((70_000, 784), np.uint8)
        data[:, 3] = np.arange(70_000) % 256
    return SimpleNamespace(data=data, target=np.array(["7"] * len(data), dtype=object) if target is None else target)


def test_fetch_splits_and_converts(monkeypatch, tmp_path):
    asked = {}

    def fetch(name, **options):
        asked.update(options, name=name)
        return bunch()

    replace_fetch(monkeypatch, fetch)
    train, test = fetch_mnist_grey(tmp_path)
    assert (
        asked["name"] == "mnist_784"
        and asked["version"] == 1
        and asked["data_home"] == tmp_path
        and not asked["as_frame"]
    )
    assert train.images.shape == (60_000, 28, 28) and test.images.shape == (10_000, 28, 28)
    assert train.images.dtype == np.uint8 and train.labels.dtype == np.int64 and train.binarization is None
    assert train.images[255, 0, 3] == 255 and test.images[0, 0, 3] == 60_000 % 256 and test.labels[0] == 7


@pytest.mark.parametrize(
    "error",
    [
        URLError("no route\nto host"),
        HTTPError("https://example.org", 503, "busy", {}, None),
        TimeoutError("timed out"),
        ConnectionResetError("reset"),
        PermissionError(13, "denied"),
        http.client.IncompleteRead(b""),
        ValueError("md5 checksum does not match"),
        EOFError(),
        ImportError("pandas is too old"),
    ],
)
def test_fetch_failure_says_what_to_do(monkeypatch, error):
    def fetch(*_, **__):
        raise error

    replace_fetch(monkeypatch, fetch)
    refused(fetch_mnist_grey, "OpenML", "load_mnist", "IDX")


@pytest.mark.parametrize(
    "answer",
    [
        bunch(np.zeros((5, 784))),
        bunch(np.full((70_000, 784), 300, np.int16)),
        bunch(target=np.array(["seven"] * 70_000)),
    ],
)
def test_fetch_checks_what_came(monkeypatch, answer):
    replace_fetch(monkeypatch, lambda *_, **__: answer)
    refused(fetch_mnist_grey, "OpenML", "load_mnist")
