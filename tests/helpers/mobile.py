# SPDX-License-Identifier: BSD-3-Clause
"""Networks of inverted residuals with random weights, and their outputs in engine and twin."""

import numpy as np

from helpers.neural import blank, given
from reference.mobile import shapes_of


def random_weights(rng, blocks):
    """Weights under which values neither grow nor vanish, all in one array."""
    shapes = [shape for block in shapes_of(np.array(blocks)) for shape in block]
    return np.concatenate([(rng.normal(size=shape) * np.sqrt(2 / shape[0])).ravel() for shape in shapes])


def output_shapes(blocks, pictures):
    n, height, width = pictures.shape[:3]
    height, width, shapes = -(-height // 2), -(-width // 2), []
    for _, channels, _, stride in blocks:
        height, width = -(-height // stride), -(-width // stride)
        shapes.append((n, height, width, channels))
    return shapes


def features(engine, blocks, weights, pictures, scale=1.0, shift=0.0, threads=1, wanted=None):
    """Outputs of the blocks that are wanted (all by default)."""
    shapes, blocks = output_shapes(blocks, pictures), np.array(blocks, np.int32)
    out = [blank(engine, shape) if wanted is None or b in wanted else None for b, shape in enumerate(shapes)]
    weights, pictures = given(engine, weights, pictures)
    packed = blank(engine, weights.shape)
    with engine._path() as module:
        module.mobile_pack(blocks, weights, packed)
        module.mobile_features(blocks, packed, pictures, scale, shift, tuple(out), threads)
    return [maps for maps in out if maps is not None]
