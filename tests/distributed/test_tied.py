# SPDX-License-Identifier: BSD-3-Clause
"""Tied and boosted trees, and the contrast that is made of them, of dask arrays: the bytes of one process."""

import numpy as np
import pytest

import cbn
from cbn import ConvolutionalBayesianNetwork as Network
from helpers.images import blots
from helpers.shards import counted, failing, shard_of

da = pytest.importorskip("dask.array", reason="dask is not installed: pip install 'cbn[distributed]'")

pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
N = 4000
IMAGES = blots(N, 9, seed=5)
GREY = (IMAGES * np.random.default_rng(1).integers(40, 256, IMAGES.shape)).astype(np.uint8)
CUTS = {1: (), 2: (1234,), 3: (1024, 1300), 7: (3, 70, 1030, 1100, 1160, 1400)}
TREES = cbn.Tied(radius=2, rounds=6, max_leaves=8, pairs=20_000, networks=2)
BEST = {
    "preset": "best",
    "threshold": 0.3,
    "features": cbn.Features(layers=((4, 3, 2),), iterations=0),
    "contrast": cbn.Contrast(pairs=10_000, rounds=4, background_pairs=5_000, background_rounds=3, roll=2),
}
MODELS = {
    "tied": ({"cpd": TREES, "folds": 2}, IMAGES),
    "thresholds": ({"cpd": TREES.replaced(pairs=2**20, networks=1), "folds": 3, "threshold": (0.2, 0.5)}, GREY),
    "contrast": (BEST, GREY[:1500]),
    "corrections": ({"cpd": TREES.replaced(corrections=3), "folds": 2}, IMAGES[:1500]),
    "boosted": ({"cpd": cbn.Boosted(reach=3, rounds=4, max_leaves=4), "folds": 2}, IMAGES[:1500]),
}


def network(arguments):
    return Network(**{"preset": "tied", "random_state": 3, "n_jobs": 1, "false_alarm_rate": 0.1} | arguments)


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
def test_the_bytes_are_those_of_one_process(name, n_shards, client, expected, tmp_path):
    arguments, images = MODELS[name]
    model = network(arguments).fit(chunked(images, CUTS[n_shards]))
    assert bytes_of(model, tmp_path / "m.cbn") == expected[name]


@pytest.mark.parametrize("name, rounds", [("tied", (5,)), ("tied", (9, 12)), ("boosted", (8,)), ("contrast", (12,))])
def test_a_killed_worker_costs_time_and_nothing_else(name, rounds, client, killing, expected, tmp_path):
    arguments, images = MODELS[name]
    X = chunked(images, CUTS[7]).persist()
    killed = killing(*rounds)
    model = network(arguments).fit(X)
    assert len(killed) == len(rounds)
    assert bytes_of(model, tmp_path / "m.cbn") == expected[name]


def test_one_line_says_which_block_failed(client):
    """Of a question that is asked of one shard after the other, and of one that is made of several."""
    from cbn.bits.alignment import aligned
    from cbn.distributed.shards import DaskSource

    shards = DaskSource(chunked(IMAGES, CUTS[7])).shards(shard_of)
    with pytest.raises(cbn.DataError, match="^X, chunk 2: ValueError: 70; see the workers' logs$"):
        shards.chained(failing, 0)
    assert shards.chained(counted, 5) == 5 + N
    broken = shards.made(failing, 0)
    with pytest.raises(cbn.DataError, match="^X, chunk 2: ValueError: 70; see the workers' logs$"):
        broken.regrouped([[(0, 0, 3), (2, 0, 1), (3, 0, 1)], [(4, 0, 1)]]).map(counted, 0)
    assert [own.n_shards for own in shards.cluster.traffic.rounds[-1:]] == [2]
    assert sum(aligned(shards, 512).map(counted, 0)) == N
