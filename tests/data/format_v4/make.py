# SPDX-License-Identifier: BSD-3-Clause
"""Makes the model files of format version 4 and expected.json in this folder.

Written by later versions of cbn they are of a later format: run it in a folder of its own. Pictures come from whole-number arithmetic, so that nothing depends on a random generator of NumPy.
"""

import json
from pathlib import Path

import numpy as np

from cbn import IntrospectiveEnergyModel
from cbn.iem import Architecture, Conv, Level, Pool, Relu, Training
from cbn.iem.pretrained.backbone import Backbone, Preparation

FOLDER = Path(__file__).parent
ARCHITECTURE = Architecture((Level((), 1, (4,)), Level((Conv(3, 3), Pool(2, 2), Relu()), 1, (5, 4))))


def pictures(n, first=0):
    """(n, 10, 12) uint8 grey stripes with some noise, numbers ``first`` to ``first + n - 1``."""
    i, y, x = np.ogrid[first : first + n, :10, :12]
    mixed = (i * 7919 + y * 104729 + x * 1299709) * 2654435761 % 2**32
    return ((i * 37 + y * 20 + x * 24) % 200 + (mixed >> 27)).astype(np.uint8)


def models():
    """The fitted models by file name."""
    learned = IntrospectiveEnergyModel(
        ARCHITECTURE, training=Training(epochs=(2, 1)), floor=0.5, level_weights=(1, 2), brightness="median", false_alarm_rate=0.2, n_jobs=1,
        random_state=3,
    ).fit(pictures(30))  # fmt: skip
    weights = (np.arange(81, dtype=np.float32).reshape(9, 3, 3) % 7 - 3) / 4
    frozen = Backbone(ARCHITECTURE, [[], [{"weights": weights, "bias": np.zeros(3, np.float32)}, {}, {}]],
                      Preparation("bgr", 2.0, (0.9, 1.0, 1.1)))  # fmt: skip
    backbone = IntrospectiveEnergyModel(
        sharing="a", energy="sum", floor=0, held_out=0, backbone=frozen, training=Training(epochs=1), false_alarm_rate=0.2, n_jobs=1,
        random_state=4,
    ).fit(pictures(20)).calibrate(pictures(20, 50))  # fmt: skip
    return {"learned.cbn": learned, "backbone.cbn": backbone}


def rounded(array):
    return [float(f"{v:.9g}") for v in np.ravel(array)]


def behaviour(model):
    """What a loaded model must still say."""
    seen = pictures(4, 100)
    return {
        "calibration": model.calibration_,
        "dead_kernels": rounded(model.dead_kernels_),
        "scores": rounded(model.score_samples(seen)),
        "p_values": rounded(model.p_values(seen)),
        "maps": rounded(model.energy_map(seen[:2]).sum(axis=(1, 2))),
        "curves": [rounded(level.curve) for level in model.levels_],
    }


def main():
    expected = {}
    for name, model in models().items():
        model.save(FOLDER / name)
        expected[name] = behaviour(model)
    (FOLDER / "expected.json").write_text(json.dumps(expected, indent=1) + "\n")


if __name__ == "__main__":
    main()
