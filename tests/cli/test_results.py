# SPDX-License-Identifier: BSD-3-Clause
"""Results of cbn-score and cbn-iem-score: the same rows as CSV, JSON Lines and Parquet, and the most anomalous first."""

import csv
import io
import json
import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cbn.cli import _row_files, _score_images
from cbn.cli._worst import Ranking
from cbn.datasets import make_category, write_mvtec
from helpers import programs as cli

pq = pytest.importorskip("pyarrow.parquet", reason="pyarrow is not installed")

COLUMNS = ["file", "label", "score", "p_value", "verdict", "basis", "threshold"]
TRAIN, TEST = cli.grey_images(40, 6, 5), cli.grey_images(30, 6, 5, 9)
TEST[::5] = TEST[::5, ::-1]
FILES = "--csv", "rows.csv", "--jsonl", "rows.jsonl", "--parquet", "rows.parquet"


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    """Arguments of cbn-score: pictures in folders of their labels."""
    folder = tmp_path_factory.mktemp("network")
    np.save(folder / "train.npy", TRAIN)
    for label, own in (("7", TEST[:10]), ("8", TEST[10:])):
        cli.write_pictures(folder / "pictures" / label, own)
    cli.done("cbn-train", "--data", folder / "train.npy", "--false-alarm-rate", 0.05, "--out", folder / "model.cbn")
    return "cbn-score", "--model", folder / "model.cbn", "--data", folder / "pictures"


@pytest.fixture(scope="module")
def energy(tmp_path_factory):
    """Arguments of cbn-iem-score."""
    folder = tmp_path_factory.mktemp("energy")
    write_mvtec(folder / "carpet", make_category("texture", 12, 4, 1, size=32))
    cli.done("cbn-iem-train", "--data", folder / "carpet", "--directions", 8, "--false-alarm-rate", 0.2, "--size", 32,
             "--out", folder / "carpet.cbn", "--quiet")  # fmt: skip
    return "cbn-iem-score", "--model", folder / "carpet.cbn", "--data", folder / "carpet"


@pytest.fixture(scope="module")
def classifier(tmp_path_factory):
    """Arguments of cbn-score of two classes."""
    folder = tmp_path_factory.mktemp("classifier")
    cli.write_pictures(folder / "p" / "down", TRAIN)
    cli.write_pictures(folder / "p" / "up", TRAIN[:, ::-1])
    cli.done("cbn-train", "--data", folder / "p", "--classifier", "--out", folder / "kinds.cbn")
    return "cbn-score", "--model", folder / "kinds.cbn", "--data", folder / "p"


@pytest.fixture(params=["network", "energy", "classifier"])
def command(request):
    return request.getfixturevalue(request.param)


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def lines_of(path):
    def refuse(name):
        raise AssertionError(f"{name} is not JSON")

    return [json.loads(line, parse_constant=refuse) for line in Path(path).read_text().splitlines()]


def as_csv(rows):
    """Rows as csv.DictReader reads them."""
    return [{name: "" if value is None else str(value) for name, value in row.items()} for row in rows]


def csv_of(content):
    return [*csv.DictReader(io.StringIO(content, newline=""))]


def text_of(path="rows.csv"):
    return Path(path).read_bytes().decode("utf-8", "surrogateescape")


# ---- files ----


def test_all_files_have_the_same_rows(command):
    cli.done(*command, *FILES, "--quiet")
    rows, table = lines_of("rows.jsonl"), pq.read_table("rows.parquet")
    assert table.to_pylist() == rows and as_csv(rows) == csv_of(text_of())
    assert len(rows) > 5 and list(rows[0]) == table.column_names
    if list(rows[0]) != COLUMNS:
        assert list(rows[0]) == ["file", "label", "score", "class", "probability", "p(down)", "p(up)"]
        for row in rows:
            assert row["p(down)"] + row["p(up)"] == pytest.approx(1)
            assert row["probability"] == row[f"p({row['class']})"] == max(row["p(down)"], row["p(up)"])


