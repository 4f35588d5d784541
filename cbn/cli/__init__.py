# SPDX-License-Identifier: BSD-3-Clause
"""The programs: one file each, shared habits in ``_common``."""
