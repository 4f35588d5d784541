# SPDX-License-Identifier: BSD-3-Clause
"""Shapes of the introspective energy model: the figures of Table 4, and what has no room."""

import json

import numpy as np
import pytest

from cbn.iem.nn.architecture import TABLE_4, Architecture, Level, ring, sidewards_parameters
from cbn.iem.nn.steps import Conv, Fire, LocalResponseNorm, Pool, Relu, window

EVERY_STEP = Architecture(
    (
        Level((), 1, (4,)),
        Level((Conv(6, 5, 2, 2), Relu(), LocalResponseNorm(3), Pool(3, 2)), 2, (8, 4)),
        Level((Fire(2, 3), Conv(4, 2, groups=2)), 1, (4,)),
    )
)


def test_table_4():
    sizes = TABLE_4.sizes(300, 300, 3)
    assert [(s.height, s.width, s.channels) for s in sizes] == TABLE_4.shapes(300, 300, 3)
    assert [s.height for s in sizes] == [s.width for s in sizes] == [300, 150, 75, 37, 18]
    assert [s.channels for s in sizes] == TABLE_4.channels(3) == [3, 15, 25, 35, 60]
    assert [s.inputs for s in sizes] == [TABLE_4.inputs(i, 3) for i in range(5)] == [32, 384, 624, 864, 976]
    assert [s.receptive_field for s in sizes] == [1, 4, 14, 34, 58]
    assert [s.stride for s in sizes] == [1, 2, 4, 8, 16]
    assert [s.kernel_parameters for s in sizes] == [0, 9 * 3 * 15 + 15, 25 * 15 * 25 + 25, 25 * 25 * 35 + 35, 18960]
    assert TABLE_4.inputs(0, 1) == 16
    assert TABLE_4.inputs(1, 1) == 384


def test_a_ring_is_all_positions_at_its_distance_in_row_major_order():
    for distance in (1, 2, 3):
        taps = ring(distance)
        assert taps.dtype == np.int32 and taps.shape == (8 * distance, 2)
        assert (np.abs(taps - distance).max(axis=1) == distance).all()
        assert taps.tolist() == sorted(taps.tolist()) and len({tuple(t) for t in taps}) == len(taps)
    np.testing.assert_array_equal(window(2), [[0, 0], [0, 1], [1, 0], [1, 1]])


def test_shapes_of_every_step():
    assert Conv(4, 3).shape(7, 5, 2) == (7, 5, 4)
    assert Conv(4, 4).shape(7, 5, 2) == (7, 5, 4)  # of an even size as well
    assert Conv(4, 3, 2).shape(7, 6, 2) == (4, 3, 4)
    assert Conv(4, 3, 1, 0).shape(7, 5, 2) == (5, 3, 4)
    assert Pool(3, 2).shape(8, 7, 5) == (3, 3, 5)
    assert Fire(2, 3).shape(4, 5, 9) == (4, 5, 6)
    assert Relu().shape(4, 5, 9) == LocalResponseNorm().shape(4, 5, 9) == (4, 5, 9)
    assert Conv(6, 3, groups=2).parameter_shapes(4) == {"weights": (9, 2, 6), "bias": (6,)}
    assert Fire(2, 3).parameter_shapes(5) == {
        "squeeze_weights": (1, 5, 2), "squeeze_bias": (2,), "expand1_weights": (1, 2, 3), "expand1_bias": (3,),
        "expand3_weights": (9, 2, 3), "expand3_bias": (3,),
    }  # fmt: skip


def test_parameters_of_the_six_designs_of_sharing():
    shape, inputs, hidden = (2, 3, 5), 7, (4, 6)
    inner, nodes = (7 + 1) * 4 + (4 + 1) * 6, 2 * 3 * 5
    assert sidewards_parameters("a", shape, inputs, hidden) == inner + 5 * 7
    assert sidewards_parameters("b", shape, inputs, hidden) == inner + nodes * 7
    assert sidewards_parameters("c", shape, inputs, hidden) == 5 * inner + nodes * 7
    assert sidewards_parameters("d", shape, inputs, hidden) == nodes * (inner + 7)
    assert sidewards_parameters("e", shape, inputs, hidden) == inner + 2 * 4 + 5 * 7
    assert sidewards_parameters("f", shape, inputs, hidden) == inner + (2 + 5) * 4 + 7
    with pytest.raises(ValueError, match="^sharing: 'g'; choose one of a, b, c, d, e, f$"):
        sidewards_parameters("g", shape, inputs, hidden)


