# SPDX-License-Identifier: BSD-3-Clause
"""Samples against the exactly enumerated distribution of small networks; clamping, seeds, mixing, refusals."""

import numpy as np
import pytest

from cbn import DataError, MixingWarning
from cbn.inference.inpainting import Inpainting
from helpers.distributions import LEVELS, assert_distributed, enumerated, fitted, levels_of, numbers
from helpers.networks import Network

IGNORE_MIXING = pytest.mark.filterwarnings("ignore::cbn.MixingWarning")
CASES = [(2, 3, 2), (3, 3, 2), (4, 2, 2), (1, 8, 2), (2, 3, 3), (2, 2, 3), (5, 1, 3)]


@pytest.mark.parametrize("height, width, n_levels", CASES)
def test_ancestral_samples_follow_the_network(height, width, n_levels):
    model = fitted(height, width, n_levels)
    _, probability = enumerated(model, n_levels)
    images = model.sample(30_000, random_state=1)
    assert_distributed(numbers(levels_of(images, n_levels), n_levels), probability)


@pytest.mark.parametrize("height, width, n_levels", CASES)
def test_gibbs_chains_follow_the_network(height, width, n_levels):
    model = fitted(height, width, n_levels)
    _, probability = enumerated(model, n_levels)
    chains = model.gibbs_chains(20_000, random_state=1)
    chains.advance(150 * model.layer_.n_nodes)
    assert_distributed(numbers(levels_of(chains.pictures(), n_levels), n_levels), probability)


def test_gibbs_samples_are_the_last_states_of_the_chains():
    model = fitted(3, 3, 2)
    images, mixing = model.sample(50, method="gibbs", n_steps=20_007, random_state=1, return_mixing=True)
    chains = model.gibbs_chains(50, random_state=1)
    chains.advance(20_007)
    np.testing.assert_array_equal(images, chains.pictures())
    assert mixing.n_chains == 50 and mixing.n_draws == 100 and mixing.mixed
    np.testing.assert_array_equal(images, model.sample(50, method="gibbs", n_steps=20_007, random_state=1))


def test_the_test_of_distribution_can_fail():
    probability = np.array([0.1, 0.2, 0.3, 0.4])
    draws = np.random.default_rng(0).choice(4, 20_000, p=[0.11, 0.2, 0.3, 0.39])
    with pytest.raises(AssertionError):
        assert_distributed(draws, probability)


# ---- inpainting ----


@pytest.mark.slow
@IGNORE_MIXING  # the chains have forgotten their start, but their short traces alone do not prove it
@pytest.mark.parametrize(
    "height, width, n_levels, hole",
    [(3, 3, 2, [(1, 0), (1, 1)]), (3, 3, 2, [(0, 1), (1, 1), (1, 2), (2, 0)]), (2, 4, 2, [(0, 2), (1, 0)]),
     (3, 2, 3, [(0, 1), (1, 0), (1, 1)]), (2, 3, 3, [(0, 1), (1, 1)]), (2, 2, 3, [(0, 0), (0, 1), (1, 0), (1, 1)])],
)  # fmt: skip
def test_inpainting_follows_the_exact_conditional(height, width, n_levels, hole):
    model = fitted(height, width, n_levels)
    everything, probability = enumerated(model, n_levels)
    mask = np.zeros((height, width), bool)
    mask[tuple(np.transpose(hole))] = True
    known = levels_of(model.sample(1, random_state=0), n_levels)[0]
    agree = (everything == known)[:, ~mask].all(axis=1)
    conditional = probability[agree] / probability[agree].sum()
    image = (LEVELS if n_levels == 3 else LEVELS[[0, 2]])[known]
    result = model.inpaint(image, mask, n=20_000, n_sweeps=200, random_state=0)
    assert isinstance(result, Inpainting)
    seen = model.binarized_pictures([image])[0][~mask]
    np.testing.assert_array_equal(result.samples[:, ~mask], np.tile(seen, (20_000, 1)))
    found = numbers(levels_of(result.samples, n_levels)[:, mask], n_levels)
    order = np.argsort(numbers(everything[agree][:, mask], n_levels))
    if len(conditional) > 4:
        assert_distributed(found, conditional[order])
    pictures = model.binarized_pictures((LEVELS if n_levels == 3 else LEVELS[[0, 2]])[everything[agree]]) / 255
    mean = np.tensordot(conditional, pictures, 1)
    spread = np.sqrt(np.tensordot(conditional, (pictures - mean) ** 2, 1))
    # as accurate as the last draws of the chains alone, at worst; known pixels have no error at all
    assert (np.abs(result.mean - mean) <= 4 * spread / np.sqrt(20_000) + 1e-12).all()
    assert (np.abs(result.samples.mean(axis=0) / 255 - mean) <= 4.5 * spread / np.sqrt(20_000) + 1e-12).all()


