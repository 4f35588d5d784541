# SPDX-License-Identifier: BSD-3-Clause
"""Geometry of hidden layers: against METHOD's figures, and against the pixels that really move a node."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cbn.bits.planes import BitPlanes
from cbn.cpd.grid import Layer, Relation
from cbn.layers.geometry import HiddenLayer, LayerGeometry, geometry
from cbn.layers.kernels import Kernels, forward
from helpers.engines import TWIN


def test_the_geometry_of_the_thesis():
    pixels, first, second = geometry(28, 28, 1, (HiddenLayer(5, 3, 2), HiddenLayer(5, 3, 2)))
    assert (pixels.height, pixels.width, pixels.receptive_field, pixels.stride, pixels.distance) == (28, 28, 1, 1, 1)
    assert (first.channels, first.height, first.width) == (5, 13, 13)
    assert (first.receptive_field, first.stride, first.distance) == (4, 2, 2)
    assert (second.channels, second.height, second.width) == (5, 5, 5)
    assert (second.receptive_field, second.stride, second.distance) == (10, 4, 3)
    assert first.relation_offsets() == ((-2, -2), (-2, 0), (-2, 2), (0, -2))
    assert second.relation_offsets() == ((-3, -3), (-3, 0), (-3, 3), (0, -3))


def lit(height, width, channels=1):
    """Bit-planes of images with one pixel on each, pixel i in image i."""
    n = channels * height * width
    return TWIN.planes(np.eye(n, dtype=np.uint8), [0]), n


def influences(height, width, hidden):
    """For every layer (nodes, pixels) bool: with weights 1 and bias -1/2 a node is on where any of its pixels is."""
    planes, n = lit(height, width)
    planes = BitPlanes(planes, n)
    found, below = [], LayerGeometry(1, height, width, 1, 1)
    for layer in hidden:
        shape = layer.kernels, below.channels, layer.kernel_size, layer.kernel_size
        kernels = Kernels(np.ones(shape), np.full(layer.kernels, -0.5), layer.pool)
        planes = forward(kernels, below, planes, 1)
        rows, columns = ((size - layer.kernel_size + 1) // layer.pool for size in (below.height, below.width))
        below = LayerGeometry(layer.kernels, rows, columns, 1, 1)  # only its size is used by forward()
        found.append(TWIN.states(planes.words, n).T.reshape(layer.kernels, rows, columns, height, width).astype(bool))
    return found


HIDDEN = st.lists(
    st.builds(HiddenLayer, st.integers(1, 2), st.integers(1, 5), st.integers(1, 3)), min_size=1, max_size=3
)


def room(height, width, hidden):
    """Number of the first layer without any position, or None; sizes by counting windows."""
    for number, layer in enumerate(hidden, start=1):
        sums = [len(range(size)[layer.kernel_size - 1 :]) for size in (height, width)]
        height, width = (sum(1 for start in range(0, n, layer.pool) if start + layer.pool <= n) for n in sums)
        if min(height, width) == 0:
            return number
    return None


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 17), st.integers(1, 20), HIDDEN)
def test_against_the_pixels_that_move_a_node(height, width, hidden):
    try:
        layers = geometry(height, width, 1, hidden)
    except ValueError as error:
        text = str(error)
        number = int(text.removeprefix("hidden layer ").split()[0])
        assert "\n" not in text and "use fewer layers" in text
        if "positions below it" in text:
            assert number == room(height, width, hidden)
            return
        assert "none can have a parent" in text and room(height, width, hidden[:number]) is None
        if number > 1:
            geometry(height, width, 1, hidden[: number - 1])
        fields = influences(height, width, hidden[:number])[-1][0]
        rows, columns = fields.shape[:2]
        # nodes that could be related: any two positions in one row or column, or on a diagonal, that share no pixel
        for y, x in np.ndindex(rows, columns):
            for dy, dx in ((0, 1), (1, 0), (1, 1), (1, -1)):
                far = max(rows, columns)
                for d in range(1, far):
                    if 0 <= y + d * dy < rows and 0 <= x + d * dx < columns:
                        assert (fields[y, x] & fields[y + d * dy, x + d * dx]).any()
        return
    assert len(layers) == 1 + len(hidden)
    for layer, wanted, fields in zip(layers[1:], hidden, influences(height, width, hidden)):
        assert (layer.channels, layer.height, layer.width) == fields.shape[:3] and layer.channels == wanted.kernels
        for channel, y, x in np.ndindex(fields.shape[:3]):
            expected = np.zeros((height, width), bool)
            top, left = y * layer.stride, x * layer.stride
            expected[top : top + layer.receptive_field, left : left + layer.receptive_field] = True
            assert expected.sum() == layer.receptive_field**2  # all of it lies inside
            np.testing.assert_array_equal(fields[channel, y, x], expected)
        for dy, dx in layer.relation_offsets():
            assert max(-dy, abs(dx)) == layer.distance and (dy, dx) < (0, 0)
            y, x = -dy, max(0, -dx)
            assert not (fields[0, y, x] & fields[0, y + dy, x + dx]).any()  # related nodes share no pixel
        for d in range(1, layer.distance):  # and nothing nearer would do
            if d < layer.width:
                assert (fields[0, 0, d] & fields[0, 0, 0]).any()
            if d < layer.height:
                assert (fields[0, d, 0] & fields[0, 0, 0]).any()


@settings(max_examples=60, deadline=None)
@given(
    st.integers(4, 16), st.integers(4, 16), st.integers(1, 4), st.integers(1, 3), st.integers(-9, 0), st.integers(-9, 9)
)
def test_offsets_of_relations(height, width, size, pool, dy, dx):
    hidden = (HiddenLayer(1, size, pool),)
    try:
        layer = geometry(height, width, 1, hidden)[1]
    except ValueError:
        return
    fields = influences(height, width, hidden)[0][0]
    pairs = [
        (fields[y, x], fields[y + dy, x + dx])
        for y, x in np.ndindex(layer.height, layer.width)
        if 0 <= y + dy < layer.height and 0 <= x + dx < layer.width
    ]
    if pairs and not any((a & b).any() for a, b in pairs):
        layer.check_offset(dy, dx)
    else:
        with pytest.raises(ValueError, match=rf"^offset \({dy}, {dx}\)[: ].* offset$"):
            layer.check_offset(dy, dx)


# ---- refusals: which layer, why ----


@pytest.mark.parametrize(
    "shape, hidden, words",
    [
        (
            (28, 28),
            [(5, 3, 2), (5, 3, 2), (5, 3, 2)],
            "hidden layer 3 .*has 1 x 1 positions, but nodes must be 3 apart .*22 x 22",
        ),
        ((3, 28), [(5, 3, 2)], r"hidden layer 1 \(kernels 3 x 3, pooling 2\) needs 4 x 4 .* 3 x 28"),
        ((28, 2), [(5, 3, 1)], "hidden layer 1 .* needs 3 x 3 .* 28 x 2"),
        ((6, 6), [(2, 3, 2)], "hidden layer 1 .*has 2 x 2 positions, but nodes must be 2 apart .*4 x 4"),
        ((28, 28), [(5, 3, 2), (5, 9, 2), (1, 1, 1)], "hidden layer 2 .*has 2 x 2 positions"),
    ],
)
def test_refusals_name_the_layer_and_the_reason(shape, hidden, words):
    with pytest.raises(ValueError, match=words):
        geometry(*shape, 1, [HiddenLayer(*layer) for layer in hidden])


def test_too_many_layers_or_thresholds():
    one = HiddenLayer(1, 1, 1)
    assert len(geometry(9, 9, 64, [one] * 7)) == 8
    with pytest.raises(ValueError, match="^layers: 8 hidden layers, at most 7"):
        geometry(9, 9, 1, [one] * 8)
    with pytest.raises(ValueError, match="^threshold: 65 values"):
        geometry(9, 9, 65, [one])
    assert len(geometry(9, 9, 65, [])) == 1


BAD_SIZES = [0, -1, 65, 1.0, "3", None, True, float("nan")]


@pytest.mark.parametrize("name", ["kernels", "kernel_size", "pool"])
def test_sizes_of_hidden_layers(name):
    for bad in BAD_SIZES:
        if name == "pool" and bad == 65:
            continue
        with pytest.raises(ValueError, match=f"^hidden layer: {name} "):
            HiddenLayer(**{"kernels": 2, name: bad})
    assert getattr(HiddenLayer(**{"kernels": 2, name: np.int64(4)}), name) == 4


# ---- layers ----


def test_a_layer_keeps_the_order_of_a_childs_relations():
    given = (Relation(1, 0, -1, 0), Relation(0, 1, 0, -1), Relation(1, 1, 0, -2), Relation(0, 0, -2, 1))
    layer = Layer(2, 4, 5, given)
    assert layer.parents(0) == [given[1], given[3]] and layer.parents(1) == [given[0], given[2]]
    assert layer.n_rows == 2 * 20 * 4 and layer.table_begin(20) == 80 and layer.table_begin(23) == 92
    assert Layer.from_dict(layer.to_dict()) == layer


@pytest.mark.parametrize(
    "relation, words",
    [
        (Relation(2, 0, -1, 0), "channels 0 to 1"), (Relation(0, -1, -1, 0), "channels 0 to 1"),
        (Relation(0, 0, 0, 0), "before its child"), (Relation(0, 1, 0, 0), "before its child"),
        (Relation(0, 0, 1, -1), "before its child"), (Relation(0, 0, 0, 1), "before its child"),
        (Relation(1, 0, -1, 0, True), "required"),
    ],
)  # fmt: skip
def test_relations_that_no_layer_has(relation, words):
    with pytest.raises(ValueError, match=words):
        Layer(2, 4, 4, (relation,))
    with pytest.raises(ValueError, match="given twice"):
        Layer(2, 4, 4, (Relation(0, 0, -1, 0),) * 2)
