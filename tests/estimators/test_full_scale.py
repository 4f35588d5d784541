# SPDX-License-Identifier: BSD-3-Clause
"""Networks of images of any full scale; images of unknown scale are refused."""

import numpy as np
import pytest

import cbn
from cbn import ConvolutionalBayesianNetwork as Network
from helpers.folders import refused

GREY = np.random.default_rng(0).integers(0, 17, (120, 32, 32))


@pytest.mark.slow
@pytest.mark.parametrize("preset", ["pixel", "tree", "best"])
@pytest.mark.parametrize("full_scale", [16, 4095, 100_000])
def test_a_network_knows_its_scale(tmp_path, full_scale, preset):
    images = GREY * full_scale // 16
    model = Network(
        preset, full_scale=full_scale, threshold=(0.3, 0.6), n_jobs=1, false_alarm_rate=0.1, random_state=0
    ).fit(images)
    assert f"value > 0.3 x {full_scale}" in model.binarization_
    model.save(tmp_path / "m.cbn")
    loaded = cbn.load(tmp_path / "m.cbn")
    np.testing.assert_array_equal(loaded.score_samples(images), model.score_samples(images))
    samples = loaded.sample(3, random_state=0)
    assert 0.6 * full_scale < samples.max() <= full_scale
    dark = np.zeros((1, 32, 32), int)
    dark[0, 0, 0] = 1
    np.testing.assert_array_equal(loaded.score_samples(dark), loaded.score_samples(dark * 0))
    refused(lambda: loaded.score_samples(dark + full_scale), "X: integers", f"full_scale={full_scale}")
    assert loaded.surprise_map(images[:2]).shape == (2, 32, 32)
    assert loaded.repair(images[0]).repaired.max() <= full_scale


@pytest.mark.parametrize("make", [Network, cbn.ConvolutionalBayesianNetworkClassifier])
def test_images_of_unknown_scale_are_refused(make):
    dark = np.full((40, 4, 4), 16, np.uint8)
    refused(lambda: make().fit(dark, np.arange(40) % 2), "whose scale is unknown", "full_scale=16")
