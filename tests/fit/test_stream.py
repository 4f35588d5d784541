# SPDX-License-Identifier: BSD-3-Clause
"""Images that come in chunks: the same model as of one array, and errors that name the chunk."""

import re
from dataclasses import replace

import numpy as np
import pytest

import cbn
from cbn import ConvolutionalBayesianNetwork as Network
from cbn.bits import stream
from cbn.bits.binarization import Binarization
from cbn.bits.planes import BitPlanes
from cbn.fit.classifier import ClassifierArguments, fit_classifier, fit_classifier_of_bits
from cbn.fit.recipe import fit
from cbn.fit.settings import Arguments
from helpers.modelfiles import save


@pytest.fixture(scope="module")
def grey():
    ink = np.random.default_rng(0).random((700, 9, 8))
    return (np.where(ink < 0.3, 0, ink) * 255).astype(np.uint8)


def cut(images, *sizes):
    """Chunks of these sizes, over and over."""
    begin, turn = 0, 0
    while begin < len(images):
        yield images[begin : begin + sizes[turn % len(sizes)]]
        begin, turn = begin + sizes[turn % len(sizes)], turn + 1


@pytest.mark.parametrize("sizes", [(1,), (64,), (100, 0, 33), (1000,)])
@pytest.mark.parametrize("preset", ["pixel", "tree", "best"])
def test_the_model_is_that_of_one_array(preset, sizes, grey, tmp_path, monkeypatch):
    monkeypatch.setattr(stream, "BATCH_BYTES", 64 * 72 * 3)  # several batches
    whole, parts = (Network(preset, random_state=0, false_alarm_rate=0.05) for _ in range(2))
    if preset == "best":
        contrast = cbn.Contrast(pairs=500, rounds=2, background_pairs=500, background_rounds=1)
        for model in (whole, parts):
            model.set_params(contrast=contrast, features=cbn.Features(layers=((2, 2, 2),), iterations=0))
    save(whole.fit(grey), tmp_path / "whole.cbn")
    save(parts.fit(cut(grey, *sizes)), tmp_path / "parts.cbn")
    assert (tmp_path / "whole.cbn").read_bytes() == (tmp_path / "parts.cbn").read_bytes()


@pytest.mark.parametrize("first", [1, 10_000])
def test_an_iterator_may_fill_one_array_again_and_again(first, grey, monkeypatch):
    monkeypatch.setattr(stream, "FIRST", first)
    buffer = np.empty((70, 9, 8), np.uint8)

    def refilled():
        for part in cut(grey, 70):
            buffer[:] = part
            yield buffer

    a, b = (Network(false_alarm_rate=0.05).fit(X) for X in (grey, refilled()))
    np.testing.assert_array_equal(a.counts_, b.counts_)


@pytest.mark.parametrize("kind", [bool, np.float32, np.int64, "flat"])
def test_all_kinds_of_arrays(kind, grey, tmp_path):
    images = (grey > 99) if kind is bool else (grey / np.float32(255)) if kind is np.float32 else grey
    images = (
        images.reshape(len(images), -1) if kind == "flat" else images.astype(images.dtype if kind is bool else kind)
    )
    a, b = (Network(image_shape=(9, 8), false_alarm_rate=0.05) for _ in range(2))
    np.testing.assert_array_equal(a.fit(images).counts_, b.fit(cut(images, 77)).counts_)
    assert a.binarization_ == b.binarization_ and a.offset_ == b.offset_


def test_the_rule_comes_from_the_first_images(grey, monkeypatch):
    monkeypatch.setattr(stream, "FIRST", 100)
    network = Network("tree", threshold="auto", false_alarm_rate=0.05)
    rules = [network.fit(cut(grey, size)).binarization_ for size in (1, 7, 700)]
    assert len(set(rules)) == 1 and rules[0] == network.fit(grey[:100]).binarization_


@pytest.mark.parametrize(
    "chunks, words",
    [
        ([], ["X: no images came"]),
        ([np.zeros((0, 9, 8))], ["X: no images came"]),
        ([np.eye(4)[None], np.eye(5)[None]], ["X, chunk 1: images of 5 x 5 pixels after others of 4 x 4"]),
        ([np.eye(4)[None], np.eye(4, dtype=bool)[None]], ["X, chunk 1: bool after float64"]),
        ([np.eye(4)[None], np.full((1, 4, 4), np.nan)], ["X, chunk 1: NaN"]),
        ([np.zeros(3)], ["X, chunk 0: "]),
        ([["a"]], ["X, chunk 0: "]),
        ([np.zeros((3, 4, 4), np.uint8), np.full((1, 4, 4), 300)], ["X, chunk 1: integers from 300 to 300"]),
    ],
)
def test_wrong_chunks_are_named(chunks, words):
    with pytest.raises(cbn.CbnError) as caught:
        Network().fit(iter(chunks))
    assert all(word in str(caught.value) for word in words) and "\n" not in str(caught.value)


def test_grey_after_bits_is_refused(grey, monkeypatch):
    monkeypatch.setattr(stream, "FIRST", 10)
    chunks = [(grey[:20] > 99).astype(np.uint8), grey[20:]]
    with pytest.raises(cbn.CbnError, match="after 10 images of only 0 and 1; give full_scale"):
        Network().fit(iter(chunks))
    assert Network(full_scale=255).fit(iter(chunks)).binarization_ == "value > 0.3 x 255"


