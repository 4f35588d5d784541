# SPDX-License-Identifier: BSD-3-Clause
"""The scripts of python/analysis: each says what it does, and how it is called."""

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPTS = sorted((Path(__file__).parents[1] / "python" / "analysis").glob("*.py"))


@pytest.mark.slow
@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_help(script, tmp_path):
    done = subprocess.run([sys.executable, script, "--help"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0 and done.stderr == "" and done.stdout.startswith("usage:"), done.stderr
    assert script.name in done.stdout and list(tmp_path.iterdir()) == []