@IGNORE_MIXING
@pytest.mark.parametrize("n_levels", [2, 3])
def test_known_pixels_stay_and_what_the_mask_hides_is_not_used(n_levels):
    model = fitted(4, 5, n_levels)
    image = model.sample(1, random_state=3)[0]
    mask = np.random.default_rng(0).random((4, 5)) < 0.5
    result = model.inpaint(image, mask, n_sweeps=100, random_state=5)
    assert result.samples.shape == (16, 4, 5) and result.samples.dtype == np.uint8 and result.mean.shape == (4, 5)
    np.testing.assert_array_equal(result.samples[:, ~mask], np.tile(image[~mask], (16, 1)))
    np.testing.assert_allclose(result.mean[~mask], image[~mask] / 255, rtol=1e-12)
    for other in (np.where(mask, 0, image), np.where(mask, 255, image)):
        for hole in (mask, mask.astype(int), mask.astype(float), mask.tolist(), np.asfortranarray(mask)):
            again = model.inpaint(other, hole, n_sweeps=100, random_state=5)
            np.testing.assert_array_equal(again.samples, result.samples)
            np.testing.assert_array_equal(again.mean, result.mean)
    # grey values count by their side of the thresholds
    shifted = np.where(image == 0, 40, np.where(image == 255, 200, image)).astype(np.uint8)
    np.testing.assert_array_equal(model.inpaint(shifted, mask, n_sweeps=100, random_state=5).samples, result.samples)
    np.testing.assert_array_equal(
        model.inpaint(shifted / 255, mask, n_sweeps=100, random_state=5).samples, result.samples
    )


# ---- seeds, threads, numbers of chains ----


def three_ways(model, seed, n=40):
    image, mask = np.zeros(model.image_shape_, np.uint8), np.tri(*model.image_shape_, dtype=bool)
    yield model.sample(n, random_state=seed)
    yield model.sample(n, method="gibbs", n_steps=100, random_state=seed)
    result = model.inpaint(image, mask, n=n, n_sweeps=20, random_state=seed)
    yield result.samples
    yield result.mean


@IGNORE_MIXING
@pytest.mark.parametrize("n_levels", [2, 3])
def test_same_seed_same_bytes_for_any_number_of_threads(n_levels):
    model = fitted(6, 7, n_levels)
    expected = [array.tobytes() for array in three_ways(model.set_params(n_jobs=1), 9)]
    for n_jobs in (2, 3, 7, None):
        assert [array.tobytes() for array in three_ways(model.set_params(n_jobs=n_jobs), 9)] == expected
    assert not set(expected) & {array.tobytes() for array in three_ways(model, 10)}


@IGNORE_MIXING
def test_chains_do_not_depend_on_how_many_there_are():
    model = fitted(5, 4, 3)
    many = [array for array in three_ways(model, 3, n=70)]
    for n in (33, 64):
        for few, all_of_them in zip(list(three_ways(model, 3, n=n))[:3], many):
            np.testing.assert_array_equal(few, all_of_them[:n])
    few, more, at_once = model.gibbs_chains(5, 3), model.gibbs_chains(70, 3), model.gibbs_chains(5, 3)
    for n_steps in (100, 0, 137):
        few.advance(n_steps)
        more.advance(n_steps)
    at_once.advance(237)  # the same chain in one piece
    assert few.steps_done == more.steps_done == at_once.steps_done == 237
    np.testing.assert_array_equal(few.pictures(), more.pictures()[:5])
    np.testing.assert_array_equal(few.pictures(), at_once.pictures())


