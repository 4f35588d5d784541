# SPDX-License-Identifier: BSD-3-Clause
"""Parts of an introspective energy model: steps, levels, sidewards models, optimizers."""
