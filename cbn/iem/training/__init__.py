# SPDX-License-Identifier: BSD-3-Clause
"""Training of kernels and sidewards models, level by level."""