def test_memory_grows_with_images_batch_and_sharing():
    base = TABLE_4.memory(320, 300, 300, 3, 8)
    assert base.total == base.activations + base.batch + base.parameters
    assert base.activations == 4 * 320 * 300 * 300 * 3 + 4 * 320 * 150 * 150 * 15  # level 1 beside the images
    assert base.total < 1.5e9
    assert TABLE_4.memory(320, 300, 300, 3, 16).batch == 2 * base.batch
    assert TABLE_4.memory(640, 300, 300, 3, 8).activations == 2 * base.activations
    assert TABLE_4.memory(320, 300, 300, 3, 8, "a").parameters < base.parameters / 20


@pytest.mark.parametrize(
    ("size", "message"),
    [
        ((37, 37), "level 4: 2 x 2 positions, so no node has a neighbour at distance 2; give larger images, fewer "),
        ((15, 2), "level 2: a pooling window of size 2 does not fit into 7 x 1 positions; give larger images"),
        ((1, 1), "level 0: 1 x 1 positions, so no node has a neighbour at distance 1; give larger images, fewer "),
        ((0, 9), "height: 0; give a whole number from 1 to "),
    ],
)
def test_images_without_room_are_refused_by_the_level_and_why(size, message):
    with pytest.raises(ValueError, match="^" + message):
        TABLE_4.shapes(*size, 1)


def test_images_of_one_row_have_neighbours_to_the_side():
    assert Architecture(TABLE_4.levels[:1]).shapes(1, 2, 1) == [(1, 2, 1)]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Conv(0, 3), "kernels: 0; give a whole number from 1 to 4096"),
        (lambda: Conv(4, 33), "size: 33; give a whole number from 1 to 32"),
        (lambda: Conv(4, 3, padding=3), "padding: 3; give a whole number from 0 to 2"),
        (lambda: Conv(4, 3, padding="full"), "padding: 'full'; give a whole number from 0 to 2"),
        (lambda: Conv(4, 3, groups=3), "groups: 3 does not divide 4 kernels; give a divisor of it"),
        (lambda: Conv(4, 3, groups=2).shape(5, 5, 3), "groups: 2 does not divide 3 input channels; give a divisor"),
        (lambda: Pool(16, 16), "size: 16; give a whole number from 1 to 15"),
        (lambda: LocalResponseNorm(4), "size: 4; the channels around a channel are an odd number: give 3, 5, 7"),
        (lambda: LocalResponseNorm(beta=0.7), "beta: 0.7; choose one of 0.5, 0.75, 1"),
        (lambda: LocalResponseNorm(bias=0), "bias: 0; give a number between 0 and"),
        (lambda: Fire(2, 4096), "expand: 4096; give a whole number from 1 to 2048"),
        (lambda: Level(("conv",), 1, (4,)), "steps: 'conv'; use Conv, Pool, Relu, LocalResponseNorm and Fire"),
        (lambda: Level((), 0, (4,)), "distance: 0; give a whole number from 1 to 64"),
        (lambda: Level((), 1, ()), "hidden: (); give the units of 1 to 8 hidden layers"),
        (lambda: Level((), 1, (4,) * 9), "hidden: (4, 4, 4, 4, 4, 4, 4, 4, 4); give the units of 1 to 8 hidden layers"),
        (lambda: Level((), 1, (4, 0)), "hidden: 0; give a whole number from 1 to 4096"),
        (lambda: Level((), 1, 4), "hidden: 4; give a tuple of whole numbers such as (32, 16)"),
        (lambda: Level(Relu(), 1, (4,)), "steps: Relu(); give a tuple of steps"),
        (lambda: Architecture(()), "levels: give 1 to 32 Level objects, level 0 (the image) first"),
        (lambda: Architecture(TABLE_4.levels[1:]), "level 0: the image has no steps"),
        (lambda: Architecture(TABLE_4.levels[:1] * 2), "level 1: give at least one step"),
    ],
)
def test_wrong_arguments_are_named(make, message):
    with pytest.raises(ValueError) as refused:
        make()
    assert str(refused.value).startswith(message)


@pytest.mark.parametrize("architecture", [TABLE_4, EVERY_STEP])
def test_an_architecture_survives_json(architecture):
    assert Architecture.from_dict(json.loads(json.dumps(architecture.to_dict()))) == architecture


@pytest.mark.parametrize(
    "description",
    [{}, {"levels": [{"steps": [["conv"]], "distance": 1, "hidden": [4]}]}, {"levels": [{"steps": [["sin"]]}]}],
)
def test_other_descriptions_are_refused(description):
    with pytest.raises((ValueError, KeyError, TypeError)):
        Architecture.from_dict(description)
