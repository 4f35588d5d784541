# SPDX-License-Identifier: BSD-3-Clause
"""Networks of dask arrays: the bytes of one process, however the images are cut, whatever happens to workers."""

import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest

import cbn
from cbn import ConvolutionalBayesianNetwork as Network
from cbn.cpd import nodeshares
from helpers.images import blots

da = pytest.importorskip("dask.array", reason="dask is not installed: pip install 'cbn[distributed]'")

# dask's own: of a socket that it tries
pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
IMAGES = blots(500, 9, seed=3)
GREY = (IMAGES * np.random.default_rng(0).integers(40, 256, IMAGES.shape)).astype(np.uint8)
DRAWN = cbn.Features(layers=((3, 3, 1), (2, 2, 1)), iterations=0)
CUTS = {1: (), 2: (123,), 3: (64, 65), 7: (3, 70, 131, 200, 333, 499)}
MODELS = {
    "pixel": ({"preset": "pixel", "threshold": (0.2, 0.5), "outlier_score": "surprise"}, GREY),
    "hidden": ({"preset": "hidden", "features": DRAWN, "threshold": "auto"}, GREY),
    "tree": ({"preset": "tree"}, IMAGES),
    "tree in rounds": ({"preset": "tree"}, IMAGES),
}


def choose_way(name, monkeypatch):
    """Trees of so few images grow by nodes unless it is forbidden."""
    if "rounds" in name:
        monkeypatch.setattr(nodeshares, "MOST_BYTES", 0)


def network(arguments):
    return Network(**{"random_state": 3, "n_jobs": 1, "false_alarm_rate": 0.1} | arguments)


def chunked(images, cuts):
    return da.concatenate([da.from_array(part) for part in np.split(images, cuts)])


def bytes_of(model, path):
    model.save(path)
    return path.read_bytes()


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    path = tmp_path_factory.mktemp("one") / "one.cbn"
    return {name: bytes_of(network(own).fit(images), path) for name, (own, images) in MODELS.items()}


@pytest.mark.parametrize("n_shards", CUTS)
@pytest.mark.parametrize("name", MODELS)
def test_the_bytes_are_those_of_one_process(name, n_shards, client, expected, tmp_path, monkeypatch):
    choose_way(name, monkeypatch)
    arguments, images = MODELS[name]
    model = network(arguments).fit(chunked(images, CUTS[n_shards]))
    assert bytes_of(model, tmp_path / "m.cbn") == expected[name]
    assert {own.n_shards for own in model.traffic_.rounds} == ({1, n_shards} if name == "tree" else {n_shards})
    one = cbn.load(tmp_path / "m.cbn")
    np.testing.assert_array_equal(model.score_samples(images[:50]), one.score_samples(images[:50]))


@pytest.mark.parametrize(
    "made",
    [
        lambda: da.from_array(GREY, chunks=(200, 4, 5)).persist(),
        lambda: da.from_array(GREY.reshape(500, -1), chunks=(77, 30)),
        lambda: da.from_array(GREY / np.float32(255), chunks=250),
        lambda: da.concatenate([da.from_array(GREY[:0]), da.from_array(GREY)]),
        lambda: da.from_array(GREY, chunks=(300, -1, -1))[da.ones(500, chunks=300) > 0],  # of unknown sizes
    ],
    ids=["persisted", "flat", "floats", "empty", "unknown"],
)
def test_all_kinds_of_arrays(made, client, expected, tmp_path):
    assert bytes_of(network(MODELS["pixel"][0]).fit(made()), tmp_path / "m.cbn") == expected["pixel"]


@pytest.mark.parametrize("name, rounds", [("pixel", (2,)), ("tree", (6,)), ("tree in rounds", (10,)), ("hidden", (4,))])
def test_a_killed_worker_costs_time_and_nothing_else(name, rounds, client, killing, expected, tmp_path, monkeypatch):
    choose_way(name, monkeypatch)
    arguments, images = MODELS[name]
    X = chunked(images, CUTS[7]).persist()
    killed = killing(*rounds)
    model = network(arguments).fit(X)
    assert len(killed) == len(rounds)
    assert bytes_of(model, tmp_path / "m.cbn") == expected[name]


def test_copies_that_a_lost_worker_prevents_are_not_needed(client, expected, tmp_path, monkeypatch):
    """The scheduler chooses a worker that is no longer there, and says so in words of its own."""
    asked = []

    def replicate(futures, **options):
        asked.append(len(futures))
        raise ValueError("Sample larger than population or is negative")

    monkeypatch.setattr(client, "replicate", replicate)
    arguments, images = MODELS["tree"]
    model = network(arguments).fit(chunked(images, CUTS[3]))
    assert asked and bytes_of(model, tmp_path / "m.cbn") == expected["tree"]


