# SPDX-License-Identifier: BSD-3-Clause
"""Makes the model files of format version 1 and expected.json in this folder.

Images come from whole-number arithmetic, so that nothing depends on a random generator of NumPy.
"""

import hashlib
import json
import warnings
from pathlib import Path

import numpy as np

import cbn

FOLDER = Path(__file__).parent
SHAPE = (12, 10)
SCORES = ("log_probability", "surprise", "standardized", "normalized")


def images(n, first=0, kind=0):
    """(n, 12, 10) uint8 grey stripes of a kind, numbers ``first`` to ``first + n - 1``, with some noise."""
    i, y, x = np.ogrid[first : first + n, : SHAPE[0], : SHAPE[1]]
    stripes = (i * 37 + (y * (20 + i % 3) if kind != 1 else 0) + (x * (24 + i % 5) if kind != 0 else 0)) % 256
    mixed = (i * 7919 + y * 104729 + x * 1299709 + kind * 15485863) * 2654435761 % 2**32
    return np.where(mixed >> 28 == 0, (mixed >> 16) % 256, stripes).astype(np.uint8)


def models():
    """The fitted models by file name."""
    return {
        "pixel.cbn": cbn.ConvolutionalBayesianNetwork(random_state=3).fit(images(200)),
        "grey.cbn": cbn.ConvolutionalBayesianNetwork(
            offsets=((-1, 0), (0, -1), (-2, 1)), threshold=(0.25, 0.6), pseudocount=0.5, score="normalized",
            false_alarm_rate=0.05,
        ).fit(images(150)).partial_fit(images(50, 150)).calibrate(images(60, 200)),
        "classifier.cbn": cbn.ConvolutionalBayesianNetworkClassifier(class_prior=(0.5, 0.25, 0.25)).fit(
            np.concatenate([images(100, kind=kind) for kind in range(3)]), np.repeat(["down", "right", "slanted"], 100)
        ),
    }  # fmt: skip


def digest(array):
    return hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()


def rounded(array):
    return [float(f"{v:.12g}") for v in np.ravel(array)]


def behaviour(model):
    """What a model answers, as JSON: numbers to 12 digits, and hashes of drawn images."""
    new = np.concatenate([images(5, 300), images(5, 300, kind=1)])
    if hasattr(model, "networks_"):
        return {
            "classes": model.classes_.tolist(),
            "predict": model.predict(new).tolist(),
            "log_proba": rounded(model.predict_log_proba(new)),
            "networks": [behaviour(network) for network in model.networks_],
        }
    mask = np.tri(*SHAPE, dtype=bool)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", cbn.MixingWarning)  # short runs on purpose
        drawn = {
            "ancestral": model.sample(20, random_state=7),
            "gibbs": model.sample(5, method="gibbs", n_steps=500, random_state=7),
            "inpaint": model.inpaint(new[0], mask, n=4, n_sweeps=20, random_state=7).samples,
        }
    return {
        "scores": {name: rounded(model.score_samples(new, name)) for name in SCORES},
        "p_values": rounded(model.p_values(new)),
        "predict": model.predict(new).tolist(),
        "offset": model.offset_ if np.isfinite(model.offset_) else None,
        "surprise_map": rounded(model.surprise_map(new[:1])),
        "bic": rounded(model.bic())[0],
        "heat_map_scale": rounded(model.heat_map_scale())[0],
        "n_images": model.n_images_,
        "binarization": model.binarization_,
        "calibration": model.calibration_,
        "data_sha256": model.provenance_["data_sha256"],
        "sha256": {name: digest(array) for name, array in drawn.items()},
    }


def main():
    expected = {}
    for name, model in models().items():
        model.save(FOLDER / name)
        expected[name] = behaviour(model)
    (FOLDER / "expected.json").write_text(json.dumps(expected, indent=1) + "\n")


if __name__ == "__main__":
    main()
