# SPDX-License-Identifier: BSD-3-Clause
"""Make the embedded MNIST file of cbn from the four classic IDX files.

    python python/analysis/embed_mnist.py FOLDER

The layout is described in cbn/datasets/mnist.py. The printed SHA-256 is that of the payload before compression, so it
does not depend on the version of xz; it must equal PAYLOAD_SHA256 there.
"""

import argparse
import hashlib
import lzma
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from cbn import DataError
from cbn.datasets import ImageSet, load_images, mnist

THRESHOLD = 77  # the first grey value above 0.3 * 255 = 76.5

# Rows are 4 bytes long: lp = pb = 2 gives each byte of a row its own statistics. On this layout the images take
# 1.247 MB, for lc from 0 to 2 alike; xz's own choice (lc = 3, lp = 0, pb = 2) on images in their original order without
# padding: 1.444 MB.
TUNING = {"lc": 1, "lp": 2, "pb": 2, "nice_len": 273, "dict_size": 1 << 23}
FILTERS = [{"id": lzma.FILTER_LZMA2, "preset": 9 | lzma.PRESET_EXTREME, **TUNING}]


def pack(train: ImageSet, test: ImageSet) -> bytes:
    """The payload: images sorted by label, rows padded to 32 bits; then the labels in the original order."""
    labels = np.concatenate([train.labels, test.labels])
    binary = np.concatenate([train.images, test.images]) >= THRESHOLD
    padded = np.zeros((len(binary), 28, 32), dtype=bool)
    padded[:, :, :28] = binary[np.argsort(labels, kind="stable")]
    return np.packbits(padded.reshape(-1)).tobytes() + labels.astype(np.uint8).tobytes()


def main(arguments: Sequence[str] | None = None) -> int:
    default = Path(mnist.__file__).with_name("data") / "mnist_binary.xz"
    parser = argparse.ArgumentParser(description="Make the embedded MNIST file of cbn from the four classic IDX files.")
    parser.add_argument("folder", help="folder with train-images-idx3-ubyte[.gz] and its three companions")
    parser.add_argument("--out", type=Path, default=default, help="file to write (default: the one inside the package)")
    options = parser.parse_args(arguments)
    try:
        train, test = load_images(options.folder)
        if test is None or train.images.shape != (60_000, 28, 28) or test.images.shape != (10_000, 28, 28):
            raise DataError(f"folder: {options.folder} does not hold the 60,000 + 10,000 MNIST images")
        payload = pack(train, test)
        compressed = lzma.compress(payload, format=lzma.FORMAT_XZ, check=lzma.CHECK_CRC32, filters=FILTERS)
        options.out.parent.mkdir(parents=True, exist_ok=True)
        temporary = options.out.with_name(options.out.name + ".tmp")
        temporary.write_bytes(compressed)
        os.replace(temporary, options.out)
    except (DataError, OSError) as error:
        print(f"embed_mnist: {error}", file=sys.stderr)
        return 1
    digest = hashlib.sha256(payload).hexdigest()
    print(f"{options.out}: {len(compressed)} bytes, payload SHA-256 {digest}")
    if digest != mnist.PAYLOAD_SHA256:
        print("embed_mnist: set PAYLOAD_SHA256 in cbn/datasets/mnist.py to this value", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
