# SPDX-License-Identifier: BSD-3-Clause
"""The version of the package, where files of every floor can read it; pyproject takes it from here."""

__version__ = "0.1.0"
