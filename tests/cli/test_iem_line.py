# SPDX-License-Identifier: BSD-3-Clause
"""On a line: thresholds and calibration of one's own, a watched folder with its record, raw maps, masks and boxes."""

import contextlib
import csv
import io
import json
import os
import shutil
import signal
import subprocess
import time
from contextlib import contextmanager

import numpy as np
import pytest
from PIL import Image

import cbn
from cbn.cli._iem_report import warn_of_difference
from cbn.datasets import load_mvtec, make_category, write_mvtec
from cbn.exceptions import DataError
from cbn.iem import Gaussian
from cbn.metrics.regions import regions_above
from helpers import programs as cli

TRAIN, SCORE = "cbn-iem-train", "cbn-iem-score"
COLUMNS = ["file", "label", "score", "p_value", "verdict", "basis", "threshold"]
KINDS = {
    "gaussian": ("--size", 48),
    "neural": ("--levels", 1, "--epochs", 1, "--held-out", 0),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A category "carpet", a model of each kind of it, and more good pictures of another lighting in "today"."""
    root = tmp_path_factory.mktemp("line")
    made = make_category("texture", 12, 4, 1, size=48)
    write_mvtec(root / "carpet", made)
    cli.write_pictures(root / "today", make_category("texture", 9, 1, 1, size=48, random_state=5).train // 2)
    for kind, options in KINDS.items():
        cli.done(TRAIN, "--data", root / "carpet", *options, "--false-alarm-rate", 0.2, "--out", root / f"{kind}.cbn",
                 "--quiet")  # fmt: skip
    return root


@pytest.fixture(params=list(KINDS))
def model(request, folder):
    """The path of a model of either kind."""
    return folder / f"{request.param}.cbn"


@pytest.fixture
def camera(folder, tmp_path):
    """A folder with two good pictures, and a sub-folder with a defective one."""
    path = tmp_path / "camera"
    (path / "scratch").mkdir(parents=True)
    for number in (0, 1):
        shutil.copy(folder / f"carpet/test/good/00{number}.png", path / f"{number}.png")
    shutil.copy(folder / "carpet/test/scratch/000.png", path / "scratch/a.png")
    return path


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def rows_of(path):
    header, *rows = csv.reader(io.StringIO(path.read_bytes().decode(), newline=""))
    assert header == COLUMNS and all(len(row) == len(COLUMNS) for row in rows)
    return [dict(zip(header, row, strict=True)) for row in rows]


def watched(path, *options, record="results.csv"):
    """Arguments of one look at a folder."""
    return "--watch", path, "--csv", record, "--once", "--interval", 0.05, *options


def content(path):
    """Everything in a folder."""
    return {own: (own.stat().st_mtime_ns, own.is_file() and own.read_bytes()) for own in sorted(path.rglob("*"))}


# ---- thresholds ----


def test_a_threshold_of_ones_own(model, folder, here):
    command = SCORE, model, "--data", folder / "carpet"
    plain = cli.done(*command, "--json").json()
    threshold = float(np.median([row["energy"] for row in plain["images"]]))
    found = cli.done(*command, "--alarm-threshold", threshold, "--csv", "rows.csv", "--json").json()
    rows = rows_of(here / "rows.csv")
    for row, before, line in zip(found["images"], plain["images"], rows, strict=True):
        assert row["verdict"] == ("outlier" if row["energy"] > threshold else "normal") == line["verdict"]
        assert row["p_value"] == before["p_value"] == float(line["p_value"])
        assert row["basis"] == line["basis"] == "none" and float(line["threshold"]) == -threshold
    assert found["threshold"] == threshold and found["n_outliers"] == 4 and found["n_undecided"] == 0
    assert found["false_alarm_rate"] is None and found["basis"] == "none"
    said = cli.done(*command, "--alarm-threshold", "-100").err
    assert "8 of 8 pictures are outliers by the threshold that was given (energy above -100)" in said


def test_calibration_by_pictures_of_today(model, folder, here):
    before = model.read_bytes()
    pictures = np.stack([np.asarray(Image.open(path)) for path in sorted((folder / "today").iterdir())])
    data = load_mvtec(folder / "carpet")
    expected = cbn.load(model).calibrate(pictures)
    command = SCORE, model, "--data", folder / "carpet", "--calibration", folder / "today"
    found = cli.done(*command, "--save-calibrated", "today.cbn", "--json").json()
    assert found["calibration"] == "separate images" and found["n_calibration"] == 9
    assert found["threshold"] == pytest.approx(-expected.offset_)
    np.testing.assert_allclose([row["p_value"] for row in found["images"]], expected.p_values(data.test))
    assert model.read_bytes() == before
    saved = cli.done(SCORE, "today.cbn", "--data", folder / "carpet", "--json").json()
    assert saved["images"] == found["images"]
    assert cbn.load("today.cbn").provenance_["calibrated_with"] == str(folder / "today")
    alone = cli.done(SCORE, model, "--calibration", folder / "today", "--save-calibrated", "b.cbn")
    assert "from 9 separate images" in alone.out
    assert (here / "b.cbn").read_bytes() == (here / "today.cbn").read_bytes()
    strict = cli.call(*command, "--false-alarm-rate", 0.01)
    words = "--calibration: 9 images cannot hold a false-alarm rate of 0.01", "at least 99", "--false-alarm-rate 0.1"
    cli.assert_one_line_error(strict, 1, *words)


def test_training_with_calibration(folder, here):
    for kind, options in KINDS.items():
        command = TRAIN, "--data", folder / "carpet", *options, "--false-alarm-rate", 0.2
        found = cli.done(*command, "--calibration", folder / "today", "--out", f"{kind}.cbn", "--json").json()
        assert found["calibration"] == "separate images" and found["n_calibration"] == 9
        pictures = np.stack([np.asarray(Image.open(path)) for path in sorted((folder / "today").iterdir())])
        expected = cbn.load(folder / f"{kind}.cbn").calibrate(pictures)
        assert found["threshold"] == pytest.approx(-expected.offset_)
        np.testing.assert_array_equal(cbn.load(f"{kind}.cbn").calibration_scores_, expected.calibration_scores_)
    resumed = cli.done(*command, "--calibration", folder / "today", "--out", "neural.cbn", "--resume")
    assert "of the same training: kept" in resumed.err
    assert "of another training" in cli.done(*command, "--out", "neural.cbn", "--resume").err


# ---- a watched folder ----


def test_every_picture_once_and_nothing_changed(model, folder, camera, here):
    before = content(camera)
    result = cli.done(SCORE, model, *watched(camera))
    assert result.out == "" and "3 new pictures in results.csv" in result.err
    assert "scratch/a.png: outlier, energy" in result.err and " s to read)" in result.err
    rows = rows_of(here / "results.csv")
    assert sorted((row["file"], row["label"]) for row in rows) == [
        ("0.png", ""),
        ("1.png", ""),
        ("scratch/a.png", "scratch"),
    ]
    known = {
        row["image"]: row for row in cli.done(SCORE, model, "--data", folder / "carpet", "--json").json()["images"]
    }
    by_name = {row["file"]: row for row in rows}
    for name, original in (("0.png", "good/000.png"), ("scratch/a.png", "scratch/000.png")):
        assert float(by_name[name]["score"]) == pytest.approx(-known[original]["energy"], rel=1e-12)
        assert by_name[name]["verdict"] == known[original]["verdict"]
    (camera / "notes.txt").write_text("no picture")
    (camera / ".2.png").write_bytes(b"hidden")
    shutil.copy(camera / "1.png", camera / "2.png")
    again = cli.done(SCORE, model, *watched(camera, "--json"))
    assert "3 files of earlier runs in results.csv; those of the same names are not scored again" in again.err
    found = again.json()
    assert [row["image"] for row in found["images"]] == ["2.png"] and found["n"] == 1 and found["latency"]["max"] > 0
    assert [row["file"] for row in rows_of(here / "results.csv")] == [*(row["file"] for row in rows), "2.png"]
    cli.done(SCORE, model, *watched(camera, "--quiet"))
    assert len(rows_of(here / "results.csv")) == 4
    after = content(camera)
    assert all(after[path] == before[path] for path in before if path.is_file())
    assert len(after) == len(before) + 3


def test_pages_of_a_file_are_pictures_and_go_on_where_they_were(folder, camera, here):
    pages = [Image.open(folder / f"carpet/test/good/00{number}.png") for number in range(3)]
    pages[0].save(camera / "z.tif", save_all=True, append_images=pages[1:])
    names = ["0.png", "1.png", "scratch/a.png", "z.tif[0]", "z.tif[1]", "z.tif[2]"]
    command = SCORE, folder / "gaussian.cbn", *watched(camera)
    cli.done(*command)
    whole = (here / "results.csv").read_bytes()
    assert sorted(row["file"] for row in rows_of(here / "results.csv")) == names
    (here / "results.csv").write_bytes(whole[: whole.index(b"z.tif[2]")])
    cli.done(*command)
    assert (here / "results.csv").read_bytes() == whole


@pytest.mark.parametrize("cut", [1, 5, 30, 100, 10_000])
def test_a_row_that_a_kill_has_cut_is_written_anew(cut, folder, camera, here):
    command = SCORE, folder / "gaussian.cbn", *watched(camera)
    (camera / 'odd,"\nname.png').write_bytes((camera / "0.png").read_bytes())
    cli.done(*command)
    whole = rows_of(here / "results.csv")
    data = (here / "results.csv").read_bytes()
    (here / "results.csv").write_bytes(data[: max(1, len(data) - cut)])
    cli.done(*command)
    assert sorted(map(str, rows_of(here / "results.csv"))) == sorted(map(str, whole))


def test_unreadable_pictures_are_tried_again_and_recorded_once(folder, camera, here):
    data = (camera / "0.png").read_bytes()
    (camera / "0.png").write_bytes(data[:200])
    command = SCORE, folder / "gaussian.cbn", *watched(camera)
    result = cli.done(*command, "--patience", 60)
    assert "1 left for the next run, such as 0.png" in result.err
    assert [row["file"] for row in rows_of(here / "results.csv")] == ["1.png", "scratch/a.png"]
    (camera / "0.png").write_bytes(data)  # the rest has arrived
    cli.done(*command, "--patience", 60)
    assert rows_of(here / "results.csv")[-1]["verdict"] in ("normal", "outlier")
    (camera / "bad.png").write_bytes(b"")
    found = cli.done(*command, "--patience", 0, "--json")
    assert "bad.png" in found.err and "recorded as unreadable" in found.err and "skip-bad" not in found.err
    assert found.json()["n_unreadable"] == 1 and found.json()["images"][0]["verdict"] == "unreadable"
    last = rows_of(here / "results.csv")[-1]
    assert last == dict.fromkeys(COLUMNS, "") | {"file": "bad.png", "verdict": "unreadable", "basis": "none"}
    again = cli.done(*command, "--patience", 0)
    assert "bad.png" not in again.err and len(rows_of(here / "results.csv")) == 4


@contextmanager
def running(*argv):
    """The program as a process of its own."""
    command = [cli.installed(SCORE), *map(str, argv)]
    process = subprocess.Popen(
        command, env=cli.environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def wait_for(what, seconds=60):
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def names_in(path):
    """Files of all whole rows, also while they are written."""
    if not path.exists():
        return []
    return [line.split(",")[0] for line in path.read_text().splitlines(keepends=True)[1:] if line.endswith("\n")]


@pytest.mark.slow
def test_files_that_arrive_while_it_is_killed_and_started_again(folder, camera, here):
    data, record = (camera / "0.png").read_bytes(), here / "results.csv"
    command = folder / "gaussian.cbn", "--watch", camera, "--csv", record, "--interval", "0.1"
    expected = {"0.png", "1.png", "scratch/a.png"}

    def arrive(name):
        (camera / name).write_bytes(data)
        expected.add(name)

    for turn in range(2):
        with running(*command) as process:
            wait_for(lambda: expected <= set(names_in(record)))
            for number in range(8):
                arrive(f"{turn}-{number}.png")
            wait_for(lambda first=f"{turn}-0.png": first in names_in(record))
            process.kill()
    with running(*command) as process:
        arrive("again.png")  # of which a row says that the program runs
        wait_for(lambda: expected <= set(names_in(record)))
        with open(camera / "slow.png", "wb") as file:
            for part in range(0, len(data), 400):  # never the same for an interval
                file.write(data[part : part + 400])
                file.flush()
                time.sleep(0.04)
        expected.add("slow.png")
        os.rename(camera / "slow.png", camera / "moved.png")
        expected = expected - {"slow.png"} | {"moved.png"}
        second = cli.call(SCORE, *command, "--once")
        cli.assert_one_line_error(second, 1, "--csv", "another program")
        wait_for(lambda: expected <= set(names_in(record)))
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=20)
        assert process.returncode == 0 and "new picture" in err and "Traceback" not in err
    with running(*command) as process:
        arrive("late.png")
        wait_for(lambda: "late.png" in names_in(record))
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=20)
        assert process.returncode == 130 and "interrupted; 1 new picture in" in err and "Traceback" not in err
    names = [row["file"] for row in rows_of(record)]
    assert sorted(names) == sorted(expected)
    assert {row["verdict"] for row in rows_of(record)} <= {"normal", "outlier"}


def test_a_record_must_be_one(folder, camera, here):
    command = SCORE, folder / "gaussian.cbn"
    (here / "other.csv").write_text("a,b\n1,2\n")
    cli.assert_one_line_error(
        cli.call(*command, *watched(camera, record="other.csv")), 1, "--csv", "other.csv", "row 1"
    )
    (here / "odd.csv").write_text(",".join(COLUMNS) + "\n0.png\n")
    cli.assert_one_line_error(cli.call(*command, *watched(camera, record="odd.csv")), 1, "--csv", "odd.csv", "row 2")
    assert (here / "other.csv").read_text() == "a,b\n1,2\n"
    cli.assert_one_line_error(cli.call(*command, *watched(camera, record="/dev/null")), 1, "--csv", "plain file")
    cli.assert_one_line_error(cli.call(*command, *watched("none")), 1, "--watch", "'none'")


# ---- maps, masks, boxes ----


def test_raw_maps(model, folder, here):
    estimator, data = cbn.load(model), load_mvtec(folder / "carpet")
    maps = estimator.energy_map(data.test)
    command = SCORE, model, "--data", folder / "carpet", "--json"
    found = cli.done(*command, "--save-maps", "npy").json()
    assert found["map_format"] == "npy" and found["map_scale"] == 1 and found["map_shape"] == [48, 48]
    for row, values in zip(found["images"], maps, strict=True):
        read = np.load(row["raw_map"])
        assert read.dtype == np.float32
        np.testing.assert_array_equal(read, values)
    assert found["images"][0]["raw_map"] == os.path.join("npy", "good_000.npy")
    found = cli.done(*command, "--save-maps", "png", "--map-format", "png16").json()
    scale = json.loads((here / "png/scale.json").read_text())
    assert scale["scale"] == found["map_scale"] == 0.001
    for row, values in zip(found["images"], maps, strict=True):
        with Image.open(row["raw_map"]) as picture:
            assert picture.mode == "I;16"
            np.testing.assert_allclose(np.asarray(picture) * scale["scale"], values, atol=scale["scale"] / 2 * 1.001)


def test_masks_and_boxes_are_regions_above_the_threshold(model, folder, here):
    maps = cbn.load(model).energy_map(load_mvtec(folder / "carpet").test)
    threshold = float(np.quantile(maps, 0.95))
    command = SCORE, model, "--data", folder / "carpet", "--json", "--map-threshold", threshold
    for area in (1, 20):
        found = cli.done(*command, "--save-masks", "masks", "--boxes", "boxes.csv", "--min-area", area).json()
        assert found["map_threshold"] == threshold and found["min_area"] == area
        lines = list(csv.DictReader(io.StringIO((here / "boxes.csv").read_text())))
        assert list(lines[0]) == ["file", "left", "top", "width", "height", "area", "peak"]
        listed = [box for row in found["images"] for box in row["boxes"]]
        assert [{name: float(line[name]) for name in list(line)[1:]} for line in lines] == listed
        assert [line["file"] for line in lines] == [row["image"] for row in found["images"] for _ in row["boxes"]]
        for row, values in zip(found["images"], maps, strict=True):
            with Image.open(row["mask"]) as picture:
                assert picture.mode == "1"
                mask = np.asarray(picture)
            expected, regions = regions_above(values, threshold, area)
            np.testing.assert_array_equal(mask, expected)
            assert row["boxes"] == [region.to_dict() for region in regions]
            assert sum(box["area"] for box in row["boxes"]) == mask.sum()
    assert all(box["area"] >= 20 for box in listed)


def test_automatic_threshold_and_one_level(folder, tmp_path):
    command = SCORE, folder / "gaussian.cbn", "--data", folder / "carpet", "--json"
    found = cli.done(*command, "--map-threshold", "auto").json()
    model = cbn.load(folder / "gaussian.cbn")
    assert found["map_threshold"] == pytest.approx(0.6 * model.provenance_["heat_map_scale"])
    del model.provenance_["heat_map_scale"]
    model.save(tmp_path / "bare.cbn")
    result = cli.call(SCORE, "bare.cbn", "--data", folder / "carpet", "--json", "--map-threshold", "auto")
    cli.assert_one_line_error(result, 1, "--map-threshold auto", "give a number")
    neural = SCORE, folder / "neural.cbn", "--data", folder / "carpet", "--json", "--save-maps", "maps"
    levels = [np.load(cli.done(*neural, "--level", n).json()["images"][0]["raw_map"]) for n in (0, 1)]
    assert not np.array_equal(*levels)


def test_the_scale_of_maps_is_that_of_pictures_that_are_left_out(folder):
    """A Gaussian model is so near to pictures of its fit that maps of others would all be far beyond them."""
    model, data = cbn.load(folder / "gaussian.cbn"), load_mvtec(folder / "carpet")
    others = model.energy_map(data.train, without_own=True)
    usual = np.quantile(others, 0.999), -np.median(model.calibration_scores_)
    assert model.provenance_["heat_map_scale"] == pytest.approx(2 * max(usual))
    assert np.median(model.energy_map(data.train)) < 0.8 * np.median(others)


def test_maps_of_pictures_that_are_left_out_are_those_of_new_ones():
    data = make_category("texture", 40, 10, 1, size=64, random_state=2)
    model = cbn.IntrospectiveEnergyModel(gaussian=Gaussian(directions=16), false_alarm_rate=0.2).fit(data.train)
    others = np.median(model.energy_map(data.train, without_own=True))
    assert others == pytest.approx(np.median(model.energy_map(data.test[data.labels == 0])), rel=0.05)


def test_maps_of_a_watched_folder_survive_a_kill(folder, camera, here):
    options = (
        "--save-maps",
        "raw",
        "--save-masks",
        "masks",
        "--boxes",
        "boxes.csv",
        "--map-threshold",
        "1",
        "--maps",
        "drawn",
    )
    (camera / "0.jpg").write_bytes((camera / "0.png").read_bytes())  # another file of the same stem
    command = SCORE, folder / "gaussian.cbn", *watched(camera, *options)
    cli.done(*command)
    stems = {"0", "0-2", "1", "scratch_a"}
    for name in ("raw", "masks", "drawn"):
        assert {path.stem for path in (here / name).iterdir()} == stems
    whole, boxes = (here / "results.csv").read_bytes(), (here / "boxes.csv").read_bytes()
    before = content(here / "raw")
    rows = whole.splitlines(keepends=True)
    (here / "results.csv").write_bytes(b"".join(rows[:3]))  # as if killed before the third was recorded
    cli.done(*command)
    assert (here / "results.csv").read_bytes() == whole and (here / "boxes.csv").read_bytes() == boxes
    assert [own[1] for own in content(here / "raw").values()] == [own[1] for own in before.values()]


def test_rows_of_a_watched_folder_for_another_program(model, camera, here, capfd):
    (camera / "bad.png").write_text("no picture")
    cli.done(SCORE, model, *watched(camera, "--jsonl", "-", "--patience", 0))
    told, kept = [json.loads(line) for line in capfd.readouterr().out.splitlines()], rows_of(here / "results.csv")
    assert len(told) == 4 and [row["file"] for row in told] == [row["file"] for row in kept]
    for row, own in zip(told, kept, strict=True):
        assert list(row) == COLUMNS and row["verdict"] == own["verdict"]
        assert own["score"] == ("" if row["score"] is None else repr(row["score"]))
    cli.done(SCORE, model, *watched(camera, "--jsonl", "-"))
    assert capfd.readouterr().out == ""


def test_a_picture_that_is_taken_away_while_it_is_scored(folder, camera, monkeypatch, here):
    from cbn.cli import _iem_watch

    read = _iem_watch._Watcher._read

    def read_and_remove(self, name):
        found = read(self, name)
        if name == "1.png":
            (camera / name).unlink()
        return found

    monkeypatch.setattr(_iem_watch._Watcher, "_read", read_and_remove)
    found = cli.done(SCORE, folder / "gaussian.cbn", *watched(camera))
    assert "1.png: taken away before it was scored" in found.err
    assert sorted(row["file"] for row in rows_of(here / "results.csv")) == ["0.png", "scratch/a.png"]


def test_who_reads_the_rows_ends_before_the_watcher(folder, camera, here):
    command = [cli.installed(SCORE), folder / "gaussian.cbn", *watched(camera, "--jsonl", "-")]
    read, write = os.pipe()
    os.close(read)
    with subprocess.Popen([*map(str, command)], stdout=write, stderr=subprocess.PIPE, text=True) as process:
        os.close(write)
        lines = cli.unassumed(process.communicate(timeout=60)[1])
    assert process.returncode == 1 and [line for line in lines if "--jsonl -: who read stdout has ended" in line]
    assert not [line for line in lines if "Traceback" in line]
    cli.done(SCORE, folder / "gaussian.cbn", *watched(camera))
    assert len(rows_of(here / "results.csv")) == 3


def test_a_watcher_that_nobody_reads_ends_when_it_is_told(folder, camera, here):
    command = [cli.installed(SCORE), folder / "gaussian.cbn", "--watch", camera, "--csv", "results.csv", "--jsonl", "-"]
    read, write = os.pipe()
    os.set_blocking(write, False)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(write, bytes(4096))
    os.set_blocking(write, True)
    with subprocess.Popen(
        [*map(str, command), "--interval", "0.05"], stdout=write, stderr=subprocess.PIPE, text=True
    ) as process:
        wait_for(lambda: (here / "results.csv").exists() and (here / "results.csv").stat().st_size > 0)
        time.sleep(2)  # it waits for room by then; where it does not, it ends as well
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=20)
    os.close(read), os.close(write)
    assert process.returncode == 0 and "0 new pictures" in err
    assert rows_of(here / "results.csv") == []


# ---- wrong usage ----


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("--data x --alarm-threshold 2 --false-alarm-rate 0.1", ["--alarm-threshold", "--false-alarm-rate"]),
        ("--data x --alarm-threshold 2 --fdr 0.1", ["--alarm-threshold", "--fdr"]),
        ("--data x --alarm-threshold 2 --extrapolate", ["--alarm-threshold", "--extrapolate"]),
        ("--data x --alarm-threshold nan", ["--alarm-threshold", "not a number"]),
        ("--data x --save-calibrated a.cbn", ["--save-calibrated", "--calibration"]),
        ("--calibration x", ["give one of"]),
        ("--calibration x --save-calibrated a.cbn --maps m", ["--maps", "--data"]),
        ("--data x --watch y --csv a.csv", ["both given"]),
        ("--watch y", ["--watch", "--csv"]),
        ("--watch y --csv -", ["--watch", "--csv"]),
        ("--watch y --csv a.csv --fdr 0.1", ["--fdr", "--watch"]),
        ("--watch y --csv a.csv --n 3", ["--n", "--watch"]),
        ("--watch y --csv a.csv --jsonl b.jsonl", ["--jsonl", "--csv"]),
        ("--watch y --csv a.csv --jsonl - --once --json", ["--jsonl", "--json"]),
        ("--watch y --csv a.csv --json", ["--json", "--once"]),
        ("--watch y --csv a.csv --interval 0", ["--interval", "from 0.01"]),
        ("--watch . --csv a.csv", ["--csv", "nothing is changed"]),
        ("--watch . --csv ../a.csv --maps m", ["--maps", "nothing is changed"]),
        ("--data x --once", ["--once", "--watch"]),
        ("--data x --patience 3", ["--patience", "--watch"]),
        ("--data x --map-format png16", ["--map-format", "--save-maps"]),
        ("--data x --save-masks m", ["--save-masks", "--map-threshold"]),
        ("--data x --boxes b.csv", ["--boxes", "--map-threshold"]),
        ("--data x --min-area 4", ["--min-area", "--map-threshold"]),
        ("--data x --map-threshold 2", ["--map-threshold", "--boxes"]),
        ("--data x --map-threshold high --json", ["--map-threshold", "'high'"]),
        ("--data x --map-threshold auto --json --level 1", ["--map-threshold auto", "--level"]),
        ("--data x --maps m --save-maps m", ["--save-maps", "--maps"]),
        ("--data x --map-threshold 2 --boxes b.csv --csv b.csv", ["--boxes", "--csv"]),
    ],
)
def test_wrong_usage(arguments, words):
    cli.assert_one_line_error(cli.call(SCORE, *arguments.split()), 2, *words)


def test_what_cannot_be_used(folder, camera):
    gaussian = folder / "gaussian.cbn"
    for arguments, words in (
        ([gaussian, "--data", camera, "--calibration", "none"], ["--calibration: none does not exist"]),
        ([gaussian, "--data", camera, "--calibration", folder / "carpet"], ["--calibration", "no pictures"]),
        ([gaussian, "--data", camera, "--save-maps", ""], ["--save-maps", "empty"]),
        ([gaussian, "--data", camera / "0.png", "--save-maps", gaussian], ["gaussian.cbn"]),
        ([gaussian, "--data", camera, "--boxes", "no/b.csv", "--map-threshold", 1], ["--boxes", "no/b.csv"]),
    ):
        cli.assert_one_line_error(cli.call(SCORE, *arguments), 1, *words)
    many = TRAIN, "--data", folder, "--categories", "all", "--calibration", folder / "today"
    cli.assert_one_line_error(cli.call(*many), 2, "--calibration", "--categories")


def test_one_frame_wants_an_axis(folder):
    grey = cbn.load(folder / "gaussian.cbn")
    frame = load_mvtec(folder / "carpet").test[0]
    for picture in (frame, frame[..., None], np.repeat(frame[..., None], 3, axis=2)):
        with pytest.raises(DataError, match=r"picture\[None\]"):
            grey.score_samples(picture)
    assert grey.score_samples(frame[None]).shape == (1,)
    assert grey.score_samples(frame[None, ..., None]) == grey.score_samples(frame[None])


# ---- what training says of good test pictures ----


def test_false_alarms_are_reported_with_an_interval(folder, here):
    command = TRAIN, "--data", folder / "carpet", *KINDS["gaussian"], "--false-alarm-rate", 0.2, "--out", "a.cbn"
    found = cli.done(*command, "--json").json()
    own = found["false_alarms"]
    model, data = cbn.load("a.cbn"), load_mvtec(folder / "carpet")
    assert own["of"] == 4 and own["n"] == (model.predict(data.test[data.labels == 0]) == -1).sum()
    assert own["interval"][0] <= own["rate"] == own["n"] / 4 <= own["interval"][1]
    assert 0 <= found["good_against_calibration"]["auroc"] <= 1
    assert f"false alarms     {own['n']} of 4 good test pictures" in cli.done(*command).out


def test_good_test_pictures_unlike_training_pictures_are_said(folder, here):
    shutil.copytree(folder / "carpet", here / "noisy")
    rng = np.random.default_rng(0)
    for number in range(8):
        picture = np.asarray(Image.open(folder / f"carpet/train/good/00{number}.png")).astype(int)
        picture = np.clip(picture + rng.integers(-60, 60, picture.shape), 0, 255).astype(np.uint8)
        Image.fromarray(picture).save(here / f"noisy/test/good/00{number}.png")
    command = TRAIN, "--data", "noisy", *KINDS["gaussian"], "--false-alarm-rate", 0.2, "--out", "a.cbn"
    result = cli.done(*command, "--json")
    assert result.json()["good_against_calibration"]["p_value"] < 0.01
    assert "good test pictures are not like training pictures (AUROC " in result.err
    assert result.err.strip().endswith("expect other false-alarm rates; recalibrate with --calibration")
    assert "not like" not in cli.done(*command, "--quiet").err
    calibrated = cli.done(*command, "--calibration", here / "noisy/test/good")
    assert "not like" not in calibrated.err


def test_pictures_that_were_trained_on_are_no_measure_of_difference(capsys):
    class Arguments:
        quiet, program = False, TRAIN

    found = {"category": "a", "good_against_calibration": {"auroc": 0.9, "p_value": 1e-5}}
    for source, words in (
        ("training images", ""),
        ("held-out images", "recalibrate with"),
        ("separate images", "calibrate with"),
    ):
        warn_of_difference(Arguments, found | {"calibration": source})
        said = capsys.readouterr().err
        assert words in said and bool(said) == bool(words)
