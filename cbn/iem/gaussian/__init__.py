# SPDX-License-Identifier: BSD-3-Clause
"""Sidewards models in closed form: a Gaussian of whitened features at every position."""
