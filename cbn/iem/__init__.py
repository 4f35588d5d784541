# SPDX-License-Identifier: BSD-3-Clause
"""The introspective energy model: every region of an image is predicted from its surroundings by small networks."""
