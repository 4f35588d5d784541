# SPDX-License-Identifier: BSD-3-Clause
"""Scores of dask arrays are dask arrays, computed block by block by any scheduler."""

import numpy as np
import pytest

import cbn
from cbn import ConvolutionalBayesianNetwork as Network
from helpers.images import blots

dask = pytest.importorskip("dask", reason="dask is not installed: pip install 'cbn[distributed]'")
da = pytest.importorskip("dask.array", reason="dask is not installed: pip install 'cbn[distributed]'")

IMAGES = blots(300, 9, seed=3)
METHODS = ("score_samples", "judged_scores", "decision_function", "predict")


@pytest.fixture(scope="module")
def model():
    return Network("tree", false_alarm_rate=0.1).fit(IMAGES)


@pytest.mark.parametrize("scheduler", ["threads", "synchronous"])
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("chunks", [(100, -1, -1), (77, 4, 5)])
def test_they_are_those_of_one_array(model, method, chunks, scheduler):
    found = getattr(model, method)(da.from_array(IMAGES, chunks=chunks))
    expected = getattr(model, method)(IMAGES)
    assert isinstance(found, da.Array) and found.dtype == expected.dtype and found.shape == (300,)
    assert found.chunks == (da.from_array(IMAGES, chunks=chunks).chunks[0],)
    np.testing.assert_array_equal(found.compute(scheduler=scheduler), expected)


def test_nothing_is_computed_before_it_is_asked_for(model):
    seen = []
    X = da.from_array(IMAGES, chunks=100).map_blocks(lambda own: seen.append(len(own)) or own, dtype=IMAGES.dtype)
    seen.clear()  # dask tries the function on nothing
    scores = model.score_samples(X, "log_probability")
    assert not seen
    np.testing.assert_array_equal(scores[:50].compute(), model.score_samples(IMAGES[:50], "log_probability"))
    assert seen == [100]


def test_flat_images_and_other_methods(model):
    flat = da.from_array(IMAGES.reshape(300, -1), chunks=(64, 30))
    np.testing.assert_array_equal(model.score_samples(flat), model.score_samples(IMAGES))
    np.testing.assert_array_equal(model.p_values(flat), model.p_values(IMAGES))
    np.testing.assert_array_equal(model.verdicts(flat).verdicts, model.verdicts(IMAGES).verdicts)
    one, other = (Network(false_alarm_rate=0.1).fit(IMAGES[1:]).calibrate(own) for own in (flat, IMAGES))
    np.testing.assert_array_equal(one.calibration_scores_, other.calibration_scores_)


def test_the_model_is_sent_once(model):
    X = da.from_array(IMAGES, chunks=10)
    graph = dict(model.score_samples(X).__dask_graph__())
    assert sum("Fitted" in type(getattr(own, "value", own)).__name__ for own in graph.values()) <= 1
    assert len(graph) <= 3 * 30 + 3


def test_wrong_images_are_refused(model):
    with pytest.raises(cbn.DataError, match="images of 8 x 9 pixels, but 9 x 9 are needed"):
        model.score_samples(da.from_array(IMAGES[:, 1:])).compute()


def test_pictures():
    pictures = np.random.default_rng(0).integers(0, 256, (12, 24, 24), dtype=np.uint8)
    gaussian = cbn.iem.Gaussian(directions=4)
    model = cbn.IntrospectiveEnergyModel(gaussian=gaussian, false_alarm_rate=0.2).fit(pictures)
    X = da.from_array(pictures, chunks=5)
    for method in METHODS:
        np.testing.assert_array_equal(getattr(model, method)(X), getattr(model, method)(pictures))
