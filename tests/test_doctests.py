# SPDX-License-Identifier: BSD-3-Clause
"""The examples of docstrings give what they say."""

import doctest
import importlib
from pathlib import Path

import pytest

import cbn

ROOT = Path(cbn.__file__).parent
MODULES = sorted(
    ".".join(("cbn", *path.relative_to(ROOT).with_suffix("").parts))
    for path in ROOT.rglob("*.py")
    if ">>> " in path.read_text(encoding="utf-8")
)


@pytest.mark.parametrize("name", MODULES)
def test_examples(name):
    found = doctest.testmod(importlib.import_module(name.removesuffix(".__init__")))
    assert found.attempted > 0 and found.failed == 0


def test_there_are_examples():
    finder = doctest.DocTestFinder()
    modules = [importlib.import_module(name.removesuffix(".__init__")) for name in MODULES]
    found = [test for module in modules for test in finder.find(module) if test.examples]
    assert len(found) >= 25
