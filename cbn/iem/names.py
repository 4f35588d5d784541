# SPDX-License-Identifier: BSD-3-Clause
"""The words that arguments choose from, where programs can read them without loading what they stand for."""

SHARINGS = ("a", "b", "c", "d", "e", "f")  # Figure 15
ENERGIES = ("pooled", "relative", "pattern", "sum")
OPTIMIZER_NAMES = ("adam", "sgd")
SIDEWARDS = ("gaussian", "neural")
EMBEDDED = "efficientnet_lite0"  # the network that comes with the package
GEOMETRY_NAMES = ("alexnet", "caffe_alexnet", "squeezenet1_1")
SCRATCH = "none"  # no pretrained network: features of the training pictures alone
# Blocks of that network, the first is number 0, and those that models look at: the last of every group of one size.
N_BLOCKS, WANTED = 16, (2, 4, 7, 10)
N_EMBEDDED = 11  # blocks whose weights come with the package
