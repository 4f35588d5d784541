# SPDX-License-Identifier: BSD-3-Clause
"""Networks of inverted residuals: by hand, engine against twin, same bytes everywhere, what is refused."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from cbn import _engine
from helpers.engines import ALL, PATHS, TWIN
from helpers.mobile import features, random_weights
from reference.mobile import mobile_weights, padded, shapes_of

BLOCK = st.tuples(
    st.sampled_from([16, 32, 48]), st.sampled_from([8, 16, 24, 40]), st.integers(1, 9), st.integers(1, 3)
).map(lambda block: (*block[:3], min(block[2:])))
PROBLEMS = st.fixed_dictionaries(
    {
        "seed": st.integers(0, 2**32),
        "blocks": st.lists(BLOCK, min_size=1, max_size=4),
        "n": st.integers(1, 3),
        "height": st.sampled_from([1, 2, 7, 16, 33]),
        "width": st.sampled_from([1, 3, 13, 26, 41]),
        "channels": st.sampled_from([1, 3]),
    }
)
# the beginning of EfficientNet-Lite0, over pictures that need several groups of rows, and very flat ones
LITE = [(32, 16, 3, 1), (96, 24, 3, 2), (144, 24, 3, 1), (144, 40, 5, 2), (240, 40, 5, 1)]
TALL = {"seed": 1, "blocks": LITE, "n": 1, "height": 150, "width": 70, "channels": 3}
FLAT = {"seed": 2, "blocks": LITE, "n": 2, "height": 7, "width": 300, "channels": 1}
SMALL = {"seed": 3, "blocks": LITE, "n": 1, "height": 1, "width": 1, "channels": 3}


def problem(seed, blocks, n, height, width, channels):
    """Blocks, weights and pictures."""
    rng = np.random.default_rng(seed)
    return blocks, random_weights(rng, blocks), rng.random((n, height, width, channels))


def one_block(size, stride, *, expansion=0.0, expansion_bias=0.0, windows=1.0, projection=1.0, projection_bias=0.0):
    """Weights of a block of 16 and 8 channels whose stem reads the middle of its window, red only."""
    shapes = shapes_of(np.array([(16, 8, size, stride)]))[0]
    stem = np.zeros(shapes[0])
    stem[12] = expansion
    middle = np.zeros(shapes[4])
    middle[0, 0] = projection  # of the first channel
    parts = stem, np.full(16, expansion_bias), np.full(shapes[2], windows), np.zeros(16), middle
    return np.concatenate([*map(np.ravel, parts), np.full(8, projection_bias)])


@pytest.mark.parametrize("length, size, stride, zeros", [(5, 3, 1, (1, 1)), (5, 3, 2, (1, 1)), (6, 3, 2, (0, 1)),
                                                         (1, 5, 2, (2, 2)), (8, 5, 2, (1, 2)), (4, 2, 2, (0, 0))])  # fmt: skip
def test_the_smaller_half_of_the_zeros_comes_first(length, size, stride, zeros):
    around, height, _ = padded(np.ones((1, length, 1, 1)), size, stride)
    column = around[0, :, around.shape[2] // 2, 0]
    assert (zeros[0], zeros[1]) == (int(np.argmax(column)), int(np.argmax(column[::-1]))) and len(
        column
    ) == length + sum(zeros)
    assert height == -(-length // stride)


@pytest.mark.parametrize("engine", ALL, ids=repr)
def test_a_network_by_hand(engine):
    red = np.arange(16.0).reshape(4, 4)
    pictures = np.stack([red, red * 0 + 100, red * 0 - 100], axis=2)[None]
    # the stem's window reaches two zeros beyond the right and lower edge, so its middle is at odd rows and columns
    weights = one_block(1, 1, expansion=0.25, windows=2.0, projection=3.0, projection_bias=-50.0)
    (out,) = features(engine, [(16, 8, 1, 1)], weights, pictures)
    read = red[1::2, 1::2]  # 5 7 / 13 15
    np.testing.assert_array_equal(out[0, ..., 0], 3 * np.minimum(2 * np.minimum(read / 4, 6), 6) - 50)
    np.testing.assert_array_equal(out[0, ..., 1:], np.full((2, 2, 7), -50.0))


@pytest.mark.parametrize("engine", ALL, ids=repr)
def test_windows_reach_over_zeros(engine):
    """A constant 1 after the stem: every window counts the positions that are there."""
    weights = one_block(3, 1, expansion_bias=0.5)
    (out,) = features(engine, [(16, 8, 3, 1)], weights, np.zeros((1, 6, 4, 3)))
    np.testing.assert_array_equal(out[0, ..., 0], np.array([[4, 4], [6, 6], [4, 4]]) / 2)


@pytest.mark.parametrize("engine", ALL, ids=repr)
def test_the_picture_is_scaled_before_zeros_are_put_around_it(engine):
    weights = one_block(1, 1, expansion=1.0, windows=1.0)
    (out,) = features(engine, [(16, 8, 1, 1)], weights, np.full((1, 4, 4, 1), 3.0), scale=2.0, shift=-1.0)
    assert (out[0, ..., 0] == 5).all()


@pytest.mark.parametrize("engine", ALL, ids=repr)
@pytest.mark.parametrize("stride, added", [(1, True), (2, False)])
def test_the_input_is_added_where_stride_is_1(engine, stride, added):
    blocks = [(16, 8, 3, 1), (16, 8, 3, stride)]
    rng = np.random.default_rng(0)
    first = random_weights(rng, blocks[:1])
    second = np.zeros(mobile_weights(np.array(blocks)) - len(first))
    second[-8:] = 7.0  # the last bias: nothing else comes out of the second block
    below, out = features(engine, blocks, np.concatenate([first, second]), rng.random((1, 9, 8, 3)))
    np.testing.assert_array_equal(out, below + 7 if added else np.full(out.shape, 7.0))


@settings(max_examples=40, deadline=None)
@given(PROBLEMS)
@example(TALL)
@example(FLAT)
@example(SMALL)
def test_engine_and_twin_agree(shape):
    blocks, weights, pictures = problem(**shape)
    expected = features(TWIN, blocks, weights, pictures, 2.0, -1.0)
    for wanted, found in zip(expected, features(PATHS[0], blocks, weights, pictures, 2.0, -1.0)):
        np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-5 * np.abs(wanted).max() + 1e-5)


@settings(max_examples=40, deadline=None)
@given(PROBLEMS, st.integers(2, 5))
@example(TALL, 3)
@example(FLAT, 3)
@example(SMALL, 2)
def test_the_same_bytes_for_all_instruction_sets_and_threads(shape, threads):
    blocks, weights, pictures = problem(**shape)
    results = {
        b"".join(maps.tobytes() for maps in features(path, blocks, weights, pictures, threads=n))
        for path in PATHS
        for n in (1, threads)
    }
    assert len(results) == 1


def test_the_same_bytes_whatever_the_batch_and_what_is_wanted():
    blocks, weights, pictures = problem(seed=4, blocks=LITE, n=5, height=40, width=30, channels=3)
    together = features(PATHS[0], blocks, weights, pictures, threads=2)
    for i in range(5):
        for block in range(len(blocks)):
            (alone,) = features(PATHS[0], blocks, weights, pictures[i : i + 1], wanted=[block])
            np.testing.assert_array_equal(alone[0], together[block][i])


@pytest.mark.parametrize("engine", ALL, ids=repr)
def test_grey_is_three_times_the_same(engine):
    blocks, weights, pictures = problem(seed=5, blocks=LITE[:2], n=2, height=20, width=15, channels=1)
    grey = features(engine, blocks, weights, pictures, 3.0, -1.0)
    colour = features(engine, blocks, weights, pictures.repeat(3, axis=3), 3.0, -1.0)
    assert all((a == b).all() for a, b in zip(grey, colour))


@pytest.mark.parametrize("engine", ALL, ids=repr)
def test_the_number_of_weights(engine):
    blocks = np.array([(16, 8, 3, 1), (32, 24, 5, 2)], np.int32)
    n = 27 * 16 + 16 + 9 * 16 + 16 + 16 * 8 + 8 + 8 * 32 + 32 + 25 * 32 + 32 + 32 * 24 + 24
    assert engine.module.mobile_weights(blocks) == n


@pytest.mark.parametrize(
    "block", [(15, 8, 3, 1), (16, 12, 3, 1), (0, 8, 3, 1), (16, -8, 3, 1), (16, 8, 0, 1), (16, 8, 10, 1), (16, 8, 3, 4),
              (16, 8, 3, 0), (1 << 15, 8, 3, 1)],
)  # fmt: skip
def test_blocks_that_are_none_are_refused(block):
    with pytest.raises(ValueError) as error:
        _engine.mobile_weights(np.array([block], np.int32))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "change",
    [
        {"blocks": np.zeros((0, 4), np.int32)},
        {"blocks": np.zeros((1, 3), np.int32)},
        {"blocks": np.tile(np.array([16, 8, 3, 1], np.int32), (65, 1))},
        {"packed": np.zeros(5, np.float32)},
        {"pictures": np.zeros((2, 9, 7, 2), np.float32)},
        {"pictures": np.zeros((2, 9, 0, 3), np.float32)},
        {"pictures": np.zeros((3, 9, 7, 3), np.float32)},
        {"pictures": np.zeros((2, 11, 7, 3), np.float32)},
        {"pictures": np.zeros((2, 9, 9, 3), np.float32)},
        {"pictures": np.zeros((1, 1, _engine.MAX_PICTURE + 1, 1), np.float32)},
        {"out": ()},
        {"out": (np.zeros((2, 5, 4, 16), np.float32),)},
        {"threads": 0},
    ],
)
def test_what_does_not_fit_is_refused(change):
    blocks = np.array([(16, 8, 3, 1)], np.int32)
    good = {
        "blocks": blocks, "packed": np.zeros(mobile_weights(blocks), np.float32),
        "pictures": np.zeros((2, 9, 7, 3), np.float32), "scale": 1.0, "shift": 0.0,
        "out": (np.zeros((2, 5, 4, 8), np.float32),), "threads": 1,
    }  # fmt: skip
    _engine.mobile_features(*good.values())
    with pytest.raises(ValueError) as error:
        _engine.mobile_features(*{**good, **change}.values())
    assert "\n" not in str(error.value)
