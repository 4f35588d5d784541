# SPDX-License-Identifier: BSD-3-Clause
"""Why an image is an outlier, and what would mend it."""
