# SPDX-License-Identifier: BSD-3-Clause
"""Arbitrary and mutated files of weights either load as arrays or raise a one-line DataError, soon; nothing escapes."""

import io
import tempfile
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cbn import DataError
from cbn.iem.pretrained.weights import load_weights
from helpers.fuzzing import FUZZ, soon
from helpers.weight_files import Tensor, legacy_file, safetensors_file, zip_file

pytestmark = pytest.mark.slow

STATE = OrderedDict(w=Tensor(np.arange(6, dtype="f4")), v=[Tensor(np.ones((2, 3), "f2"), "1")], n=3)


def npz_file():
    file = io.BytesIO()
    np.savez_compressed(file, w=np.arange(6, dtype="f4"), v=np.ones((2, 3), "f2"))
    return file.getvalue()


SAFETENSORS = {"w": ("F32", np.arange(6, dtype="f4")), "v": ("BF16", np.ones((2, 3), "u2"))}
SEEDS = {
    "zip.pth": zip_file(STATE), "legacy.pth": legacy_file(STATE), "some.npz": npz_file(),
    "some.safetensors": safetensors_file(SAFETENSORS),
}  # fmt: skip
# pieces that mean something to one of the readers
PIECES = [
    b"cos\nsystem\n", b"R", b"\x81", b"b", b"(", b"t", b"h\x00", b"r\xff\xff\xff\xff", b"\x8a\x04\xff\xff\xff\x7f",
    b"PK\x01\x02", b"PK\x05\x06", b"'<f4'", b"'|O'", b"\xff" * 8, b"\x00" * 8, b"BF16", b"[9999999]", b"-1",
]  # fmt: skip


@st.composite
def mutated(draw, kind):
    data = bytearray(SEEDS[kind])
    for _ in range(draw(st.integers(1, 5))):
        at = draw(st.integers(0, len(data)))
        piece = draw(st.one_of(st.binary(max_size=8), st.sampled_from(PIECES)))
        length = draw(st.sampled_from([0, len(piece), draw(st.integers(0, 16))]))
        data[at : at + length] = piece
    return bytes(data)


def attempt(kind, content):
    with tempfile.TemporaryDirectory() as folder, soon():
        path = Path(folder) / kind
        path.write_bytes(content)
        try:
            weights = load_weights(path)
        except DataError as error:
            text = str(error)
            assert text.startswith(f"{str(path)!r}: ") and text.isprintable() and len(text) < 600
        else:
            for array in weights.values():
                array.tobytes()  # every value can be reached


@pytest.mark.parametrize("kind", SEEDS)
def test_the_seeds_load(kind, tmp_path):
    path = tmp_path / kind
    path.write_bytes(SEEDS[kind])
    assert sum(array.size for array in load_weights(path).values()) == 12


@pytest.mark.parametrize("kind", SEEDS)
def test_mutated_files(kind):
    FUZZ(given(mutated(kind))(lambda content: attempt(kind, content)))()


@pytest.mark.parametrize("kind", SEEDS)
def test_arbitrary_bytes(kind):
    FUZZ(given(st.binary(max_size=200))(lambda content: attempt(kind, content)))()
    head = SEEDS[kind][:40]
    FUZZ(given(st.binary(max_size=200))(lambda content: attempt(kind, head + content)))()


@given(st.binary(max_size=60))
@FUZZ
def test_arbitrary_pickles_inside_a_good_frame(pickle):
    for kind, make in (("zip.pth", zip_file), ("legacy.pth", legacy_file)):
        attempt(kind, make(b"\x80\x02" + pickle + b"."))
