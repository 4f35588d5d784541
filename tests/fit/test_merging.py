# SPDX-License-Identifier: BSD-3-Clause
"""Networks of different images made one: the counts of all, the verdicts of the largest, and what cannot be merged."""

import numpy as np
import pytest

import cbn
from cbn import ConvolutionalBayesianNetwork as Network
from cbn.layers.kernels import load_kernels
from helpers.modelfiles import save

KERNELS = cbn.Features(layers=((3, 2, 2),), iterations=0)


@pytest.fixture(scope="module")
def images():
    return (np.random.default_rng(0).random((600, 8, 8)) < np.linspace(0.1, 0.6, 64).reshape(8, 8)).astype(np.uint8)


def network(**changed):
    return Network(**{"false_alarm_rate": 0.05, "random_state": 0, "n_jobs": 1} | changed)


@pytest.mark.parametrize("cuts", [(300,), (50, 310), (1, 2, 400)])
def test_counts_are_those_of_one_fit(cuts, images):
    parts = [network().fit(part) for part in np.split(images, cuts) if len(part) > 1]
    singles = [network(false_alarm_rate=0.5).fit(part) for part in np.split(images, cuts) if len(part) == 1]
    for single in singles:
        single.false_alarm_rate = 0.05
    whole = network().fit(images)
    model = parts[0]
    for other in (*parts[1:], *singles):
        model.merge(other)
    np.testing.assert_array_equal(model.counts_, whole.counts_)
    np.testing.assert_array_equal(model.score_samples(images), whole.score_samples(images))
    np.testing.assert_array_equal(model.sample(5, random_state=1), whole.sample(5, random_state=1))
    assert model.n_images_ == 600


def test_order_makes_no_difference_to_a_byte(images, tmp_path):
    for name, (first, second) in {"a": (0, 1), "b": (1, 0)}.items():
        parts = [network().fit(part) for part in np.split(images, (200,))]
        save(parts[first].merge(parts[second]), tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_verdicts_are_those_of_the_largest_until_it_is_calibrated(images, tmp_path):
    small, large = (network().fit(part) for part in np.split(images, (200,)))
    verdicts, offset = large.predict(images), large.offset_
    merged = small.merge(large)
    np.testing.assert_array_equal(merged.predict(images), verdicts)
    save(merged, tmp_path / "m.cbn")
    loaded = cbn.load(tmp_path / "m.cbn")
    assert loaded.offset_ == merged.offset_ == offset
    np.testing.assert_array_equal(loaded.judged_scores(images), large.judged_scores(images))
    np.testing.assert_array_equal(loaded.score_samples(images), merged.score_samples(images))
    others = images[:300, ::-1]
    loaded.calibrate(others)
    whole = network().fit(images).calibrate(others)
    assert loaded.offset_ == whole.offset_ and loaded.calibration_ == "separate images"


def test_hidden_layers_of_given_kernels(images, tmp_path):
    a = network(preset="hidden", features=KERNELS, cpd="tree").fit(images[:300])
    a.save_kernels(tmp_path / "k.npz")
    given = cbn.Features(layers=((3, 2, 2),), iterations=0, kernels=load_kernels(tmp_path / "k.npz"), max_parents=0)
    parts = [network(preset="hidden", features=given).fit(part) for part in (images[:300], images[300:])]
    whole = network(preset="hidden", features=given).fit(images)
    parts[0].merge(parts[1])
    for ours, theirs in zip(parts[0].fitted_.network.networks, whole.fitted_.network.networks):
        np.testing.assert_array_equal(ours.counts, theirs.counts)


@pytest.mark.parametrize(
    "one, other, words",
    [
        ({}, {"threshold": 0.6}, ["binarization"]),
        ({}, {"cpd": cbn.Table(pseudocount=2.0)}, ["cpd", "pseudocount=2.0", "same settings"]),
        ({}, {"outlier_score": "surprise"}, ["score"]),
        ({}, {"preset": "tree"}, ["preset"]),
        ({"preset": "tree"}, {"preset": "tree"}, ["the trees were grown", "in chunks"]),
        ({"preset": "boosted"}, {"preset": "boosted"}, ["boosted trees are no counts"]),
        ({"preset": "tied"}, {"preset": "tied"}, ["tied trees are no counts"]),
        (
            {"preset": "hidden", "features": KERNELS},
            {"preset": "hidden", "features": KERNELS, "random_state": 1},
            ["other kernels", "kernels"],
        ),
    ],
)
def test_what_cannot_be_merged_says_why(one, other, words, images):
    quick = {"boosted": cbn.Boosted(rounds=1), "tied": cbn.Tied(rounds=1, pairs=500)}
    grey = images * np.uint8(200)
    models = []
    for arguments, part in ((one, grey[:300]), (other, grey[300:])):
        cpd = {"cpd": quick[arguments["preset"]]} if arguments.get("preset") in quick else {}
        models.append(network(**cpd | arguments).fit(part))
    counts = models[0].counts_.copy()
    with pytest.raises(ValueError, match="^merge: ") as caught:
        models[0].merge(models[1])
    assert all(word in str(caught.value) for word in words) and "\n" not in str(caught.value)
    np.testing.assert_array_equal(models[0].counts_, counts)


def test_other_shapes_and_other_things_are_refused(images):
    model = network().fit(images[:200])
    with pytest.raises(ValueError, match="image_shape"):
        model.merge(network().fit(images[:200, :7]))
    with pytest.raises(ValueError, match="give another ConvolutionalBayesianNetwork"):
        model.merge("model.cbn")
    with pytest.raises(ValueError, match="^merge: the network itself"):
        model.merge(model)
    assert model.n_images_ == 200
