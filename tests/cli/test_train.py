# SPDX-License-Identifier: BSD-3-Clause
"""cbn-train: what it learns, prints and writes, and how it refuses."""

import json
import re

import numpy as np
import pytest

import cbn
from helpers import programs as cli

# So few images allow an alarm only at a high rate, and no warning is wanted where it is not the subject.
RATE = ("--false-alarm-rate", "0.5")


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty working folder with grey.npy: 40 images of 6 x 5."""
    monkeypatch.chdir(tmp_path)
    np.save("grey.npy", cli.grey_images(40, 6, 5))
    return tmp_path


# ---- data of one's own ----


def forms(folder):
    """The same 40 images with labels 0, 1, 2 in every form with labels: (name of the form, arguments)."""
    images, labels = cli.grey_images(40, 6, 5), np.arange(40) % 3
    np.save(folder / "images.npy", images)
    np.save(folder / "labels.npy", labels)
    np.savez(folder / "plain.npz", images=images, labels=labels)
    cli.write_idx(folder / "images.idx", images)
    cli.write_idx(folder / "labels.idx", labels)
    cli.write_idx(folder / "images.idx.gz", images)
    for label in range(3):
        cli.write_pictures(folder / "pictures" / str(label), images[labels == label])
    (folder / "idx").mkdir()
    cli.write_idx(folder / "idx" / "train-images-idx3-ubyte", images)
    cli.write_idx(folder / "idx" / "train-labels-idx1-ubyte.gz", labels)
    return {
        "npy": ("--data", folder / "images.npy", "--labels", folder / "labels.npy"),
        "npz": ("--data", folder / "plain.npz"),
        "idx": ("--data", folder / "images.idx", "--labels", folder / "labels.idx"),
        "gzipped idx": ("--data", folder / "images.idx.gz", "--labels", folder / "labels.npy"),
        "pictures": ("--data", folder / "pictures"),
        "idx folder": ("--data", folder / "idx"),
    }


@pytest.mark.parametrize("form", ["npy", "npz", "idx", "gzipped idx", "pictures", "idx folder"])
def test_every_form_of_data_gives_the_same_model(here, form):
    arguments = forms(here)[form]
    result = cli.done("cbn-train", *arguments, "--digit", "1", *RATE, "--json", "--quiet").json()
    assert (result["digit"], result["n_train"], result["auroc"]) == (1, 13, None)
    bits = cli.bits_of(cli.grey_images(40, 6, 5))
    scores, _ = cli.naive_scores(bits[1::3], bits)
    np.testing.assert_allclose(cbn.load("model.cbn").score_samples(cli.grey_images(40, 6, 5)), scores, atol=1e-9)


def test_flat_pictures_need_no_labels(here):
    cli.write_pictures(here / "flat", cli.grey_images(7, 4, 9))
    result = cli.done("cbn-train", "--data", "flat", *RATE, "--json").json()
    assert (result["n_train"], result["digit"]) == (7, None)
    assert cbn.load("model.cbn").image_shape_ == (4, 9)


def test_test_images_give_auroc_and_log_probability(here):
    images, labels = cli.grey_images(60, 6, 5), np.arange(60) % 2
    images[labels == 1] = images[labels == 1, ::-1]
    np.savez("split.npz", x_train=images[:40], y_train=labels[:40], x_test=images[40:], y_test=labels[40:])
    result = cli.done("cbn-train", "--data", "split.npz", "--digit", "0", "--json", "--quiet").json()
    bits = cli.bits_of(images)
    scores, _ = cli.naive_scores(bits[:40][labels[:40] == 0], bits[40:])
    own = labels[40:] == 0
    wins = np.mean(scores[own][:, None] > scores[~own]) + 0.5 * np.mean(scores[own][:, None] == scores[~own])
    assert result["n_test"] == 20
    assert result["log_probability_test"] == pytest.approx(scores[own].mean(), abs=1e-9)
    assert result["auroc"]["log_probability"] == pytest.approx(100 * wins, abs=1e-9)


def test_digit_all_on_named_labels(here):
    for label in ("cat", "dog"):
        cli.write_pictures(here / "animals" / label, cli.grey_images(12, 3, 3, len(label)))
    arguments = ("--data", "animals", "--label", "all", "--out", "net.cbn")
    result = cli.done("cbn-train", *arguments, *RATE, "--json", "--quiet").json()
    assert [one["digit"] for one in result["digits"]] == ["cat", "dog"]
    assert result["mean_auroc"] is None
    assert cbn.load("net-cat.cbn").n_images_ == cbn.load("net-dog.cbn").n_images_ == 12
    lines = cli.done("cbn-train", *arguments, *RATE).out.splitlines()
    assert "2 labels, one model each; no test images" in lines[0] and not any("relations" in line for line in lines)


def test_labels_cannot_lead_files_astray(here):
    """A label is data: it must not choose the folder that is written to."""
    inner = here / "a" / "b"
    inner.mkdir(parents=True)
    np.savez("labels.npz", images=cli.grey_images(4, 3, 3), labels=np.array(["/../../../evil", "x"] * 2))
    before = set(here.glob("*"))
    cli.call("cbn-train", "--data", "labels.npz", "--digit", "all", "--quiet", "--out", inner / "model.cbn")
    assert set(here.glob("*")) == before
    assert set((here / "a").glob("*")) == {inner}


def test_labels_with_slashes_still_train(here):
    np.savez("labels.npz", images=cli.grey_images(4, 3, 3), labels=np.array(["a/b", "c"] * 2))
    result = cli.call("cbn-train", "--data", "labels.npz", "--digit", "all", "--json", "--quiet")
    assert [one["digit"] for one in result.json()["digits"]] == ["a/b", "c"]
    assert len(list(here.glob("*.cbn"))) == 2


def test_labels_alike_as_file_names_keep_their_models_apart(here):
    """One model a label, whatever has to be replaced in the names; or a refusal before any is written."""
    np.savez("labels.npz", images=cli.grey_images(40, 3, 3), labels=np.array(["a/b", "a_b"] * 20))
    result = cli.call("cbn-train", "--data", "labels.npz", "--digit", "all", *RATE, "--json")
    if result.code:
        cli.assert_one_line_error(result, 1, "a/b", "a_b")
        assert list(here.glob("*.cbn")) == []
    else:
        names = [one["model"] for one in result.json()["digits"]]
        assert len(set(names)) == 2
        assert [cbn.load(name).provenance_["label"] for name in names] == ["a/b", "a_b"]


def test_calibration_without_one_of_the_labels_is_refused_first(here):
    images = cli.grey_images(40, 3, 3)
    np.savez("both.npz", images=images, labels=np.array(["a", "b"] * 20))
    np.savez("one.npz", images=images, labels=np.array(["a"] * 40))
    result = cli.call("cbn-train", "--data", "both.npz", "--digit", "all", "--calibration", "one.npz", *RATE)
    cli.assert_one_line_error(result, 1, "--calibration", "'b'")
    assert list(here.glob("*.cbn")) == []


@pytest.mark.parametrize("option", ["--data", "--labels", "--calibration"])
def test_output_over_an_input_is_refused(here, option):
    """A slip of the hand must not cost the data."""
    np.save("calibration.npy", cli.grey_images(40, 6, 5, 1))
    np.save("labels.npy", np.arange(40) % 2)
    given = {"--data": "grey.npy", "--labels": "labels.npy", "--calibration": "calibration.npy"}
    content = (here / given[option]).read_bytes()
    arguments = [word for pair in given.items() for word in pair]
    result = cli.call("cbn-train", *arguments, *RATE, "--out", given[option])
    assert (here / given[option]).read_bytes() == content
    cli.assert_one_line_error(result, 2, "--out", given[option])


# ---- options of the model ----


def test_thermometer_thresholds(here):
    result = cli.done("cbn-train", "--data", "grey.npy", "--threshold", "0.1,0.3,0.6", *RATE, "--json").json()
    for threshold in ("0.1", "0.3", "0.6"):
        assert threshold in result["binarization"]
    images = cli.grey_images(40, 6, 5)
    bits = cli.bits_of(images, (0.1, 0.3, 0.6))
    scores, _ = cli.naive_scores(bits, bits)
    np.testing.assert_allclose(cbn.load("model.cbn").score_samples(images), scores, atol=1e-9)


def test_offsets_pseudocount_and_score_reach_the_model(here):
    arguments = ("--offsets=-1,0;0,-2", "--pseudocount", "0.25", "--score", "surprise", "--false-alarm-rate", "0.1")
    result = cli.done("cbn-train", "--data", "grey.npy", *arguments, "--json").json()
    assert (result["score"], result["false_alarm_rate"]) == ("surprise", 0.1)
    model, images = cbn.load("model.cbn"), cli.grey_images(40, 6, 5)
    bits = cli.bits_of(images)
    scores, _ = cli.naive_scores(bits, bits, 0.25, ((-1, 0), (0, -2)))
    np.testing.assert_allclose(model.score_samples(images, score="log_probability"), scores, atol=1e-9)
    assert result["threshold"] == pytest.approx(model.offset_)


def test_offsets_as_help_writes_them(here):
    """The default that --help prints, given as it stands there, is the default."""
    cli.done("cbn-train", "--data", "grey.npy", *RATE, "--out", "default.cbn")
    result = cli.call(
        "cbn-train", "--data", "grey.npy", "--offsets", "-1,-1;-1,0;-1,1;0,-1", *RATE, "--out", "given.cbn"
    )
    assert result.code == 0, result.err
    assert (cbn.load("given.cbn").counts_ == cbn.load("default.cbn").counts_).all()


@pytest.mark.parametrize(
    ("shape", "seed"),
    [((12, 1, 1), 0), ((12, 1, 9), 1), ((12, 9, 1), 2), ((1, 6, 5), 3), ((1, 1, 1), 4), ((3, 2, 70), 5)],
)
def test_unusual_shapes(here, shape, seed):
    images = cli.grey_images(*shape, seed)
    images.flat[0] = 0  # the only pixel of one image: black
    np.save("odd.npy", images)
    result = cli.done("cbn-train", "--data", "odd.npy", "--false-alarm-rate", "0.9", "--json").json()
    assert result["n_train"] == shape[0]
    model = cbn.load("model.cbn")
    assert model.image_shape_ == shape[1:]
    bits = cli.bits_of(images)
    np.testing.assert_allclose(model.score_samples(images), cli.naive_scores(bits, bits)[0], atol=1e-9)


def test_too_few_images_for_the_rate_is_said_once_with_the_numbers(here):
    result = cli.done("cbn-train", "--data", "grey.npy", "--json")
    assert result.json()["threshold"] is None
    (line,) = cli.unassumed(result.err)
    assert line.startswith("cbn-train: ") and "40" in line and "99" in line


def test_calibration_images_set_the_threshold(here):
    images = cli.grey_images(150, 6, 5, 1)
    np.save("calibration.npy", images)
    result = cli.done("cbn-train", "--data", "grey.npy", "--calibration", "calibration.npy", "--json")
    found = result.json()
    assert (found["n_calibration"], found["false_alarm_rate"]) == (150, 0.01)
    scores, _ = cli.naive_scores(cli.bits_of(cli.grey_images(40, 6, 5)), cli.bits_of(images))
    model = cbn.load("model.cbn")
    np.testing.assert_allclose(model.calibration_scores_, np.sort(scores), atol=1e-9)
    assert np.isfinite(found["threshold"])
    # at most floor(0.01 x 151) = 1 calibration image lies at or below every score that raises an alarm
    rounding = 1e-9 * np.abs(scores).max()  # by which the threshold is lower, so that ties raise none
    assert np.sort(scores)[0] <= found["threshold"] + rounding + 1e-9 <= np.sort(scores)[1] + 2e-9


def test_enough_calibration_images_leave_nothing_to_warn_of(here):
    """The few training images do not matter where --calibration sets the threshold."""
    np.save("calibration.npy", cli.grey_images(150, 6, 5, 1))
    result = cli.done("cbn-train", "--data", "grey.npy", "--calibration", "calibration.npy")
    assert cli.unassumed(result.err) == []


def test_dry_run_trains_nothing(here):
    result = cli.done("cbn-train", "--data", "grey.npy", "--dry-run", "--json").json()
    assert list(here.glob("*.cbn")) == []
    assert (result["n_train"], result["image_shape"]) == (40, [6, 5])
    cli.done("cbn-train", "--data", "grey.npy", "--quiet")
    assert result["n_parameters"] == json.loads(cli.done("cbn-show", "--json", "--quiet").out)["n_parameters"]
    low, high = result["expected_fit_seconds_range"]
    assert 0 < low < result["expected_fit_seconds"] < high
    assert all(size > 0 for size in result["memory_bytes"].values())
    text = cli.done("cbn-train", "--data", "grey.npy", "--dry-run").out
    assert f"{result['n_parameters']:,}" in text
    assert re.search(
        r"^expected +about [\d.]+ to [\d.]+ s to fit \(from trials on up to 40 images\)$", text, re.MULTILINE
    )


def test_dry_run_refuses_what_training_refuses(here):
    result = cli.call("cbn-train", "--data", "grey.npy", "--digit", "all", "--dry-run")
    cli.assert_one_line_error(result, 1, "--digit", "labels")


# ---- refusals ----

SEVENTEEN = ";".join(f"-1,{dx}" for dx in range(-8, 9))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--preset", "foo"], ["preset", "foo", "pixel"]),
        (["--score", "foo"], ["score", "foo", "surprise", "log_probability"]),
        (["--threshold", "x"], ["threshold", "x", "0.3"]),
        (["--threshold", ""], ["threshold"]),
        (["--threshold", "0.3,"], ["threshold", "0.3,"]),
        (["--threshold", "1"], ["threshold", "1", "[0, 1)"]),
        (["--threshold", "-0.1"], ["threshold", "-0.1"]),
        (["--threshold", "nan"], ["threshold", "nan"]),
        (["--threshold", "0.3,0.1"], ["threshold", "0.3", "increas"]),
        (["--threshold", "0.1,0.1"], ["threshold", "increas"]),
        (["--threshold", "0.1,0.101"], ["threshold", "increas"]),  # the same cut of integers
        (["--offsets", "x"], ["offsets", "x"]),
        (["--offsets", ""], ["offsets"]),
        (["--offsets", "1,1"], ["offsets", "(1, 1)"]),
        (["--offsets=0,0"], ["offsets", "(0, 0)"]),
        (["--offsets=0,1"], ["offsets", "(0, 1)"]),
        (["--offsets=-1"], ["offsets", "-1"]),
        (["--offsets=-1,0,2"], ["offsets"]),
        (["--offsets=-1,0;-1,0"], ["offsets", "twice"]),
        (["--offsets=-1,0.5"], ["offsets"]),
        ([f"--offsets={SEVENTEEN}"], ["offsets", "17", "16"]),
        (["--pseudocount", "0"], ["pseudocount", "0"]),
        (["--pseudocount", "-1"], ["pseudocount", "-1"]),
        (["--pseudocount", "nan"], ["pseudocount", "nan"]),
        (["--pseudocount", "inf"], ["pseudocount", "inf"]),
        (["--pseudocount", "x"], ["pseudocount", "x"]),
        (["--false-alarm-rate", "0"], ["--false-alarm-rate", "0"]),
        (["--false-alarm-rate", "1"], ["--false-alarm-rate", "1"]),
        (["--false-alarm-rate", "nan"], ["--false-alarm-rate", "nan"]),
        (["--labels"], ["--labels"]),
    ],
)
def test_wrong_usage(here, arguments, words):
    cli.assert_one_line_error(cli.call("cbn-train", "--data", "grey.npy", *arguments), 2, *words)
    assert list(here.glob("*.cbn")) == []


def test_wrong_options_are_refused_before_the_data_are_read(here):
    """A typing error in an option shows at once, not after minutes of reading."""
    result = cli.call("cbn-train", "--data", "missing", "--preset", "foo")
    cli.assert_one_line_error(result, 2, "preset", "foo")


def test_labels_without_data(here):
    cli.assert_one_line_error(cli.call("cbn-train", "--labels", "labels.npy"), 2, "--labels", "--data")


def test_digit_of_images_without_labels(here):
    cli.assert_one_line_error(cli.call("cbn-train", "--data", "grey.npy", "--digit", "1"), 1, "grey.npy", "no labels")
    cli.assert_one_line_error(cli.call("cbn-train", "--data", "grey.npy", "--digit", "all"), 1, "--digit", "no labels")


def test_threshold_on_binary_images(here):
    np.save("binary.npy", cli.grey_images(9, 3, 3) > 100)
    result = cli.call("cbn-train", "--data", "binary.npy", "--threshold", "0.5")
    cli.assert_one_line_error(result, 1, "--threshold", "binary")


def test_calibration_images_of_another_size(here):
    np.save("small.npy", cli.grey_images(9, 3, 3))
    result = cli.call("cbn-train", "--data", "grey.npy", "--calibration", "small.npy", "--quiet")
    cli.assert_one_line_error(result, 1, "--calibration", "3 x 3", "6 x 5")
    assert list(here.glob("*.cbn")) == []


def test_calibration_is_checked_before_training(here):
    """Nothing but the error on stderr, also without --quiet."""
    np.save("small.npy", cli.grey_images(9, 3, 3))
    result = cli.call("cbn-train", "--data", "grey.npy", "--calibration", "small.npy")
    assert result.code == 1
    assert len(result.err.splitlines()) == 1, result.err


@pytest.mark.parametrize("out", ["missing/model.cbn", "folder", "folder/", ""])
def test_output_that_cannot_be_written_is_refused_first(here, out):
    (here / "folder").mkdir()
    result = cli.call("cbn-train", "--data", "grey.npy", "--out", out)
    cli.assert_one_line_error(result, 1, "write", "folder" if out else "name is empty")
    assert list(here.glob("**/*.cbn")) == []


def test_failure_keeps_the_earlier_model(here):
    cli.done("cbn-train", "--data", "grey.npy", "--quiet")
    earlier = (here / "model.cbn").read_bytes()
    np.save("nan.npy", np.full((3, 4, 4), np.nan))
    assert cli.call("cbn-train", "--data", "nan.npy").code == 1
    assert (here / "model.cbn").read_bytes() == earlier
    assert sorted(path.name for path in here.iterdir()) == ["grey.npy", "model.cbn", "nan.npy"]


def test_out_may_be_a_device(here):
    result = cli.call("cbn-train", "--data", "grey.npy", "--quiet", "--out", "/dev/null")
    assert result.code == 0, result.err


# ---- same seed, same bytes ----


def test_model_bytes_do_not_depend_on_threads(here):
    written = []
    for threads in (1, 2, 3):
        cli.done("cbn-train", "--data", "grey.npy", "--threads", threads, *RATE, "--out", f"{threads}.cbn")
        written.append((here / f"{threads}.cbn").read_bytes())
    assert written[0] == written[1] == written[2]
