# SPDX-License-Identifier: BSD-3-Clause
"""Synthetic categories: same bytes, defects where the masks say, and no task for a mean brightness."""

import hashlib

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from cbn.datasets import load_mvtec, make_category, write_mvtec
from cbn.datasets.synthetic import DEFECTS, KINDS

BOTH = pytest.mark.parametrize("kind", KINDS)


@BOTH
def test_shapes_labels_and_masks(kind):
    made = make_category(kind, n_train=3, n_good=2, n_defects=2, size=(32, 40))
    assert made.train.shape == (3, 32, 40) and made.test.shape == (10, 32, 40) == made.masks.shape
    assert made.train.dtype == np.uint8 and made.channels == 1 and made.image_shape == (32, 40)
    assert made.labels.tolist() == [0, 0] + [1] * 8
    assert made.defects == ("good",) * 2 + tuple(d for d in DEFECTS for _ in range(2))
    assert made.defect_types == tuple(sorted(DEFECTS))
    assert (made.masks.any(axis=(1, 2)) == made.labels).all()
    assert made.masks.mean(axis=(1, 2)).max() < 0.15  # defects are local


@BOTH
def test_rgb(kind):
    made = make_category(kind, n_train=2, n_good=1, n_defects=1, size=32, color="rgb")
    assert made.train.shape == (2, 32, 32, 3) and made.channels == 3
    means = made.train.mean(axis=(0, 1, 2))
    assert means.max() - means.min() > 5


@BOTH
def test_the_seed_decides_and_larger_sets_begin_alike(kind):
    small, large = (make_category(kind, n, n, n, 32, random_state=3) for n in (2, 4))
    np.testing.assert_array_equal(small.train, large.train[:2])
    np.testing.assert_array_equal(small.test[2:4], large.test[4:6])  # scratches
    other = make_category(kind, 2, 2, 2, 32, random_state=4)
    assert (small.train != other.train).any() and (small.train[0] != small.train[1]).any()
    assert (large.train[:2] != large.test[:2]).any()


# Of the first training picture, a missing part and its mask. They change only with the generator.
DIGESTS = {"texture": "e57d971caf79cd5f", "object": "41cf02b57812aad6"}


@BOTH
def test_bytes_are_those_of_earlier_versions(kind):
    made = make_category(kind, 1, 1, 1, size=48, color="rgb", random_state=7, n_jobs=3)
    content = made.train.tobytes() + made.test.tobytes() + made.masks.tobytes()
    assert hashlib.sha256(content).hexdigest()[:16] == DIGESTS[kind]


@BOTH
def test_defects_change_the_picture_inside_their_mask(kind):
    """The contrast to the mean good picture is larger inside the masks of a flange; a weave differs everywhere."""
    made = make_category(kind, 40, 10, 10, size=64)
    train = made.train.astype(float)
    distance = np.abs(made.test - train.mean(axis=0)) / (train.std(axis=0) + 1)
    for defect in DEFECTS if kind == "object" else ("scratch", "spot"):
        chosen = np.array(made.defects) == defect
        assert roc_auc_score(made.masks[chosen].ravel(), distance[chosen].ravel()) > 0.6


@pytest.mark.slow
@BOTH
def test_trivial_statistics_do_not_solve_the_task(kind):
    made = make_category(kind, 60, 40, 20, size=64, random_state=1)
    for statistic in (np.mean, np.std, np.min, np.max):
        area = roc_auc_score(made.labels, statistic(made.test, axis=(1, 2)))
        assert 0.2 < area < 0.8, statistic.__name__
    train = made.train.astype(float)
    z = (np.abs(made.test - train.mean(axis=0)) / (train.std(axis=0) + 1)).sum(axis=(1, 2))
    assert roc_auc_score(made.labels, z) < 0.8


@BOTH
@pytest.mark.parametrize("color", ["grey", "rgb"])
def test_written_layout_is_read_back(tmp_path, kind, color):
    made = make_category(kind, 2, 2, 2, size=32, color=color)
    write_mvtec(tmp_path / "made", made)
    read = load_mvtec(tmp_path / "made")
    np.testing.assert_array_equal(read.train, made.train)
    order = [made.test_names.index(name) for name in read.test_names]  # folders are read by name
    for name in ("test", "labels", "masks"):
        np.testing.assert_array_equal(getattr(read, name), getattr(made, name)[order])
    assert read.train_names == made.train_names and sorted(read.test_names) == sorted(made.test_names)


@pytest.mark.parametrize(
    ("argument", "value"),
    [("kind", "metal"), ("color", "auto"), ("n_train", 0), ("n_good", 0), ("n_defects", -1), ("size", 31),
     ("size", (64, 8)), ("size", "big"), ("size", (1, 2, 3)), ("random_state", -1), ("n_jobs", 0)],
)  # fmt: skip
def test_arguments_outside_their_range(argument, value):
    with pytest.raises(ValueError, match=f"^{argument}: "):
        make_category(**{"n_train": 1, "n_good": 1, "n_defects": 1, argument: value})
