# SPDX-License-Identifier: BSD-3-Clause
"""Verdicts of cbn-score and cbn-iem-score: rows as CSV, undecided and extrapolated ones, lists at a false discovery rate."""

import csv
import io
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import cbn
from cbn.datasets import load_mvtec, make_category, write_mvtec
from cbn.metrics.conformal import images_needed
from helpers import programs as cli

COLUMNS = ["file", "label", "score", "p_value", "verdict", "basis", "threshold"]
TRAIN, TEST = cli.grey_images(40, 6, 5), cli.grey_images(30, 6, 5, 9)


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    """Arguments of cbn-score: a model of 40 images at 5 %, and images of which a fifth are upside down."""
    folder = tmp_path_factory.mktemp("network")
    images = TEST.copy()
    images[::5] = images[::5, ::-1]
    np.save(folder / "train.npy", TRAIN)
    np.save(folder / "test.npy", images)
    cli.done("cbn-train", "--data", folder / "train.npy", "--false-alarm-rate", 0.05, "--out", folder / "model.cbn")
    return "cbn-score", "--model", folder / "model.cbn", "--data", folder / "test.npy"


@pytest.fixture(scope="module")
def energy(tmp_path_factory):
    """Arguments of cbn-iem-score: a model of 12 pictures at 20 %, and pictures with their labels."""
    folder = tmp_path_factory.mktemp("energy")
    write_mvtec(folder / "carpet", make_category("texture", 12, 2, 1, size=32))
    cli.done("cbn-iem-train", "--data", folder / "carpet", "--levels", 1, "--epochs", 1, "--false-alarm-rate", 0.2, "--held-out", 0,
             "--out", folder / "carpet.cbn", "--quiet")  # fmt: skip
    return "cbn-iem-score", "--model", folder / "carpet.cbn", "--data", folder / "carpet"


@pytest.fixture(params=["network", "energy"])
def command(request):
    return request.getfixturevalue(request.param)


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def rows_of(content):
    """The rows of a CSV file or text, as they are read anywhere."""
    if isinstance(content, Path):
        content = content.read_bytes().decode("utf-8", "surrogateescape")
    header, *rows = csv.reader(io.StringIO(content, newline=""))
    assert header == COLUMNS and all(len(row) == len(COLUMNS) for row in rows)
    return [dict(zip(header, row, strict=True)) for row in rows]


def model_and_images(command):
    model, data = cbn.load(command[2]), command[4]
    return model, np.load(data) if data.suffix == ".npy" else load_mvtec(data).test


# ---- rows ----


def test_rows_are_what_the_model_says(command, here):
    found = cli.done(*command, "--csv", "rows.csv", "--json").json()
    rows, (model, images) = rows_of(here / "rows.csv"), model_and_images(command)
    scores, p_values = model.score_samples(images), model.p_values(images)
    assert [float(row["score"]) for row in rows] == pytest.approx(scores, rel=1e-12)  # every digit is there
    assert [float(row["p_value"]) for row in rows] == p_values.tolist()
    assert [row["verdict"] == "outlier" for row in rows] == (model.predict(images) == -1).tolist()
    assert {row["basis"] for row in rows} == {"approximate"} == {found["basis"]}
    assert {float(row["threshold"]) for row in rows} == {model.offset_}
    for row, one in zip(rows, found["images"], strict=True):
        assert row["file"] == one["image"] and row["label"] == str(one.get("label", ""))
        assert (row["verdict"], float(row["p_value"]), row["basis"]) == (one["verdict"], one["p_value"], one["basis"])
    assert found["n_undecided"] == 0 and found["n_outliers"] == [r["verdict"] for r in rows].count("outlier") > 0
    assert found["fdr"] is None and found["n_needed"] == model.fitted_.calibration.needed


def test_rows_on_stdout(command, here):
    cli.done(*command, "--csv", "rows.csv")
    code = f"from {cli.module_of(command[0])} import main; raise SystemExit(main())"
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, command[1:]), "--csv", "-"], env=this_package(), capture_output=True,
        check=True,
    )  # fmt: skip
    assert done.stdout == (here / "rows.csv").read_bytes() and b"are outliers" not in done.stdout
    cli.assert_one_line_error(cli.call(*command, "--csv", "-", "--json"), 2, "--csv", "--json")


def this_package():
    """An environment in which child processes use the package that is tested."""
    return cli.environment(PYTHONPATH=str(Path(cbn.__file__).parents[1]))


ODD_NAMES = ["a,b.png", 'say "no".png', "two\nlines.png", "tab\there.png", " space .png", "\udcff\udce9.png", "ü.png"]