def test_flat_images_are_refused_as_in_one_array():
    dark = np.full((90, 4, 4), 70, np.uint8)
    dark[:, 0, 0] = 60
    messages = []
    for X in (dark, cut(dark, 13)):
        with pytest.raises(cbn.CbnError) as caught:
            Network().fit(X)
        messages.append(str(caught.value))
    assert messages[0] == messages[1] and "brightest value 70 of 255" in messages[0]


def test_shifts_need_one_array(grey):
    with pytest.raises(ValueError, match=re.escape("shift: 1; images that come in chunks are not shifted")):
        Network(shift=1).fit(cut(grey, 100))


def test_only_fit_takes_chunks(grey):
    model = Network(false_alarm_rate=0.05).fit(grey)
    for call in (model.partial_fit, model.score_samples, model.calibrate, cbn.IntrospectiveEnergyModel().fit):
        with pytest.raises(cbn.CbnError, match="^X: an iterator; only fit of a network takes images in chunks"):
            call(cut(grey, 100))


def test_planes_are_joined_in_order():
    states = np.random.default_rng(0).integers(0, 2, (150, 5), dtype=np.uint8)
    parts = stream.Parts()
    for first in (0, 64, 128):
        parts.add(BitPlanes.of_states(states[first : first + 64], 1))
    np.testing.assert_array_equal(parts.joined().words, BitPlanes.of_states(states, 1).words)


@pytest.mark.parametrize("least", [1, 100, 2**22])
@pytest.mark.parametrize("sizes", [(1,), (63, 1, 64, 65), (200,), (7, 130)])
def test_parts_of_any_size_are_joined_in_order(sizes, least, monkeypatch):
    monkeypatch.setattr(stream.Parts, "LEAST_BYTES", least)
    states = np.random.default_rng(1).integers(0, 2, (333, 5), dtype=np.uint8)
    parts = stream.Parts()
    for part in cut(states, *sizes):
        parts.add(BitPlanes.of_states(part, 1))
    joined = parts.joined()
    assert joined.n_images == 333
    np.testing.assert_array_equal(joined.words, BitPlanes.of_states(states, 1).words)


@pytest.mark.parametrize("batch_bytes", [1, 72 * 70, 2**22])
def test_packed_images_are_those_of_one_array(batch_bytes, grey):
    def rule(images, seen=[]):  # noqa: B006 - it must be asked once
        seen.append(images)
        assert len(seen) == 1
        np.testing.assert_array_equal(images, grey[:150])
        return Binarization((0.2, 0.7), 255)

    packer = stream.Packer(rule, 1, first=150, batch_bytes=batch_bytes)
    for chunk in cut(grey, 7, 100, 1):
        packer.add(chunk)
    packed = packer.done()
    assert packed.binarization == packer.binarization == Binarization((0.2, 0.7), 255)
    assert packed.shape == (9, 8) and packer.n_images == packed.planes.n_images == 700
    assert packed.extremes.tolist() == [[[grey.min(), grey.max()]]] and packed.extremes.dtype == np.uint8
    np.testing.assert_array_equal(packed.planes.words, packed.binarization.planes(grey, 1).words)


def test_bits_that_are_there_already_are_fitted_as_the_array(grey, tmp_path):
    packer = stream.Packer(Binarization((0.3,), 255), 1)
    packer.add(grey)
    packed = packer.done()
    arguments = Arguments(preset="tree", false_alarm_rate=0.05, full_scale=255)
    fit(arguments, grey).save(tmp_path / "whole.cbn")
    fit(arguments, packed).save(tmp_path / "bits.cbn")
    assert (tmp_path / "whole.cbn").read_bytes() == (tmp_path / "bits.cbn").read_bytes()
    with pytest.raises(ValueError, match=re.escape("shift: 1; images that come in chunks are not shifted")):
        fit(replace(arguments, shift=1), packed)


def test_a_classifier_of_bits_that_are_all_alike_is_refused(grey):
    labels, messages = np.arange(700) % 2, []
    arguments = ClassifierArguments(threshold=0.3, full_scale=255)
    dark = np.minimum(grey, 70) + 1
    members = {}
    for label in (0, 1):
        packer = stream.Packer(Binarization((0.3,), 255), 1)
        packer.add(dark[labels == label])
        members[label] = packer.done()
    for learn in (lambda: fit_classifier(arguments, dark, labels), lambda: fit_classifier_of_bits(arguments, members)):
        with pytest.raises(cbn.DataError) as caught:
            learn()
        messages.append(str(caught.value))
    assert messages[0] == messages[1] and "brightest value 71 of 255" in messages[0]


def test_folds_are_scored_in_parts(monkeypatch, tmp_path):
    """Of trees, whose folds are members of all images; the last part has one image, of another fold."""
    images = np.random.default_rng(3).integers(0, 2, (129, 5, 5)).astype(bool)
    found = set()
    for n_words in (2**13, 1):
        monkeypatch.setattr("cbn.fit.recipe.PART_WORDS", n_words)
        path = tmp_path / f"{n_words}.cbn"
        cbn.ConvolutionalBayesianNetwork("tree", random_state=0, n_jobs=1).fit(images).save(path)
        found.add(path.read_bytes())
    assert len(found) == 1
