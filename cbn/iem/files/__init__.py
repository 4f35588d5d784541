# SPDX-License-Identifier: BSD-3-Clause
"""Model files and checkpoints of introspective energy models."""
