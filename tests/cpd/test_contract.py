# SPDX-License-Identifier: BSD-3-Clause
"""The contract of conditional distributions, asked of every kind that is registered, and of one that only tests have."""

import copy
import functools
import itertools
import json
import pickle
import zipfile

import numpy as np
import pytest
from sklearn.base import clone

import cbn
from cbn import _engine
from cbn._params import Choice, Flag, Real, Whole, specs
from cbn.bits.planes import BitPlanes
from cbn.bits.shards import LocalShards, Part, Shard
from cbn.cpd import kinds, nodeshares
from cbn.cpd.base import SCORES, Outline, Source, Task
from cbn.cpd.grid import Grid, Relation
from cbn.explain.surprise import Place
from cbn.io.archive import DAMAGE, write_archive
from cbn.layers.geometry import LayerGeometry
from helpers.distributions import assert_distributed
from helpers.independent import Independent, independent  # noqa: F401  the kind is known in this file

KINDS = (*kinds.names(), "independent")
# Parameters that make small images interesting; a kind that is not here has its defaults.
PARAMETERS = {
    "table": cbn.Table(offsets=((-1, 0), (0, -1)), pseudocount=0.5),
    "tree": cbn.Tree(reach=3, penalty=0.1, max_leaves=9, shrinkage=2.0, pseudocount=0.5),
    "boosted": cbn.Boosted(reach=3, rounds=12, max_leaves=4, n_candidates=2, rate=0.4, min_hessian=0.5),
    "tied": cbn.Tied(
        radius=2,
        pairs=600,
        thinning=2,
        rounds=12,
        max_leaves=4,
        n_candidates=20,
        rate=0.4,
        min_gain=0.1,
        min_hessian=0.5,
        corrections=3,
    ),
    "independent": Independent(pseudocount=0.5),
}
ENGINE_KINDS = (_engine.LOG_PROBABILITY, _engine.SURPRISE, _engine.VARIANCE, _engine.NORMALIZED)
N = 150
pytestmark = pytest.mark.usefixtures("independent")


def task_of(case, n=N, first=0, seed=1, threads=1):
    """Some of 220 training images of a case: pixels with one threshold, with two, a hidden layer of two kernels."""
    rng, n_images = np.random.default_rng(5), N + 70
    if case == "hidden":
        grid, distance, relations = Grid(2, 3, 2), 2, (Relation(1, 0, -2, 0), Relation(0, 0, -2, 0))
        states = rng.random((n_images, grid.n_nodes)) < rng.uniform(0.2, 0.8, grid.n_nodes)
        states[:, 4] ^= states[:, 0]  # two rows below
        states[:, 10] ^= states[:, 0]
    else:
        levels, distance, relations = (2, 1, ()) if case == "one threshold" else (3, 1, ())
        shape = (2, 3) if levels == 2 else (2, 2)
        x = rng.integers(0, levels, (n_images, *shape))
        for i, j in ((0, 1), (1, 0), (1, 1)):
            keep = rng.random(n_images) < 0.6
            x[:, i, j] = np.where(keep, x[:, i - 1, j] if i else x[:, i, j - 1], x[:, i, j])
        grid = Grid(levels - 1, *shape)
        states = np.concatenate([x.reshape(n_images, -1) >= level for level in range(1, levels)], axis=1)
    planes = BitPlanes.of_states(states[first : first + n].astype(np.uint8), 1)
    return Task(grid, distance, planes, case != "hidden", relations, seed, threads)


CASES = [
    (name, case) for name in KINDS for case in ("one threshold", "two thresholds", "hidden")
    if case != "hidden" or name == "independent" or kinds.kind_named(name).has_features
]  # fmt: skip
every_case = pytest.mark.parametrize("name, case", CASES)
every_kind = pytest.mark.parametrize("name", KINDS)


def parameters_of(name):
    return PARAMETERS.get(name, kinds.kind_named(name).parameter_class()).checked()


@functools.cache
def learned(name, case):
    return kinds.kind_named(name).learn(parameters_of(name), task_of(case))


