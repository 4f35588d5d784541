# SPDX-License-Identifier: BSD-3-Clause
"""The documentation: commands and Python of its pages run as written, in order, each page in an empty folder."""

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import cbn
from helpers import programs as cli

DOCS = Path(__file__).parents[1] / "docs"
DATA = Path(__file__).parent / "data"
PAGES = [DOCS / "start.md", *sorted((DOCS / "guide").glob("*.md"))]
# beside commands and Python: what the Python before it prints
FENCE = re.compile(r"^```(sh|python|\{code-block\} text\n:class: output)\n(.*?)^```", re.MULTILINE | re.DOTALL)

# Python of a page is one program that goes on after the commands between its parts; warnings are errors.
DRIVER = """
import contextlib, io, json, pathlib, subprocess, sys
scope = {"__name__": "__main__"}
printed = io.StringIO()
for language, text in json.loads(pathlib.Path(sys.argv[1]).read_text()):
    if language == "python":
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            exec(compile(text, "<page>", "exec"), scope)
    elif language != "sh":
        if printed.getvalue().split() != text.split():
            sys.exit("the page says " + text + "and this is printed: " + printed.getvalue())
    else:
        subprocess.run(["bash", "-euo", "pipefail", "-c", text], check=True)
"""


def fences(page):
    return FENCE.findall(page.read_text(encoding="utf-8"))


def run_page(page, folder):
    (folder / ".blocks.json").write_text(json.dumps(fences(page)))
    environment = {
        **os.environ,
        "PATH": os.path.dirname(sys.executable) + os.pathsep + os.environ["PATH"],
        "MPLBACKEND": "agg",
    }
    command = [sys.executable, "-W", "error", "-c", DRIVER, ".blocks.json"]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.slow
@pytest.mark.parametrize("page", [page for page in PAGES if fences(page)], ids=lambda page: page.stem)
def test_pages_run_as_written(page, tmp_path):
    done = run_page(page, tmp_path)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "Traceback" not in done.stderr
    if page.stem == "start":
        for name in ("samples.png", "maps/6.png", "inpainted.png", "show.png", "chain.gif"):
            assert (tmp_path / name).stat().st_size > 0, name
        assert "NOT mixed" in done.stdout  # as the page says of the Gibbs chain


def test_notebooks_are_kept_without_outputs():
    """They run where the site is built, and what fails there is an error."""
    paths = sorted((DOCS / "notebooks").glob("*.ipynb"))
    assert [path.stem for path in paths] == ["digits", "inspection"]
    for path in paths:
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        assert not any(cell.get("outputs") or cell.get("execution_count") for cell in cells)


@pytest.mark.parametrize("page", ["guide/inspection-line.md", "start.md"])
def test_commands_that_are_only_shown_are_those_of_the_readme(page):
    """They take long, and run there."""
    shown = re.search(r"^```{code-block} sh\n(cbn.*?)^```", (DOCS / page).read_text(), re.MULTILINE | re.DOTALL)
    assert f"```sh\n{shown[1]}```" in (DOCS.parent / "README.md").read_text()


def test_pages_have_something_to_run():
    assert sum(bool(fences(page)) for page in PAGES) >= 8


def test_a_page_that_fails_is_noticed(tmp_path):
    right, wrong = "```python\nprint(1 + 1)\n```\n", "```{code-block} text\n:class: output\n%d\n```\n"
    texts = ["```sh\nfalse | cat\n```\n", "```python\nimport warnings; warnings.warn('w')\n```\n", right + wrong % 3]
    for number, (text, code) in enumerate([*((text, 1) for text in texts), (right + wrong % 2, 0)]):
        page = tmp_path / f"{number}.md"
        page.write_text(text)
        assert run_page(page, tmp_path).returncode == code


def reader_of_models():
    """The module docs/read_model.py."""
    specification = importlib.util.spec_from_file_location("read_model", DOCS / "read_model.py")
    reader = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(reader)
    return reader


