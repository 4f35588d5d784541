# SPDX-License-Identifier: BSD-3-Clause
"""What the tests of several programs use."""

import pytest


@pytest.fixture
def undrawn(monkeypatch):
    """For tests of facts: drawing takes most of the time of cbn-show."""
    monkeypatch.setattr("cbn.plots.figures.model_summary_figure", lambda panels, path: None)
