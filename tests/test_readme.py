# SPDX-License-Identifier: BSD-3-Clause
"""The README: short, its commands run as written and leave what it says. Figures of the pages are what programs print."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from helpers import programs

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
DOCS = ROOT / "docs"


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


def run(command, folder):
    environment = {**os.environ, "PATH": os.path.dirname(sys.executable) + os.pathsep + os.environ["PATH"]}
    return subprocess.run(command, shell=True, cwd=folder, env=environment, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("readme")


@pytest.mark.slow
def test_commands_run_as_written(folder):
    commands = [line for block in blocks("sh") for line in block.splitlines() if line]
    assert len(commands) >= 6
    for command in commands:
        done = run(command, folder)
        assert done.returncode == 0, f"{command}: {done.stderr}"
        assert "Traceback" not in done.stderr
    for name in ("model.cbn", "samples.png", "inpainted.png", "maps/6.png", "why/6.png", "inspection/scratch_001.png"):
        assert (folder / name).stat().st_size > 0, name


@pytest.mark.slow
def test_pictures_are_what_the_commands_draw(folder):
    """Same seed, same bytes: up to the encoder, the pictures of the README are those of its commands."""
    from PIL import Image, ImageChops

    for name, drawn in [("samples.png", "samples.png"), ("inpainted.png", "inpainted.png")]:
        with Image.open(ROOT / "docs" / "images" / name) as shown, Image.open(folder / drawn) as made:
            assert ImageChops.difference(shown.convert("RGB"), made.convert("RGB")).getbbox() is None, name


def pixels(path):
    from PIL import Image

    with Image.open(path) as picture:
        return np.asarray(picture.convert("RGB")).astype(int)


@pytest.mark.slow
def test_pictures_with_words_are_what_the_commands_draw(folder, monkeypatch):
    """Up to how letters are smoothed; the summary is of the model that the commands left."""
    monkeypatch.chdir(folder)
    programs.done("cbn-show", "model.cbn", "--quiet", "--out", "show.png")
    inspection = np.concatenate([pixels(folder / f"inspection/{name}_000.png") for name in ("good", "scratch")])
    drawn = {"heatmap": pixels("maps/6.png"), "show": pixels("show.png"), "inspection": inspection}
    for name, found in drawn.items():
        shown = pixels(ROOT / "docs" / "images" / f"{name}.png")
        assert shown.shape == found.shape, name
        assert (abs(shown - found).max(axis=2) > 8).mean() < 0.01, name


def test_links_lead_to_files():
    links = [link for link in re.findall(r"\]\(([^)]*)\)", README) if "://" not in link]
    assert len(links) >= 20
    for link in links:
        assert (ROOT / link).exists(), link


def test_it_is_short():
    assert len(README.splitlines()) < 150


@pytest.mark.slow
def test_python_example(tmp_path):
    command = [sys.executable, "-W", "error", "-c", "\n".join(blocks("python"))]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_table_is_what_the_program_prints(tmp_path):
    done = run("cbn-train --digit all", tmp_path)
    table = (DOCS / "figures.md").read_text().split("<!-- table of cbn-train --digit all -->\n```\n")[1].split("```")[0]
    assert len(table.splitlines()) == 6
    assert table in done.stdout


@pytest.mark.slow
def test_false_alarm_rates_are_measured():
    script = ROOT / "python" / "analysis" / "false_alarm_rates.py"
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=True)
    rows = [line.split() for line in done.stdout.splitlines() if line.startswith("log_probability")]
    assert len(rows) == 2
    text = " ".join((DOCS / "numbers.md").read_text().split())
    for row in rows:
        assert "{}, {} and {}".format(*row[-3:]) in text


def test_set_up_commands_are_targets_of_the_makefile():
    makefile = (ROOT / "Makefile").read_text()
    targets = re.findall(r"make (\w+)", README)
    assert {"run", "test", "bench", "docs"} <= set(targets)
    for target in set(targets):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
    for target in ("test", "docs"):
        assert f"make {target}" in (ROOT / ".ci" / "run").read_text()
