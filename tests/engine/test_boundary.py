# SPDX-License-Identifier: BSD-3-Clause
"""The Cython boundary and the build: wrong arrays raise, nothing but the module's own name is exported."""

import ast
import inspect
import os
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from cbn import _engine
from cbn.cpd.grid import Layer, Relation, pixel_layer
from cbn.cpd.tree import TreeLayer

ROOT = Path(__file__).parents[2]
LAYER = pixel_layer(3, 4, ((-1, 0), (0, -1)))
# a stump over the left neighbour for every pixel but the first
STUMPS = TreeLayer(
    1, 3, 4, np.array([0, *range(1, 37, 3)]), np.array([-1, *np.ravel([(v, -1, -1) for v in range(11)])], np.int32),
    np.full(12, -1, np.int32),
)  # fmt: skip

RELATIONS = np.array([(0, 0, -1, -1), (0, 0, -1, 1)], np.int32)  # that the layer has not


def arrays():
    """Arguments of every function that takes arrays, all of the right shapes, for 70 images of 3 x 4 pixels."""
    layer = _engine.Layer(LAYER)
    stack = _engine.LayerStack([layer], [])
    images = np.zeros((70, 12), np.uint8)
    planes = np.zeros((12, 2), np.uint64)
    counts = np.zeros((48, 2), np.int64)
    values = np.full((48, 2), 0.5)
    states = np.zeros((3, 12), np.uint8)
    _engine.count(layer, planes, 70, counts)
    trees, begin, earlier = _engine.Trees(STUMPS), np.array([0, *range(12)]), np.arange(11, dtype=np.int32)
    tree_counts, tree_values = np.zeros((34, 2), np.int64), np.full((34, 2), 0.5)
    _engine.tree_count(trees, planes, 70, tree_counts)
    none, rows = np.full(12, -1, np.int32), [np.empty((12, 5), np.int32), np.empty((12, 5), np.int32)]
    useful = begin  # every node's root, with its candidate
    ways = (np.arange(13), np.array([0] * 3 + [2] * 10), np.array([0, -2], np.int32), useful, np.zeros(11, np.int32))
    counted = [np.zeros((12, 2), np.int64), np.zeros((11, 2), np.int64)]
    best = (np.empty(12), np.empty(12, np.int32), np.empty(12, np.uint8))
    grown = [np.empty(12, np.int32), *rows, np.empty((12, 5, 2), np.int64)]
    return {
        "pack_planes": [images, 76, planes],
        "unpack_planes": [planes, np.zeros((70, 12), np.uint8)],
        "planes_select": [planes, 70, np.ones(70, np.uint8), planes.copy()],
        "planes_digest": [planes, 70, np.empty(2, np.uint64)],
        "relation_counts": [layer, planes, 70, RELATIONS, np.empty(192, np.int64)],
        "relation_gains_of_counts": [layer, counts, RELATIONS, np.zeros(192, np.int64), np.empty(2)],
        "count": [layer, planes, 70, counts.copy()],
        "counts_check": [layer, counts, 70],
        "bic": [layer, counts],
        "probability_table": [layer, counts, 1.0, values.copy()],
        "value_table": [layer, counts, 1.0, 0, False, values.copy()],
        "score_images": [layer, planes, 70, values, np.zeros(70)],
        "score_nodes": [layer, planes, 70, values, np.zeros((70, 12))],
        "sample_ancestral": [layer, values, 1, np.zeros(12, np.uint8), states],
        "sample_gibbs": [layer, values, 1, 0, 10, np.arange(12), states],
        "sample_gibbs_layers": [stack, values.astype(np.int64), 1.0, np.ones(10), 1, 0, np.arange(12), states.copy()],
        "tree_grow": [(1, 3, 4), planes, 70, (begin, earlier, none), (0.5, 3, 1), tuple(grown)],
        "count_vertices": [(1, 3, 4), planes, 70, np.zeros(2, np.uint64), (begin, earlier, none), ways, *counted],
        "best_splits": [counted[0], useful, counted[1], (0.5, 70, 1), best],
        "choose_splits": [np.arange(12), np.full(12, -1), np.ones(12), 3, (best[2].copy(), best[2].copy())],
        "tree_count": [trees, planes, 70, tree_counts.copy()],
        "tree_counts_check": [trees, tree_counts, 70],
        "tree_bic": [trees, tree_counts],
        "tree_probability": [trees, tree_counts, 1.0, 1.0, tree_values.copy()],
        "tree_values": [trees, tree_counts, tree_values, 1.0, 1.0, 0, False, tree_values.copy()],
        "tree_score_images": [trees, planes, 70, tree_values, np.zeros(70)],
        "tree_score_nodes": [trees, planes, 70, tree_values, np.zeros((70, 12))],
        "tree_sample_ancestral": [trees, tree_values, 1, np.zeros(12, np.uint8), states],
        "tree_sample_gibbs": [trees, tree_values, 1, 0, 10, np.arange(12), states],
    }