@functools.cache
def every_image(case):
    """All states that can be: (k, nodes) uint8, the first node the highest bit of their number; and their numbers."""
    grid = task_of(case).grid
    states = np.array(list(itertools.product((0, 1), repeat=grid.n_nodes)), np.uint8)
    if case == "two thresholds":
        lower, upper = np.split(states, 2, axis=1)
        states = states[(upper <= lower).all(axis=1)]
    return states


def numbers(states, case):
    """The place of every image in every_image."""
    found = {image.tobytes(): i for i, image in enumerate(every_image(case))}
    return np.array([found[image.tobytes()] for image in states])


def planes_of(states):
    return BitPlanes.of_states(np.ascontiguousarray(states), 1)


def nats_of(network, states):
    """(n, nodes) log p of every node."""
    return network.contributions(planes_of(states), _engine.LOG_PROBABILITY, 1)


@functools.cache
def probabilities(name, case):
    """Of every image."""
    return np.exp(nats_of(learned(name, case), every_image(case)).sum(axis=1))


def refused(call, *words):
    """The call raises a ValueError of one line that holds the words."""
    with pytest.raises(ValueError) as caught:
        call()
    text = str(caught.value)
    assert text.isprintable() and len(text) < 300 and all(word in text for word in words), text


# ---- the density and its scores ----


@every_case
def test_the_density_is_normalized(name, case):
    p = probabilities(name, case)
    assert p.sum() == pytest.approx(1, abs=1e-9) and (p > 0).all()


