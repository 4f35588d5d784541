# SPDX-License-Identifier: BSD-3-Clause
"""cbn-train on the embedded MNIST: known figures, one model for each digit, the thesis's table."""

import numpy as np
import pytest

import cbn
from helpers import programs as cli

JSON_KEYS = {
    "digit", "preset", "n_train", "n_test", "auroc", "log_probability_test", "binarization", "seconds", "model",
    "auroc_by_layer", "gain", "n_relations",
}  # fmt: skip


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty working folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def all_digits(tmp_path_factory):
    """cbn-train --digit all on the embedded MNIST, as a table and as JSON."""
    folder = tmp_path_factory.mktemp("all")
    table = cli.done("cbn-train", "--digit", "all", "--out", folder / "model.cbn")
    found = cli.done("cbn-train", "--digit", "all", "--json", "--quiet", "--out", folder / "model.cbn")
    return folder, table, found


def test_all_digits_reach_the_known_auroc(all_digits):
    result = all_digits[2].json()
    assert result["mean_auroc"]["log_probability"] == pytest.approx(86.66, abs=0.05)
    assert result["mean_auroc"]["surprise"] == pytest.approx(88.28, abs=0.1)
    assert [one["digit"] for one in result["digits"]] == list(range(10))
    for name, mean in result["mean_auroc"].items():
        assert mean == pytest.approx(np.mean([one["auroc"][name] for one in result["digits"]]), abs=1e-9)


def test_all_digits_json_has_every_promised_key(all_digits):
    for one in all_digits[2].json()["digits"]:
        assert set(one) >= JSON_KEYS
        assert set(one["seconds"]) >= {"load", "fit", "score"}
        assert all(seconds >= 0 for seconds in one["seconds"].values())
        assert {"log_probability", "surprise"} <= set(one["auroc"])
        assert all(0 <= value <= 100 for value in one["auroc"].values())
        assert one["preset"] == "pixel"
        assert one["n_test"] == 10_000
        assert one["binarization"] == "value > 0.3 x 255"
    assert sum(one["n_train"] for one in all_digits[2].json()["digits"]) == 60_000


def test_all_digits_write_ten_models_that_load(all_digits):
    folder, _, found = all_digits
    assert sorted(path.name for path in folder.iterdir()) == [f"model-{digit}.cbn" for digit in range(10)]
    for one in found.json()["digits"]:
        model = cbn.load(one["model"])
        assert model.n_images_ == one["n_train"]
        assert model.provenance_["label"] == one["digit"]


def test_all_digits_table_stands_beside_the_thesis(all_digits):
    table = all_digits[1].out
    rows = {line.split()[0]: line.split()[1:] for line in table.splitlines() if line.split()}
    expected = all_digits[2].json()["mean_auroc"]
    for name in ("log_probability", "surprise"):
        assert len(rows[name]) == 11  # ten digits and the mean
        assert float(rows[name][-1]) == pytest.approx(expected[name], abs=0.01)
    thesis = rows["thesis"]
    for value in ("94.9", "99.9", "82.1", "76.6"):
        assert value in thesis
    assert "0.3" in table  # no likelihood or AUROC without its binarization


def test_quiet_leaves_stderr_empty(all_digits):
    assert all_digits[2].err == ""


def test_one_digit_writes_model_cbn(here):
    result = cli.done("cbn-train", "--digit", "2")
    assert [path.name for path in here.glob("*.cbn")] == ["model.cbn"]
    model = cbn.load("model.cbn")
    _, test = cbn.datasets.load_mnist()
    own = test.labels == 2
    scores = model.score_samples(test.images)
    assert model.n_images_ == 5958
    assert "5,958" in result.out or "5958" in result.out
    assert f"{scores[own].mean():.2f}" in result.out
    wins = (scores[own][:, None] > scores[~own]).mean() + 0.5 * (scores[own][:, None] == scores[~own]).mean()
    assert f"{100 * wins:.2f}" in result.out
    assert "82.1" in result.out  # thesis Table 1
    assert "0.3 x 255" in result.out


@pytest.mark.parametrize("digit", ["11", "two", "-1"])
def test_digit_that_does_not_occur(here, digit):
    result = cli.call("cbn-train", f"--digit={digit}")
    cli.assert_one_line_error(result, 1, digit, "0, 1, 2, 3, 4, 5, 6, 7, 8, 9")
    assert "--digit" in result.err or "label" in result.err
    assert list(here.glob("*.cbn")) == []


def test_threshold_of_the_embedded_images_cannot_be_changed(here):
    result = cli.call("cbn-train", "--digit", "2", "--threshold", "0.5")
    cli.assert_one_line_error(result, 1, "--threshold", "0.5", "--data")


@pytest.mark.parametrize("text", ["0.3", "0.30", ".3", "3e-1"])
def test_threshold_equal_to_that_of_the_embedded_images(here, text):
    result = cli.done("cbn-train", "--digit", "2", "--threshold", text, "--json").json()
    assert result["binarization"] == "value > 0.3 x 255"
