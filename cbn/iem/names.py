# SPDX-License-Identifier: BSD-3-Clause
"""The words that arguments choose from, where programs can read them without loading what they stand for."""

SHARINGS = ("a", "b", "c", "d", "e", "f")  # Figure 15
ENERGIES = ("pooled", "relative", "sum")
OPTIMIZER_NAMES = ("adam", "sgd")
GEOMETRY_NAMES = ("alexnet", "caffe_alexnet", "squeezenet1_1")
