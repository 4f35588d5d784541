# SPDX-License-Identifier: BSD-3-Clause
"""From scores to decisions and figures: conformal p-values, bootstrap intervals, localization of defects."""
