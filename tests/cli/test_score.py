# SPDX-License-Identifier: BSD-3-Clause
"""cbn-score: scores, p-values, verdicts and heat maps."""

import itertools
import os
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

import cbn
from cbn.cli._models import load_fitted
from cbn.fit.fitted import Fitted
from helpers import programs as cli

TRAIN, TEST = cli.grey_images(40, 6, 5), cli.grey_images(30, 6, 5, 9)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A trained model.cbn and test.npy; a fifth of the test images are upside down."""
    folder = tmp_path_factory.mktemp("score")
    TEST[::5] = TEST[::5, ::-1]
    np.save(folder / "train.npy", TRAIN)
    np.save(folder / "test.npy", TEST)
    cli.done("cbn-train", "--data", folder / "train.npy", "--false-alarm-rate", "0.1", "--out", folder / "model.cbn")
    return folder


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def score(folder, *arguments, data=None):
    data = folder / "test.npy" if data is None else data
    return cli.done("cbn-score", "--model", folder / "model.cbn", "--data", data, *arguments)


@pytest.mark.parametrize("rate", [None, 0.05, 0.1, 0.2, 0.5, 0.99])
def test_scores_p_values_and_verdicts(folder, rate):
    given = () if rate is None else ("--false-alarm-rate", rate)
    result = score(folder, "--json", *given).json()
    scores, p_values = cli.naive_scores(cli.bits_of(TRAIN), cli.bits_of(TEST))
    rows = result["images"]
    assert [row["image"] for row in rows] == [str(i) for i in range(30)]
    np.testing.assert_allclose([row["score"] for row in rows], scores, atol=1e-9)
    np.testing.assert_allclose([row["p_value"] for row in rows], p_values, atol=1e-12)
    expected = ["outlier" if p <= (rate or 0.1) + 1e-12 else "normal" for p in p_values]
    assert [row["verdict"] for row in rows] == expected
    assert result["n_outliers"] == expected.count("outlier")
    assert 0 < result["n_outliers"] <= 30
    assert result["n"] == 30 and result["false_alarm_rate"] == (rate or 0.1)


def test_table_agrees_with_json(folder):
    table = score(folder)
    rows = [line.split("\t") for line in table.out.splitlines()]
    assert rows[0] == ["image", "score (higher = more normal)", "p_value", "verdict"]
    for row, one in zip(rows[1:], score(folder, "--json").json()["images"], strict=True):
        assert row[0] == one["image"] and row[3] == one["verdict"]
        assert float(row[1]) == pytest.approx(one["score"], rel=1e-5)
        assert float(row[2]) == pytest.approx(one["p_value"], rel=1e-5)
    assert "0.3 x 255" in table.err and "0.1" in table.err  # what the scores mean; the rate


def test_probabilities_of_all_images_sum_to_one(here):
    """All 64 binary images of 3 x 2 pixels."""
    every = np.array(list(itertools.product((0, 255), repeat=6)), np.uint8).reshape(64, 3, 2)
    np.save("every.npy", every)
    np.save("train.npy", cli.grey_images(9, 3, 2))
    cli.done("cbn-train", "--data", "train.npy", "--false-alarm-rate", "0.5")
    rows = cli.done("cbn-score", "--data", "every.npy", "--json").json()["images"]
    assert np.exp([row["score"] for row in rows]).sum() == pytest.approx(1, abs=1e-12)


def test_probabilities_of_all_grey_levels_sum_to_one(here):
    """All images of 1 x 3 pixels with four grey levels, under three thresholds."""
    every = np.array(list(itertools.product((0, 50, 100, 255), repeat=3)), np.uint8).reshape(64, 1, 3)
    np.save("every.npy", every)
    np.save("train.npy", cli.grey_images(9, 1, 3))
    cli.done("cbn-train", "--data", "train.npy", "--false-alarm-rate", "0.5", "--threshold", "0.1,0.3,0.6")
    rows = cli.done("cbn-score", "--data", "every.npy", "--json").json()["images"]
    assert np.exp([row["score"] for row in rows]).sum() == pytest.approx(1, abs=1e-12)


def test_choosing_images(folder, here):
    labels = np.arange(30) % 3
    np.savez("split.npz", x_train=TRAIN, y_train=np.arange(40) % 2, x_test=TEST, y_test=labels)
    by_image = {row["image"]: row["score"] for row in score(folder, "--json").json()["images"]}
    found = score(folder, "--json", "--digit", "2", "--n", "4", data="split.npz").json()["images"]  # the test images
    assert [row["image"] for row in found] == ["2", "5", "8", "11"]
    assert [row["label"] for row in found] == [2, 2, 2, 2]
    assert [row["score"] for row in found] == [by_image[row["image"]] for row in found]
    assert score(folder, "--json", "--split", "train", data="split.npz").json()["n"] == 40
    header = score(folder, data="split.npz").out.splitlines()[0].split("\t")
    assert header == ["image", "label", "score (higher = more normal)", "p_value", "verdict"]


def test_pictures_are_named(folder, here):
    cli.write_pictures(here / "pictures" / "a", TEST[:3])
    cli.write_pictures(here / "pictures" / "b", TEST[3:5])
    rows = score(folder, "--json", data="pictures").json()["images"]
    assert [row["image"] for row in rows] == ["a/000.png", "a/001.png", "a/002.png", "b/000.png", "b/001.png"]
    assert [row["label"] for row in rows] == list("aaabb")
    reference = score(folder, "--json", "--n", "5").json()["images"]
    assert [row["score"] for row in rows] == [row["score"] for row in reference]


@pytest.mark.parametrize("name", ["tab\there.png", "line\nbreak.png"])
def test_odd_names_leave_the_table_readable(folder, here, name):
    """A tab or newline in a file name must not look like another column or row."""
    cli.write_pictures(here / "pictures", TEST[:1])
    os.rename(here / "pictures" / "000.png", here / "pictures" / name)
    lines = score(folder, data="pictures").out.splitlines()
    assert len(lines) == 2
    assert len(lines[1].split("\t")) == 4


def test_odd_labels_leave_the_table_readable(folder, here):
    np.savez("odd.npz", images=TEST[:2], labels=np.array(["a\tb", "c\nd"]))
    lines = score(folder, data="odd.npz").out.splitlines()
    assert [len(line.split("\t")) for line in lines] == [5, 5, 5]


def test_heat_maps(folder, here):
    result = score(folder, "--n", "3", "--heatmap", "maps/deep", "--json").json()
    paths = [row["heatmap"] for row in result["images"]]
    assert len(set(paths)) == 3
    assert sorted(os.listdir("maps/deep")) == sorted(os.path.basename(path) for path in paths)
    pictures = []
    for path in paths:
        with Image.open(path) as picture:
            assert picture.format == "PNG" and min(picture.size) > 5
            pictures.append(np.asarray(picture.convert("RGB")))
    assert pictures[0].shape == pictures[1].shape and (pictures[0] != pictures[1]).any()
    table = score(folder, "--n", "3", "--heatmap", "maps/deep").out.splitlines()
    assert table[0].split("\t")[-1] == "heatmap" and table[1].split("\t")[-1] == paths[0]


def test_heat_maps_do_not_overwrite_each_other(folder, here):
    """p.png and p.bmp, or a/b.png and a_b.png, are four images and need four heat maps."""
    cli.write_pictures(here / "pictures" / "a_b", TEST[:1])
    cli.write_pictures(here / "pictures" / "a_b", TEST[1:2], ".bmp")
    cli.write_pictures(here / "pictures" / "a", TEST[2:3])
    os.rename(here / "pictures" / "a" / "000.png", here / "pictures" / "a" / "b_000.png")
    rows = score(folder, "--heatmap", "maps", "--json", data="pictures").json()["images"]
    assert len(rows) == 3
    assert len({row["heatmap"] for row in rows}) == 3
    assert len(os.listdir("maps")) == 3


def test_heat_map_folder_that_cannot_be(folder, here):
    (here / "file").write_text("")
    for path in ("file", "file/maps", ""):
        arguments = ("--model", folder / "model.cbn", "--data", folder / "test.npy", "--heatmap", path)
        cli.assert_one_line_error(cli.call("cbn-score", *arguments), 1, path or "--heatmap")


def test_scores_do_not_depend_on_threads(folder):
    texts = {score(folder, "--threads", threads, "--quiet").out for threads in (1, 2, 3)}
    assert len(texts) == 1


def test_images_of_another_binarization_are_not_scored_in_silence(folder, here):
    """Binary images of an unknown rule under a model of 'value > 0.3 x 255': the likelihoods do not compare."""
    np.save("binary.npy", TEST > 200)
    result = cli.call("cbn-score", "--model", folder / "model.cbn", "--data", "binary.npy")
    told = result.err.replace("value > 0.3 x 255", "")
    assert "binar" in told, result.err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--false-alarm-rate", "0"], ["--false-alarm-rate", "0"]),
        (["--false-alarm-rate", "1.5"], ["--false-alarm-rate", "1.5"]),
        (["--false-alarm-rate", "often"], ["--false-alarm-rate", "often"]),
        (["--n", "0"], ["--n", "0"]),
        (["--n", "1.5"], ["--n", "1.5"]),
    ],
)
def test_wrong_usage(folder, arguments, words):
    cli.assert_one_line_error(cli.call("cbn-score", "--model", folder / "model.cbn", *arguments), 2, *words)


def test_rate_too_low_for_the_calibration_images(folder):
    """Forty images allow no alarm at 0.001: said in one line with the numbers, and nothing is called an outlier."""
    result = score(folder, "--false-alarm-rate", "0.001", "--json")
    assert result.json()["n_outliers"] == 0
    assert "999" in result.err and "40" in result.err
    assert len(result.err.splitlines()) == 1


def test_explanations(folder):
    rows = score(folder, "--n", "3", "--explain", "2", "--json").json()["images"]
    model = cbn.load(folder / "model.cbn")
    for i, row in enumerate(rows):
        expected = model.explain(TEST[i], 2)
        assert [node["sentence"] for node in row["explanation"]] == [str(node) for node in expected]
        assert [node["surprise"] for node in row["explanation"]] == [node.surprise for node in expected]
        assert row["explanation"][0]["count"] <= row["explanation"][0]["row_count"] <= 40
    lines = score(folder, "--n", "3", "--explain", "2").out.splitlines()
    assert len(lines) == 1 + 3 * 3
    for i, row in enumerate(rows):
        assert lines[1 + 3 * i].split("\t")[0] == row["image"]  # the sentences stand under their image
        assert lines[2 + 3 * i : 4 + 3 * i] == [f"  {node['sentence']}" for node in row["explanation"]]


def test_explanations_without_a_number(folder):
    rows = score(folder, "--n", "1", "--json", "--explain").json()["images"]
    assert len(rows[0]["explanation"]) == 5
    assert "explanation" not in score(folder, "--n", "1", "--json").json()["images"][0]


def test_explanations_with_heat_maps(folder, here):
    lines = score(folder, "--n", "1", "--explain", "1", "--heatmap", "maps").out.splitlines()
    assert len(lines) == 3 and lines[1].endswith(".png") and lines[2].startswith("  pixel (")


@pytest.mark.parametrize("number", ["0", "many"])
def test_explanations_of_a_wrong_number(folder, number):
    result = cli.call("cbn-score", "--model", folder / "model.cbn", "--explain", number)
    cli.assert_one_line_error(result, 2, "--explain", number)


# ---- repair ----


def test_repair(folder, here):
    result = score(folder, "--json", "--repair", "repaired", "--false-alarm-rate", "0.3").json()
    fitted = load_fitted(folder / "model.cbn")
    model = replace(fitted, settings=replace(fitted.settings, false_alarm_rate=0.3))
    outliers = [row for row in result["images"] if row["verdict"] == "outlier"]
    assert 0 < len(outliers) < 30
    for row in result["images"]:
        if row["verdict"] == "normal":
            assert row["changes"] == 0 and "repair" not in row
            continue
        found = model.repair(TEST[int(row["image"])])
        assert row["changes"] == (len(found.changes) if found.succeeded else None) != 0
        assert row["repair"] == os.path.join("repaired", f"{row['image']}.png")
        with Image.open(row["repair"]) as picture:
            assert picture.mode == "RGB"
    assert any(row["changes"] for row in outliers)
    assert sorted(os.listdir("repaired")) == sorted(os.path.basename(row["repair"]) for row in outliers)
    lines = score(folder, "--repair", "again", "--false-alarm-rate", "0.3").out.splitlines()
    changes = [row["changes"] for row in result["images"]]
    assert [line.split("\t")[-1] for line in lines] == ["changes", *("-" if n is None else str(n) for n in changes)]


def test_a_repair_that_fails_is_a_dash(folder, monkeypatch):
    whole = Fitted.repair
    monkeypatch.setattr(Fitted, "repair", lambda self, image: whole(self, image, 1))
    arguments = "--repair", "repaired", "--false-alarm-rate", "0.3"
    rows = score(folder, *arguments, "--json").json()["images"]
    assert None in [row["changes"] for row in rows]
    cells = [line.split("\t")[-1] for line in score(folder, *arguments).out.splitlines()[1:]]
    assert cells == ["-" if row["changes"] is None else str(row["changes"]) for row in rows]


def test_repair_needs_a_folder(folder):
    result = cli.call("cbn-score", "--model", folder / "model.cbn", "--data", folder / "test.npy", "--repair", "")
    cli.assert_one_line_error(result, 1, "--repair: empty", "folder")


def test_explain_under_trees(folder, here):
    cli.done("cbn-train", "--data", folder / "train.npy", "--preset", "tree", "--out", "tree.cbn")
    arguments = "--model", "tree.cbn", "--data", folder / "test.npy", "--n", "2", "--explain", "3"
    rows = cli.done("cbn-score", *arguments, "--json").json()["images"]
    model = cbn.load("tree.cbn")
    for i, row in enumerate(rows):
        assert row["explanation"] == [node.to_dict() for node in model.explain(TEST[i], 3)]
        assert row["explanation"][0]["leaf_count"] > 0
    lines = cli.done("cbn-score", *arguments).out.splitlines()
    assert [line.strip() for line in lines if line.startswith("  ")] == [
        node["sentence"] for row in rows for node in row["explanation"]
    ]