def test_forms_of_random_state():
    model = fitted(4, 4, 2)
    a = model.sample(50, random_state=7)
    np.testing.assert_array_equal(a, model.sample(50, random_state=np.int32(7)))
    assert not np.array_equal(a, model.sample(50, random_state=8))
    assert not np.array_equal(model.sample(50, random_state=7 + 2**32), a)  # all 64 bits count
    assert model.sample(1, random_state=2**64 - 1).shape == (1, 4, 4)
    for make in (np.random.default_rng, np.random.RandomState):
        generator = make(3)
        first, second = model.sample(50, random_state=generator), model.sample(50, random_state=generator)
        np.testing.assert_array_equal(first, model.sample(50, random_state=make(3)))
        assert not np.array_equal(first, second)  # a generator moves on
    assert not np.array_equal(model.sample(50), model.sample(50))  # None: fresh entropy
    seeded = fitted(4, 4, 2, random_state=7)
    np.testing.assert_array_equal(seeded.sample(50), a)
    np.testing.assert_array_equal(seeded.sample(50), a)
    before = np.random.get_state()[1].tobytes()
    model.sample(3)
    assert np.random.get_state()[1].tobytes() == before  # the global generator is left alone


# ---- scale of the pictures ----


@pytest.mark.parametrize(
    "images, values",
    [(np.eye(4, dtype=bool), {0, 1}), (np.eye(4, dtype=np.uint8), {0, 1}), (np.eye(4, dtype=np.uint8) * 255, {0, 255}),
     (np.eye(4) * 0.9, {0, 255}), (np.eye(4, dtype=int) * 90, {0, 255})],
)  # fmt: skip
def test_samples_come_in_the_scale_of_the_training_images(images, values):
    model = Network(false_alarm_rate=0.5, n_jobs=1).fit(images.reshape(4, 2, 2))
    for drawn in (
        model.sample(200, random_state=0),
        model.sample(200, method="gibbs", n_steps=40_000, random_state=0),
        model.inpaint(images[0].reshape(2, 2), np.ones((2, 2), bool), n=200, n_sweeps=10_000, random_state=0).samples,
    ):
        assert drawn.dtype == np.uint8 and set(np.unique(drawn)) == values
        assert np.isfinite(model.score_samples(drawn)).all()  # and without a warning, which would be an error
        np.testing.assert_array_equal(model.binarized_pictures(drawn), drawn)


def test_samples_in_several_levels_score_as_drawn():
    model = fitted(3, 4, 3)
    drawn = model.sample(500, random_state=0)
    assert len(np.unique(drawn)) == 3
    np.testing.assert_array_equal(model.binarized_pictures(drawn), drawn)
    # E[-log p] of samples is the entropy: their mean surprise is 0
    surprise = model.score_samples(model.sample(20_000, random_state=1), "surprise")
    assert abs(surprise.mean()) < 4 * surprise.std() / np.sqrt(20_000)
    standardized = model.score_samples(model.sample(20_000, random_state=1), "standardized")
    assert 0.7 < standardized.std() < 1.3


# ---- mixing ----


def two_modes(n=400, side=5):
    """Images all black or all white: Gibbs chains stay in the mode they reach first."""
    return np.repeat(np.arange(n) % 2 == 1, side * side).reshape(n, side, side)


def test_frozen_chains_are_warned_of():
    model = Network(pseudocount=0.01, false_alarm_rate=0.1).fit(two_modes())
    with pytest.warns(MixingWarning, match="n_steps"):
        _, mixing = model.sample(8, method="gibbs", n_steps=20_000, random_state=0, return_mixing=True)
    assert not mixing.mixed and max(mixing.r_hat.values()) > 1.5
    hole = np.ones((5, 5), bool)
    with pytest.warns(MixingWarning, match="n_sweeps"):
        result = model.inpaint(np.zeros((5, 5), bool), hole, n=8, n_sweeps=500, random_state=0)
    assert not result.mixing.mixed


@pytest.mark.parametrize("n", [1, 2, 3, 16])
def test_easily_mixing_chains_are_not_warned_of(n):
    X = np.random.default_rng(0).random((400, 5, 5)) < 0.5  # nearly independent pixels
    model = Network(false_alarm_rate=0.1).fit(X)
    model.sample(n, method="gibbs", n_steps=400_000, random_state=0)  # warnings are errors here
    result = model.inpaint(X[0], np.eye(5, dtype=bool), n=n, n_sweeps=20_000, random_state=0)
    assert result.mixing.mixed


def test_more_rounds_until_mixed_when_the_number_of_sweeps_is_left_open():
    model = fitted(5, 5, 2)
    result = model.inpaint(np.zeros((5, 5), np.uint8), np.eye(5, dtype=bool), random_state=0)
    assert result.mixing.mixed and result.samples.shape == (16, 5, 5)


# ---- refusals ----