# Arguments that may be None, and those of which there may be any number of chains or sites.
OPTIONAL = {
    ("sample_ancestral", 3),
    ("tree_sample_ancestral", 3),
    ("tree_grow", (3, 2)),
    ("count_vertices", 3),
    ("count_vertices", (4, 2)),
}
FREE = {(prefix + name, i) for prefix in ("", "tree_")
        for name, i in (("sample_ancestral", 4), ("sample_gibbs", 6), ("sample_gibbs", 5))}  # fmt: skip
FREE |= {("sample_gibbs_layers", i) for i in (3, 6, 7)} | {("choose_splits", 0), ("planes_digest", 0)}


@pytest.mark.parametrize("name", arrays())
def test_right_arguments_are_taken(name):
    getattr(_engine, name)(*arrays()[name])


def replaced(arguments, i, value):
    """The arguments with number i, or number i[1] of the tuple that is number i[0], changed."""
    i, *inside = i if isinstance(i, tuple) else (i,)
    if inside:
        value = tuple(replaced(arguments[i], inside[0], value))
    return [*arguments[:i], value, *arguments[i + 1 :]]


@pytest.mark.parametrize("name", arrays())
def test_wrong_arrays_are_refused(name):
    """Each array argument in turn: too short, too narrow, empty, of another type, not contiguous, None."""
    function, good = getattr(_engine, name), arrays()[name]
    places = [(i, argument) for i, argument in enumerate(good) if isinstance(argument, np.ndarray)]
    for i, group in enumerate(good):
        if isinstance(group, tuple):
            places += [((i, j), argument) for j, argument in enumerate(group) if isinstance(argument, np.ndarray)]
    for i, argument in places:
        wrong = [argument[:0], argument.astype(np.float32), argument[::2].repeat(2, axis=0)[::2], argument[None], None]
        wrong.append(np.concatenate([argument, argument]))
        if argument.ndim == 2:
            wrong += [argument[:, :-1].copy(), argument[:, :0].copy()]
        for array in wrong:
            if array is None and (name, i) in OPTIONAL:
                continue
            if (name, i) == ("sample_gibbs_layers", 3) and array is not None and array.shape == (0,):
                continue  # no step
            fits = array is not None and array.shape[1:] == argument.shape[1:] and len(array) > 0
            if (name, i) in FREE and fits and array.dtype == argument.dtype and array.flags.c_contiguous:
                continue
            with pytest.raises((ValueError, TypeError)):
                function(*replaced(good, i, array))


def read_only(array):
    array.flags.writeable = False
    return array


@pytest.mark.parametrize(
    ("scores", "said"),
    [
        (None, "scores: NoneType where a NumPy array is needed"),
        (bytearray(560), "scores: bytearray where a NumPy array is needed"),
        (np.zeros(70, np.float32), "scores: float32 where float64 is needed"),
        (np.zeros(70, np.int64), "scores: int64 where float64 is needed"),
        (np.zeros(70, ">f8"), "scores: >f8 where float64 is needed"),
        (np.zeros(70, np.complex64), "scores: complex64 where float64 is needed"),
        (np.zeros(70, [("a", float)]), "scores: [('a', '<f8')] where float64 is needed"),
        (np.zeros((70, 1)), "scores: 2 dimensions where 1 are needed"),
        (np.zeros((1, 1, 1, 1, 70)), "scores: 5 dimensions where 1 are needed"),
        (np.array(0.0), "scores: 0 dimensions where 1 are needed"),
        (np.zeros(140)[::2], "scores: not C-contiguous; numpy.ascontiguousarray makes it so"),
        (read_only(np.zeros(70)), "scores: read-only where it is to be filled"),
        (np.zeros(69), "scores: size 69 where 70 is needed"),
    ],
)
def test_the_message_names_the_array(scores, said):
    with pytest.raises(ValueError) as error:
        _engine.score_images(*arrays()["score_images"][:-1], scores)
    assert str(error.value) == said


