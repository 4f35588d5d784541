# SPDX-License-Identifier: BSD-3-Clause
"""Reading and writing: files that are complete or absent, archives, exports to other programs."""