@pytest.mark.parametrize(
    "how", [(), ("--fdr", 0.5), ("--false-alarm-rate", 1e-4), ("--false-alarm-rate", 1e-4, "--extrapolate")]
)
@pytest.mark.parametrize("name", ["network", "energy"])
def test_verdicts_of_all_kinds(name, how, request):
    """Undecided rows have no p-value, and a threshold that is no number of JSON."""
    command = request.getfixturevalue(name)
    cli.done(*command, *FILES, *how, "--quiet")
    rows = lines_of("rows.jsonl")
    found = pq.read_table("rows.parquet").to_pylist()
    for one, own, text in zip(rows, found, csv_of(text_of()), strict=True):
        assert one == {key: None if isinstance(v, float) and not math.isfinite(v) else v for key, v in own.items()}
        assert text == {key: "" if value is None else str(value) for key, value in own.items()}
    if how == ("--false-alarm-rate", 1e-4):
        assert {(row["verdict"], row["p_value"], row["threshold"]) for row in rows} == {("undecided", None, None)}
        assert {row["threshold"] for row in found} == {-math.inf}


@pytest.mark.parametrize("name", ["network", "energy", "classifier"])
def test_the_same_bytes_for_any_number_of_threads(name, request):
    """The sheet and all files."""
    found = []
    for threads in (1, 2):
        cli.done(*request.getfixturevalue(name), *FILES, "--sheet", "s.png", "--threads", threads, "--quiet")
        found.append([Path(path).read_bytes() for path in (*FILES[1::2], "s.png")])
    assert found[0] == found[1]


def test_parquet_in_groups(network, monkeypatch):
    monkeypatch.setattr(_row_files, "_ROW_GROUP", 7)
    cli.done(*network, *FILES)
    file = pq.ParquetFile("rows.parquet")
    assert file.num_row_groups == 5 and file.read().to_pylist() == lines_of("rows.jsonl")
    assert (
        str(file.schema_arrow.field("label").type) == "int64" or str(file.schema_arrow.field("label").type) == "string"
    )


def test_odd_names(network, here):
    """JSON has every name; Parquet those that are text, and the bytes of others escaped."""
    cli.write_pictures(here / "p", TEST[:3])
    names = "two\nlines.png", "\udcff.png", "ü.png"
    for path, name in zip(sorted((here / "p").iterdir()), names, strict=True):
        path.rename(here / "p" / name)
    cli.done(*network[:3], "--data", "p", *FILES)
    assert {row["file"] for row in lines_of("rows.jsonl")} == {*names} == {row["file"] for row in csv_of(text_of())}
    found = pq.read_table("rows.parquet").column("file").to_pylist()
    assert set(found) == {"two\nlines.png", "\\udcff.png", "ü.png"}