@pytest.mark.parametrize(
    "name",
    [
        "format_v1/pixel", "format_v1/grey", "format_v2/hidden", "format_v3/tree", "format_v3/boosted", "format_v6/pixel",
        "format_v6/tree", "format_v10/tied", "format_v10/corrected", "format_v11/best",
    ],
)  # fmt: skip
def test_another_program_reads_model_files(name):
    """The reader of the format's description uses NumPy alone and agrees with cbn."""
    reader, path = reader_of_models(), DATA / f"{name}.cbn"
    model = cbn.load(path)
    images = np.random.default_rng(5).integers(0, 256, (20, *model.image_shape_), dtype=np.uint8)
    images[10:] = 255 * model.sample(10, random_state=1) if len(model.binarizer_.thresholds) == 1 else images[10:]
    expected = model.layer_scores(images, "log_probability")[:, 0]
    assert reader.log_probability(path, images) == pytest.approx(expected, rel=1e-12, abs=1e-9)


TREES = {"rounds": 12, "pairs": 4096, "min_gain": 0.01, "l2": 0.1}


@pytest.mark.parametrize("shape", [(9, 8), (5, 13), (1, 12), (12, 1)])
@pytest.mark.parametrize(
    "cpd",
    [
        cbn.Boosted(rounds=6), cbn.Tied(**TREES), cbn.Tied(**TREES, radius=2, profile=False, networks=2),
        cbn.Tied(**TREES, radius=1, places=False), cbn.Tied(**TREES, corrections=4),
    ],
    ids=["boosted", "tied", "networks", "profile", "corrected"],
)  # fmt: skip
@pytest.mark.parametrize("thresholds", [(0.4,), (0.3, 0.5, 0.7)])
def test_another_program_reads_sums_of_trees(shape, cpd, thresholds, tmp_path):
    """Of grids of all forms, of one threshold and of several."""
    images = cli.grey_images(90, *shape)
    model = cbn.ConvolutionalBayesianNetwork(cpd=cpd, threshold=thresholds, folds=2, false_alarm_rate=0.5).fit(images)
    model.save(tmp_path / "model.cbn")
    drawn = np.concatenate([cli.grey_images(70, *shape, seed=3), model.sample(5, random_state=1)])
    found = reader_of_models().log_probability(tmp_path / "model.cbn", drawn)
    assert found == pytest.approx(model.layer_scores(drawn, "log_probability")[:, 0], rel=1e-12, abs=1e-9)
    assert reader_of_models().contrast(tmp_path / "model.cbn", drawn) is None


@pytest.mark.parametrize("thresholds", [(0.4,), (0.3, 0.6)])
def test_another_program_reads_a_contrast(thresholds, tmp_path):
    """The log-ratio, and what is above the normal at places, of a network on images that are no squares."""
    contrast = cbn.Contrast(rounds=15, background_rounds=9, pairs=4096, background_pairs=2048, smoothing=1.5)
    model = cbn.ConvolutionalBayesianNetwork(
        "best", features=cbn.Features(), contrast=contrast, threshold=thresholds, false_alarm_rate=0.5
    ).fit(cli.grey_images(90, 9, 12))
    model.save(tmp_path / "model.cbn")
    images = cli.grey_images(70, 9, 12, seed=3)
    expected = model.layer_scores(images, "contrast")[:, -2:]
    assert expected.std(axis=0).min() > 1e-3
    np.testing.assert_allclose(
        reader_of_models().contrast(tmp_path / "model.cbn", images), expected, rtol=1e-9, atol=1e-9
    )
    stored = cbn.load(DATA / "format_v11/best.cbn")
    digits = stored.sample(9, random_state=2)
    expected = stored.layer_scores(digits, "contrast")[:, -2:]
    np.testing.assert_allclose(
        reader_of_models().contrast(DATA / "format_v11/best.cbn", digits), expected, rtol=1e-9, atol=1e-9
    )