@every_case
def test_images_that_cannot_be_have_probability_0(name, case):
    network, n_nodes = learned(name, case), task_of(case).grid.n_nodes
    impossible = np.zeros((1, n_nodes), np.uint8)
    if case == "two thresholds":
        impossible[0, n_nodes // 2] = 1
        assert np.exp(nats_of(network, impossible).sum()) == 0
        known = np.ones(n_nodes, np.uint8)
        refused(lambda: network.posterior(impossible[0], known, 20, 0, 1), "impossible")
    else:
        assert np.exp(nats_of(network, impossible).sum()) > 0


@every_case
def test_scores_are_sums_of_contributions(name, case):
    network, planes = learned(name, case), planes_of(every_image(case))
    sums = {}
    for kind in ENGINE_KINDS:
        nodes = network.contributions(planes, kind, 1)
        assert nodes.shape == (planes.n_images, network.layer.n_nodes) and np.isfinite(nodes).all()
        sums[kind] = network.sums(planes, kind, False, 1)
        np.testing.assert_allclose(sums[kind], nodes.sum(axis=1), rtol=1e-9, atol=1e-9)
    for score, (kind, sign) in SCORES.items():
        expected = sign * sums[kind]
        if score == "standardized":
            variance = sums[_engine.VARIANCE]
            expected = expected / np.where(variance > 0, np.sqrt(variance), 1)
        np.testing.assert_array_equal(network.score(planes, score, 1), expected)
    np.testing.assert_array_equal(network.surprise_maps(planes, 1), network.contributions(planes, _engine.SURPRISE, 1))


@every_case
def test_contributions_are_those_of_the_definitions(name, case):
    """Entropy and variance from p of both states of a node; mean and deviation over the training images."""
    network, states = learned(name, case), every_image(case)
    planes, own = planes_of(states), nats_of(network, states)
    nats = -nats_of(network, task_of(case).planes.states(1))
    mean, deviation = nats.mean(axis=0), np.maximum(nats.std(axis=0), _engine.STD_FLOOR)
    surprise, variance, normalized = (network.contributions(planes, kind, 1) for kind in ENGINE_KINDS[1:])
    for node in range(states.shape[1]):
        flipped = states.copy()
        flipped[:, node] ^= 1
        other = nats_of(network, flipped)[:, node]
        p = np.exp(np.stack([own[:, node], other]))
        np.testing.assert_allclose(p.sum(axis=0), 1, atol=1e-9)
        bits = -np.stack([own[:, node], np.where(np.isfinite(other), other, 0)])
        entropy = (p * bits).sum(axis=0)
        np.testing.assert_allclose(surprise[:, node], -own[:, node] - entropy, atol=1e-9)
        np.testing.assert_allclose(variance[:, node], (p * (bits - entropy) ** 2).sum(axis=0), atol=1e-9)
    np.testing.assert_allclose(normalized, np.abs(-own - mean) / deviation, rtol=1e-6, atol=1e-9)


@every_case
def test_what_training_saw(name, case):
    network, task = learned(name, case), task_of(case)
    ones, nats = network.node_means(1)
    np.testing.assert_allclose(ones, task.planes.states(1).mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(nats, -nats_of(network, task.planes.states(1)).mean(axis=0), rtol=1e-9, atol=1e-12)
    log_likelihood, n_parameters, bic = network.bic()
    assert bic == pytest.approx(n_parameters * np.log(N) - 2 * log_likelihood) and n_parameters > 0
    # pseudo-counts and shrinkage only lose likelihood; boosted trees have no other than their own
    assert log_likelihood >= -nats.sum() * N - 1e-6
    counts = network.counts
    assert counts.dtype == np.int64 and counts.ndim == 2 and counts.shape[1] == 2 and (counts >= 0).all()
    network.check_counts(N)
    for wrong in (N - 1, N + 1):
        refused(lambda n=wrong: network.check_counts(n))


@every_case
def test_the_surprise_of_counted_pairs(name, case):
    network = learned(name, case)
    for share in (0.3, 0.999):
        found = network.counted_surprise_quantile(share, 1)
        assert (found is not None) == network.counts_surprises
        if found is not None:
            maps = network.surprise_maps(task_of(case).planes, 1)
            assert (maps <= found + 1e-12).mean() >= share > (maps < found - 1e-12).mean()


# ---- draws ----


@every_case
def test_draws_have_the_distribution(name, case):
    states = np.zeros((20_000, task_of(case).grid.n_nodes), np.uint8)
    learned(name, case).draw(states, None, 3, 1)
    assert_distributed(numbers(states, case), probabilities(name, case))


@every_case
def test_clamped_nodes_stay_and_the_others_follow_those_before_them(name, case):
    network = learned(name, case)
    n_nodes = network.layer.n_nodes
    clamped = np.zeros(n_nodes, np.uint8)
    clamped[[0, n_nodes // 2 - 1]] = 1
    image = task_of(case).planes.states(1)[7]
    image[: n_nodes // 2] = 1  # nothing is required in vain
    states = np.repeat(image[None], 20_000, axis=0)
    states[:, clamped == 0] = 0
    network.draw(states, clamped, 4, 1)
    assert (states[:, clamped == 1] == image[clamped == 1]).all()
    every = every_image(case)
    own = (every[:, clamped == 1] == image[clamped == 1]).all(axis=1)
    p = np.where(own, np.exp(nats_of(network, every)[:, clamped == 0].sum(axis=1)), 0)
    assert p.sum() == pytest.approx(1, abs=1e-9)
    assert_distributed(numbers(states, case), p)


@every_case
def test_the_posterior_of_missing_nodes(name, case):
    network, every, p = learned(name, case), every_image(case), probabilities(name, case)
    known = np.ones(network.layer.n_nodes, np.uint8)
    known[[1, 2]] = 0
    image = every[int(np.argmin(np.where(every[:, 0] == 1, p, 1)))]
    own = (every[:, known == 1] == image[known == 1]).all(axis=1)
    n = 8000
    found = network.posterior(image, known, n, 9, 1)
    assert found.states.shape == (n, len(image)) and found.weight.sum() == pytest.approx(1)
    assert (found.states[:, known == 1] == image[known == 1]).all()
    assert found.log_marginal == pytest.approx(np.log(p[own].sum()), abs=0.1)
    np.testing.assert_allclose(found.mean(), p[own] @ every[own] / p[own].sum(), atol=0.05)


@every_case
def test_nodes_that_ask_for_others(name, case):
    """All whose distribution changes with a node are said to ask for it, and none that comes before it."""
    network, every = learned(name, case), every_image(case)
    nats, n_nodes = nats_of(network, every), every.shape[1]
    grid = task_of(case).grid
    order = [node % grid.n_positions * grid.channels + node // grid.n_positions for node in range(n_nodes)]
    place = {image.tobytes(): i for i, image in enumerate(every)}
    for node in range(n_nodes):
        given = (np.arange(n_nodes) == node).astype(np.uint8)
        asking = network.asking(given)
        assert asking.shape == (n_nodes,) and asking.dtype == np.uint8 and set(asking) <= {0, 1}
        assert not any(asking[other] for other in range(n_nodes) if order[other] <= order[node])
        pairs = [(i, place.get((image ^ given).tobytes())) for i, image in enumerate(every)]
        a, b = np.transpose([pair for pair in pairs if pair[1] is not None])
        differs = ~np.isclose(nats[a], nats[b], rtol=1e-12).all(axis=0)
        differs[node] = False
        assert (asking >= differs).all()
    assert not network.asking(np.zeros(n_nodes, np.uint8)).any()
    several = np.isin(np.arange(n_nodes), (0, n_nodes - 1)).astype(np.uint8)
    each = [network.asking((np.arange(n_nodes) == node).astype(np.uint8)) for node in (0, n_nodes - 1)]
    np.testing.assert_array_equal(network.asking(several), each[0] | each[1])
    assert network.particle_cost >= 1


@every_case
def test_gibbs_proposals(name, case):
    network = learned(name, case)
    n_nodes, rng = network.layer.n_nodes, np.random.default_rng(0)
    every = every_image(case)
    states = every[rng.integers(0, len(every), 5000)]
    sites = np.arange(n_nodes, dtype=np.int64)
    if not network.gibbs:
        before = states.copy()
        refused(lambda: network.flip(states, sites, 0, 0, 10, 1), network.nouns, "Gibbs")
        np.testing.assert_array_equal(states, before)
        return
    some, before = states.copy(), states.copy()
    network.flip(some, sites[1:3], 5, 0, 40, 1)
    still = np.setdiff1d(sites, sites[1:3])
    np.testing.assert_array_equal(some[:, still], before[:, still])
    assert (some != before).any()
    network.flip(states, sites, 5, 0, 400, 1)
    assert_distributed(numbers(states, case), probabilities(name, case))
    whole, parts = before.copy(), before.copy()
    network.flip(whole, sites, 5, 0, 30, 1)
    network.flip(parts, sites, 5, 0, 10, 1)
    network.flip(parts, sites, 5, 10, 20, 1)
    np.testing.assert_array_equal(whole, parts)


@every_case
def test_tables_of_chains_through_layers(name, case):
    network = learned(name, case)
    if not network.chains_through_layers:
        refused(lambda: network.log_table(1), network.nouns)
        refused(network.chain_layer, network.nouns)
        return
    table = network.log_table(1)
    assert table.shape == network.counts.shape and np.isfinite(table).all() and (table <= 0).all()
    assert isinstance(network.chain_layer(), _engine.Layer)


# ---- counts ----


def copied(network):
    return pickle.loads(pickle.dumps(network))


@every_case
def test_leave_one_out_is_what_learning_without_the_image_gives(name, case):
    network, task = learned(name, case), task_of(case, 12)
    if not network.leaves_one_out:
        return
    network = type(network).learn(parameters_of(name), task)
    states = task.planes.states(1)
    for i in range(12):
        rest = Task(
            task.grid, task.distance, planes_of(np.delete(states, i, axis=0)), task.pixels, task.relations, 1, 1
        )
        share = parameters_of(name).pseudocount * 11 / 12  # that of eleven of twelve images
        without = type(network).learn(parameters_of(name).replaced(pseudocount=share), rest)
        own = planes_of(states[i : i + 1])
        for score in SCORES:
            found = network.score(task.planes, score, 1, leave_one_out=True)[i]
            assert found == pytest.approx(without.score(own, score, 1)[0], rel=1e-9, abs=1e-9)


@every_case
def test_counts_of_other_images_are_added(name, case):
    network = copied(learned(name, case))
    other, both = task_of(case, 70, N), task_of(case, N + 70)
    if not network.adds_counts:
        refused(lambda: network.recounted(other.planes, 1), network.nouns)
        refused(lambda: network.add(network.counts), network.nouns)
        return
    network.sums(other.planes, _engine.LOG_PROBABILITY, False, 1)  # what is kept of the counts is not kept longer
    more = network.recounted(other.planes, 1)
    more.check_counts(70)
    np.testing.assert_array_equal(network.recounted(task_of(case).planes, 1).counts, network.counts)
    before = network.counts.copy()
    network.add(more.counts)
    whole = network.recounted(both.planes, 1)
    np.testing.assert_array_equal(network.counts, whole.counts)
    network.check_counts(N + 70)
    assert (network.counts != before).any()
    every = planes_of(every_image(case))
    for kind in ENGINE_KINDS:
        np.testing.assert_array_equal(network.sums(every, kind, False, 1), whole.sums(every, kind, False, 1))
    with pytest.raises(OverflowError):
        network.add(np.full_like(network.counts, 2**63 - 1))


# ---- what it says of itself ----


@every_case
def test_exported_tables(name, case):
    network, every = learned(name, case), every_image(case)
    log_p = nats_of(network, every)
    for node in range(network.layer.n_nodes):
        if not network.exports:
            refused(lambda v=node: network.table_parents(v), "export", network.nouns)
            refused(lambda v=node: network.table_of(v, []), "export", network.nouns)
            continue
        parents = network.table_parents(node)
        assert parents == sorted(set(parents)) or name == "table"  # a table's are in the order of its row bits
        table = network.table_of(node, parents)
        assert table.shape == (2 ** len(parents), 2)
        row = np.zeros(len(every), int)
        for parent in parents:
            row = 2 * row + every[:, parent]
        np.testing.assert_allclose(np.log(table[row, every[:, node]]), log_p[:, node], rtol=1e-9, atol=1e-12)


@every_case
def test_explanations(name, case):
    network, task = learned(name, case), task_of(case)
    image = task.planes.states(1)[3]
    log_p = nats_of(network, image[None])[0]
    surprise = network.surprise_maps(planes_of(image[None]), 1)[0]
    thresholds = (0.2, 0.7)[: task.grid.channels] if task.pixels else (0.2,)
    for node in range(network.layer.n_nodes):
        place = Place(
            int(not task.pixels), *task.grid.place(node), (0, 0, 3), int(image[node]), float(surprise[node]),
            2 * float(surprise[node]), thresholds,
        )  # fmt: skip
        found = network.explain(place, node, image, 1)
        assert found.probability == pytest.approx(np.exp(log_p[node]), rel=1e-4)
        for attribute in (
            "layer",
            "channel",
            "row",
            "column",
            "field",
            "state",
            "surprise",
            "contribution",
            "threshold",
        ):
            assert getattr(found, attribute) == getattr(place, attribute)
        assert found.n_images == N
        assert str(found).isprintable() and str(found).startswith(found.node_name())
        described = json.loads(json.dumps(found.to_dict()))
        assert described["sentence"] == str(found) and described["probability"] == found.probability


@every_case
def test_facts_and_pictures(name, case):
    network = learned(name, case)
    facts = json.loads(json.dumps(network.facts()))
    assert facts.keys() >= {"pseudocount"}
    grown = json.loads(json.dumps(type(network).growth_facts(parameters_of(name))))
    assert "pseudocount" not in grown
    for title, values, unit, low, high in network.pictures():
        assert isinstance(title, str) and isinstance(unit, str) and isinstance(low, float)
        assert values.shape == (network.layer.height, network.layer.width) and (high is None or high > low)
    relations = network.tied_relations
    assert relations is None or all(isinstance(relation, Relation) for relation in relations)
    assert network.layer.grid() == task_of(case).grid


@every_kind
def test_names_and_words(name):
    kind = kinds.kind_named(name)
    assert kind.name == name and kind.nouns.isprintable() and kinds.kind_of(kind.parameter_class()) is kind
    for capability in (
        "adds_counts", "leaves_one_out", "gibbs", "chains_through_layers", "exports", "has_features", "draws_at_random",
        "uses_relations", "counts_surprises",
    ):  # fmt: skip
        assert type(getattr(kind, capability)) is bool
    assert not kind.chains_through_layers or kind.gibbs


# ---- files and copies ----


def source_of(archive, network, task, **changed):
    description = json.loads(json.dumps(network.describe())) | changed
    return Source(archive, description, lambda name: f"own_{name}", task.grid, task.distance, task.pixels, {})


def same(network, other):
    assert json.dumps(network.describe(), sort_keys=True) == json.dumps(other.describe(), sort_keys=True)
    arrays, others = network.arrays(), other.arrays()
    assert arrays.keys() == others.keys()
    for part in arrays:
        np.testing.assert_array_equal(arrays[part], others[part])
        assert arrays[part].dtype == others[part].dtype


@every_case
def test_files(name, case, tmp_path):
    network, task = learned(name, case), task_of(case)
    arrays = {f"own_{part}": array for part, array in network.arrays().items()}
    write_archive(tmp_path / "a.zip", {"own": network.describe()}, arrays)
    every = planes_of(every_image(case))
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        found = kinds.read_cpd(source_of(archive, network, task), N)
        assert type(found) is type(network)
        same(found, network)
        for kind in ENGINE_KINDS:
            np.testing.assert_array_equal(found.sums(every, kind, False, 1), network.sums(every, kind, False, 1))
        for n in (N - 1, N + 1, 0):
            with pytest.raises(DAMAGE):
                kinds.read_cpd(source_of(archive, network, task), n)
        with pytest.raises(DAMAGE):
            kinds.read_cpd(source_of(archive, network, task, cpd="forest"), N)
        for size in ("channels", "height", "width"):
            layer = network.describe()["layer"]
            with pytest.raises(DAMAGE):
                kinds.read_cpd(source_of(archive, network, task, layer=layer | {size: layer[size] + 1}), N)
        for entry in network.describe().keys() - {"cpd"}:
            for value in (None, "x", -1, [], {}):
                with pytest.raises(DAMAGE):
                    kinds.read_cpd(source_of(archive, network, task, **{entry: value}), N)
    for part, array in arrays.items():
        negative = [-1 - np.abs(array)] if part in ("own_counts", "own_sizes") else []
        for bad in (None, array[:-1], array.astype(np.float32), *negative):
            changed = {n: a for n, a in (arrays | {part: bad}).items() if a is not None}
            write_archive(tmp_path / "b.zip", {}, changed)
            with zipfile.ZipFile(tmp_path / "b.zip") as archive, pytest.raises(DAMAGE):
                kinds.read_cpd(source_of(archive, network, task), N)


@every_case
def test_copies(name, case):
    network, every = learned(name, case), planes_of(every_image(case))
    for other in (*(pickle.loads(pickle.dumps(network, p)) for p in (2, 5)), copy.deepcopy(network)):
        same(other, network)
        assert pickle.dumps(other) == pickle.dumps(copied(other))
        for kind in ENGINE_KINDS:
            np.testing.assert_array_equal(other.sums(every, kind, False, 1), network.sums(every, kind, False, 1))
        assert other.counts is not network.counts


@every_case
def test_same_bytes_for_any_number_of_threads(name, case):
    kind, parameters, every = kinds.kind_named(name), parameters_of(name), every_image(case)

    def everything(threads):
        network = kind.learn(parameters, task_of(case, threads=threads))
        planes, states = BitPlanes.of_states(every, threads), np.zeros((300, every.shape[1]), np.uint8)
        known = np.ones(every.shape[1], np.uint8)
        known[1:3] = 0
        yield from network.arrays().values()
        for value in ENGINE_KINDS:
            yield network.sums(planes, value, False, threads)
            yield network.contributions(planes, value, threads)
            if kind.leaves_one_out:
                yield network.sums(task_of(case).planes, value, True, threads)
        network.draw(states, None, 2, threads)
        yield states.copy()
        if kind.gibbs:
            network.flip(states, np.arange(every.shape[1], dtype=np.int64), 1, 0, 50, threads)
            yield states
        particles = network.posterior(every[0], known, 300, 1, threads)
        yield from (particles.states, particles.weight, np.array([particles.log_marginal]))
        yield from network.node_means(threads)

    expected = list(everything(1))
    for threads in (2, 3):
        for found, wanted in zip(everything(threads), expected, strict=True):
            np.testing.assert_array_equal(found, wanted)


@every_case
def test_seeds(name, case):
    network = learned(name, case)
    other = type(network).learn(parameters_of(name), task_of(case, seed=2))
    different = any((a != b).any() if a.shape == b.shape else True
                    for a, b in zip(network.arrays().values(), other.arrays().values()))  # fmt: skip
    assert different == network.draws_at_random
    drawn = [np.zeros((50, network.layer.n_nodes), np.uint8) for _ in range(3)]
    for states, seed in zip(drawn, (1, 1, 2)):
        network.draw(states, None, seed, 1)
    np.testing.assert_array_equal(drawn[0], drawn[1])
    assert (drawn[0] != drawn[2]).any()


@every_kind
def test_what_takes_too_much_memory_is_refused_before_it_is_allocated(name):
    kind, parameters = kinds.kind_named(name), parameters_of(name)
    kind.check_size(parameters, LayerGeometry(1, 28, 28, 1, 1), True)
    for large in (LayerGeometry(4, 2**15, 2**15, 1, 1), LayerGeometry(200, 3000, 3000, 1, 1)):
        refused(lambda own=large: kind.check_size(parameters, own, True), ": ")


# ---- parameters ----


def wrong_values(rule):
    """Values that a rule must refuse."""
    if isinstance(rule, Whole):
        return [rule.low - 1, rule.high + 1, 1.5, "1", None, True, [1], float("nan")]
    if isinstance(rule, Real):
        ends = [rule.low, rule.high] if rule.open_ends else []
        return [rule.low - 1, rule.high * 2 + 1, "1", None, True, [1.0], float("nan"), float("inf"), *ends]
    if isinstance(rule, Choice):
        return ["nothing like it", None, 3, list(rule.choices)]
    if isinstance(rule, Flag):
        return [1, 0, None, "yes", []]
    return [object(), 3, "x y z", {"a": 1}]


@every_kind
def test_parameters_are_checked(name):
    parameters = kinds.kind_named(name).parameter_class()
    for spec in specs(parameters):
        for value in wrong_values(spec.rule):
            refused(lambda n=spec.name, v=value: parameters.replaced(**{n: v}).checked(), spec.name)
        parameters.replaced(**{spec.name: spec.default}).checked()
        if isinstance(spec.rule, Whole | Real) and not getattr(spec.rule, "open_ends", False):
            for value in (spec.rule.low, spec.rule.high):
                own = parameters.replaced(
                    **{spec.name: np.float64(value) if spec.rule.kind is float else np.int64(value)}
                )
                found = getattr(own.checked(), spec.name)
                assert found == value and type(found) is spec.rule.kind  # in its own type


@every_kind
def test_parameters_are_parameters(name):
    kind = kinds.kind_named(name).parameter_class
    own, fields = kind(), list(specs(kind))
    assert own == kind() and own.checked() == own and own.checked() is not own
    assert own.get_params() == {spec.name: spec.default for spec in fields} == clone(own).get_params()
    assert clone(own) is not own and type(clone(own)) is kind
    assert repr(own) == f"{kind.__name__}()"
    first = fields[-1]
    changed = kind(**{first.name: 0.25})
    assert repr(changed) == f"{kind.__name__}({first.name}=0.25)" and changed != own
    assert own.set_params(**{first.name: 0.25}) is own and own == changed
    for other in (pickle.loads(pickle.dumps(own)), copy.deepcopy(own), clone(own), own.replaced()):
        assert other == own and other is not own and repr(other) == repr(own)
    refused(lambda: own.set_params(nothing=1), "nothing", kind.__name__)
    refused(lambda: own.replaced(nothing=1), "nothing")
    with pytest.raises(TypeError):
        kind(nothing=1)


@every_kind
def test_parameters_are_documented(name):
    """The docstring has a paragraph for every field: what it may be, its default, what it means."""
    kind = kinds.kind_named(name).parameter_class
    lines = kind.__doc__.splitlines()
    assert lines[0].strip() and lines[0].strip()[-1] in ".;:"
    for spec in specs(kind):
        at = lines.index(f"    {spec.name} : {spec.rule}, default {spec.default!r}")
        assert lines[at + 1].strip() == spec.help.strip() and spec.help.rstrip().endswith(".")


# ---- the kinds themselves ----


def test_kinds_by_name():
    assert kinds.names() == KINDS
    for wrong in ("forest", None, 3, True, ["table"]):
        refused(lambda w=wrong: kinds.kind_named(w), "cpd", "table")
    for wrong in (None, 3, cbn.Features(), cbn.Table):
        refused(lambda w=wrong: kinds.kind_of(w), "cpd", "cbn.Tree()")
    assert kinds.kind_named("tree").parameter_class() == cbn.Tree()


def test_a_name_or_a_parameter_class_is_of_one_kind():
    known = kinds.kind_named("independent")
    assert kinds.register(known) is known  # again, which changes nothing
    same_name = type("Other", (known,), {"parameter_class": type("OtherParameters", (Independent,), {})})
    refused(lambda: kinds.register(same_name), "Other", "'independent'")
    same_parameters = type("Other", (known,), {"name": "other"})
    refused(lambda: kinds.register(same_parameters), "Other")
    assert kinds.names() == KINDS


@pytest.mark.parametrize("cuts", [(0, 150), (0, 64, 150), (0, 1, 70, 149, 150)])
@every_case
def test_what_distributes_is_learned_from_sums(name, case, cuts, monkeypatch):
    """Of images in shards, and of all but a fold of them, to the last byte; what does not says so in a line."""
    for most in (0, nodeshares.MOST_BYTES):  # in rounds, and by nodes
        monkeypatch.setattr(nodeshares, "MOST_BYTES", most)
        learned_from_sums(name, case, cuts)


def learned_from_sums(name, case, cuts):
    kind, task = kinds.kind_named(name), task_of(case)
    states = task.planes.states(1)
    parts = [BitPlanes.of_states(states[a:b], 1) for a, b in itertools.pairwise(cuts)]
    shards = LocalShards([Shard((own,), first, (0, 1)) for own, first in zip(parts, cuts)], 1, N)
    outline = Outline(task.grid, task.distance, task.pixels, task.relations, 1, task.seed)
    if not kind.distributes:
        with pytest.raises(ValueError, match="are not learned from sums over images") as caught:
            kind.learn_from(parameters_of(name), outline, shards.layer(0))
        with pytest.raises(ValueError, match="^cpd: .* are not learned from images in several places"):
            kind.check_distributes(parameters_of(name))
        assert "\n" not in str(caught.value)
        return
    given = parameters_of(name)
    kind.check_distributes(given)
    for part in (None, Part(N, 1, 3), Part(N, 1, 3, True), Part(40)):
        members = np.ones(N, bool) if part is None else part.of(np.arange(N))
        own = Task(
            task.grid, task.distance, task.planes.select(members, 1), task.pixels, task.relations, task.seed, 1
        )  # fmt: skip
        expected = kind.learn(given, own)
        ways = [shards.layer(0, part)] if part is None else [shards.layer(0, part), shards.only(part).layer(0)]
        for images in ways:
            found = kind.learn_from(given, outline, images)
            assert found.describe() == expected.describe()
            for array, wanted in zip(found.arrays().values(), expected.arrays().values(), strict=True):
                np.testing.assert_array_equal(array, wanted)
