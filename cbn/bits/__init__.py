# SPDX-License-Identifier: BSD-3-Clause
"""From pictures to bits: thresholds, augmentation, bit-planes."""