@pytest.mark.parametrize("label", ["plain", "c,d", 'e "f"', "g\nh"])
def test_odd_names_are_quoted(network, here, label):
    folder = here / "pictures" / label
    cli.write_pictures(folder, TEST[: len(ODD_NAMES)])
    for i, name in enumerate(ODD_NAMES):
        os.rename(folder / f"{i:03}.png", folder / name)
    cli.done(*network[:3], "--data", "pictures", "--csv", "rows.csv")
    rows = rows_of(here / "rows.csv")
    assert sorted(row["file"] for row in rows) == sorted(f"{label}/{name}" for name in ODD_NAMES)
    assert {row["label"] for row in rows} == {label}
    assert b"/\xff\xe9.png" in (here / "rows.csv").read_bytes()  # the bytes of the name, whatever they mean
    found = cli.done(*network[:3], "--data", "pictures", "--json").json()["images"]
    assert [float(row["score"]) for row in rows] == [row["score"] for row in found]


@pytest.mark.parametrize("path", ["/dev/full", "none/rows.csv", ".", ""])
def test_files_that_cannot_be_written(command, path):
    if path == "/dev/full" and not os.path.exists(path):
        pytest.skip("no /dev/full here")
    cli.assert_one_line_error(cli.call(*command, "--csv", path), 1, "--csv", repr(path))


def test_an_earlier_file_is_replaced(command, here):
    (here / "rows.csv").write_text("old\n" * 10000)
    cli.done(*command, "--csv", "rows.csv", "--n", 2)
    assert len(rows_of(here / "rows.csv")) == 2


@pytest.mark.slow
@pytest.mark.parametrize("seconds", [0.0, 0.05, 0.2, 0.5])
def test_a_killed_program_leaves_whole_rows(here, seconds):
    """Killed at several moments after the first rows: the file has a header and whole rows, in the order of the images."""
    images = np.tile(cli.grey_images(512, 24, 24), (60, 1, 1))
    np.save("many.npy", images)
    cbn.ConvolutionalBayesianNetwork("best", n_jobs=1, random_state=0).fit(images[:512]).save("model.cbn")
    code = "from cbn.cli.score import main; raise SystemExit(main())"
    process = subprocess.Popen(
        [sys.executable, "-c", code, "--data", "many.npy", "--csv", "rows.csv", "--threads", "1"], env=this_package(),
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    rows = here / "rows.csv"
    deadline = time.monotonic() + 60
    while not (rows.exists() and rows.stat().st_size > 200) and time.monotonic() < deadline:
        time.sleep(0.005)
    time.sleep(seconds)
    process.send_signal(signal.SIGKILL)
    assert process.wait(timeout=60) == -signal.SIGKILL
    content = rows.read_bytes()
    assert content.endswith(b"\n")
    found = rows_of(rows)
    assert 0 < len(found) < len(images)
    assert [row["file"] for row in found] == [str(i) for i in range(len(found))]
    assert all(row["verdict"] in ("normal", "outlier") and float(row["p_value"]) > 0 for row in found)


# ---- undecided, extrapolated ----


def test_too_few_images_leave_everything_undecided(command, here):
    result = cli.done(*command, "--false-alarm-rate", 0.001, "--csv", "rows.csv")
    table = [line.split("\t") for line in result.out.splitlines()]
    verdict, p_value = table[0].index("verdict"), table[0].index("p_value")
    assert {row[verdict] for row in table[1:]} == {"undecided"} and {row[p_value] for row in table[1:]} == {"-"}
    assert "999" in result.err and "undecided" in result.err
    assert {(row["verdict"], row["basis"], row["p_value"]) for row in rows_of(here / "rows.csv")} == {
        ("undecided", "none", "")
    }
    found = cli.done(*command, "--false-alarm-rate", 0.001, "--json").json()
    assert found["n_undecided"] == found["n"] and found["n_outliers"] == 0 and found["basis"] == "none"
    assert found["n_needed"] == 999 and found["threshold"] is None
    assert {(row["verdict"], row["p_value"]) for row in found["images"]} == {("undecided", None)}


def test_extrapolated_verdicts_are_marked(command, here):
    asked = (*command, "--false-alarm-rate", 0.001, "--extrapolate")
    result, found = cli.done(*asked, "--csv", "rows.csv"), cli.done(*asked, "--json").json()
    model, images = model_and_images(command)
    fitted = model.fitted_.calibration.at(0.001)
    expected = fitted.verdicts(model.score_samples(images), extrapolate=True)
    assert "extrapolated" in result.err and found["basis"] == "extrapolated" and found["n_undecided"] == 0
    rows = rows_of(here / "rows.csv")
    assert {row["basis"] for row in rows} == {"extrapolated"}
    assert [row["verdict"] for row in rows] == expected.verdicts.tolist() == [r["verdict"] for r in found["images"]]
    np.testing.assert_allclose([float(row["p_value"]) for row in rows], expected.p_values, rtol=1e-9)
    assert abs(found["threshold"]) == pytest.approx(abs(expected.threshold))
    plain = cli.done(*command, "--extrapolate", "--json").json()  # enough for the model's own rate: nothing changes
    assert plain["basis"] == "approximate"
    assert plain["images"] == cli.done(*command, "--json").json()["images"]


def test_maps_and_repairs_of_undecided_images(network, here):
    found = cli.done(*network, "--false-alarm-rate", 0.001, "--heatmap", "maps", "--n", 2, "--json").json()
    assert len(os.listdir("maps")) == 2 and found["n_undecided"] == 2
    cli.done(*network, "--false-alarm-rate", 0.001, "--repair", "repaired", "--n", 2)


def test_maps_of_undecided_pictures(energy, here):
    found = cli.done(*energy, "--false-alarm-rate", 0.001, "--maps", "maps", "--n", 2, "--json").json()
    for row in found["images"]:
        with Image.open(row["map"]) as picture:
            assert picture.format == "PNG"


# ---- lists ----


def test_a_list_at_a_false_discovery_rate(command, here):
    result, found = (cli.done(*command, "--fdr", 0.5, *more) for more in (("--csv", "rows.csv"), ("--json",)))
    found, rows, (model, images) = found.json(), rows_of(here / "rows.csv"), model_and_images(command)
    expected = model.fitted_.calibration.discoveries(model.score_samples(images), 0.5)
    assert [row["verdict"] == "outlier" for row in rows] == expected.tolist()
    assert [row["verdict"] == "outlier" for row in found["images"]] == expected.tolist()
    assert found["fdr"] == 0.5 and found["n_outliers"] == expected.sum() and found["n_undecided"] == 0
    assert "false discovery rate of 0.5" in result.err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--fdr", "0.1", "--false-alarm-rate", "0.1"], ["--fdr", "--false-alarm-rate"]),
        (["--fdr", "0"], ["--fdr", "0"]),
        (["--fdr", "1.5"], ["--fdr", "1.5"]),
        (["--fdr", "few"], ["--fdr", "few"]),
    ],
)
def test_wrong_usage(command, arguments, words):
    cli.assert_one_line_error(cli.call(*command, *arguments), 2, *words)
    assert not Path("rows.csv").exists()


