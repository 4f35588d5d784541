# SPDX-License-Identifier: BSD-3-Clause
"""Model files of networks with hidden layers: nothing is lost, version 2 loads for ever, what cannot be is refused."""

import importlib.util
import io
import json
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

import cbn
from cbn.fit.modelfile import NOT_KEPT, V3_ARGUMENTS
from helpers.images import blots
from helpers.modelfiles import every_score, members_of, npy, refused, save, use, version_of, write
from helpers.networks import Classifier, Network

FORMAT_V2 = Path(__file__).parents[1] / "data" / "format_v2"
SCORES = ("log_probability", "surprise", "standardized", "normalized")
X = blots(150)
SMALL = {
    "hidden": ((3, 3, 1), (2, 3, 1)), "iterations": 1, "activation": (0.3, 0.6), "random_state": 0, "n_jobs": 1,
}  # fmt: skip


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    return save(Network("hidden", **SMALL).fit(X), tmp_path_factory.mktemp("models") / "model.cbn")


def changed(source, path, change):
    """A copy of a model file whose header a function has changed; infinity is written as the number that overflows."""
    members = members_of(source)
    header = json.loads(members["header.json"])
    change(header)
    return write(path, members | {"header.json": json.dumps(header).replace("Infinity", "1e999")})


# ---- nothing is lost ----

MODELS = [
    {}, {"threshold": (0.2, 0.7), "score": "normalized", "layer_weights": (1, 0, 2.5)}, {"hidden": [[4, 2, 2]]},
    {"forced_relations": np.array([[1, 0, 1, -3, 0]]), "forbidden_relations": [(2, 0, 0, 0, -5)], "max_parents": 2},
    {"activation": [0.2, 0.4], "initialization": "promising", "momentum": 0, "shift": 1, "pseudocount": 0.5},
    {"iterations": 4, "replace_worst": 2, "normalize_kernels": False, "keep_activation": np.False_},
    {"random_state": None, "offsets": ((-1, 0),), "false_alarm_rate": 0.07, "learning_rate": np.float32(0.5)},
    {"preset": "pixel", "layer_weights": (2,), "hidden": ()}, {"preset": "pixel"},
]  # fmt: skip


@pytest.mark.parametrize("arguments", MODELS, ids=lambda arguments: ",".join(arguments))
def test_a_network_comes_back_as_it_was(arguments, tmp_path):
    grey = (X * np.random.default_rng(0).integers(50, 256, X.shape)).astype(np.uint8)
    model = Network(**({"preset": "hidden"} | SMALL | arguments)).fit(grey)
    path = save(model, tmp_path / "a.cbn")
    loaded = cbn.load(path)
    assert version_of(path) == 2 and save(loaded, tmp_path / "b.cbn").read_bytes() == path.read_bytes()
    for score in SCORES:
        np.testing.assert_array_equal(loaded.layer_scores(grey, score), model.layer_scores(grey, score))
        np.testing.assert_array_equal(loaded.score_samples(grey, score), model.score_samples(grey, score))
    np.testing.assert_array_equal(loaded.surprise_map(grey), model.surprise_map(grey))
    assert vars(loaded).keys() == vars(model).keys() and loaded.heat_map_scale() == model.heat_map_scale()
    for own, other in zip(loaded.hidden_layers_, model.hidden_layers_, strict=True):
        np.testing.assert_array_equal(own.kernels.weights, other.kernels.weights)
        np.testing.assert_array_equal(own.kernels.bias, other.kernels.bias)
        assert (own.layer, own.steps, own.curve, own.best) == (other.layer, other.steps, other.curve, other.best)
    for name, value in model.get_params().items():
        if name not in NOT_KEPT:
            np.testing.assert_array_equal(getattr(loaded, name), value)
    more, other = loaded.partial_fit(grey), model.partial_fit(grey)
    np.testing.assert_array_equal(more.layer_scores(grey), other.layer_scores(grey))
    if arguments.get("random_state", 0) is not None:
        assert save(loaded.fit(grey), tmp_path / "c.cbn").read_bytes() == path.read_bytes()  # every argument was kept


