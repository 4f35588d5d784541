# SPDX-License-Identifier: BSD-3-Clause
"""Model files of networks with hidden layers: nothing is lost, version 2 loads for ever, what cannot be is refused."""

import io
import json
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

import cbn
from cbn.fit.writing import NOT_KEPT
from helpers.images import blots
from helpers.modelfiles import assert_same_arguments, every_score, members_of, npy, refused, save, version_of, write
from helpers.networks import Classifier, Network

FORMAT_V2 = Path(__file__).parents[1] / "data" / "format_v2"
SCORES = ("log_probability", "surprise", "standardized", "normalized")
X = blots(150)
SMALL = {
    "hidden": ((3, 3, 1), (2, 3, 1)), "iterations": 1, "activation": (0.3, 0.6), "random_state": 0, "n_jobs": 1,
}  # fmt: skip


@pytest.fixture(scope="module")
def new(tmp_path_factory):
    return save(Network("hidden", **SMALL).fit(X), tmp_path_factory.mktemp("models") / "model.cbn")


@pytest.fixture(params=["new", "version 2"])
def saved(request, new):
    """A saved network with two hidden layers, the first of three 3 x 3 kernels without pooling, to be changed."""
    return FORMAT_V2 / "hidden.cbn" if request.param == "version 2" else new


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
    assert version_of(path) == 6 and save(loaded, tmp_path / "b.cbn").read_bytes() == path.read_bytes()
    for score in SCORES:
        np.testing.assert_array_equal(loaded.layer_scores(grey, score), model.layer_scores(grey, score))
        np.testing.assert_array_equal(loaded.score_samples(grey, score), model.score_samples(grey, score))
    np.testing.assert_array_equal(loaded.surprise_map(grey), model.surprise_map(grey))
    assert vars(loaded).keys() == vars(model).keys() and loaded.heat_map_scale() == model.heat_map_scale()
    for own, other in zip(loaded.hidden_layers_, model.hidden_layers_, strict=True):
        np.testing.assert_array_equal(own.kernels.weights, other.kernels.weights)
        np.testing.assert_array_equal(own.kernels.bias, other.kernels.bias)
        assert (own.layer, own.steps, own.curve, own.best) == (other.layer, other.steps, other.curve, other.best)
    assert_same_arguments(loaded, model)
    new = grey[:, ::-1]  # the same images again would be warned of
    more, other = loaded.partial_fit(new), model.partial_fit(new)
    np.testing.assert_array_equal(more.layer_scores(grey), other.layer_scores(grey))
    if arguments.get("random_state", 0) is not None:
        assert save(loaded.fit(grey), tmp_path / "c.cbn").read_bytes() == path.read_bytes()  # every argument was kept


def test_arguments_and_settings_in_a_file(new, tmp_path):
    """Arguments as they were given, null where one was left to the preset; settings without a gap."""
    header = json.loads(members_of(new)["header.json"])
    fields = cbn.Features().get_params().keys() - set(NOT_KEPT)
    assert header["version"] == 6
    assert header["arguments"].keys() == (
        Network().get_params(deep=False).keys() - {"outlier_score", "contrast"} | {"score"}
    ) - set(NOT_KEPT)
    assert header["arguments"]["cpd"] is None and header["arguments"]["score"] is None
    assert header["settings"].keys() == header["arguments"].keys()
    assert header["settings"]["cpd"] == {"kind": "table", "offsets": [[-1, -1], [-1, 0], [-1, 1], [0, -1]],
                                         "pseudocount": 1.0}  # fmt: skip
    for part in ("arguments", "settings"):
        assert header[part]["features"].keys() == fields
        assert header[part]["features"]["layers"] == [[3, 3, 1], [2, 3, 1]]
    nothing = {name for name, value in header["settings"].items() if value is None}
    assert nothing == {"image_shape", "full_scale"}  # None means something there
    path = save(Network(n_jobs=1, random_state=4).fit(X), tmp_path / "pixel.cbn")
    header = json.loads(members_of(path)["header.json"])
    assert header["networks"][0]["hidden"] == [] and header["arguments"]["features"] is None
    assert header["settings"]["features"]["layers"] == []
    path = save(Classifier(n_jobs=1).fit(X, np.arange(150) % 2), tmp_path / "classifier.cbn")
    header = json.loads(members_of(path)["header.json"])
    assert header["arguments"].keys() == Classifier().get_params(deep=False).keys() - set(NOT_KEPT)


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


