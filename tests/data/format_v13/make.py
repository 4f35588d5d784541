# SPDX-License-Identifier: BSD-3-Clause
"""Makes the model files of format version 13 and expected.json in this folder: Gaussian energy models of pictures.

Pictures come from whole-number arithmetic, so that nothing depends on a random generator of NumPy.
"""

import json
import warnings
from pathlib import Path

import numpy as np

import cbn
from cbn.iem import Gaussian

FOLDER = Path(__file__).parent
SHAPE = (24, 17)


def pictures(n, first=0):
    """(n, 24, 17) uint8 waves with some noise, numbers ``first`` to ``first + n - 1``."""
    i, y, x = np.ogrid[first : first + n, : SHAPE[0], : SHAPE[1]]
    waves = 60 + (i * 37 % 19 + y * 11) % 64 + (i * 53 % 23 + x * 17) % 64
    mixed = (i * 7919 + y * 104729 + x * 1299709) * 2654435761 % 2**32
    return np.asarray(waves + (mixed >> 27), np.uint8)


def models():
    """The fitted models by file name."""
    model, usual = cbn.IntrospectiveEnergyModel, {"false_alarm_rate": 0.1, "random_state": 3}
    return {
        "gaussian.cbn": model(gaussian=Gaussian(directions=5, top=0.2, sharpen=1.5), brightness="median", **usual),
    }


def main():
    expected = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", cbn.CalibrationWarning)
        for name, model in models().items():
            model.fit(pictures(40)).save(FOLDER / name)
            expected[name] = {
                "scores": model.score_samples(pictures(6, 100)).tolist(),
                "map": model.energy_map(pictures(1, 100))[0, ::5, ::5].astype(float).tolist(),
                "offset": float(model.offset_),
                "verdicts": model.verdicts(255 - pictures(6, 100)).verdicts.tolist(),
            }
    (FOLDER / "expected.json").write_text(json.dumps(expected, indent=1) + "\n")


if __name__ == "__main__":
    main()