NAN = float("nan")
MASKS = {
    "wrong shape": np.ones((4, 5), bool), "one row": np.ones(5, bool), "3-d": np.ones((1, 5, 4), bool), "none": None,
    "two": np.full((5, 4), 2), "half": np.full((5, 4), 0.5), "negative": np.full((5, 4), -1), "a number": True,
    "words": np.full((5, 4), "x"), "objects": np.full((5, 4), None), "ragged": [[True], [True, False]],
    "nothing missing": np.zeros((5, 4), bool), "complex": np.ones((5, 4), complex), "NaN": np.full((5, 4), NAN),
    "durations": np.zeros((5, 4), "m8[s]"),
}  # fmt: skip


@pytest.mark.parametrize("name", MASKS)
def test_bad_masks_are_refused(name):
    model = fitted(5, 4, 2)
    with pytest.raises(DataError) as caught:
        model.inpaint(np.zeros((5, 4), np.uint8), MASKS[name])
    assert str(caught.value).startswith("mask: ") and "\n" not in str(caught.value)


IMAGES = {
    "wrong shape": np.zeros((4, 5)), "flat": np.zeros(20), "several": np.zeros((1, 5, 4)), "NaN": np.full((5, 4), NAN),
    "too large": np.full((5, 4), 256), "words": np.full((5, 4), "x"), "none": None, "ragged": [[1], [1, 0]],
    "objects": np.zeros((5, 4), object), "empty": np.zeros((0, 0)),
}  # fmt: skip


@pytest.mark.parametrize("name", IMAGES)
def test_bad_images_are_refused(name):
    model = fitted(5, 4, 2)
    with pytest.raises(DataError) as caught:
        model.inpaint(IMAGES[name], np.ones((5, 4), bool))
    assert str(caught.value).startswith("image: ") and "\n" not in str(caught.value)


BAD_ARGUMENTS = [
    *(("sample", "n_samples", v) for v in (0, -1, 2.0, "3", None, True, NAN, 2**40, [4])),
    *(("sample", "method", v) for v in ("Gibbs", "", None, 1)),
    *(("sample", "n_steps", v) for v in (0, 7, -1, 100.0, "100", True, NAN, 2**70, None)),
    *(("sample", "temperature", v) for v in (-1, NAN, "1", None, True, 1e-10, 2e9, 1j)),
    *(("sample", "temperature", v) for v in ((1, 0), (0, 1), (1,), (1, 2, 3), [1, "2"])),
    *(("inpaint", "temperature", v) for v in (-1, (0, 0), float("inf"))),
    *(("gibbs_chains", "temperature", v) for v in (-1, (1, -1))),
    *(("gibbs_chains", "n_steps", v) for v in (0, -1, 1.0, "1", None)),
    *(("sample", "random_state", v) for v in (-1, 2**64, 1.0, "1", True, NAN, [1])),
    *(("inpaint", "n", v) for v in (0, -1, 2.0, "3", None, True, NAN, 2**40)),
    *(("inpaint", "n_sweeps", v) for v in (0, 7, -1, 100.0, "100", True, NAN, 2**70)),
    *(("inpaint", "random_state", v) for v in (-1, 2**64, 1.0, "1", True, NAN)),
    *(("gibbs_chains", "n_chains", v) for v in (0, -1, 2.0, "3", None, True, NAN)),
    *(("gibbs_chains", "random_state", v) for v in (-1, 1.0, "1")),
]


@pytest.mark.parametrize("method, name, value", BAD_ARGUMENTS)
def test_bad_arguments_are_refused(method, name, value):
    model = fitted(5, 4, 2)
    arguments = {"sample": {"method": "gibbs"}, "gibbs_chains": {"n_chains": 2}, "inpaint": {}}[method]
    if (method, name) == ("gibbs_chains", "n_steps"):
        arguments["temperature"] = 2, 1
    if method == "inpaint":
        arguments = {"image": np.zeros((5, 4), np.uint8), "mask": np.ones((5, 4), bool)}
    with pytest.raises(ValueError) as caught:
        getattr(model, method)(**(arguments | {name: value}))
    assert str(caught.value).startswith(f"{name}: ") and "\n" not in str(caught.value)


def test_mixing_is_for_chains_only():
    with pytest.raises(ValueError, match="return_mixing"):
        fitted(5, 4, 2).sample(3, return_mixing=True)


def test_temperature_is_for_chains_only():
    with pytest.raises(ValueError, match="^temperature: .*gibbs"):
        fitted(5, 4, 2).sample(3, temperature=2)
