# SPDX-License-Identifier: BSD-3-Clause
"""Images to learn from: the embedded binarized MNIST, IDX files, folders of pictures, NumPy files."""

from .idx import load_idx
from .imageset import ImageSet
from .mask import load_mask
from .mnist import fetch_mnist_grey, load_mnist
from .source import load_images
from .stochastic import draw_binary

__all__ = ["ImageSet", "draw_binary", "fetch_mnist_grey", "load_idx", "load_images", "load_mask", "load_mnist"]