@pytest.mark.slow
@pytest.mark.parametrize("name, value", [(name, value) for name, values in OF_A_LAYER.items() for value in values])
def test_layers_that_cannot_be(name, value, saved, tmp_path):
    members = members_of(saved)
    own = json.loads(members["header.json"])["networks"][0]["hidden"]
    tracemalloc.start()
    for number in (0, 1):
        if (name, value) == ("best", 2):
            value = len(np.load(io.BytesIO(members[f"hidden_0_{number + 1}_curve.npy"])))
        if own[number][name] == value and type(value) is int:
            continue  # it is good where it is: the stored file has a layer of 2 x 2 kernels
        path = changed(
            saved, tmp_path / "a.cbn", lambda h, n=number, v=value: h["networks"][0]["hidden"][n].update({name: v})
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


@pytest.mark.slow
@pytest.mark.parametrize("n", [3, 7, 8, 10_000])
def test_more_layers_than_fit(n, saved, tmp_path):
    def repeat(header):
        own = header["networks"][0]["hidden"]
        own.extend(own[1:] * (n - 2))

    refused(changed(saved, tmp_path / "a.cbn", repeat), "damaged")


def test_arguments_that_a_file_does_not_hold(saved, tmp_path):
    """Above all no path: loading a model reads no other file."""
    nested = version_of(saved) >= 5
    for part in ("arguments", "settings") if nested else ("arguments",):

        def changed_to(name, value, part=part):
            def change(header):
                own = header[part]
                if nested and name in own["features"].keys() | {"kernels"}:
                    own = own["features"]
                own[name] = value

            return changed(saved, tmp_path / "a.cbn", change)

        for name, value in {"kernels": "/dev/zero", "n_jobs": 1}.items():
            refused(changed_to(name, value), "damaged")
        for name, value in {
            "layers" if nested else "hidden": [[3, 3]], "layer_weights": [1, 1], "iterations": -1, "activation": [2, 3],
            "momentum": 1, "forced_relations": [[1, 0, 0, 1, 0]], "normalize_kernels": 1, "shift": 9, "max_parents": 11,
            "replace_worst": "1", "strange": 1,
        }.items():  # fmt: skip
            refused(changed_to(name, value), "damaged", name.replace("hidden", "layers"))


def test_objects_that_a_file_does_not_hold(new, tmp_path):
    for part in ("arguments", "settings"):
        for name, value in (
            ("features", 3), ("features", [1]), ("features", "x"), ("cpd", {"kind": "forest"}), ("cpd", {}),
            ("cpd", {"kind": "table", "reach": 3}), ("cpd", {"kind": "table", "offsets": [[1, 0]]}), ("cpd", [1]),
            ("cpd", {"kind": ["table"]}), ("cpd", 3), ("cpd", "forest"), ("preset", None), ("preset", "nothing"),
            ("preset", ["hidden"]), ("score", "x"), ("threshold", "x"), ("threshold", [2]), ("folds", 1), ("full_scale", 0),
        ):  # fmt: skip
            path = changed(new, tmp_path / "a.cbn", lambda h, p=part, n=name, v=value: h[p].update({n: v}))
            refused(path, "damaged")
    for name in ("cpd", "features", "threshold", "score", "folds"):  # settings leave nothing open
        refused(changed(new, tmp_path / "a.cbn", lambda h, n=name: h["settings"].update({n: None})), "damaged")
    refused(changed(new, tmp_path / "a.cbn", lambda h: h["settings"].update(cpd="table")), "damaged")
    for part in ("arguments", "settings"):
        for value in (None, [], 3, "x"):
            refused(changed(new, tmp_path / "a.cbn", lambda h, p=part, v=value: h.update({p: v})), "damaged")
        refused(changed(new, tmp_path / "a.cbn", lambda h, p=part: h.pop(p)), "damaged")


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