def test_wrong_usage_leaves_an_earlier_file_alone(command, here):
    (here / "rows.csv").write_text("of yesterday")
    wrong = "--fdr", 0.1, "--false-alarm-rate", 0.1
    cli.assert_one_line_error(cli.call(*command, *wrong, "--csv", "rows.csv"), 2, "--fdr")
    assert (here / "rows.csv").read_text() == "of yesterday"


def test_trees_are_scored_by_the_network_that_judges(network, here):
    cli.done("cbn-train", "--data", network[2].parent / "train.npy", "--preset", "tree", "--false-alarm-rate", 0.05, "--out", "tree.cbn")  # fmt: skip
    model, images = cbn.load("tree.cbn"), np.load(network[4])
    found = cli.done("cbn-score", "tree.cbn", "--data", network[4], "--json", "--csv", "rows.csv").json()
    scores = [row["score"] for row in found["images"]]
    np.testing.assert_allclose(scores, model.judged_scores(images), rtol=1e-12)
    assert [row["p_value"] for row in found["images"]] == model.p_values(images).tolist()
    assert [row["verdict"] == "outlier" for row in found["images"]] == (model.predict(images) == -1).tolist()
    assert [float(row["score"]) for row in rows_of(here / "rows.csv")] == scores


def test_a_list_that_is_too_long_for_the_calibration_says_what_it_needs(command):
    n = cli.done(*command, "--json", "--quiet").json()["n"]
    done = cli.done(*command, "--fdr", 0.01, "--csv", "rows.csv")
    said = done.err.splitlines()
    single = images_needed(0.01 / n)
    assert "allow no discovery at a false discovery rate of 0.01: at least 99 are needed" in said[0]
    assert f"{single:,} to find a single outlier among {n}" in said[0] and len(said) == 2
    assert f"are undecided: a single outlier needs {single:,} calibration scores" in said[1]
    assert {(row["verdict"], row["p_value"], row["basis"]) for row in rows_of(Path("rows.csv"))} == {
        ("undecided", "", "none")
    }
    found = cli.done(*command, "--fdr", 0.01, "--json", "--quiet").json()
    assert found["n_undecided"] == n and found["n_needed"] == single and found["basis"] == "none"


def test_a_list_in_which_few_cannot_be_found_says_so(network):
    """40 calibration scores at 5 %: of 30 images fifteen or more can be found together."""
    done = cli.done(*network, "--fdr", 0.05)
    assert "0 of 30 images are outliers at a false discovery rate of 0.05, where fewer than 15 of 30 cannot" in done.err
    assert f"a single one needs {images_needed(0.05 / 30):,} calibration scores" in done.err
