# SPDX-License-Identifier: BSD-3-Clause
"""Networks so small that all images can be enumerated, and the test of samples against a distribution."""

import itertools

import numpy as np
import pytest
from scipy.stats import chisquare

from helpers.networks import Network

LEVELS = np.array([0, 128, 255], np.uint8)  # one of each grey level between the thresholds below
THRESHOLDS = {2: 0.3, 3: (0.3, 0.6)}  # by number of levels


def fitted(height, width, n_levels, seed=0, n=60, random_state=None):
    """A network of neighbours that depend on each other, fitted on few enough images that nothing is impossible."""
    rng = np.random.default_rng(seed)
    level = rng.integers(0, n_levels, (n, height, width))
    keep = rng.random((n, height, width)) < 0.5
    for y, x in itertools.product(range(height), range(width)):
        source = level[:, y - 1, x] if y else level[:, y, max(x - 1, 0)]
        level[:, y, x] = np.where(keep[:, y, x], source, level[:, y, x])
    values = LEVELS if n_levels == 3 else LEVELS[[0, 2]]
    return Network(
        threshold=THRESHOLDS[n_levels], full_scale=255, false_alarm_rate=0.1, n_jobs=1, random_state=random_state
    ).fit(values[level])


def enumerated(model, n_levels):
    """All images as levels (k, height, width), and their probabilities."""
    shape = model.image_shape_
    levels = np.array(list(itertools.product(range(n_levels), repeat=shape[0] * shape[1]))).reshape(-1, *shape)
    values = LEVELS if n_levels == 3 else LEVELS[[0, 2]]
    return levels, np.exp(model.score_samples(values[levels], "log_probability"))


def levels_of(images, n_levels):
    return (images > 76).astype(int) + (images > 153) if n_levels == 3 else (images > 76).astype(int)


def numbers(levels, n_levels):
    """Every image as the number that its levels spell, first pixel first: its place in the enumeration."""
    flat = levels.reshape(len(levels), -1)
    return flat @ n_levels ** np.arange(flat.shape[1])[::-1]


def assert_distributed(found, probability):
    """Chi-square test of whole numbers against probabilities; rare outcomes (expected below 5) share a cell."""
    n = len(found)
    observed, expected = np.bincount(found, minlength=len(probability)), n * probability
    assert expected.sum() == pytest.approx(n)
    rare = expected < 5
    cells = [np.append(counts[~rare], counts[rare].sum()) for counts in (observed, expected)]
    if cells[1][-1] < 5:  # the shared cell itself is rare: into the most frequent one
        cells = [np.append(c[:-1], 0) for c in ((c + c[-1] * (np.arange(len(c)) == 0)) for c in cells)]
        cells = [c[:-1] for c in cells]
    assert len(cells[0]) > 3
    assert chisquare(*cells).pvalue > 1e-3
