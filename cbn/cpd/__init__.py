# SPDX-License-Identifier: BSD-3-Clause
"""Conditional probability distributions: one contract, a file for every kind."""