@pytest.mark.parametrize("shape", [(9, 30), (28, 6), (1, 9), (9, 1)])
def test_every_causal_feature_is_the_engine_s(shape):
    """At all places of images with much ink, little ink and none."""
    from cbn import _engine
    from cbn.bits.planes import BitPlanes

    height, width = shape
    rng = np.random.default_rng(3)
    states = (rng.random((60, 2, height, width)) < rng.choice([0, 0.03, 0.2, 0.7], (60, 1, 1, 1))).astype(np.uint8)
    states[50:, :, : height // 2] = 0
    layer = {"radius": 3, "places": True, "profile": True}
    causal = (2, height, width), 3, True, True
    planes = BitPlanes.of_states(states.reshape(60, -1), 1)
    reader = reader_of_models()
    bits = np.empty((_engine.causal_count(causal), 1), np.uint64)
    for node in range(2 * height * width):
        channel, y, x = map(int, np.unravel_index(node, (2, height, width)))
        _engine.causal_features(causal, planes.words, 60, node, bits, 1)
        expected = (bits[:, 0, None] >> np.arange(60, dtype=np.uint64) & np.uint64(1)).astype(bool).T
        np.testing.assert_array_equal(reader.causal_features(layer, states.astype(bool), channel, y, x), expected)


def test_the_reader_has_the_thresholds_of_the_description():
    """Each is in the table of docs/format.md, statistic by statistic."""
    rows = re.findall(r"^\| (\d+)(?: to (\d+))? \|.*\| ([-\d, ]+) \|$", (DOCS / "format.md").read_text(), re.MULTILINE)
    found = []
    for first, last, numbers in rows:
        found += [tuple(map(int, numbers.split(",")))] * (int(last or first) - int(first) + 1)
    assert tuple(found) == reader_of_models().THRESHOLDS


def test_the_reader_is_in_the_description():
    assert "read_model.py" in (DOCS / "format.md").read_text()
    used = re.findall(r"^import (\w+)", (DOCS / "read_model.py").read_text(), re.MULTILINE)
    assert set(used) - set(sys.stdlib_module_names) == {"numpy"}


def test_check_of_the_site_notices(tmp_path):
    """Links that lead nowhere, pictures without words, paths of a machine."""
    specification = importlib.util.spec_from_file_location("check_site", DOCS / "check_site.py")
    checker = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(checker)
    (tmp_path / "good.html").write_text('<p id="here"><a href="#here">x</a><a href="https://example.org/y">y</a></p>')
    assert checker.problems(tmp_path) == []
    (tmp_path / "bad.html").write_text(
        '<a href="none.html">x</a><a href="good.html#there">y</a><img src="good.html"><p>in /home/somebody/cbn</p>'
    )
    found = checker.problems(tmp_path)
    assert len(found) == 4 and all(line.startswith("bad.html: ") for line in found)
    assert checker.problems(tmp_path / "nowhere") != []


def test_jobs_of_the_guide_are_commands():
    """Programs and options that the table of jobs names are there."""
    commands = re.findall(r"`(cbn-[^`]+)`", (DOCS / "guide" / "index.md").read_text())
    assert len(commands) == 7
    if shutil.which("cbn-report", path=os.path.dirname(sys.executable)) is None:
        pytest.skip("cbn-report is not installed: the page is ahead of the programs")
    for command in commands:
        program, *arguments = command.split()
        done = subprocess.run(
            [os.path.join(os.path.dirname(sys.executable), program), "--help"],
            capture_output=True,
            text=True,
            check=True,
        )
        for option in (own for own in arguments if own.startswith("--")):
            assert re.search(rf"{option}\b", done.stdout), f"{command}: {option}"


def test_every_public_name_is_in_the_reference():
    text = "\n".join(path.read_text() for path in (DOCS / "api").glob("*.rst"))
    found = set(re.findall(r"^\.\. auto(?:class|function|exception|data):: (\w+)", text, re.MULTILINE))
    public = {*cbn.__all__, *cbn.datasets.__all__, *cbn.iem.__all__}
    assert public - found == {"__version__", "datasets", "iem"}
    assert found <= public


def test_figures_beside_other_packages_are_those_of_the_benchmark():
    """Whatever has an interval, and every row of the means over sets of pictures."""
    page, measured = (DOCS / "comparison.md").read_text(), (DOCS.parent / "benchmarks" / "RESULTS.md").read_text()
    intervals = re.findall(r"\d+\.\d+ \(\d+\.\d+ to \d+\.\d+\)", page)
    assert len(intervals) >= 15
    assert [own for own in intervals if own not in measured] == []
    rows = re.findall(
        r"^\| ((?:cbn|PaDiM|PatchCore)[^|]*) \| \**([\d.]+)\** \| \**([\d.]+)\** \| \**([\d.]+)\** \|",
        page,
        re.MULTILINE,
    )
    assert len(rows) == 5
    for name, *figures in rows:
        [row] = [line for line in measured.splitlines() if line.startswith(f"| mean of 12 sets: {name} |")]
        assert [cell.strip() for cell in row.split("|")[6:9]] == figures