def test_version_2_has_every_argument_and_version_1_those_it_knows(saved, tmp_path):
    header = json.loads(members_of(saved)["header.json"])
    assert header["arguments"].keys() == Network().get_params().keys() - set(NOT_KEPT) - V3_ARGUMENTS
    path = save(Network(n_jobs=1, random_state=4).fit(X), tmp_path / "pixel.cbn")
    header = json.loads(members_of(path)["header.json"])
    assert header["version"] == 1 and "hidden" not in header["networks"][0]
    assert not {"hidden", "iterations", "shift"} & header["arguments"].keys()
    path = save(Classifier(n_jobs=1).fit(X, np.arange(150) % 2), tmp_path / "classifier.cbn")
    assert version_of(path) == 1
    path = save(Network("hidden", **SMALL | {"hidden": ()}).fit(X), tmp_path / "a.cbn")
    assert version_of(path) == 2  # version 1 does not know the preset


# ---- files that cannot be ----

LAYER = {"channels": 3, "height": 10, "width": 10, "relations": []}
OF_A_LAYER = {
    "kernel_size": [0, -1, 2, 4, 11, 1000, 2**40, "3", 3.0, None, True, []],
    "pool": [0, -2, 2, 10**6, "1", 1.5, None, True],
    "layer": [None, {}, [], 3, LAYER | {"channels": 2}, LAYER | {"channels": 64}, LAYER | {"channels": 4097},
              LAYER | {"height": 9}, LAYER | {"width": 2**30}, LAYER | {"channels": True}, LAYER | {"height": 10.0},
              LAYER | {"relations": [[0, 0, -1, 0, 0]]}, LAYER | {"relations": [[0, 1, -2, 2, 0]]},
              LAYER | {"relations": [[1, 0, 0, 0, 1]]}, LAYER | {"relations": [[0, 0, -99, 0, 0]]},
              LAYER | {"relations": [[0, 0, 3, 0, 0]]}, LAYER | {"relations": [[0, 9, -3, 0, 0]]},
              LAYER | {"relations": [[c, c, -3 - i, 0, 0] for c in range(3) for i in range(7)]}],
    "steps": [None, 3, [[]], [[0, 0, -3, 0]], [[0, 0, -3, 0, "x"]], [[0, 0, -3, 0, float("inf")]],
              [[0, 0, -1, 0, 1.0]]],
    "best": [-1, 2, 10**9, "0", None, 0.5, True],
}  # fmt: skip


@pytest.mark.parametrize("name, value", [(name, value) for name, values in OF_A_LAYER.items() for value in values])
def test_layers_that_cannot_be(name, value, saved, tmp_path):
    tracemalloc.start()
    for number in (0, 1):
        path = changed(
            saved, tmp_path / "a.cbn", lambda h, n=number: h["networks"][0]["hidden"][n].update({name: value})
        )
        refused(path, "damaged")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 10 * 2**20


@pytest.mark.parametrize(
    "relation, words",
    [
        ([0, 0, -1, 0, 0], "same pixels"), ([0, 1, -2, 2, 0], "same pixels"), ([1, 0, 0, 0, 0], "same pixels"),
        ([1, 0, 0, 0, 1], "same pixels"), ([0, 0, -10, 0, 0], "leads out"), ([0, 0, 0, -99, 0], "leads out"),
        ([0, 0, 0, -4, 1], "required"),
    ],
)  # fmt: skip
def test_relations_that_the_geometry_does_not_allow(relation, words, saved, tmp_path):
    """With a step of the search for each, so that only the geometry is wrong."""

    def change(header):
        own = header["networks"][0]["hidden"][0]
        own["layer"]["relations"].append(relation)
        own["steps"].append([*relation[:4], -1.0])

    refused(changed(saved, tmp_path / "a.cbn", change), "damaged", words)


OF_A_NETWORK = {
    "hidden": [None, {}, 3, "x", [None], [3], [[]], [{}]],
    "scales": [None, [], {}, {"surprise": [1, 1, 1]}, every_score([1, 1]), every_score([1] * 4),
               every_score([1, -1, 1]), every_score([1, "1", 1]), every_score(3),
               every_score([1, float("inf"), 1]), every_score([True, 1, 1])],
    "heat_map_scale": [None, "1", float("inf"), [], True],
}  # fmt: skip


