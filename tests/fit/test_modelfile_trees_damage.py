# SPDX-License-Identifier: BSD-3-Clause
"""Model files of trees and boosted trees that cannot be: refused in one line, without the memory that they claim."""

import io
import json
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

import cbn
from helpers.modelfiles import every_score, members_of, npy, refused, save, use, version_of, with_header, write
from helpers.networks import Classifier
from helpers.trees import SMALL, X, fitted

pytestmark = pytest.mark.slow

FORMAT_V3 = Path(__file__).parents[1] / "data" / "format_v3"


def array_of(members, name):
    return np.load(io.BytesIO(members[f"{name}.npy"]))


@pytest.fixture(scope="module", params=["new", "version 3"])
def files(request, tmp_path_factory):
    """Saved models by kind, to be changed: tree and boosted have two thresholds, best two hidden layers."""
    if request.param == "version 3":
        return {kind: FORMAT_V3 / f"{kind}.cbn" for kind in ("tree", "boosted", "best")}
    folder = tmp_path_factory.mktemp("models")
    two = {"threshold": (0.2, 0.6)}
    models = {"tree": fitted("tree", **two), "boosted": fitted("boosted", **two), "best": fitted("best", threshold=0.3)}
    return {kind: save(model, folder / f"{kind}.cbn") for kind, model in models.items()}


def network_of(files, kind):
    """What the header of a file says of its network."""
    return json.loads(members_of(files[kind])["header.json"])["networks"][0]


def pixels_of(files):
    layer = network_of(files, "tree")["layer"]
    return layer["height"] * layer["width"]


def change_network(files, kind, path, change):
    return with_header(files[kind], path, lambda header: change(header["networks"][0]))


OF_A_NETWORK = {
    "tree": {
        "cpd": ["table", "boosted", "forest", None, 3, [], True], "shrinkage": [None, 0, -1, "1", 1e10, True],
        "pseudocount": [None, 0, "1"], "calibration": ["x", None], "hidden": [[{}], None, 3],
        "scales": [None, {}, every_score([1, 1]), every_score([-1])],
        "heat_map_scale": [None, "1", True],
    },
    "boosted": {"cpd": ["table", "tree", None], "hidden": [[{}], None, 3], "scales": [None, []],
                "heat_map_scale": [None, []]},
}  # fmt: skip


@pytest.mark.parametrize(
    "kind, name, value",
    [(kind, n, v) for kind, wrong in OF_A_NETWORK.items() for n, values in wrong.items() for v in values],
)
def test_networks_that_cannot_be(kind, name, value, files, tmp_path):
    refused(change_network(files, kind, tmp_path / "a.cbn", lambda own: own.update({name: value})), "damaged")


SIZES = ["channels", "height", "width", "n_vertices"]


@pytest.mark.parametrize("kind, name", [*(("tree", n) for n in SIZES), *(("boosted", n) for n in [*SIZES, "n_trees"])])
@pytest.mark.parametrize("value", [0, -1, 1, 3, 2**12, 2**16, 2**26, 2**31, 10**30, "2", 2.5, None, [], "missing"])
def test_sizes_that_are_only_claimed(kind, name, value, files, tmp_path):
    def change(own):
        if value == "missing":
            del own["layer"][name]
        else:
            own["layer"][name] = value

    path = change_network(files, kind, tmp_path / "a.cbn", change)
    tracemalloc.start()
    refused(path, "damaged")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 10 * 2**20


def test_claims_of_many_thresholds(files, tmp_path):
    """Sizes that agree with each other, but of which the file holds nothing."""
    many = {"channels": 255, "height": 700, "width": 700, "n_vertices": 2**27}

    def change(own):
        own["layer"] |= many
        own["thresholds"] = [i / 255 for i in range(255)]

    for kind in ("tree", "boosted"):
        path = change_network(files, kind, tmp_path / "a.cbn", change)
        tracemalloc.start()
        refused(path, "damaged")
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 10 * 2**20


def bad_arrays(array):
    yield from (None, b"", npy(array[:-1]), npy(array[:0]), npy(array.astype(np.int16)), npy(array[None]))
    yield from (npy(np.r_[array, array[:1]]), npy(array.astype(array.dtype.newbyteorder())))
    if array.dtype == np.float64:
        yield from (npy(np.full_like(array, bad)) for bad in (np.nan, np.inf, -np.inf, -1, 1e6))
    else:
        yield npy(np.full_like(array, np.iinfo(array.dtype).max))
        yield npy(np.full_like(array, np.iinfo(array.dtype).min))


