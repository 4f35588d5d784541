# SPDX-License-Identifier: BSD-3-Clause
"""Images to learn from: the embedded binarized MNIST, IDX files, folders of pictures, NumPy files, MVTec AD."""

from .idx import load_idx
from .imageset import ImageSet
from .inspection import InspectionSet
from .mask import load_mask
from .mnist import fetch_mnist_grey, load_mnist
from .mvtec import list_categories, load_good_and_test, load_mvtec, load_test, write_mvtec
from .report import LeftOut, ReadingReport
from .resizing import resize_pictures
from .source import load_images, load_splits
from .stochastic import draw_binary
from .stream import ImageStream, iter_images
from .synthetic import make_category

__all__ = [
    "ImageSet",
    "ImageStream",
    "InspectionSet",
    "LeftOut",
    "ReadingReport",
    "draw_binary",
    "fetch_mnist_grey",
    "iter_images",
    "list_categories",
    "load_good_and_test",
    "load_idx",
    "load_images",
    "load_mask",
    "load_mnist",
    "load_mvtec",
    "load_splits",
    "load_test",
    "make_category",
    "resize_pictures",
    "write_mvtec",
]