@pytest.mark.parametrize("name, value", [(name, value) for name, values in OF_A_NETWORK.items() for value in values])
def test_networks_that_cannot_be(name, value, saved, tmp_path):
    refused(changed(saved, tmp_path / "a.cbn", lambda h: h["networks"][0].update({name: value})), "damaged")
    if name != "hidden":
        refused(changed(saved, tmp_path / "a.cbn", lambda h: h["networks"][0].pop(name)), "damaged")


@pytest.mark.parametrize("n", [3, 7, 8, 10_000])
def test_more_layers_than_fit(n, saved, tmp_path):
    def repeat(header):
        own = header["networks"][0]["hidden"]
        own.extend(own[1:] * (n - 2))

    refused(changed(saved, tmp_path / "a.cbn", repeat), "damaged")


def test_arguments_that_a_file_does_not_hold(saved, tmp_path):
    """Above all no path: loading a model reads no other file."""
    for name, value in {"kernels": "/dev/zero", "n_jobs": 1}.items():
        refused(changed(saved, tmp_path / "a.cbn", lambda h, n=name, v=value: h["arguments"].update({n: v})), "damaged")
    for name, value in {
        "hidden": [[3, 3]], "layer_weights": [1, 1], "iterations": -1, "activation": [2, 3], "momentum": 1,
        "forced_relations": [[1, 0, 0, 1, 0]], "normalize_kernels": 1, "shift": 9, "max_parents": 11,
        "replace_worst": "1",
    }.items():  # fmt: skip
        path = changed(saved, tmp_path / "a.cbn", lambda h, n=name, v=value: h["arguments"].update({n: v}))
        refused(path, "damaged", name)


def bad_arrays(array, name):
    yield from (None, b"", npy(array[:-1]), npy(array[..., :0]), npy(array.astype(np.float32)), npy(array[None]))
    if array.dtype == np.float64:
        yield from (npy(np.full_like(array, bad)) for bad in (np.nan, np.inf, -np.inf))
        if "weights" in name or "bias" in name:
            yield npy(np.full_like(array, 2047))
        else:
            yield npy(array + [0, 0, 0.5, *[0] * (array.shape[1] - 3)])
            yield npy(array - [0, 0, 1e6, *[0] * (array.shape[1] - 3)])
    else:
        yield from (npy(array + 1), npy(-array), npy(array[::-1].copy()), npy(array * 2), npy(array + 2**62))


@pytest.mark.parametrize("part", ["weights", "bias", "curve", "counts"])
@pytest.mark.parametrize("number", [1, 2])
def test_arrays_that_cannot_be(part, number, saved, tmp_path):
    members, name = members_of(saved), f"hidden_0_{number}_{part}.npy"
    array = np.load(io.BytesIO(members[name]))
    for content in bad_arrays(array, name):
        refused(write(tmp_path / "a.cbn", members | {name: content}), "damaged")


def test_kernels_too_large_for_their_file_are_refused_before_anything_is_allocated(saved, tmp_path):
    """64 kernels of 10 x 10 over 64 thresholds on large images: the header alone would ask for 3 GiB of tables."""

    def enlarge(header):
        own = header["networks"][0]
        own["layer"] |= {"height": 900, "width": 900, "relations": []}
        own["hidden"] = own["hidden"][:1]
        relations = [[c, c, -10 - i, 0, 0] for c in range(64) for i in range(3)]
        own["hidden"][0] |= {"kernel_size": 10, "pool": 1, "best": 0, "steps": []}
        own["hidden"][0]["layer"] = {"channels": 64, "height": 891, "width": 891, "relations": relations}

    path = changed(saved, tmp_path / "a.cbn", enlarge)
    members = members_of(path)
    counts = np.zeros((900 * 900, 2), np.int64)
    counts[:, 0] = 150
    path = write(path, members | {"counts_0.npy": npy(counts)})
    tracemalloc.start()
    refused(path, "damaged")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 100 * 2**20  # the pixels' counts of the file are 13 MiB


def test_a_classifier_of_hidden_layers_is_no_model(saved, tmp_path):
    def change(header):
        header["kind"] = "classifier"
        network = header["networks"][0]
        network["class"] = 0
        known = Classifier().get_params().keys() - {"n_jobs"}
        header["arguments"] = {n: v for n, v in header["arguments"].items() if n in known} | {"class_prior": None}

    refused(changed(saved, tmp_path / "a.cbn", change), "damaged", "no probability")
