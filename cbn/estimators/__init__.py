# SPDX-License-Identifier: BSD-3-Clause
"""The scikit-learn faces. The only folder that imports scikit-learn."""
