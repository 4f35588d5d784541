# SPDX-License-Identifier: BSD-3-Clause
"""Structure search: against thesis Algorithm 2 written plainly, on planted and on independent bits."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cbn import _engine
from cbn._engine import MAX_SEARCH_PARENTS
from cbn.bits.planes import BitPlanes
from cbn.cpd.grid import Layer, Relation
from cbn.layers import relations as structure
from cbn.layers.geometry import LayerGeometry
from cbn.layers.relations import candidate_relations, check_search_size, search_relations
from helpers.engines import ALL, TWIN
from helpers.networks import Network


def geometry_of(channels, height, width, distance=2):
    return LayerGeometry(channels, height, width, 2 * distance, 2)


def bits_of(rng, n, geometry, share=0.4):
    return (rng.random((n, geometry.channels, geometry.height, geometry.width)) < share).astype(np.uint8)


def search(bits, geometry, max_parents=6, **named):
    planes = TWIN.planes(bits.reshape(len(bits), -1), [0])
    return search_relations(geometry, BitPlanes(planes, len(bits)), max_parents, **named)


# ---- Algorithm 2, plainly ----


def bic_of_channel(bits, child, relations):
    """Thesis eq. 3 of the nodes of one channel: k ln n - 2 ln L, tables from counting images."""
    n, _, height, width = bits.shape
    total = 0.0
    for y, x in np.ndindex(height, width):
        row, n_rows = np.zeros(n, int), 1
        for r in relations:
            if 0 <= y + r.dy < height and 0 <= x + r.dx < width:
                row = 2 * row + bits[:, r.parent, y + r.dy, x + r.dx]
                n_rows *= 2
        total += n_rows * np.log(n)
        for value in np.unique(row):
            own = bits[row == value, child, y, x]
            for state in (0, 1):
                m = (own == state).sum()
                if m:
                    total -= 2 * m * np.log(m / len(own))
    return total


def algorithm_2(bits, candidates, max_parents, forced=()):
    """Start from the forced; add the relation that lowers the summed BIC most; stop when none does. Steps and BICs."""
    relations = {child: [r for r in forced if r.child == child] for child in range(bits.shape[1])}
    bic = {child: bic_of_channel(bits, child, own) for child, own in relations.items()}
    steps = []
    while True:
        trials = []
        for r in candidates:
            own = relations[r.child]
            if r not in own and len(own) < max_parents:
                trials.append((bic_of_channel(bits, r.child, [*own, r]) - bic[r.child], r))
        best = min(trials, key=lambda trial: trial[0], default=(0.0, None))
        if best[0] >= 0:
            return relations, steps, sum(bic.values())
        change, r = best
        relations[r.child].append(r)
        bic[r.child] += change
        steps.append((r, change))


def mixed_bits(seed, n, geometry):
    """Bits that depend on some earlier ones and on a cause that all share."""
    rng = np.random.default_rng(seed)
    bits = bits_of(rng, n, geometry)
    bits ^= (rng.random((n, 1, 1, 1)) < 0.5) & (rng.random(bits.shape) < 0.3)
    d = geometry.distance
    for _ in range(4):
        child, parent = rng.integers(0, geometry.channels, 2)
        copied = rng.random((n, geometry.height - d, geometry.width)) < 0.5
        bits[:, child, d:] = np.where(copied, bits[:, parent, :-d], bits[:, child, d:])
    return bits


@settings(max_examples=12, deadline=None)
@given(
    seed=st.integers(0, 2**32), n=st.integers(20, 150), channels=st.integers(1, 3), height=st.integers(3, 5),
    width=st.integers(2, 5), max_parents=st.integers(0, 4), choice=st.integers(0, 2**10),
)  # fmt: skip
def test_search_is_algorithm_2(seed, n, channels, height, width, max_parents, choice):
    geometry = geometry_of(channels, height, width)
    bits = mixed_bits(seed, n, geometry)
    every = candidate_relations(geometry)
    assert set(every) == {
        Relation(c, p, dy, dx) for c in range(channels) for p in range(channels)
        for dy, dx in ((-2, -2), (-2, 0), (-2, 2), (0, -2)) if abs(dx) < width
    }  # fmt: skip
    rng = np.random.default_rng(choice)
    chosen = [every[i] for i in rng.permutation(len(every))]
    forced, forbidden = tuple(chosen[: choice % 3]), tuple(chosen[3 : 3 + choice % 4])
    layer, steps = search(bits, geometry, max_parents, forced=forced, forbidden=forbidden)
    allowed = candidate_relations(geometry, forbidden)
    assert not set(allowed) & set(forbidden) and len(allowed) == len(every) - len(forbidden)
    relations, expected, bic = algorithm_2(bits, allowed, max_parents, forced)
    for child in range(channels):
        assert layer.parents(child) == relations[child]  # the same relations, in the same order
    assert [s.relation for s in steps[: len(forced)]] == list(forced)
    found = {s.relation: s.bic_change for s in steps[len(forced) :]}
    assert found.keys() == {r for r, _ in expected} and set(forced) <= set(layer.relations)
    for relation, change in expected:
        assert found[relation] == pytest.approx(change, rel=1e-9, abs=1e-6) and found[relation] < 0
    # the changes sum to the change of the BIC of the whole layer, by the engine and by hand
    planes = TWIN.planes(bits.reshape(n, -1), [0])
    ends = []
    for own in (Layer(channels, height, width), layer):
        counts = np.empty((own.n_rows, 2), np.int64)
        _engine.count(_engine.Layer(own), planes, n, counts)
        ends.append(_engine.bic(_engine.Layer(own), counts)[2])
    assert sum(s.bic_change for s in steps) == pytest.approx(ends[1] - ends[0], rel=1e-9, abs=1e-6)
    assert bic == pytest.approx(ends[1], rel=1e-9)


def test_a_planted_relation_is_found():
    rng = np.random.default_rng(3)
    geometry = geometry_of(3, 7, 7)
    bits = bits_of(rng, 400, geometry)
    noise = rng.random((400, 5, 5)) < 0.1
    bits[:, 2, 2:, :5] = bits[:, 0, :5, 2:] ^ noise  # kernel 0 at (-2, +2) is a parent of kernel 2
    layer, steps = search(bits, geometry)
    assert layer.relations == (Relation(2, 0, -2, 2),) and [s.relation for s in steps] == list(layer.relations)
    # two parents that only together say anything are out of reach of a greedy search; one with some effect is not
    bits[:, 1, 2:, 2:] = bits[:, 0, :5, 2:] & bits[:, 1, :5, :5] | (noise & (bits[:, 1, 2:, 2:] == 1))
    layer, _ = search(bits, geometry)
    assert {Relation(1, 0, -2, 0), Relation(1, 1, -2, -2)} <= set(layer.parents(1))


@pytest.mark.parametrize("seed", range(5))
def test_independent_bits_give_no_relation(seed):
    geometry = geometry_of(4, 6, 6)
    layer, steps = search(bits_of(np.random.default_rng(seed), 1000, geometry), geometry)
    assert layer.relations == () and steps == []


def test_of_equal_relations_the_first_is_taken():
    geometry = geometry_of(2, 5, 5)
    bits = bits_of(np.random.default_rng(0), 200, geometry)
    bits[:, 1, 2:] = bits[:, 0, :3]
    bits[:, 0, 3:] = bits[:, 1, 3:]
    bits[:, 1] = bits[:, 0]  # twins: either is as good a parent
    layer, _ = search(bits, geometry, 1)
    assert layer.relations and all(r.parent == 0 for r in layer.relations)


def test_max_parents_bounds_the_search_but_not_what_is_forced():
    geometry = geometry_of(2, 6, 6)
    bits = mixed_bits(1, 500, geometry)
    bits[:, :, 2:] = bits[:, :, :4] ^ (np.random.default_rng(1).random((500, 2, 4, 6)) < 0.1)
    for most in (0, 1, 2):
        layer, _ = search(bits, geometry, most)
        assert max(len(layer.parents(c)) for c in (0, 1)) == most
    forced = (Relation(0, 1, -2, -2), Relation(0, 1, -2, 2))
    layer, steps = search(bits, geometry, 1, forced=forced)
    assert layer.parents(0) == list(forced) and len(layer.parents(1)) == 1
    assert any(s.bic_change > 0 for s in steps[:2])  # forced although it does not pay


def test_results_do_not_depend_on_threads_parts_or_instruction_set(monkeypatch):
    geometry = geometry_of(5, 9, 9)
    bits = mixed_bits(5, 300, geometry)
    expected = search(bits, geometry)
    assert len(expected[1]) >= 4
    for threads in (2, 3, 7):
        assert search(bits, geometry, num_threads=threads) == expected
    for engine in ALL[1:]:
        with engine._path():
            assert search(bits, geometry, num_threads=2) == expected
    asked = []

    def gains(layer, planes, n_images, candidates, changes, num_threads, kept):
        asked.append((len(candidates), kept and kept[1]))
        relation_gains(layer, planes, n_images, candidates, changes, num_threads, kept)

    relation_gains = _engine.relation_gains
    monkeypatch.setattr(structure._engine, "relation_gains", gains)
    monkeypatch.setattr(structure, "MAX_PAIRS", 7 * 81)
    assert search(bits, geometry) == expected and max(n for n, _ in asked) == 7
    goes_on = [known for _, known in asked]
    assert not goes_on[0] and any(goes_on)  # a step goes on from the tables of the one before
    monkeypatch.setattr(structure, "MAX_KEPT", 1000)
    asked.clear()
    assert search(bits, geometry) == expected and all(kept is None for _, kept in asked)


def test_tables_are_used_for_the_step_after_theirs_alone():
    """Asked about the same relations for any other layer, everything is counted."""
    geometry = geometry_of(3, 6, 5)
    planes = BitPlanes.of_states(np.ascontiguousarray(mixed_bits(3, 200, geometry).reshape(200, -1)), 1)
    asked = [r for r in candidate_relations(geometry) if r.child == 1]
    taken, left = asked[:3], asked[3:]
    layers = [Layer(3, 6, 5, tuple(taken[:n])) for n in range(4)]
    for order in ((0, 1, 2, 3), (0, 0, 1), (0, 2), (1, 0), (0, 1, 3, 2), (2, 3)):
        changes = structure.BicChanges(planes, 6, 1)
        for n in order:
            assert changes(layers[n], left) == structure.BicChanges(planes, 1, 1)(layers[n], left), order
    swapped = Layer(3, 6, 5, (taken[1], taken[0]))  # the last parent is not the one that came last
    changes = structure.BicChanges(planes, 6, 1)
    changes(layers[1], left)
    assert changes(swapped, left) == structure.BicChanges(planes, 1, 1)(swapped, left)


# ---- refusals ----


def test_tables_beyond_the_memory_budget_are_refused_before_anything_is_allocated():
    check_search_size(geometry_of(5, 13, 13), MAX_SEARCH_PARENTS)
    check_search_size(geometry_of(1, 800, 800), MAX_SEARCH_PARENTS)  # there are only four relations to take
    Network("hidden", hidden=((2, 3, 1),), iterations=0, false_alarm_rate=0.1).fit(X)  # its imports are not counted
    tracemalloc.start()
    with pytest.raises(ValueError, match=r"^max_parents: up to 10 .*64 x 300 x 300 .*more than 268,435,456.*halves"):
        check_search_size(geometry_of(64, 300, 300), MAX_SEARCH_PARENTS)
    images = np.zeros((2, 700, 700), np.uint8)
    with pytest.raises(ValueError, match="^max_parents: "):
        Network("hidden", hidden=((64, 3, 1),), max_parents=8).fit(images)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20 * 2**20
    # 20 forced relations, 4 for each of 5 kernels, are no tables of 2^20 rows
    forced = tuple(Relation(c, p, -2, 0) for c in range(5) for p in range(4))
    check_search_size(geometry_of(5, 13, 13), 4, forced)


X = (np.random.default_rng(0).random((130, 12, 12)) < 0.5).astype(np.uint8)
REFUSED = {
    "forced_relations": [
        ([(1, 0, 1, -1, 0)], "same pixels"), ([(1, 0, 1, -9, 0)], "leads out of the 5 x 5"),
        ([(1, 0, 1, 0, 0)], "row above"),
        ([(1, 0, 1, 0, 2)], "row above"), ([(1, 0, 1, 2, 0)], "row above"), ([(2, 0, 1, -2, 0)], "layers from 1 to 1"),
        ([(0, 0, 1, -2, 0)], "layers from 1"), ([(1, 0, 2, -2, 0)], "kernels 0 to 1"), ([(1, -1, 0, -2, 0)], "kernels"),
        ([(1, 0, 1, -2, 0)] * 2, "given twice"), ([(1, 0, 1, -2)], "give"), ([(1, 0, 1, -2.0, 0)], "whole numbers"),
        (["1,0,1,-2,0"], "give"), ([3], "give"), (3, "give"), ("NW", "give"), ([None], "give"), (True, "give"),
        ([(1, 0, p, -d, x) for p in (0, 1) for d in (2, 3) for x in (0, 1, -1)], "12 parents of kernel 0 of layer 1"),
    ],
    "forbidden_relations": [
        ([(1, 0, 1, -1, 0)], "never tried"), ([(1, 0, 1, -3, 0)], "never tried"), ([(1, 0, 1, 0, 2)], "row above"),
        ([(1, 1, 1, -2, 0)], "in forced_relations too"), (7, "give"),
    ],
}  # fmt: skip


@pytest.mark.parametrize("name, value, words", [(name, *case) for name, cases in REFUSED.items() for case in cases])
def test_relations_that_cannot_be_are_refused(name, value, words):
    arguments = {
        "hidden": ((2, 3, 2),),
        "iterations": 0,
        "n_jobs": 1,
        "forced_relations": [(1, 1, 1, -2, 0)],
    }
    with pytest.raises(ValueError, match=f"^{name}: .*{words}") as caught:
        Network(**(arguments | {name: value})).fit(X)
    assert "\n" not in str(caught.value)


def test_relations_without_hidden_layers_are_refused():
    for name in ("forced_relations", "forbidden_relations"):
        with pytest.raises(ValueError, match=f"^{name}: .*no hidden layers"):
            Network(**{name: [(1, 0, 0, -2, 0)]}).fit(X)


def test_forced_and_forbidden_relations_of_the_estimator():
    arguments = {"hidden": ((2, 3, 2),), "iterations": 1, "random_state": 0, "n_jobs": 1, "false_alarm_rate": 0.1}
    blocks = np.random.default_rng(1).random((130, 2, 2)) < 0.5  # squares of 6 pixels, so that windows tell of others
    X = blocks.repeat(6, axis=1).repeat(6, axis=2)
    free = Network(**arguments, max_parents=2).fit(X).hidden_layers_[0].layer
    forced = np.array([[1, 1, 0, -3, 1], [1, 0, 1, -2, 2]])
    model = Network(**arguments, forced_relations=forced, forbidden_relations=[(1, 0, 0, 0, -2)]).fit(X)
    relations = model.hidden_layers_[0].layer.relations
    assert {Relation(1, 0, -3, 1), Relation(0, 1, -2, 2)} <= set(relations) and Relation(0, 0, 0, -2) not in relations
    taken = [(1, r.child, r.parent, r.dy, r.dx) for r in free.relations]
    assert taken
    without = Network(**arguments, max_parents=2, forbidden_relations=taken).fit(X).hidden_layers_[0].layer
    assert not set(without.relations) & set(free.relations)
