# SPDX-License-Identifier: BSD-3-Clause
"""Arbitrary and mutated files either load or raise a one-line DataError; nothing else escapes."""

import gzip
import io
import os
import struct
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cbn import DataError
from cbn.datasets import load_idx, load_images

pytestmark = pytest.mark.slow

FUZZ = settings(deadline=None, max_examples=int(os.environ.get("CBN_FUZZ_EXAMPLES", "200")))


def saved(function, *arrays, **named):
    buffer = io.BytesIO()
    function(buffer, *arrays, **named)
    return buffer.getvalue()


IMAGES = np.arange(60, dtype=np.uint8).reshape(3, 4, 5)
LABELS = np.array([7, 0, 7], dtype=np.uint8)
IDX = struct.pack(">BBBBIII", 0, 0, 8, 3, 3, 4, 5) + IMAGES.tobytes()
SEEDS = {
    "idx": [IDX, gzip.compress(IDX, mtime=0), struct.pack(">BBBBI", 0, 0, 8, 1, 3) + LABELS.tobytes()],
    "npy": [
        saved(np.save, array) for array in (IMAGES, IMAGES / 255, IMAGES > 9, IMAGES.astype(">i4"), IMAGES.astype("f2"))
    ],
    "npz": [
        saved(np.savez, images=IMAGES, labels=LABELS),
        saved(np.savez_compressed, x_train=IMAGES, y_train=LABELS, x_test=IMAGES, y_test=np.array(["a", "b", "c"])),
    ],
}


@st.composite
def mutated(draw, kind):
    """A good file with bytes overwritten, inserted, cut out, or the end missing."""
    data = bytearray(draw(st.sampled_from(SEEDS[kind])))
    for _ in range(draw(st.integers(1, 6))):
        at = draw(st.integers(0, len(data)))
        patch = draw(st.binary(max_size=8))
        how = draw(st.sampled_from(["overwrite", "insert", "cut", "end"]))
        if how == "overwrite":
            data[at : at + len(patch)] = patch
        elif how == "insert":
            data[at:at] = patch
        elif how == "cut":
            del data[at : at + len(patch)]
        else:
            del data[at:]
    return bytes(data)


def attempt(load, name, content):
    """Load the bytes as a file; return what came out, or None after a proper refusal."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(content)
        try:
            return load(path)
        except DataError as error:
            assert str(error).isprintable() and name in str(error)
            return None


def check(pair):
    if pair is None:
        return
    for part in pair:
        if part is not None:
            assert part.images.dtype == np.uint8 and part.images.ndim == 3 and part.images.size
            repr(part)
            if part.labels is not None:
                assert len(part.labels) == len(part)
                part.select(part.labels[0])


def content_of(kind):
    # the magic numbers let arbitrary bytes get past the first check
    magic = {"idx": b"\0\0\x08\3", "npy": b"\x93NUMPY\1\0", "npz": b"PK\3\4"}[kind]
    return st.one_of(st.binary(max_size=200), st.binary(max_size=200).map(lambda tail: magic + tail), mutated(kind))


@FUZZ
@given(content_of("idx"))
def test_idx(content):
    array = attempt(load_idx, "file", content)
    assert array is None or (array.dtype == np.uint8 and 1 <= array.ndim <= 3 and array.size)


@FUZZ
@given(content_of("idx").map(lambda content: gzip.compress(content, mtime=0)))
def test_idx_inside_gzip(content):
    check(attempt(load_images, "file", content))


@pytest.mark.filterwarnings("ignore:.* were clipped to")  # as it is meant for floats a rounding error below 0
@pytest.mark.parametrize("kind", ["idx", "npy", "npz"])
@FUZZ
@given(st.data())
def test_load_images(kind, data):
    check(attempt(load_images, f"file.{kind}", data.draw(content_of(kind))))


HEADERS = st.fixed_dictionaries(
    {
        "descr": st.sampled_from(
            ["|u1", "<f4", ">f8", "|b1", "|O", "<U2", "<U0", "|S3", "|V4", "<M8[s]", [("a", "<f4")], "x", 3, None]
        )
        | st.text(max_size=4),
        "fortran_order": st.booleans() | st.integers(0, 2),
        "shape": st.lists(st.integers(-2, 4) | st.integers(), max_size=5).map(tuple)
        | st.integers()
        | st.text(max_size=3),
    }
)


@FUZZ
@given(HEADERS, st.binary(max_size=64), st.booleans())
def test_npy_headers(header, tail, as_labels):
    text = repr(header).encode() + b"\n"
    content = b"\x93NUMPY\1\0" + struct.pack("<H", len(text)) + text + tail

    def load(path):
        if not as_labels:
            return load_images(path)
        np.save(path.with_name("images.npy"), IMAGES)
        return load_images(path.with_name("images.npy"), labels=path)

    check(attempt(load, "file.npy", content))
