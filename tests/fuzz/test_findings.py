# SPDX-License-Identifier: BSD-3-Clause
"""Files that the campaigns of tests/campaigns found: each was slow, too large, or raised what it should not."""

import io
import json
import struct

import numpy as np
import pytest
from PIL import Image

from cbn import DataError
from cbn.datasets import load_images
from cbn.iem.pretrained.weights import load_weights
from cbn.layers.kernels import MAX_FILE, load_kernels


def refused(load, path, *words):
    with pytest.raises(DataError) as caught:
        load(path)
    text = str(caught.value)
    assert text.isprintable() and path.name in text and len(text) < 900 + len(str(path)), text
    for word in words:
        assert word in text, text


def test_pictures_of_endless_rows(tmp_path):
    """Pillow joins the bytes of a row piece by piece: some formats took hours for rows of millions of pixels."""
    Image.new("L", (2**16 + 1, 1), 5).save(tmp_path / "wide.png")
    Image.new("L", (1, 2**16 + 1), 5).save(tmp_path / "high.png")
    Image.new("L", (2**16, 1), 5).save(tmp_path / "most.png")
    for name in ("wide.png", "high.png"):
        refused(load_images, tmp_path / name, "65537 pixels along a side", "resize")
    assert load_images(tmp_path / "most.png")[0].images.shape == (1, 1, 2**16)


def test_many_pages_of_few_bytes(tmp_path):
    """Each page may be as large as one picture, but few bytes cannot mean any number of them."""
    buffer = io.BytesIO()
    Image.new("P", (4000, 4000), 1).save(buffer, "GIF")
    first = buffer.getvalue()
    small = io.BytesIO()
    Image.new("P", (2, 2), 1).save(small, "GIF")
    block = small.getvalue()
    frame = block[block.index(b",", 13) : -1]
    (tmp_path / "many.gif").write_bytes(first[:-1] + frame * 50 + b";")
    refused(load_images, tmp_path / "many.gif", "bytes claim more than")


def test_very_many_pages(tmp_path):
    """Four thousand pages of one pixel took longer than five seconds."""
    one = Image.new("L", (1, 1), 1)
    one.save(tmp_path / "many.tif", compression="tiff_deflate", save_all=True, append_images=[one] * 1500)
    refused(load_images, tmp_path / "many.tif", "claim 1501 pages")


def test_files_that_decoders_take_for_their_own(tmp_path):
    """A file without an ending is tried by all decoders; those of DDS and AVIF raise RuntimeErrors."""
    buffer = io.BytesIO()
    Image.new("RGB", (4, 4)).save(buffer, "DDS")
    content = bytearray(buffer.getvalue())
    content[80:84] = bytes(4)  # the flags of the pixel format
    (tmp_path / "dds").write_bytes(content)
    refused(load_images, tmp_path / "dds", "not an IDX file")


def test_odd_types_in_safetensors(tmp_path):
    pytest.importorskip("safetensors")
    header = json.dumps({"w": {"dtype": "\0\n", "shape": [1], "data_offsets": [0, 4]}}).encode()
    (tmp_path / "x.safetensors").write_bytes(struct.pack("<Q", len(header)) + header + bytes(4))
    refused(load_weights, tmp_path / "x.safetensors", "damaged")


def npy(dtype, shape, data=b""):
    head = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    return b"\x93NUMPY\1\0" + struct.pack("<H", len(head)) + head + data


def archive(path, **members):
    import zipfile

    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in members.items():
            file.writestr(f"{name}.npy", content)
    return path


def test_kernels_that_only_claim_their_size(tmp_path):
    path = archive(tmp_path / "k.npz", weights_1=npy("<f8", (2**40, 1, 2, 2)), bias_1=npy("<f8", (1,), bytes(8)))
    refused(load_kernels, path, "not a file of kernels", "bytes in 88")
    path = archive(tmp_path / "k.npz", weights_1=npy("<f8", (MAX_FILE // 8,), bytes(MAX_FILE)))
    refused(load_kernels, path, "unpacks to")


def test_kernels_from_something_that_is_no_file(tmp_path):
    import os

    os.mkfifo(tmp_path / "pipe.npz")
    refused(load_kernels, tmp_path / "pipe.npz", "not a regular file")


def test_messages_of_zipfile_that_quote_the_file(tmp_path):
    np.savez(tmp_path / "x.npz", images=np.zeros((2, 30, 30), np.uint8))
    content = bytearray((tmp_path / "x.npz").read_bytes())
    content[26:28] = struct.pack("<H", 1500)  # length of the name before the member
    (tmp_path / "x.npz").write_bytes(content)
    refused(load_images, tmp_path / "x.npz", "...")


def test_few_bytes_of_gzip_that_declare_very_many(tmp_path):
    """A megabyte that inflates to one of zeros a thousand times over took longer than five seconds."""
    import gzip

    n = 2**28 + 2**27
    head = struct.pack(">BBBBIII", 0, 0, 8, 3, n // 4, 2, 2)
    (tmp_path / "x").write_bytes(gzip.compress(head + bytes(n), 6))
    refused(load_images, tmp_path / "x", "compressed bytes declare", "uncompressed")
    path = archive(tmp_path / "x.npz", images=npy("|u1", (n // 4, 2, 2), bytes(n)))
    refused(load_images, path, "compressed bytes declare", "uncompressed")
    path = archive(tmp_path / "w.npz", w=npy("<f4", (n // 4,), bytes(n)))
    refused(load_weights, path, "unpacks to", "uncompressed")
