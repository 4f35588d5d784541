# SPDX-License-Identifier: BSD-3-Clause
"""cbn-train with hidden layers: options, report, kernels alone, dry run."""

import os
import subprocess
import sys

import numpy as np
import pytest

import cbn
from cbn._params import specs
from cbn.cli import _train_report as report
from cbn.cpd.base import SCORES
from cbn.fit.settings import snapshot
from cbn.layers.kernels import load_kernels
from helpers import programs as cli
from helpers.networks import Network

# Two layers that fit 20 x 20 pixels, trained for a fraction of a second.
LAYERS = "3,3,1;3,2,2"
HIDDEN = ("--hidden", LAYERS, "--iterations", "2", "--false-alarm-rate", "0.1", "--quiet")
linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs pseudo-terminals")


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A working folder with images.npy: 150 images of 20 x 20."""
    monkeypatch.chdir(tmp_path)
    np.save("images.npy", cli.digit_images(150))
    return tmp_path


@pytest.fixture(scope="module")
def ten(tmp_path_factory):
    """split.npz: 40 training and 12 test images of every digit; and what --digit all says about it."""
    folder = tmp_path_factory.mktemp("ten")
    images = np.stack([cli.digit_images(52, digit) for digit in range(10)])
    labels = np.repeat(np.arange(10), 52).reshape(10, 52)
    flat = {"x": images, "y": labels}
    parts = {f"{name}_train": array[:, :40].reshape(-1, *array.shape[2:]) for name, array in flat.items()}
    parts |= {f"{name}_test": array[:, 40:].reshape(-1, *array.shape[2:]) for name, array in flat.items()}
    np.savez(folder / "split.npz", **parts)
    arguments = ("--data", folder / "split.npz", "--digit", "all", *HIDDEN, "--out", folder / "model.cbn")
    return folder, cli.done("cbn-train", *arguments), cli.done("cbn-train", *arguments, "--json").json()


def trained(*arguments):
    """The model that cbn-train writes."""
    cli.done("cbn-train", "--data", "images.npy", *HIDDEN, *arguments)
    return cbn.load("model.cbn")


# ---- options ----


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ((), {"hidden": ((3, 3, 1), (3, 2, 2)), "iterations": 2}),
        (("--iterations", "1"), {"iterations": 1}),
        (("--learning-rate", "0.25"), {"learning_rate": 0.25}),
        (("--momentum", "0.5"), {"momentum": 0.5}),
        (("--max-parents", "1"), {"max_parents": 1}),
        (("--initialization", "promising"), {"initialization": "promising"}),
        (("--activation", "0.2,0.25"), {"activation": (0.2, 0.25)}),
        (("--replace-worst", "1"), {"replace_worst": 1}),
        (("--no-normalize-kernels",), {"normalize_kernels": False}),
        (("--no-keep-activation",), {"keep_activation": False}),
        (("--shift", "1"), {"shift": 1}),
        (("--layer-weights", "0,1,2.5"), {"layer_weights": (0, 1, 2.5)}),
        (
            ("--force-relation", "1,0,2,-3,0", "--force-relation", "2,1,1,0,-3"),
            {"forced_relations": ((1, 0, 2, -3, 0), (2, 1, 1, 0, -3))},
        ),
        (("--forbid-relation", "1,0,2,-3,0"), {"forbidden_relations": ((1, 0, 2, -3, 0),)}),
    ],
)
def test_options_are_constructor_arguments(here, arguments, expected):
    """The model file is that of the estimator with the argument of the same name, byte for byte."""
    model = trained(*arguments)
    everything = {"hidden": ((3, 3, 1), (3, 2, 2)), "iterations": 2, **expected}
    own = Network(false_alarm_rate=0.1, random_state=0, full_scale=1, **everything)
    assert model.fitted_.arguments == snapshot(own.arguments())
    own.fit(np.load("images.npy"))
    np.testing.assert_array_equal(own.calibration_scores_, model.calibration_scores_)
    for mine, other in zip(own.hidden_layers_, model.hidden_layers_):
        np.testing.assert_array_equal(mine.kernels.weights, other.kernels.weights)
        assert mine.layer == other.layer


def test_preset_hidden(here):
    np.save("whole.npy", cli.digit_images(100, side=28))
    arguments = ("--data", "whole.npy", "--preset", "hidden", "--iterations", "0", "--quiet", "--json")
    result = cli.done("cbn-train", *arguments).json()
    assert result["preset"] == "hidden"
    assert [own.kernels.weights.shape for own in cbn.load("model.cbn").hidden_layers_] == [(5, 1, 3, 3), (5, 5, 3, 3)]


def test_help_tells_what_fields_say_of_themselves():
    text = " ".join(cli.call("cbn-train", "--help").out.split())
    assert "hidden layers:" in text
    for name in ("learning_rate", "max_parents", "momentum"):
        option = text.split(f"--{name.replace('_', '-')} ")[2]  # the first is in the usage line
        spec = next(spec for spec in specs(cbn.Features) if spec.name == name)
        assert spec.help[1:-1] in option and f"(default: {spec.default:g})" in option[:120]


def test_model_bytes_do_not_depend_on_threads(here):
    written = []
    for threads in (1, 2, 3):
        trained("--threads", threads)
        written.append((here / "model.cbn").read_bytes())
    assert written[0] == written[1] == written[2]


# ---- kernels alone ----


def test_kernels_alone(here):
    """Saved, given again and not trained, they are the same; trained, they are not."""
    trained("--save-kernels", "kernels.npz", "--seed", "3")
    first = cbn.load("model.cbn")
    kept = trained("--kernels", "kernels.npz", "--iterations", "0", "--save-kernels", "again.npz")
    assert (here / "again.npz").read_bytes() == (here / "kernels.npz").read_bytes()
    for a, b in zip(first.hidden_layers_, kept.hidden_layers_):
        np.testing.assert_array_equal(a.kernels.weights, b.kernels.weights)
        assert a.layer == b.layer
    more = trained("--kernels", "kernels.npz", "--iterations", "3", "--learning-rate", "0.3")
    assert more.hidden_layers_[0].curve[0].gain == first.hidden_layers_[0].curve[first.hidden_layers_[0].best].gain
    assert len({point.gain for point in more.hidden_layers_[0].curve}) == 4  # they moved at every step


def test_model_of_given_kernels_stands_alone(here):
    """It loads where the file of kernels is gone, and names no other file."""
    trained("--save-kernels", "kernels.npz")
    trained("--kernels", "kernels.npz", "--iterations", "0")
    (here / "kernels.npz").unlink()
    assert cbn.load("model.cbn").features.kernels is None
    trained("--save-kernels", "kernels.npz")
    own = Network(hidden=((3, 3, 1), (3, 2, 2)), iterations=0, kernels="kernels.npz", false_alarm_rate=0.1)
    own.set_params(full_scale=1).fit(np.load("images.npy")).save("own.cbn")
    (here / "kernels.npz").unlink()
    assert cbn.load("own.cbn").score_samples(np.load("images.npy")).shape == (150,)


def test_kernels_of_all_labels(here, ten):
    arguments = ("--data", ten[0] / "split.npz", "--digit", "all", *HIDDEN, "--out", "m.cbn", "--save-kernels", "k.npz")
    cli.done("cbn-train", *arguments)
    assert sorted(path.name for path in here.glob("k*.npz")) == [f"k-{digit}.npz" for digit in range(10)]
    one = cbn.load("m-3.cbn").hidden_layers_[1].kernels
    np.testing.assert_array_equal(load_kernels("k-3.npz")[1].weights, one.weights)


@pytest.mark.parametrize(
    ("file", "layers", "code", "words"),
    [
        ("missing.npz", LAYERS, 1, ["--kernels", "missing.npz", "no such file"]),
        ("images.npy", LAYERS, 1, ["--kernels", "images.npy", "not a file of kernels"]),
        ("other.npz", LAYERS, 1, ["--kernels", "other.npz", "weights_1"]),
        ("nan.npz", LAYERS, 1, ["--kernels", "nan.npz", "NaN"]),
        ("kernels.npz", "4,3,1;3,2,2", 2, ["kernels", "layer 1", "(3, 1, 3, 3)", "(4, 1, 3, 3)", "--hidden"]),
        ("kernels.npz", "3,3,1;3,2,1", 2, ["kernels", "layer 2", "pooling 2"]),
        ("kernels.npz", "3,3,1", 2, ["kernels", "2 hidden layers", "1"]),
    ],
)
def test_kernels_that_do_not_fit(here, file, layers, code, words):
    trained("--save-kernels", "kernels.npz")
    np.savez("other.npz", a=np.zeros(3))
    np.savez("nan.npz", weights_1=np.full((3, 1, 3, 3), np.nan), bias_1=np.zeros(3), pool_1=1)
    earlier = (here / "model.cbn").read_bytes()
    result = cli.call("cbn-train", "--data", "images.npy", *HIDDEN, "--hidden", layers, "--kernels", file)
    cli.assert_one_line_error(result, code, *words)
    assert (here / "model.cbn").read_bytes() == earlier


@pytest.mark.parametrize(
    ("path", "code", "word"),
    [
        ("kernels.txt", 2, ".npz"),
        ("missing/k.npz", 1, "folder"),
        ("model.npz", 2, "--kernels"),
        ("", 1, "name is empty"),
    ],
)
def test_save_kernels_refuses_what_cannot_be_written(here, path, code, word):
    trained("--save-kernels", "model.npz")
    arguments = ("--kernels", "model.npz", "--save-kernels", path)
    result = cli.call("cbn-train", "--data", "images.npy", *HIDDEN, *arguments)
    cli.assert_one_line_error(result, code, "--save-kernels", word)


# ---- the report ----


def test_report_of_one_label(ten):
    folder, _, every = ten
    arguments = ("--data", folder / "split.npz", "--digit", "4", *HIDDEN, "--out", folder / "one.cbn")
    found = cli.done("cbn-train", *arguments, "--json").json()
    same = every["digits"][4]
    assert all(found[name] == same[name] for name in ("auroc", "auroc_by_layer", "gain", "n_relations", "digit"))
    model = cbn.load(folder / "one.cbn")
    split = np.load(folder / "split.npz")
    own = split["y_test"] == 4
    for name in SCORES:
        columns = [model.score_samples(split["x_test"], score=name), *model.layer_scores(split["x_test"], score=name).T]
        wins = [(c[own][:, None] > c[~own]).mean() + 0.5 * (c[own][:, None] == c[~own]).mean() for c in columns]
        assert [found["auroc"][name], *found["auroc_by_layer"][name]] == pytest.approx(100 * np.array(wins))
    layers = model.hidden_layers_
    assert found["gain"] == [[layer.curve[0].gain, layer.curve[layer.best].gain] for layer in layers]
    assert found["n_relations"] == [len(layer.layer.relations) for layer in layers]
    assert all(start <= best for start, best in found["gain"])
    text = cli.done("cbn-train", *arguments).out
    for number, (start, best) in enumerate(found["gain"], start=1):
        line = next(line for line in text.splitlines() if line.startswith(f"hidden layer {number}"))
        assert f"{start:.2f} -> {best:.2f}" in line and f"{found['n_relations'][number - 1]} relations" in line
    line = next(line for line in text.splitlines() if line.strip().startswith("standardized"))
    expected = (found["auroc"]["standardized"], *found["auroc_by_layer"]["standardized"])
    assert [float(word) for word in line.split()[1:]] == pytest.approx(expected, abs=0.006)


def test_report_of_all_labels(ten):
    _, table, found = ten
    rows = {line[:16].strip(): line[16:].split() for line in table.out.splitlines()}
    score = found["digits"][0]["score"]
    for layer, name in enumerate(("pixels", "hidden 1", "hidden 2")):
        values = [one["auroc_by_layer"][score][layer] for one in found["digits"]]
        assert found["mean_auroc_by_layer"][score][layer] == pytest.approx(np.mean(values))
        assert [float(cell) for cell in rows[name]] == pytest.approx([*values, np.mean(values)], abs=0.006)
    best = [one["gain"][1][1] for one in found["digits"]]
    assert [float(cell) for cell in rows["hidden 2 best"]] == pytest.approx([*best, np.mean(best)], abs=0.006)
    assert "thesis" not in table.out  # its figures are of other images


@pytest.mark.parametrize("other", [{"cpd": "tree"}, {"binarization": "stochastic, value / 255, seed 0"}])
def test_thesis_tables_stand_beside_tables_at_its_threshold_only(ten, capsys, other):
    digits = [one | {"binarization": "value > 0.3 x 255"} | other for one in ten[2]["digits"]]
    report.print_all(digits, ten[2], cbn.datasets.load_mnist()[0])
    assert "thesis" not in capsys.readouterr().out


def test_thesis_table_2_stands_beside_hidden_layers(ten, capsys):
    digits = [one | {"binarization": "value > 0.3 x 255"} for one in ten[2]["digits"]]
    report.print_all(digits, ten[2], cbn.datasets.load_mnist()[0])
    line = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("thesis"))
    assert " ".join(line.split()) == "thesis Table 2 98.9 99.3 91.3 89.2 90.9 86.7 98.0 94.3 87.7 93.8 93.0"


@pytest.mark.slow
@linux
@pytest.mark.parametrize("arguments", [(), ("--digit", "all")])
def test_progress_ends_at_100_percent(here, ten, arguments):
    import pty
    import termios

    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 150))
    command = [cli.installed("cbn-train"), "--data", ten[0] / "split.npz", *HIDDEN[:-1], *arguments]
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
    frames = [frame for frame in shown.decode().split("\r") if frame.strip()]
    total = 2 * 3 * (10 if arguments else 1)  # layers x steps of structure x models
    assert "100%" in frames[-1] and f"{total}/{total}" in frames[-1]
    assert "layer 2 of 2" in frames[-1] and "nats/image" in frames[-1]


# ---- dry run ----


def test_dry_run_describes_the_whole_job(here, ten):
    arguments = ("--data", ten[0] / "split.npz", *HIDDEN, "--dry-run", "--out", "none.cbn")
    one = cli.done("cbn-train", *arguments, "--digit", "3", "--json").json()
    every = cli.done("cbn-train", *arguments, "--digit", "all", "--json").json()
    assert list(here.glob("none*")) == []
    assert (one["n_models"], one["n_train"], every["n_models"], every["n_train"]) == (1, 40, 10, 400)
    assert every["n_parameters"] == one["n_parameters"] >= max(r["n_parameters"] for r in ten[2]["digits"])
    for result in (one, every):  # of the images that are trained on
        assert result["memory_bytes"].pop("images") == 400 * result["n_train"]
    # one model after the other, beside the pixels of the others' 40 images, a word each
    assert every["memory_bytes"].pop("bit_planes") == one["memory_bytes"].pop("bit_planes") + 9 * 400 * 8
    assert every["memory_bytes"] == one["memory_bytes"]
    # 20 x 20 -> 18 x 18, receptive field 3 -> 8 x 8, receptive field 5, stride 2
    shapes = [(layer["shape"], layer["receptive_field"], layer["distance"]) for layer in one["layers"]]
    assert shapes == [([1, 20, 20], 1, 1), ([3, 18, 18], 3, 3), ([3, 8, 8], 5, 3)]
    assert one["n_nodes"] == 400 + 3 * 18 * 18 + 3 * 8 * 8
    text = cli.done("cbn-train", *arguments, "--digit", "all").out
    assert "18 x 18 positions" in text and "5 x 5 pixels" in text and "3 positions away" in text
    assert f"at most {one['n_parameters']:,}" in text and "10" in text


def test_dry_run_expects_more_of_more_iterations(here):
    arguments = ("--data", "images.npy", *HIDDEN, "--dry-run", "--json")
    seconds = [cli.done("cbn-train", *arguments, "--iterations", n).json()["expected_fit_seconds"] for n in (1, 1000)]
    assert 0 < 20 * seconds[0] < seconds[1]
