# SPDX-License-Identifier: BSD-3-Clause
"""Hidden layers: geometry, kernels, relations, their training, and several layers as one network."""
