# SPDX-License-Identifier: BSD-3-Clause
"""Images in shards of one process: the bytes of one array, whatever is learned, and whichever way they are cut."""

import re

import numpy as np
import pytest

import cbn
from cbn import ConvolutionalBayesianNetwork as Network
from cbn.bits.shards import LocalSource, Part
from cbn.cpd import nodeshares
from cbn.cpd import shards as growing
from cbn.cpd.boosted_cpd import BoostedCPD
from cbn.fit.settings import resolve, snapshot
from cbn.fit.sharded import fit_shards
from cbn.layers import shards as hidden
from helpers.images import blots

N = 500
IMAGES = blots(N, 9, seed=3)
GREY = (IMAGES * np.random.default_rng(0).integers(40, 256, IMAGES.shape)).astype(np.uint8)
CUTS = [(), (64,), (1, 250), (3, 70, 131, 200, 333, 499)]
RANDOM = cbn.Features(layers=((3, 3, 1), (2, 2, 1)), iterations=0)
MANY = blots(1200, 9, seed=4)
TIED = cbn.Tied(radius=2, rounds=4, max_leaves=6, pairs=9_000, networks=2)
CONTRAST = cbn.Contrast(pairs=9_000, rounds=3, background_pairs=4_000, background_rounds=2, roll=2)
BEST = {"preset": "best", "features": RANDOM, "contrast": CONTRAST, "threshold": 0.3}
MODELS = {
    "pixel": ({"preset": "pixel"}, IMAGES),
    "pixel, grey": ({"preset": "pixel", "threshold": (0.2, 0.5), "outlier_score": "surprise"}, GREY),
    "pixel, auto": ({"preset": "pixel", "threshold": "auto"}, GREY),
    "hidden": ({"preset": "hidden", "features": RANDOM}, IMAGES),
    "hidden, grey, promising": (
        {"preset": "hidden", "features": RANDOM.replaced(initialization="promising", forced_relations=[(1, 0, 1, -3, 0)]),
             "threshold": (0.2, 0.5), "outlier_score": "standardized"},
        GREY,
    ),
    "hidden, few images": ({"preset": "hidden", "features": RANDOM}, IMAGES[:290]),
    "tree": ({"preset": "tree"}, IMAGES),
    "tree, grey": ({"preset": "tree", "threshold": (0.2, 0.5), "folds": 2, "cpd": cbn.Tree(min_leaf=5)}, GREY),
    "tree, hidden": ({"preset": "tree", "features": RANDOM, "outlier_score": "standardized"}, IMAGES),
    "tree, two images": ({"preset": "tree"}, IMAGES[:2]),
    "tied": ({"preset": "tied", "cpd": TIED}, MANY),
    "tied, grey": ({"preset": "tied", "cpd": TIED.replaced(corrections=2), "threshold": (0.2, 0.5), "folds": 3}, GREY),
    "tied, two images": ({"preset": "tied", "cpd": TIED}, IMAGES[:2]),
    "boosted": ({"preset": "boosted", "cpd": cbn.Boosted(rounds=3, reach=3, max_leaves=4), "threshold": (0.2, 0.5)}, GREY),
    "contrast": (BEST, MANY),
    "contrast, two thresholds": (BEST | {"threshold": (0.2, 0.5), "features": cbn.Features(), "cpd": cbn.Tree()}, GREY),
    "contrast, one image": (BEST, IMAGES[:1]),
    "contrast, three images": (BEST, IMAGES[:3]),
}  # fmt: skip


def network(arguments):
    return Network(**{"random_state": 3, "n_jobs": 2, "false_alarm_rate": 0.1} | arguments)


def in_shards(arguments, images, cuts):
    given = snapshot(network(arguments).arguments())
    blocks = [own for own in np.split(images, cuts) if len(own)]
    return fit_shards(given, resolve(given), LocalSource(blocks, 2), num_threads=2)


