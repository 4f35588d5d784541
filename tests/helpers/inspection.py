# SPDX-License-Identifier: BSD-3-Clause
"""Small pictures and a small architecture for tests of the introspective energy model."""

import numpy as np

from cbn import IntrospectiveEnergyModel
from cbn.iem import Architecture, Conv, Level, Pool, Relu, Training

# Two levels above the image, quick to train.
SMALL = Architecture(
    (
        Level((), 1, (8,)),
        Level((Conv(4, 3), Pool(2, 2), Relu()), 1, (8, 6)),
        Level((Conv(5, 3), Pool(2, 2), Relu()), 1, (8,)),
    )
)


def energy_model(**arguments):
    """An estimator; fields of its training may be named among its arguments."""
    training = {name: arguments.pop(name) for name in Training().get_params() if name in arguments}
    return IntrospectiveEnergyModel(**arguments, training=Training(**training))


def textures(n, side=16, seed=0, channels=None):
    """Waves of random phase with a little noise: (n, side, side[, channels]) uint8."""
    rng = np.random.default_rng(seed)
    shape = (n, 1, 1) if channels is None else (n, 1, 1, channels)
    rows, columns = np.arange(side)[:, None], np.arange(side)[None]
    if channels is not None:
        rows, columns = rows[..., None], columns[..., None]
    waves = np.sin(0.9 * rows + rng.uniform(0, 6, shape)) + np.sin(1.3 * columns + rng.uniform(0, 6, shape))
    return (128 + 50 * waves + rng.normal(0, 4, waves.shape)).clip(0, 255).astype(np.uint8)


def with_defects(pictures):
    """Copies with a flat patch of 4 x 4."""
    pictures = pictures.copy()
    pictures[:, 6:10, 7:11] = 128
    return pictures
