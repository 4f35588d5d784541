# SPDX-License-Identifier: BSD-3-Clause
"""From images to a fitted network: settings, presets, the recipe, model files."""