@pytest.mark.filterwarnings("ignore::cbn.CalibrationWarning")
@pytest.mark.parametrize(
    "name, most",
    [*((name, nodeshares.MOST_BYTES) for name in MODELS), *((name, 0) for name in MODELS if "tree" in name)],
)
def test_the_bytes_are_those_of_one_array(name, most, tmp_path, monkeypatch):
    monkeypatch.setattr(nodeshares, "MOST_BYTES", most)  # trees of counts grow by nodes, or in rounds
    monkeypatch.setattr(growing, "NODES_ASKED", 30)
    monkeypatch.setattr(hidden, "MOST_ENTRIES", 2000)
    arguments, images = MODELS[name]
    network(arguments).fit(images).save(tmp_path / "one.cbn")
    for number, cuts in enumerate(CUTS):
        in_shards(arguments, images, [cut for cut in cuts if cut < len(images)]).save(tmp_path / f"{number}.cbn")
        assert (tmp_path / f"{number}.cbn").read_bytes() == (tmp_path / "one.cbn").read_bytes(), cuts


def test_kernels_that_are_given():
    trained = network({"preset": "hidden", "features": RANDOM.replaced(iterations=1)}).fit(IMAGES[:300])
    given = RANDOM.replaced(kernels=[own.kernels for own in trained.hidden_layers_])
    one = network({"preset": "hidden", "features": given}).fit(IMAGES)
    parts = in_shards({"preset": "hidden", "features": given}, IMAGES, (100, 301))
    assert [own.steps for own in one.hidden_layers_] == [own.steps for own in parts.hidden_layers]
    assert [own.curve for own in one.hidden_layers_] == [own.curve for own in parts.hidden_layers]
    np.testing.assert_array_equal(one.score_samples(GREY > 0), parts.score_samples(GREY > 0))


@pytest.mark.parametrize(
    "arguments, words",
    [
        ({"preset": "best", "features": cbn.Features(layers=((2, 2, 2),))}, "features: 50 iterations; kernels"),
        ({"preset": "best", "contrast": False, "features": cbn.Features(layers=((2, 2, 2),))}, "features: 50 iterations; kernels"),
        ({"preset": "hidden"}, "features: 50 iterations; kernels are trained in one process"),
        ({"preset": "boosted"}, "cpd: boosted trees are not learned from images in several places; use another kind"),
        ({"shift": 1}, "shift: 1; images in several places are not shifted"),
    ],
)  # fmt: skip
def test_what_is_refused_says_what_to_do(arguments, words, monkeypatch):
    monkeypatch.setattr(BoostedCPD, "distributes", False)
    with pytest.raises(ValueError, match=re.escape(words)) as caught:
        in_shards(arguments, IMAGES, (100,))
    assert "\n" not in str(caught.value) and "X.compute()" in str(caught.value)


def test_a_block_that_cannot_be_used_is_named(monkeypatch):
    monkeypatch.setattr("cbn.fit.sharded.FIRST", 100)
    images = GREY.astype(int)
    images[321] = -1
    with pytest.raises(cbn.DataError, match="^X, chunk 2: integers from -1 to"):
        in_shards({}, images, (100, 300))
    binary = IMAGES.astype(np.uint8)
    with pytest.raises(cbn.DataError, match="^X, chunk 1: integers up to 255 after images of only 0 and 1; give full"):
        fit_shards(
            given := snapshot(network({}).arguments()), resolve(given),
            LocalSource([np.repeat(binary, 20, axis=0), GREY], 1), num_threads=1,
        )  # fmt: skip
    with pytest.raises(cbn.DataError, match="^X: no pixel of any training image exceeds"):
        in_shards({}, np.minimum(GREY, 70), (100,))


def test_parts_of_images():
    numbers = np.arange(50)
    for part in (Part(50), Part(20), Part(50, 1, 3), Part(50, 49, 50)):
        assert part.of(numbers).sum() == part.n_images
    assert Part(50, 1, 3).of(np.array([0, 1, 2, 4])).tolist() == [True, False, True, False]
