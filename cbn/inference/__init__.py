# SPDX-License-Identifier: BSD-3-Clause
"""Drawing from a network: chains, inpainting, and whether chains have mixed."""