ARRAYS = [
    ("tree", "sizes_0"), ("tree", "split_0"), ("tree", "counts_0"), ("best", "hidden_0_1_sizes"),
    ("best", "hidden_0_2_split"), ("best", "hidden_0_1_counts"),
    *(("boosted", f"{name}_0") for name in ("trees", "sizes", "split", "value", "base", "counts", "moments")),
]  # fmt: skip


@pytest.mark.parametrize("kind, name", ARRAYS)
def test_arrays_that_cannot_be(kind, name, files, tmp_path):
    members = members_of(files[kind])
    array = array_of(members, name)
    assert array.size and (name not in ("sizes_0", "trees_0") or array.max() > 1)  # there is something to break
    for content in bad_arrays(array):
        refused(write(tmp_path / "a.cbn", members | {f"{name}.npy": content}), "damaged")
    if array.dtype != np.float64 and not name.startswith(("value", "base")):
        for other in (array + 1, array[::-1].copy(), np.roll(array, 1, axis=0), array - 1, -array):
            refused(write(tmp_path / "a.cbn", members | {f"{name}.npy": npy(other)}), "damaged")


def set_element(files, kind, name, path, index, value):
    members = members_of(files[kind])
    array = array_of(members, name)
    array[index] = value
    return write(path, members | {f"{name}.npy": npy(array)})


def test_splits_that_cannot_be(files, tmp_path):
    """One number of an otherwise good file: later nodes, the node itself, other nodes than the lower threshold."""
    path, n_pixels = tmp_path / "a.cbn", pixels_of(files)
    for kind, n_nodes in (("tree", 2 * n_pixels), ("boosted", 2 * n_pixels), ("best", n_pixels)):
        split = array_of(members_of(files[kind]), "split_0")
        last = int(np.flatnonzero(split >= 0)[-1])  # of a node at the end of the picture
        for value in (n_nodes - 1, n_nodes, 2**31 - 1, -1, -2, -(2**31)):
            refused(set_element(files, kind, "split_0", path, last, value), "damaged")
    sizes = array_of(members_of(files["tree"]), "sizes_0")
    higher = int(sizes[:n_pixels].sum())  # root of the first node of the higher threshold
    for node in range(higher, int(sizes.sum()), 97):
        root = int(np.r_[0, np.cumsum(sizes)][n_pixels + (node - higher) % n_pixels])
        refused(set_element(files, "tree", "split_0", path, root, -1), "damaged")


@pytest.mark.parametrize("change", ["near", "same position"])
def test_nodes_that_see_the_same_pixels_do_not_decide_for_each_other(change, files, tmp_path):
    kind, name = ("best", "hidden_0_1") if change == "near" else ("boosted", "0")
    members = members_of(files[kind])
    prefix = (lambda part: f"{name}_{part}") if kind == "best" else (lambda part: f"{part}_{name}")
    split = array_of(members, prefix("split"))
    sizes = array_of(members, prefix("sizes"))
    if kind == "boosted":
        trees = array_of(members, prefix("trees"))
        sizes = np.add.reduceat(np.r_[sizes, 0], np.r_[0, np.cumsum(trees)[:-1]]) * (trees > 0)
    node = np.repeat(np.arange(len(sizes)), sizes)
    n_pixels = pixels_of(files)
    first = n_pixels if kind == "boosted" else 0  # the higher threshold sees the lower one at the same pixel
    vertex = int(np.flatnonzero((split >= 0) & (node >= max(1, first)))[-1])
    split[vertex] = node[vertex] - (n_pixels if kind == "boosted" else 1)
    path = write(tmp_path / "a.cbn", members | {f"{prefix('split')}.npy": npy(split)})
    if kind == "best":
        refused(path, "damaged", "positions apart")
    else:  # the required node at the same pixel says nothing new, and is no harm
        use(cbn.load(path), tmp_path / "b.cbn")


def test_layers_of_different_kinds(files, tmp_path):
    """Tables above trees, or trees above tables, are no network, even if every array fits."""
    members = members_of(files["best"])
    header = json.loads(members["header.json"])
    entry = header["networks"][0]["hidden"][0]
    del entry["network"]
    begin = np.cumsum(array_of(members, "hidden_0_1_sizes")) - array_of(members, "hidden_0_1_sizes")
    counts = npy(array_of(members, "hidden_0_1_counts")[begin])
    assert not entry["layer"]["relations"]
    changed = members | {"header.json": json.dumps(header), "hidden_0_1_counts.npy": counts}
    refused(write(tmp_path / "a.cbn", changed), "damaged")
    header = json.loads(members["header.json"])
    own = header["networks"][0]
    del own["cpd"]
    own["layer"]["relations"] = []
    begin = np.cumsum(array_of(members, "sizes_0")) - array_of(members, "sizes_0")
    changed = members | {"header.json": json.dumps(header), "counts_0.npy": npy(array_of(members, "counts_0")[begin])}
    refused(write(tmp_path / "a.cbn", changed), "damaged")
    for cpd in ("table", "boosted", "x", None):
        path = change_network(
            files, "best", tmp_path / "a.cbn", lambda own, cpd=cpd: own["hidden"][1]["network"].update(cpd=cpd)
        )
        refused(path, "damaged")


