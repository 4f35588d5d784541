# SPDX-License-Identifier: BSD-3-Clause
"""Digests of images in provenance: those of parts add, and files of before stand in with theirs."""

import numpy as np
import pytest

import cbn
from cbn import ConvolutionalBayesianNetwork as Network
from cbn.bits.digest import Digest
from cbn.bits.planes import BitPlanes

STATES = np.random.default_rng(0).integers(0, 2, (300, 6, 6), dtype=np.uint8)


def of(states):
    return Digest.of(BitPlanes.of_states(states.reshape(len(states), -1), 2), 2)


def test_sums_and_text():
    whole = of(STATES)
    assert of(STATES[:70]) + of(STATES[70:]) == of(STATES[::-1]) == whole
    assert len(str(whole)) == 32 and Digest.recorded({"data_digest": str(whole)}) == whole
    assert str(Digest(1, 2**64 - 1) + Digest(2, 3)) == "00000000000000030000000000000002"


@pytest.mark.parametrize(
    "record, digest",
    [
        ({}, Digest(0, 0)),
        ({"data_digest": "my own"}, Digest(0, 0)),
        ({"data_sha256": 64 * "a"}, Digest(0xAAAAAAAAAAAAAAAA, 0xAAAAAAAAAAAAAAAA)),
        ({"data_sha256": 64 * "a", "data_digest": 31 * "0" + "1"}, Digest(0, 1)),
    ],
)
def test_records_of_others(record, digest):
    assert Digest.recorded(record) == digest


def test_fits_adding_and_merging_have_that_of_all_images():
    def network():
        return Network(false_alarm_rate=0.05)

    expected = str(of(STATES))
    one, other = network().fit(STATES[:100]), network().fit(STATES[100:])
    assert network().fit(STATES).provenance_["data_digest"] == expected
    assert network().fit(iter(np.split(STATES, (7, 80)))).provenance_["data_digest"] == expected
    assert network().fit(STATES[:100]).partial_fit(STATES[100:]).provenance_["data_digest"] == expected
    assert other.merge(one).provenance_["data_digest"] == expected


def test_models_of_before_are_added_to():
    model = Network(false_alarm_rate=0.05).fit(STATES[:100])
    model.provenance_ = {"data_sha256": 64 * "1"}
    model.partial_fit(STATES[100:])
    assert model.provenance_ == {"data_digest": str(Digest.recorded({"data_sha256": 64 * "1"}) + of(STATES[100:]))}


@pytest.mark.parametrize("arguments", [{}, {"shift": 1}, {"preset": "tree"}])
def test_training_images_are_known_in_any_order(arguments):
    model = Network(**{"false_alarm_rate": 0.2} | arguments).fit(STATES)
    with pytest.raises(cbn.DataError, match="^X: are the images that the model was trained on"):
        model.calibrate(STATES[::-1])
    assert model.calibrate(1 - STATES).calibration_ == "separate images"
    if not arguments:
        added = Network(false_alarm_rate=0.2).fit(STATES[:40]).partial_fit(STATES[40:])
        with pytest.raises(cbn.DataError, match="trained on"):
            added.calibrate(STATES)