def test_without_pyarrow(network, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    result = cli.call(*network, "--parquet", "rows.parquet")
    cli.assert_one_line_error(result, 1, "--parquet", "pip install 'cbn[parquet]'")
    cli.done(*network, "--jsonl", "rows.jsonl")


@pytest.mark.parametrize("option", ["--jsonl", "--parquet", "--sheet"])
@pytest.mark.parametrize("path", ["/dev/full", "none/rows.png", ".", ""])
def test_files_that_cannot_be_written(command, option, path):
    if path == "/dev/full" and not os.path.exists(path):
        pytest.skip("no /dev/full here")
    result = cli.call(*command, option, path, "--quiet")
    assert result.code == 1 and len(result.err.splitlines()) == 1, result.err
    assert option in result.err and repr(path) in result.err


def test_wrong_usage(command, here):
    for words, own in [
        (("--csv", "a", "--jsonl", "a"), "--jsonl"), (("--jsonl", "a", "--parquet", "./a"), "--parquet"),
        (("--jsonl", "-", "--csv", "-"), "--jsonl"), (("--jsonl", "-", "--json"), "--jsonl"),
        (("--parquet", "-"), "--parquet"), (("--top", "0"), "--top"), (("--top", "-3"), "--top"),
        (("--top", "many"), "--top"), (("--sheet", "a.jpg"), "--sheet"), (("--sheet", "a.png", "--top", 1001), "--top"),
        (("--jsonl", command[2]), "--jsonl"), (("--sheet", "b.png", "--csv", "b.png"), "b.png"),
    ]:  # fmt: skip
        result = cli.call(*command, *words)
        cli.assert_one_line_error(result, 2, own)
    assert not any(here.iterdir())


def test_pictures_that_cannot_be_read(network, here):
    cli.write_pictures(here / "p", TEST[:4])
    (here / "p" / "zz.png").write_bytes(b"no picture")
    result = cli.call(*network[:3], "--data", "p", "--top", 2, "--sheet", "s.png", "--parquet", "rows.parquet")
    cli.assert_one_line_error(result, 1, "p/zz.png", "--skip-bad")
    assert not (here / "s.png").exists() and not (here / "rows.parquet").exists()
    result = cli.done(*network[:3], "--data", "p", "--top", 2, "--sheet", "s.png", "--skip-bad")
    assert len(result.out.splitlines()) == 3 and "zz.png" in result.err and (here / "s.png").exists()


@pytest.mark.slow
def test_an_interrupted_program_leaves_rows_and_no_half_files(network, here):
    """Ctrl-C: whole lines of JSON, no Parquet, nothing temporary."""
    np.save("many.npy", np.tile(cli.grey_images(512, 6, 5), (4000, 1, 1)))
    process = subprocess.Popen(
        [sys.executable, "-P", "-c", "import cbn.cli; raise SystemExit(cbn.cli.start_score())", *map(str, network[1:3]),
         "--data", "many.npy", "--jsonl", "rows.jsonl", "--parquet", "rows.parquet", "--sheet", "s.png"],
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=cli.environment(),
    )  # fmt: skip
    rows, deadline = here / "rows.jsonl", time.monotonic() + 60
    while not (rows.exists() and rows.stat().st_size > 200) and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    said = process.communicate(timeout=60)[1]
    assert process.returncode == 130 and "interrupted" in said and "Traceback" not in said
    assert rows.read_bytes().endswith(b"\n") and lines_of(rows)[0]["file"] == "0"
    assert {path.name for path in here.iterdir()} == {"many.npy", "rows.jsonl"}


# ---- the most anomalous ----


def expected(rows, top=None):
    """Rows as one would sort them by hand."""
    rows = sorted(rows, key=lambda row: row["score"])  # stable
    return rows if top is None else rows[:top]


@pytest.mark.parametrize("held", [False, True])
@pytest.mark.parametrize("top", [1, 4, 11, 1000, None])
def test_the_list_is_in_the_order_of_scores(command, top, held, monkeypatch):
    """Printed, as --json and on stdout as CSV; files have every row in the order of pictures."""
    monkeypatch.setattr(_score_images, "BATCH", 64)
    if held and command[0] == "cbn-score":
        monkeypatch.setattr(
            _score_images, "StreamedImages", lambda a, fitted, keeps: _score_images.HeldImages(a, fitted)
        )
    elif held:
        command = (*command, "--map-threshold", 2, "--boxes", "boxes.csv")
    how = ("--sort",) if top is None else ("--top", top)
    cli.done(*command, *FILES, "--quiet")
    plain = [Path(path).read_bytes() for path in FILES[1::2]]
    rows = expected(lines_of("rows.jsonl"), top)
    table = cli.done(*command, *how, *FILES).out.split("\n\n")[0].splitlines()
    assert [Path(path).read_bytes() for path in FILES[1::2]] == plain
    assert [line.split("\t")[0] for line in table[1:]] == [row["file"] for row in rows]
    found = cli.done(*command, *how, "--json").json()
    assert [row["image"] for row in found["images"]] == [row["file"] for row in rows]
    assert found["n"] == len(lines_of("rows.jsonl"))
    if "p_value" in rows[0]:
        assert [row["p_value"] for row in found["images"]] == [row["p_value"] for row in rows]


@pytest.mark.parametrize("how", [("--top", 5), ("--sort",), ()])
@pytest.mark.parametrize("option", ["--csv", "--jsonl"])
def test_stdout_has_the_list(command, how, option, here):
    cli.done(*command, *FILES, "--quiet")
    rows = lines_of("rows.jsonl")
    rows = expected(rows, how[1] if len(how) > 1 else None) if how else rows
    code = f"from {cli.module_of(command[0])} import main; raise SystemExit(main())"
    done = subprocess.run(
        [sys.executable, "-P", "-c", code, *map(str, command[1:]), *map(str, how), option, "-"], capture_output=True, text=True,
        env=cli.environment(), check=True,
    )  # fmt: skip
    found = csv_of(done.stdout) if option == "--csv" else [json.loads(line) for line in done.stdout.splitlines()]
    assert found == (as_csv(rows) if option == "--csv" else rows)


@pytest.mark.parametrize("how", [(), ("--sort",)])
def test_a_reader_that_has_seen_enough_is_no_error(network, here, how):
    np.save("many.npy", np.tile(TEST, (400, 1, 1)))
    code = "from cbn.cli.score import main; raise SystemExit(main())"
    process = subprocess.Popen(
        [sys.executable, "-P", "-c", code, *map(str, network[1:3]), "--data", "many.npy", "--csv", "-", *how],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=cli.environment(),
    )  # fmt: skip
    assert process.stdout.readline().startswith("file,label")
    process.stdout.close()
    assert process.wait(60) == 1 and process.stderr.read() == ""
    process.stderr.close()


@pytest.mark.parametrize("fdr", [(), ("--fdr", 0.5)])
def test_ties_are_in_the_order_of_images(network, here, fdr, monkeypatch):
    """Equal images, in several batches."""
    monkeypatch.setattr(_score_images, "BATCH", 64)
    np.save("x.npy", np.concatenate([TEST[:2]] * 100))
    data = (*network[:3], "--data", "x.npy", *fdr)
    scores = [row["score"] for row in cli.done(*data, "--json").json()["images"]]
    lowest = np.flatnonzero(np.array(scores) == min(scores))
    for how in (("--top", 70), ("--sort",)):
        found = [int(row["image"]) for row in cli.done(*data, *how, "--json").json()["images"]][:70]
        assert found == lowest[:70].tolist()


def test_verdicts_of_a_list_are_those_of_all(network):
    """--fdr is a rule for the whole list, also where few of it are shown."""
    every = {row["image"]: row for row in cli.done(*network, "--fdr", 0.5, "--json").json()["images"]}
    assert {row["verdict"] for row in every.values()} == {"normal", "outlier"}
    for how in (("--top", 9), ("--sort",)):
        for row in cli.done(*network, "--fdr", 0.5, *how, "--json").json()["images"]:
            assert row == every[row["image"]]


class Source:
    def about(self, i):
        return str(i), None

    def picture(self, i):
        return np.full((2, 2), i % 256, np.uint8)


class Options:
    def __init__(self, top, sort=False, sheet=None):
        self.top, self.sort, self.sheet = top, sort, sheet


@pytest.mark.parametrize("seed", range(5))
def test_ranking_beside_a_sort(seed):
    """Batches of any length, ties, infinities and NaN, which is last."""
    rng = np.random.default_rng(seed)
    scores = rng.integers(0, 12, 500).astype(float)
    scores[rng.integers(0, 500, 9)] = -np.inf
    scores[rng.integers(0, 500, 9)] = np.nan
    for top in (1, 7, 200, 495, 600):
        ranking, first = Ranking(Options(top, sheet="s.png"), Source()), 0
        while first < 500:
            n = int(rng.integers(1, 90))
            ranking.add(scores[first : first + n])
            first += n
            assert len(ranking.kept) <= top
        order = np.argsort(scores, kind="stable")[:top].tolist()
        assert ranking.places(scores).tolist() == order
        assert [ranking.about(i) for i in order] == [(str(i), None) for i in order]
        assert [int(one.picture[0, 0]) for one in ranking.kept] == [i % 256 for i in order]


def test_explanations_and_maps_are_of_the_list(network, energy, here):
    found = cli.done(*network, "--top", 3, "--explain", 1, "--heatmap", "maps").out.splitlines()
    worst = [row["image"] for row in cli.done(*network, "--top", 3, "--json").json()["images"]]
    assert [line.split("\t")[0] for line in found[1::2]] == worst
    assert sorted(path.name for path in (here / "maps").iterdir()) == sorted(
        f"{n[:-4].replace('/', '_')}.png" for n in worst
    )
    every = {row["image"]: row for row in cli.done(*energy, "--map-threshold", 1, "--json").json()["images"]}
    found = cli.done(*energy, "--map-threshold", 1, "--top", 5, "--json", "--maps", "e").json()["images"]
    assert len(found) == 5 == len([*(here / "e").iterdir()])
    for row in found:
        assert row["boxes"] == every[row["image"]]["boxes"]


def test_maps_of_few_need_few_pictures(energy, here, monkeypatch):
    """Of a folder without masks: the files of these pictures are those of all of them."""
    folder = energy[4] / "test"
    how = ("--save-maps", "npy", "--map-threshold", 1, "--boxes", "boxes.csv")
    cli.done(*energy[:4], folder, *how)
    every = {path.name: path.read_bytes() for path in (here / "npy").iterdir()}
    boxes = csv_of(text_of("boxes.csv"))
    monkeypatch.setattr("cbn.cli._iem_pictures.HeldPictures", None)
    rows = cli.done(*energy[:4], folder, "--save-maps", "few", *how[2:], "--top", 3, "--json").json()["images"]
    few = {path.name: path.read_bytes() for path in (here / "few").iterdir()}
    assert len(few) == 3 and few.items() <= every.items()
    names = [row["image"] for row in rows]
    assert csv_of(text_of("boxes.csv")) == [row for name in names for row in boxes if row["file"] == name]


def test_a_list_of_few_does_not_keep_the_names_of_all(network, here, monkeypatch):
    asked = []
    original = _score_images.StreamedImages
    monkeypatch.setattr(
        _score_images, "StreamedImages", lambda a, fitted, keeps: asked.append(keeps) or original(a, fitted, keeps)
    )
    for how in (("--top", 3), ("--top", 3, "--json"), ("--sort",), ("--top", 3, "--fdr", 0.1), ("--sheet", "s.png")):
        cli.done(*network, *how)
    assert asked == [False, False, True, True, False]


# ---- sheets ----


@pytest.mark.parametrize("how", [(), ("--top", 3), ("--sort",), ("--json",), ("--fdr", 0.5), ("--csv", "rows.csv")])
def test_sheets(command, how):
    how = () if "--fdr" in how and "kinds.cbn" in str(command[2]) else how  # classifiers have no verdicts
    result = cli.done(*command, *how, "--sheet", "worst.png")
    n = 3 if "--top" in how else min(20, int(cli.done(*command, "--json").json()["n"]))
    assert f"the {n} most anomalous of " in result.err and "worst.png" in result.err
    with Image.open("worst.png") as sheet:
        assert sheet.format == "PNG" and min(sheet.size) > 200
    if "--json" in how:
        assert result.json()["sheet"] == "worst.png"


def test_a_sheet_is_the_same_however_images_are_read(network, monkeypatch, here):
    cli.done(*network, "--sheet", "a.png")
    monkeypatch.setattr(_score_images, "StreamedImages", lambda a, fitted, keeps: _score_images.HeldImages(a, fitted))
    cli.done(*network, "--sheet", "b.png", "--sort")
    assert (here / "a.png").read_bytes() == (here / "b.png").read_bytes()


def test_sheets_show_what_was_read(network, here, monkeypatch):
    """Grey values, not the bits that the network sees; binary images black and white."""
    seen = []
    monkeypatch.setattr(
        "cbn.plots.sheet.contact_sheet", lambda tiles, title: seen.append((tiles, title)) or Image.new("L", (1, 1))
    )
    np.save("x.npy", TEST[:1])
    np.save("b.npy", TEST[:1] > 77)
    for data in ("x.npy", "b.npy"):
        cli.done(*network[:3], "--data", data, "--sheet", "s.png")
    (grey,), (binary,) = seen[0][0], seen[1][0]
    np.testing.assert_array_equal(grey.picture, TEST[0])
    np.testing.assert_array_equal(binary.picture, (TEST[0] > 77) * 255)
    assert grey.caption[0] == "1. 0" and grey.caption[1].startswith(("outlier, p = ", "normal, p = "))
    assert grey.caption[2].startswith("score -") and "higher = more normal" in seen[0][1]


def test_marks(network, classifier, here, monkeypatch):
    """Outliers, and what is taken for another class than its label; a label that the classifier does not know is another."""
    seen = []
    monkeypatch.setattr(
        "cbn.plots.sheet.contact_sheet", lambda tiles, title: seen.append(tiles) or Image.new("L", (1, 1))
    )
    rows = cli.done(*network, "--top", 30, "--sheet", "s.png", "--json").json()["images"]
    assert [tile.marked for tile in seen.pop()] == [row["verdict"] == "outlier" for row in rows]
    cli.write_pictures(here / "p" / "up", TRAIN[:4])
    cli.write_pictures(here / "p" / "down", TRAIN[4:8])
    rows = cli.done(*classifier[:3], "--data", "p", "--sheet", "s.png", "--sort", "--json").json()["images"]
    assert [tile.marked for tile in seen.pop()] == [row["class"] != row["label"] for row in rows]
    assert {row["class"] for row in rows} == {"down"}
    np.save("x.npy", TRAIN[:4])
    cli.done(*classifier[:3], "--data", "x.npy", "--sheet", "s.png")
    assert not any(tile.marked for tile in seen.pop())


# ---- the direction of scores ----


def test_every_program_says_which_way_is_normal(network, energy, classifier, here):
    assert "score (higher = more normal)" in cli.done(*network).out.splitlines()[0]
    assert "log_probability (higher = more normal)" in cli.done(*classifier).out.splitlines()[0]
    assert "energy (lower = more normal)" in cli.done(*energy).out.splitlines()[0]
    for command, own in ((network, "higher"), (classifier, "higher"), (energy, "energy: lower")):
        assert cli.done(*command, "--json").json()["direction"].startswith(own.rpartition(" ")[2])
    assert "higher = more normal" in cli.call("cbn-score", "--help").out
    said = cli.call("cbn-iem-score", "--help").out
    assert "Energy: lower = more normal" in said and "higher = more normal" in said
    assert "(higher = more normal)" in cli.done("cbn-show", network[2], "--out", "n.png").out
    assert "(lower = more normal)" in cli.done("cbn-show", energy[2], "--out", "e.png").out


@pytest.mark.parametrize(
    ("path", "what"), [("", "the name is empty"), (".", "it is a folder"), ("none/", "it ends as a folder does")]
)
def test_a_file_that_is_none_is_called_what_it_is(path, what):
    cli.assert_one_line_error(cli.call("cbn-report", "--out", path), 1, f"--out: cannot write {path!r}: {what};")