def test_arrays_that_are_read_may_be_read_only_and_of_bool():
    planes = np.zeros((12, 2), np.uint64)
    states = np.random.default_rng(0).integers(0, 2, (70, 12), np.uint8)
    _engine.pack_planes(read_only(states.astype(bool)), 0, planes)
    found = np.empty_like(states)
    _engine.unpack_planes(read_only(planes), found)
    np.testing.assert_array_equal(found, states)


def test_objects_of_the_engine_keep_their_arrays_and_are_not_pickled():
    network, again = _engine.Layer(LAYER), arrays()["score_images"]  # LAYER.arrays() are new ones for every call
    kept = [np.full(1000, 7, np.int64) for _ in range(100)]  # would take freed memory
    _engine.score_images(network, *again[1:])
    assert (again[-1] == 12 * 0.5).all() and len(kept) == 100
    for thing in (network, _engine.Trees(STUMPS), _engine.LayerStack([network], [])):
        with pytest.raises(TypeError):
            pickle.dumps(thing)


@pytest.mark.parametrize("threads", [0, -1])
@pytest.mark.parametrize(
    "name",
    ["planes_digest", "relation_counts", "relation_gains_of_counts", "count", "score_images", "value_table", "sample_gibbs", "sample_gibbs_layers", "pack_planes", "tree_grow", "count_vertices", "best_splits", "choose_splits", "tree_count", "tree_values",
     "tree_probability", "tree_score_images", "tree_score_nodes", "tree_sample_ancestral", "tree_sample_gibbs"],
)  # fmt: skip
def test_thread_count_is_checked(name, threads):
    with pytest.raises(ValueError):
        getattr(_engine, name)(*arrays()[name], threads)


def test_scalars_are_checked():
    good = arrays()
    layer, values, states = good["sample_gibbs"][0], good["sample_gibbs"][1], good["sample_gibbs"][6]
    with pytest.raises(ValueError, match="site"):
        _engine.sample_gibbs(layer, values, 1, 0, 10, np.array([12]), states)
    with pytest.raises(ValueError):
        _engine.sample_gibbs(layer, values, 1, 0, -1, np.array([1]), states)
    with pytest.raises(OverflowError):
        _engine.sample_gibbs(layer, values, -1, 0, 1, np.array([1]), states)
    for pseudocount in (0.0, -1.0, np.nan, np.inf):
        with pytest.raises(ValueError):
            _engine.probability_table(layer, good["bic"][1], pseudocount, np.empty((48, 2)))
    with pytest.raises(ValueError):
        _engine.pack_planes(good["pack_planes"][0], 256, good["pack_planes"][2])


def changed(name, i, value):
    return name, replaced(arrays()[name], i, value)


