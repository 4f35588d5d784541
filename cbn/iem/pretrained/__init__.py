# SPDX-License-Identifier: BSD-3-Clause
"""Pretrained networks as lower levels: geometries and readers of weight files."""
