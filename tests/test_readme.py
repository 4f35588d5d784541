# SPDX-License-Identifier: BSD-3-Clause
"""The README: its commands run as written and leave what it says, and its figures are what the programs print."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

import cbn

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


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
    printed = ""
    for command in commands:
        done = run(command, folder)
        assert done.returncode == 0, f"{command}: {done.stderr}"
        assert "Traceback" not in done.stderr
        printed += done.stdout
    for name in (
        "model.cbn",
        "samples.png",
        "inpainted.png",
        "show.png",
        "chain.gif",
        "maps/6.png",
        "inspection/scratch_001.png",
    ):
        assert (folder / name).stat().st_size > 0, name
    assert "NOT mixed" in printed  # as the README says of the Gibbs chain


@pytest.mark.slow
def test_pictures_are_what_the_commands_draw(folder):
    """Same seed, same bytes: up to the encoder, the pictures of the README are those of its commands."""
    from PIL import Image, ImageChops

    for name, drawn in [("samples.png", "samples.png"), ("inpainted.png", "inpainted.png")]:
        with Image.open(ROOT / "docs" / "images" / name) as shown, Image.open(folder / drawn) as made:
            assert ImageChops.difference(shown.convert("RGB"), made.convert("RGB")).getbbox() is None, name
    for name in re.findall(r"\]\((docs/[^)]*|benchmarks/[^)]*|[A-Z]+\.md)\)", README):
        assert (ROOT / name).exists(), name


@pytest.mark.slow
def test_python_example(folder):
    for name, label in (("pictures", 2), ("new_pictures", 3)):
        (folder / name).mkdir()
        for i, image in enumerate(cbn.datasets.load_mnist()[0].select(label).images[:400]):
            Image.fromarray(255 * image).save(folder / name / f"{i}.png")
    code = "\n".join(blocks("python"))
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_table_is_what_the_program_prints(tmp_path):
    done = run("cbn-train --digit all", tmp_path)
    table = README.split("<!-- table of cbn-train --digit all -->\n```\n")[1].split("```")[0]
    assert len(table.splitlines()) == 6
    assert table in done.stdout


@pytest.mark.slow
def test_false_alarm_rates_are_measured():
    script = ROOT / "python" / "analysis" / "false_alarm_rates.py"
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=True)
    rows = [line.split() for line in done.stdout.splitlines() if line.startswith("log_probability")]
    assert len(rows) == 2
    text = " ".join(README.split())
    for row in rows:
        assert "{}, {} and {}".format(*row[-3:]) in text


def test_set_up_commands_are_targets_of_the_makefile():
    makefile = (ROOT / "Makefile").read_text()
    targets = re.findall(r"make (\w+)", README)
    assert {"run", "test", "bench"} <= set(targets)
    for target in set(targets):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
    assert "make test" in (ROOT / ".ci" / "run").read_text()