@pytest.mark.parametrize(
    "name, arguments",
    [
        *(changed("tree_grow", (4, 0), penalty) for penalty in (-1e-9, np.nan, np.inf)),
        changed("tree_grow", (4, 2), 0),
        *(changed("tree_grow", i, 0) for i in ((0, 0), (0, 1), (0, 2), 2)),
        changed("tree_grow", (3, 0), np.array([0, 5, *range(1, 12)])),  # begins that fall
        changed("tree_grow", (3, 1), np.arange(1, 12, dtype=np.int32)),  # nodes that may decide for themselves
        changed("tree_grow", (3, 1), np.full(11, -1, np.int32)),
        changed("tree_grow", (3, 2), np.arange(12, dtype=np.int32)),
        changed("count_vertices", (5, 2), np.array([0, 2], np.int32)),  # ways through nodes that do not come before
        changed("count_vertices", (5, 2), np.array([0, -4], np.int32)),
        changed("count_vertices", (5, 4), np.ones(11, np.int32)),  # candidates that are not there
        changed("count_vertices", (5, 4), np.full(11, -1, np.int32)),
        *(changed("count_vertices", (5, i), np.array([0, 5, *range(1, 12)])) for i in (0, 1, 3)),
        *(changed("best_splits", (3, 0), penalty) for penalty in (-1e-9, np.nan, np.inf)),
        *(changed("best_splits", (3, i), 0) for i in (1, 2)),
        changed("best_splits", 0, np.full((12, 2), -1)),
        changed("best_splits", 2, np.ones((11, 2), np.int64)),  # more than there are in all
        changed("choose_splits", 3, 0),
        changed("choose_splits", 3, _engine.MAX_LEAVES + 1),
        changed("choose_splits", 0, np.array([12])),
        changed("choose_splits", 0, np.array([-1])),
        *(changed("choose_splits", 1, np.full(12, child)) for child in (0, 11)),
        *(changed(name, i, value) for name in ("tree_probability", "tree_values") for i in (2, 3)
          for value in (0.0, -1.0, np.nan, np.inf) if (name, i) != ("tree_values", 2)),
        *(changed("tree_values", 5, kind) for kind in (-1, 4)),
        *(changed("tree_sample_gibbs", 5, np.array([site])) for site in (-1, 12)),
        changed("tree_sample_gibbs", 4, -1),
        changed("tree_counts_check", 2, -1),
    ],
)  # fmt: skip
def test_scalars_of_trees_are_checked(name, arguments):
    with pytest.raises(ValueError):
        getattr(_engine, name)(*arguments)


def test_largest_trees():
    """max_leaves sizes the outputs: it is checked against them, and against the engine's limit."""
    for max_leaves in (0, -3, 4, _engine.MAX_LEAVES + 1, 2**31 - 1):
        with pytest.raises(ValueError):
            _engine.tree_grow(*changed("tree_grow", (4, 1), max_leaves)[1])


def test_the_stub_names_every_function_and_its_parameters():
    stub = ast.parse((ROOT / "cbn/_engine.pyi").read_text())
    declared = {f.name: [a.arg for a in f.args.args] for f in stub.body if isinstance(f, ast.FunctionDef)}
    functions = {name: f for name, f in vars(_engine).items() if inspect.isroutine(f) and not name.startswith("_")}
    assert declared == {name: list(inspect.signature(f).parameters) for name, f in functions.items()}
    classes = {c.name for c in stub.body if isinstance(c, ast.ClassDef)}
    members = vars(_engine).items()
    assert classes == {name for name, c in members if inspect.isclass(c) and c.__module__ == "cbn._engine"}
    constants = {a.target.id for a in stub.body if isinstance(a, ast.AnnAssign) and a.target.id.isupper()}
    assert constants == {name for name in vars(_engine) if name.isupper()}


@pytest.mark.parametrize(
    "relations",
    [
        (Relation(0, 0, 0, 0),),
        (Relation(0, 0, 0, 1),),
        (Relation(0, 0, 1, -5),),
        (Relation(0, 1, -1, 0),),
        (Relation(-1, 0, -1, 0),),
        (Relation(0, 0, -1, 0), Relation(0, 0, -1, 0)),
        (Relation(0, 0, -1, 0, True),),
        tuple(Relation(0, 0, -1, dx) for dx in range(17)),
    ],
)
def test_layers_that_are_no_network_are_refused(relations):
    with pytest.raises(ValueError):
        Layer(1, 3, 4, relations)

    class Unchecked:
        """What Layer would be without its own check: the engine must not rely on it."""

        channels, height, width = 1, 3, 4

        def arrays(self):
            columns = np.array([(r.parent, r.dy, r.dx) for r in relations], np.int32).T
            begin = np.array([0, len(relations)], np.int64)
            required = np.array([r.required for r in relations], np.uint8)
            return (begin, *(np.ascontiguousarray(c) for c in columns), required)

    if relations[0].child == 0:  # the engine stores relations by child, so it cannot see a wrong one
        with pytest.raises(ValueError):
            _engine.Layer(Unchecked())