# ---- errors ----


def failing(images, cuts, *numbers):
    """An array of which blocks raise when they are computed."""

    def block(part, block_info=None):
        if block_info[0]["chunk-location"][0] in numbers:
            raise OSError(f"no such file: {block_info[0]['chunk-location'][0]}.npy\nand more")
        return part

    return chunked(images, cuts).map_blocks(block, dtype=images.dtype)


@pytest.mark.parametrize(
    "X, words",
    [
        (lambda: failing(IMAGES, CUTS[7], 5, 2), "X, chunk 2: OSError: no such file: 2.npy; see the workers' logs"),
        (lambda: failing(IMAGES, CUTS[7], 0), "X, chunk 0: OSError: no such file: 0.npy"),
        (lambda: chunked(np.where(np.arange(500)[:, None, None] > 250, np.nan, 1.0 * IMAGES), CUTS[7]), "X, chunk 4: NaN"),
        (lambda: da.from_array(np.zeros((0, 3, 3))), "X: array of shape (0, 3, 3) holds no pixels"),
        (lambda: da.from_array(np.zeros(5)), "X: a dask array of 1 axes"),
        (lambda: da.from_array(np.zeros((5, 2, 2, 4))), "X: array of shape (5, 2, 2, 4)"),
        (lambda: da.from_array(GREY.astype(int) - 1), "X: integers from -1 to"),
    ],
    ids=["first", "head", "content", "empty", "one axis", "channels", "range"],
)  # fmt: skip
def test_one_line_says_what_is_wrong(X, words, client, monkeypatch):
    monkeypatch.setattr("cbn.fit.sharded.FIRST", 60)
    with pytest.raises(cbn.DataError) as caught:
        network({}).fit(X())
    assert str(caught.value).startswith(words) and "\n" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_what_is_not_learned_from_sums(client):
    X = chunked(IMAGES, CUTS[2])
    for arguments in ({"preset": "hidden"}, {"preset": "tree", "shift": 1}):
        with pytest.raises(ValueError, match=r"iterations|shift=0") as caught:
            network(arguments).fit(X)
        assert "\n" not in str(caught.value) and "X.compute()" in str(caught.value)
    with pytest.raises(ValueError, match="^checkpoint: "):
        network({}).fit(X, checkpoint="c.npz")
    with pytest.raises(cbn.DataError, match="^y: 3 labels for 500 images"):
        network({}).fit(X, [1, 2, 3])


def test_traffic_is_counted_and_not_kept(client, tmp_path, monkeypatch):
    choose_way("in rounds", monkeypatch)
    model = network({"preset": "tree"}).fit(chunked(IMAGES, CUTS[2]))
    traffic = model.traffic_
    asked = [own.what for own in traffic.rounds]
    assert asked[:3] == ["extremes_of", "ones_of", "digest_of"] and asked.count("score_shard") == 3
    assert traffic.sent == sum(own.sent for own in traffic.rounds) > 1000 and traffic.received > 1000
    assert "count_open" in str(traffic) and all(own.seconds > 0 for own in traffic.rounds)
    model.save(tmp_path / "m.cbn")
    assert cbn.load(tmp_path / "m.cbn").traffic_ is None and network({}).fit(IMAGES).traffic_ is None


NO_CLIENT = """
import sys
import cbn
assert not {"dask", "distributed"} & set(sys.modules), "imported with cbn"
import numpy as np, dask.array as da
try:
    cbn.ConvolutionalBayesianNetwork().fit(da.ones((100, 4, 4), dtype=bool))
except cbn.DataError as error:
    print(error)
"""


def test_lost_workers_and_blocks_without_distributed(monkeypatch):
    import distributed

    from cbn.distributed.cluster import failure_of

    killed = distributed.KilledWorker("made-1", SimpleNamespace(address="tcp://127.0.0.1:1"), 3)
    assert failure_of("X", 3, killed).message.startswith("X, chunk 3: workers died while they held it, again and again")
    monkeypatch.setitem(sys.modules, "cbn.distributed.shards", None)
    with pytest.raises(cbn.DataError, match=r"^X: a dask array, and dask.distributed is not installed: pip install"):
        network({}).fit(da.from_array(IMAGES))


def test_without_a_client_the_error_says_how():
    found = subprocess.run(
        [sys.executable, "-P", "-c", NO_CLIENT], capture_output=True, text=True, check=True, timeout=60
    )
    assert found.stdout.startswith("X: a dask array, and no client is connected to a cluster; start one, client = ")
    assert "X.compute()" in found.stdout and found.stdout.count("\n") == 1
