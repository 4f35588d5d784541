# SPDX-License-Identifier: BSD-3-Clause
"""A report as one HTML file: what is in it, the figures it shows, the bytes of its pictures, and the page."""
