# SPDX-License-Identifier: BSD-3-Clause
"""Weights from files of every kind; wrong ones are refused by one line that names the file."""

import io
import os
import pickle
import struct
import sys
import zipfile

import numpy as np
import pytest

from cbn.exceptions import CbnError, DataError
from cbn.iem.pretrained.weights import load_weights
from helpers.weight_files import Tensor, safetensors_file, zip_file

VALUES = np.arange(12, dtype=np.float32).reshape(3, 4)


def refusal(path, kind=DataError):
    with pytest.raises(kind) as refused:
        load_weights(path)
    text = str(refused.value)
    assert text.startswith(repr(str(path)) + ": ") and text.isprintable()
    return text.removeprefix(repr(str(path)) + ": ")


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_npz(tmp_path, save):
    path = tmp_path / "some.npz"
    save(path, **{"fire2/squeeze_w": VALUES, "turned": VALUES.T, "big": VALUES.astype(">f8"), "none": VALUES[:0]})
    found = load_weights(path)
    assert list(found) == ["fire2/squeeze_w", "turned", "big", "none"]
    np.testing.assert_array_equal(found["fire2/squeeze_w"], VALUES)
    np.testing.assert_array_equal(found["turned"], VALUES.T)
    np.testing.assert_array_equal(found["big"], VALUES)
    assert found["big"].dtype == np.float64 and found["none"].shape == (0, 4)


def npz_of(header, content=b""):
    """A .npz whose only array has the header given."""
    file, text = io.BytesIO(), header.encode() + b"\n"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("w.npy", b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + content)
    return file.getvalue()


def test_npz_with_anything_but_numbers(tmp_path):
    path = tmp_path / "some.npz"
    np.savez(path, a=np.array([print, None]))
    assert refusal(path) == "damaged: an array of type object; weights are numbers"
    np.savez(path, a=np.array(["text"]))
    assert refusal(path) == "damaged: an array of type <U4; weights are numbers"
    np.savez(path)
    assert refusal(path) == "holds no arrays; give a file of weights"
    path.write_bytes(b"text")
    assert refusal(path) == "no .npz file, or damaged"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("text.txt", "text")
    assert refusal(path) == "'text.txt' in it is no array; give a file of numpy.savez"
    path.write_bytes(npz_of("{'descr': '<f4', 'fortran_order': False, 'shape': (1099511627776,)}", b"1234"))
    assert refusal(path).startswith("damaged: an array of 4398046511104 bytes in ")
    path.write_bytes(npz_of("{'descr': '<f4', 'fortran_order': False, 'shape': (-1,)}", b"1234"))
    assert refusal(path).startswith("damaged: ")
    path.write_bytes(npz_of("__import__('os').system('true')"))
    assert refusal(path).startswith("damaged: ")


def test_weight_files(tmp_path):
    for name in ("some.pth", "some.pt"):
        path = tmp_path / name
        path.write_bytes(zip_file({"w": Tensor(VALUES)}))
        np.testing.assert_array_equal(load_weights(path)["w"], VALUES)
        path.write_bytes(pickle.dumps({"w": 1}))
        assert refusal(path).startswith("not a PyTorch file")


def test_safetensors(tmp_path):
    path = tmp_path / "some.safetensors"
    upper = np.ascontiguousarray(VALUES).view("<u2").reshape(3, 4, 2)[..., 1]  # whole numbers below 256 fit bfloat16
    arrays = {
        "w": ("F32", VALUES), "v": ("F16", VALUES.astype("<f2")), "b": ("BF16", np.ascontiguousarray(upper)),
        "i": ("I64", VALUES.astype("<i8")), "u": ("U8", VALUES.astype("u1")), "s": ("F32", VALUES[1, 2]),
    }  # fmt: skip
    path.write_bytes(safetensors_file(arrays))
    found = load_weights(path)
    assert found.keys() == arrays.keys() and found["b"].dtype == np.float32 and found["v"].dtype == np.float16
    for name in "wvbiu":
        np.testing.assert_array_equal(found[name], VALUES)
    assert found["s"].shape == () and found["s"] == 6
    for content in (b"", b"text", path.read_bytes()[:-1], struct.pack("<Q", 2**60) + b"{}"):
        path.write_bytes(content)
        assert refusal(path).startswith("damaged: ")
    path.write_bytes(safetensors_file({"w": ("F8_E4M3", VALUES.astype("u1"))}))
    assert refusal(path) == "damaged: 'w' is of type F8_E4M3; weights are numbers of 8 to 64 bits"
    path.write_bytes(safetensors_file({}))
    assert refusal(path) == "holds no arrays; give a file of weights"


def test_safetensors_without_the_package(tmp_path, monkeypatch):
    path = tmp_path / "some.safetensors"
    path.write_bytes(safetensors_file({"w": ("F32", VALUES)}))
    monkeypatch.setitem(sys.modules, "safetensors", None)
    text = "the package safetensors is not installed; pip install 'cbn[transfer]', or give a .npz file"
    assert refusal(path, CbnError) == text


def test_other_paths(tmp_path):
    (tmp_path / "folder.npz").mkdir()
    assert refusal(tmp_path / "none.npz") == "no such file; give the path of a file of weights"
    assert refusal(tmp_path / "folder.npz") == "a folder; give the path of a file of weights"
    os.mkfifo(tmp_path / "pipe.pth")
    assert refusal(tmp_path / "pipe.pth") == "not a regular file; give a file of weights on disk"
    text = "weights come from .npz, .safetensors, .pth, .pt files; give one of those"
    assert refusal(tmp_path / "some.onnx") == text


def test_an_npz_that_unpacks_to_too_much(tmp_path, monkeypatch):
    np.savez_compressed(tmp_path / "many.npz", **{f"zeros{i}": np.zeros(200, np.float32) for i in range(8)})
    assert len(load_weights(tmp_path / "many.npz")) == 8
    monkeypatch.setattr("cbn.io.npz.MAX_BYTES", 5000)  # more than any one of them
    assert "unpacks to" in refusal(tmp_path / "many.npz")
