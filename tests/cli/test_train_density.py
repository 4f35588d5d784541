# SPDX-License-Identifier: BSD-3-Clause
"""cbn-train with trees and boosted trees, and the density that the models of all labels make together."""

import os
import subprocess

import numpy as np
import pytest

import cbn
from cbn._params import Parameters, Real, parameter, parameters
from cbn.cli._train_arguments import fit_arguments
from cbn.cli._train_density import density_figures
from cbn.cli.train import build_parser
from cbn.cpd import kinds
from cbn.cpd.base import CPD
from cbn.cpd.grid import Layer
from cbn.cpd.table import TableCPD
from cbn.fit.recipe import Growing
from helpers import programs as cli
from helpers.networks import Boosting, Classifier

SMALL = ("--boosting", "rounds=4,max_leaves=3,n_candidates=12", "--reach", 3)
TREE, BOOSTED = ("--preset", "tree", "--reach", 3, "--folds", 2), ("--preset", "boosted", *SMALL)
# The estimators that the options stand for.
ESTIMATORS = {
    ("--preset", "pixel"): {"preset": "pixel"},
    TREE: {"preset": "tree", "reach": 3},
    BOOSTED: {
        "preset": "boosted", "reach": 3, "random_state": 0,
        "boosting": Boosting(rounds=4, max_leaves=3, n_candidates=12),
    },
}  # fmt: skip
linux = pytest.mark.skipif(not os.path.exists("/dev/ptmx"), reason="needs a pseudo-terminal")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Three kinds of grey images of unequal share, 90 to train and 60 to test."""
    folder = tmp_path_factory.mktemp("density")
    rng = np.random.default_rng(0)
    y = rng.choice(3, 150, p=[0.5, 0.3, 0.2])
    down, right = np.mgrid[0:6, 0:5] / 5
    x = np.clip(255 * np.stack([down, right, 1 - down])[y] + rng.normal(0, 90, (150, 6, 5)), 0, 255).astype(np.uint8)
    np.savez(folder / "split.npz", x_train=x[:90], y_train=y[:90], x_test=x[90:], y_test=y[90:])
    return folder


@pytest.fixture
def here(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return folder


def train(here, *arguments):
    return cli.done("cbn-train", "--data", here / "split.npz", *arguments, "--quiet")


@pytest.mark.parametrize("arguments", [("--preset", "pixel"), TREE, BOOSTED], ids=lambda a: a[1])
def test_density_of_all_labels_is_that_of_the_classifier(here, arguments):
    found = train(here, *arguments, "--digit", "all", "--json").json()
    split = np.load(here / "split.npz")
    x, y = split["x_test"], split["y_test"]
    model = Classifier(**ESTIMATORS[arguments])
    model.fit(split["x_train"], split["y_train"])
    assert found["bayes_accuracy"] == pytest.approx(100 * model.score(x, y))
    assert found["mixture_nats"] == pytest.approx(-model.log_probability(x).mean())
    joint = model.joint_log_probability(x) - model.class_log_prior_
    own = [-joint[y == c, c].mean() for c in range(3)]
    assert found["own_class_nats"] == pytest.approx(np.mean(own))
    assert [-one["log_probability_test"] for one in found["digits"]] == pytest.approx(own)
    text = train(here, *arguments, "--digit", "all").out
    lines = {line[:26].strip(): line[26:].split() for line in text.splitlines() if line.startswith("  ")}
    assert float(lines["mixture of the labels"][0]) == pytest.approx(found["mixture_nats"], abs=0.006)
    assert float(lines["own label"][0]) == pytest.approx(found["own_class_nats"], abs=0.006)
    assert float(lines["accuracy by Bayes' rule"][0]) == pytest.approx(found["bayes_accuracy"], abs=0.006)
    assert "60 test images (value > 0.3 x 255)" in text and "thesis" not in text


def test_density_is_that_of_the_pixels_where_there_are_hidden_layers(here):
    arguments = ("--hidden", "3,2,1", "--digit", "all", "--iterations", 0)
    found, text = train(here, *arguments, "--json").json(), train(here, *arguments).out
    pixels = train(here, "--digit", "all", "--json").json()
    names = ("bayes_accuracy", "mixture_nats", "own_class_nats")
    assert [found[name] for name in names] == [pixels[name] for name in names]
    assert "of the pixel layers alone" in text


def test_without_labels_of_test_images_there_is_a_density_but_no_accuracy(here):
    split = np.load(here / "split.npz")
    columns = [np.log([0.5, 0.1]), np.log([0.25, 0.5])]
    common = {"binarization": "b", "log_probability_test": None}
    results = [common | {"digit": 3, "n_train": 30}, common | {"digit": 8, "n_train": 10}]
    expected = -np.log([0.75 * 0.5 + 0.25 * 0.25, 0.75 * 0.1 + 0.25 * 0.5]).mean()
    assert density_figures(results, columns, None) == {
        "mixture_nats": pytest.approx(expected), "bayes_accuracy": None, "own_class_nats": None,
    }  # fmt: skip
    assert density_figures(results, columns, np.array([3, 3]))["bayes_accuracy"] == 50
    # densities of images that were binarized in different ways are no mixture
    results[0]["binarization"] = "another"
    assert set(density_figures(results, columns, np.array([3, 3])).values()) == {None}
    np.save("train_only.npy", split["x_train"])
    np.save("labels.npy", split["y_train"])
    data = ("--data", "train_only.npy", "--labels", "labels.npy")
    found = cli.done("cbn-train", *data, "--digit", "all", "--json", "--quiet").json()
    assert (found["mixture_nats"], found["bayes_accuracy"]) == (None, None)


# ---- report ----


def test_report_of_trees(here):
    found, text = (train(here, *TREE, "--digit", "0", *more) for more in (("--json",), ()))
    found = found.json()
    assert (found["cpd"], found["calibration"], found["n_trees"]) == ("tree", "cross-validation", 30)
    assert found["n_leaves"] == [found["n_parameters"]]
    assert f"pixels {found['n_leaves'][0]:,}" in text.out and "cross-validation scores" in text.out


def test_report_of_boosted_trees(here):
    found, text = (train(here, *BOOSTED, "--digit", "0", *more) for more in (("--json",), ()))
    found = found.json()
    assert found["calibration"] == "cross-validation" and 0 < found["n_trees"] <= 4 * 30
    assert found["n_trees"] <= found["n_leaves"][0] <= 3 * found["n_trees"]
    assert f"{found['n_trees']:,} boosted trees, pixels {found['n_leaves'][0]:,}" in text.out


def test_random_features_under_trees_have_no_relations_to_report(here):
    arguments = ("--preset", "best", "--hidden", "3,2,1", "--digit", "0")
    found, text = train(here, *arguments, "--json").json(), train(here, *arguments).out
    assert len(found["n_leaves"]) == 2 and "relations" not in text and "hidden 1" in text


@linux
def test_progress_of_boosted_trees_ends_at_100_percent(here):
    import pty
    import termios

    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 150))
    command = [cli.installed("cbn-train"), "--data", here / "split.npz", *map(str, BOOSTED), "--digit", "all"]
    process = subprocess.Popen(command, stderr=theirs, stdout=subprocess.DEVNULL, env=cli.environment())
    os.close(theirs)
    shown = b""
    while True:
        try:
            part = os.read(ours, 4096)
        except OSError:  # the other end is closed
            break
        if not part:
            break
        shown += part
    os.close(ours)
    assert process.wait(60) == 0, shown
    frames = [frame for frame in shown.decode().split("\r") if "|" in frame]
    assert "100%" in frames[-1] and "90/90" in frames[-1]  # 30 pixels of 3 models


@pytest.mark.parametrize("arguments", [TREE, BOOSTED], ids=lambda a: a[1])
def test_trees_are_grown_once_where_other_images_set_the_threshold(here, arguments, monkeypatch):
    grown = []
    grow = Growing.grow
    monkeypatch.setattr(Growing, "grow", lambda self, *planes: grown.append(planes) or grow(self, *planes))
    split = np.load(here / "split.npz")
    np.save("calibration.npy", split["x_test"])
    train(here, *arguments)
    assert len(grown) == 3
    found = train(here, *arguments, "--calibration", "calibration.npy", "--json").json()
    assert len(grown) == 4 and (found["calibration"], found["n_calibration"]) == ("separate images", 60)


# ---- dry run ----


@pytest.mark.parametrize("arguments", [TREE, BOOSTED], ids=lambda a: a[1])
def test_dry_run(here, arguments):
    found = train(here, *arguments, "--digit", "0", "--dry-run", "--json").json()
    trained = train(here, *arguments, "--digit", "0", "--json").json()
    assert trained["n_parameters"] <= found["n_parameters"]
    assert found["expected_fit_seconds"] > 0 and all(size > 0 for size in found["memory_bytes"].values())
    assert "at most" in train(here, *arguments, "--digit", "0", "--dry-run").out


# ---- options ----


@pytest.mark.parametrize(
    "arguments, words",
    [
        (("--reach", 3), ("--reach", "tree or boosted", "table")),
        (("--preset", "boosted", "--penalty", 1), ("--penalty", "tree", "boosted")),
        (("--preset", "boosted", "--max-leaves", 9), ("--max-leaves",)),
        (("--preset", "boosted", "--min-leaf", 9), ("--min-leaf",)),
        (("--preset", "boosted", "--shrinkage", 9), ("--shrinkage",)),
        (("--preset", "tree", "--boosting", "rounds=3"), ("--fields", "boosted", "tree")),
        (("--preset", "tree", "--rounds", 3), ("--rounds", "boosted", "tree")),
        (("--preset", "tree", "--boosted-leaves", 3), ("--boosted-leaves", "boosted", "tree")),
        (("--folds", 3), ("--folds",)),
        (("--preset", "tree", "--offsets", "-1,0"), ("--offsets", "table")),
        (("--preset", "tree", "--cpd", "table", "--penalty", 1), ("--penalty",)),
        (("--preset", "tree", "--iterations", 3), ("--iterations", "hidden")),
        (("--preset", "tree", "--resume"), ("--resume", "hidden")),
        (("--preset", "hidden", "--cpd", "boosted"), ("--cpd boosted", "pixels alone")),
        (("--preset", "boosted", "--boosting", "round=3"), ("--fields", "'round=3'", "rounds", "min_hessian")),
        (("--preset", "boosted", "--boosting", "rounds=3,rounds=4"), ("--fields", "once")),
        (("--preset", "boosted", "--boosting", "rounds=3.5"), ("--fields", "rounds", "whole")),
        (("--preset", "boosted", "--boosting", "rate=fast"), ("--fields", "rate", "'fast'")),
        (("--preset", "boosted", "--boosting", "rate=2"), ("--fields", "rate: 2")),
        (("--preset", "boosted", "--boosting", "max_leaves=1"), ("--fields", "max_leaves: 1")),
        (("--preset", "tied", "--tied-rounds", 600, "--tied-networks", 3), ("--tied-networks, --tied-rounds: 3",)),
        (("--preset", "tree", "--quick"), ("--quick", "--cpd tied")),
        (("--preset", "tied", "--radius", 32, "--threshold", "0.1,0.2,0.3"), ("--radius: 32", "3 thresholds")),
        (("--preset", "tree", "--max-leaves", 1), ("--max-leaves", "1")),
    ],
    ids=str,
)
def test_options_that_do_not_apply_are_refused(here, arguments, words):
    result = cli.call("cbn-train", "--data", here / "split.npz", *arguments)
    cli.assert_one_line_error(result, 2, *words)


def parsed(*argv):
    return fit_arguments(build_parser().parse_args(list(map(str, argv))))


def test_options_reach_the_fit():
    argv = ("--cpd", "tree", "--reach", 4, "--penalty", 0.7, "--max-leaves", 9, "--min-leaf", 2, "--shrinkage", 3)
    found = parsed(*argv, "--folds", 5, "--threshold", "auto")
    assert found.cpd == cbn.Tree(reach=4, penalty=0.7, max_leaves=9, min_leaf=2, shrinkage=3.0)
    assert (found.folds, found.threshold, found.features) == (5, "auto", None)


def test_options_replace_fields_of_the_presets_objects():
    best = parsed("--preset", "best", "--min-leaf", 2, "--iterations", 3, "--pseudocount", 0.5)
    assert best.cpd == cbn.Tree(penalty=1.0, max_leaves=32, shrinkage=1.0, min_leaf=2, pseudocount=0.5)
    assert (best.features.iterations, best.features.activation, best.features.pseudocount) == (3, (0.5, 0.9), 0.5)
    # another kind has its own defaults, the preset's kind by name those of the preset
    assert parsed("--preset", "best", "--cpd", "table").resolve().cpd == cbn.Table()
    assert parsed("--preset", "tree", "--cpd", "tree", "--reach", 2).cpd == cbn.Tree(reach=2, penalty=0.4, shrinkage=35)
    assert parsed("--cpd", "boosted", "--fields", "rounds=3, rate=0.5", "--l2", 1).cpd == cbn.Boosted(
        rounds=3, rate=0.5, l2=1.0
    )
    assert parsed("--fields", "offsets=-1,0;0,-1,pseudocount=2").cpd == cbn.Table(((-1, 0), (0, -1)), 2.0)
    assert parsed("--preset", "hidden") == parsed("--preset", "hidden", "--seed", 0)
    assert parsed().cpd is None and parsed().features is None


def test_help_names_the_defaults_of_every_preset():
    text = " ".join(build_parser().format_help().split())
    for words in (
        "0 keeps the kernels (default: 50 / 0 (best))", "no common pixel (default: 6 / 28 (boosted))",
        "(default: 200 / 32 (best))", "(default: 0.5 / 0.4 (tree) / 1 (best))",
        "(default: 5,3,2;5,3,2 (hidden) / 32,2,2;24,3,2 (best))", "(default: 0.3,0.6 / 0.5,0.9 (best))",
    ):  # fmt: skip
        assert words in text, words


def test_a_new_kind_has_its_options(monkeypatch, here):
    """Registered, and nothing else: options, help, refusals, training, facts."""

    @parameters
    class Coin(Parameters):
        """Nodes without parents."""

        heads: float = parameter(Real(0.5, 10), "Nothing.", default=2.0)
        pseudocount: float = parameter(Real(1e-9, 1e9), "Added to every count.", default=1.0)

    class CoinCPD(TableCPD):
        name, nouns, parameter_class = "coin", "coins", Coin
        most = CPD.most

        @classmethod
        def check_size(cls, own, field, pixels):
            pass

        @classmethod
        def learn(cls, own, task):
            grid = task.grid
            return cls.counted(Layer(grid.channels, grid.height, grid.width), task.planes, own.pseudocount, 1)

        def describe(self):
            return super().describe() | {"cpd": self.name}

    kinds.register(CoinCPD)
    try:
        text = " ".join(build_parser().format_help().split())
        assert "coins: For --cpd coin, or a preset of such. --heads X" in text
        assert "tables, trees, boosted trees, coins: added to every count" in text
        result = cli.call("cbn-train", "--data", here / "split.npz", "--heads", 1)
        cli.assert_one_line_error(result, 2, "--heads", "--cpd coin", "table")
        assert parsed("--cpd", "coin", "--heads", 3).cpd == Coin(heads=3.0)
        result = cli.call("cbn-train", "--data", here / "split.npz", "--cpd", "coin", "--heads", 11)
        cli.assert_one_line_error(result, 2, "--heads", "11", "0.5 to 10")
        found = train(here, "--cpd", "coin", "--heads", 3, "--digit", "0", "--json").json()
        assert (found["cpd"], found["n_parameters"]) == ("coin", 30)
        assert "parents (dy,dx)  none" in cli.done("cbn-show").out
        assert train(here, "--cpd", "coin", "--dry-run", "--json").json()["n_parameters"] == 30
        assert cli.done("cbn-sample", "--n", 3, "--json").json()["n"] == 3
    finally:
        kinds.unregister(CoinCPD)