def test_trees_of_hidden_layers_have_the_size_of_the_kernels(files, tmp_path):
    for name, value in {"channels": 2, "height": 1, "width": 10**9, "n_vertices": 10**9}.items():
        path = change_network(
            files, "best", tmp_path / "a.cbn",
            lambda own, n=name, v=value: own["hidden"][0]["network"]["layer"].update({n: v}),
        )  # fmt: skip
        refused(path, "damaged")
    for value in (None, [], 3, {}):
        path = change_network(
            files, "best", tmp_path / "a.cbn", lambda own, v=value: own["hidden"][0].update(network=v)
        )
        refused(path, "damaged")


def test_counts_against_each_other(files, tmp_path):
    path, n_pixels = tmp_path / "a.cbn", pixels_of(files)
    for kind, place in (("boosted", 3), ("tree", 0)):
        n = network_of(files, kind)["n_images"]
        for value in ((n + 1, 0), (-1, n + 1), (0, n - 1), (2**63 - 1, 2**63 - 1)):
            refused(set_element(files, kind, "counts_0", path, place, value), "damaged")
    lower = int(array_of(members_of(files["boosted"]), "counts_0")[5, 1])
    n = network_of(files, "boosted")["n_images"]
    value = (n - 1 - lower, lower + 1)  # more images above the higher threshold than above the lower one
    refused(set_element(files, "boosted", "counts_0", path, n_pixels + 5, value), "damaged")


BOOSTING = {
    "rounds": [-1, 1001, 1.5, "3", None, True], "max_leaves": [1, 257, 2.0], "rate": [0, 1.5, "0.1", None],
    "n_candidates": [0, 2**31], "l2": [-1], "min_hessian": [0], "pseudocount": [0], "unknown": [1],
}  # fmt: skip


@pytest.mark.parametrize("name, value", [(name, value) for name, values in BOOSTING.items() for value in values])
def test_arguments_of_boosting(name, value, files, tmp_path):
    nested = version_of(files["boosted"]) >= 5
    for part in ("arguments", "settings") if nested else ("arguments",):

        def change(header, part=part):
            header[part]["cpd" if nested else "boosting"][name] = value

        refused(with_header(files["boosted"], tmp_path / "a.cbn", change), "damaged", name)


@pytest.mark.parametrize(
    "name, value",
    [("boosting", 3), ("boosting", []), ("boosting", {}), ("reach", 0), ("folds", 1), ("penalty", -1), ("cpd", "x"),
     ("offsets", [[-1, 0]]), ("max_leaves", 1), ("shrinkage", 0), ("min_leaf", 0), ("threshold", "other")],
)  # fmt: skip
def test_arguments_that_no_estimator_takes(name, value, files, tmp_path):
    nested = version_of(files["tree"]) >= 5
    for part in ("arguments", "settings") if nested else ("arguments",):

        def change(header, part=part):
            if nested and name in (*header["settings"]["cpd"], "offsets"):
                header[part]["cpd"] = header["settings"]["cpd"] | {name: value}
            else:
                header[part][name] = value

        words = () if (part, name) == ("settings", "cpd") else (name,)  # a word leaves it open there
        refused(with_header(files["tree"], tmp_path / "a.cbn", change), "damaged", *words)


def test_networks_of_different_kinds_are_no_classifier(tmp_path):
    labels = np.arange(len(X)) % 2
    members = members_of(save(Classifier("tree", **SMALL, reach=3).fit(X, labels), tmp_path / "tree.cbn"))
    other = members_of(save(Classifier("tree", cpd="boosted", **SMALL, reach=3).fit(X, labels), tmp_path / "b.cbn"))
    header, foreign = (json.loads(m["header.json"]) for m in (members, other))
    header["networks"][1] = foreign["networks"][1]
    members |= {name: content for name, content in other.items() if name.endswith("_1.npy")}
    refused(write(tmp_path / "a.cbn", members | {"header.json": json.dumps(header)}), "damaged", "classifier")