def test_layer_sizes():
    for sizes in [(0, 3, 3), (1, 0, 3), (1, 3, -1)]:
        with pytest.raises(ValueError):
            Layer(*sizes)
    layer = pixel_layer(3, 4, ((-1, 0),), 2)
    assert (layer.n_nodes, layer.n_rows) == (24, 12 * 2 + 12 * 4)
    assert [layer.table_begin(node) for node in (0, 1, 11, 12, 13)] == [0, 2, 22, 24, 28]
    assert layer.table_begins().tolist() == [layer.table_begin(node) for node in range(layer.n_nodes)]
    assert Layer.from_dict(layer.to_dict()) == layer


def test_only_the_module_is_exported():
    """Every engine symbol is cbn_* and hidden in the built module."""
    nm = shutil.which("nm")
    if nm is None or sys.platform != "linux":
        pytest.skip("needs nm on Linux")
    listing = subprocess.run([nm, "-D", "--defined-only", _engine.__file__], capture_output=True, text=True, check=True)
    names = {line.split()[-1] for line in listing.stdout.splitlines()}
    assert {name for name in names if not name.startswith("_")} == {"PyInit__engine"}


@pytest.mark.slow
def test_engine_objects_define_only_prefixed_symbols(tmp_path):
    nm, compiler = shutil.which("nm"), shutil.which(os.environ.get("CC", "cc"))
    if nm is None or compiler is None:
        pytest.skip("needs nm and a C compiler")
    sources = sorted(str(path) for path in (ROOT / "src_c").rglob("*.c"))
    assert len(sources) > 10
    subprocess.run([compiler, "-std=c11", "-O0", "-c", *sources], cwd=tmp_path, check=True)
    objects = sorted(str(path) for path in tmp_path.glob("*.o"))
    listing = subprocess.run([nm, "-g", "--defined-only", *objects], capture_output=True, text=True, check=True)
    names = [line.split()[-1] for line in listing.stdout.splitlines() if len(line.split()) == 3]
    assert names and all(name.lstrip("_").startswith("cbn_") for name in names)


def test_build_facts():
    assert _engine.version() == __import__("cbn").__version__
    assert _engine.max_threads() >= 1
    assert _engine.has_openmp() or os.environ.get("CBN_NO_OPENMP") or sys.platform != "linux"


@pytest.mark.parametrize(
    "variables, expected",
    [
        ({"CBN_FORCE_GENERIC": "1"}, {"generic"}),
        ({"CBN_INSTRUCTION_SET": "generic"}, {"generic"}),
        ({"CBN_INSTRUCTION_SET": "avx2"}, {"avx2", "generic"}),
        ({"CBN_INSTRUCTION_SET": "neon"}, {"neon", "generic"}),
        ({"CBN_FORCE_GENERIC": "0"}, {"avx512", "avx2", "neon", "generic"}),
    ],
)
def test_environment_chooses_the_path(variables, expected, monkeypatch):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert _engine.instruction_set() in expected


def test_import_is_light():
    """scikit-learn and matplotlib load when they are used, not on `import cbn`."""
    code = "import sys, cbn; print([m for m in ('sklearn', 'scipy', 'matplotlib', 'PIL', 'tqdm') if m in sys.modules])"
    assert (
        subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
    )


@pytest.mark.parametrize(
    ("flags", "mend"),
    [
        (["-U__BYTE_ORDER__", "-D__BYTE_ORDER__=__ORDER_BIG_ENDIAN__"], "little-endian processor"),
        (["-ffast-math"], "without -ffast-math"),
    ],
)
def test_builds_that_would_give_other_bytes_are_refused(flags, mend):
    compiler = shutil.which(os.environ.get("CC", "cc"))
    if compiler is None:
        pytest.skip("needs a C compiler")
    command = [compiler, "-std=c11", "-fsyntax-only", *flags, str(ROOT / "src_c" / "build.c")]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode != 0 and mend in run.stderr
