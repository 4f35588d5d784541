# SPDX-License-Identifier: BSD-3-Clause
"""What every preset gives today it gave yesterday, to the last bit: counts, scores, draws, calibration.

``data/same_bytes.json`` holds hashes of it. Where a result changes on purpose, ``python tests/test_same_bytes.py [NAME ...]`` writes
the file anew, or the entries of these names, and CHANGELOG.md says why.
"""

import hashlib
import json
import os
import subprocess
import sys
import warnings
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from numpy._core._multiarray_umath import __cpu_dispatch__ as instruction_sets

import cbn

RECORD = Path(__file__).parent / "data" / "same_bytes.json"
SCORES = ("log_probability", "surprise", "standardized", "normalized")


@cache
def images():
    """(100, 28, 28) training images of twos, 40 test images of all digits, binary; and the training images in grey."""
    train, test = cbn.datasets.load_mnist()
    twos = train.select(2).images[:100]
    shade = 30 + np.arange(twos.size, dtype=np.int64).reshape(twos.shape) * 7919 % 226
    return twos, test.images[:40], (twos * shade).astype(np.uint8)


def fitted(preset, part=slice(None), *, grey=False, **arguments):
    twos, _, shaded = images()
    model = cbn.ConvolutionalBayesianNetwork(preset, random_state=0, n_jobs=1, false_alarm_rate=0.05, **arguments)
    return model.fit((shaded if grey else twos)[part])


SMALL_BOOSTED = cbn.Boosted(rounds=3, max_leaves=4, n_candidates=20)
SMALL_TIED = cbn.Tied(pairs=30_000, rounds=6, max_leaves=12, networks=2, corrections=1)
FEATURES = cbn.Features(layers=((5, 3, 2), (5, 3, 2)), iterations=2)
MODELS = {
    "pixel": lambda: fitted("pixel"),
    "pixel, thresholds, shifts": lambda: fitted("pixel", slice(40), grey=True, threshold=(0.2, 0.5), shift=1),
    "pixel, added, calibrated": lambda: fitted("pixel", slice(50)).partial_fit(images()[0][50:]).calibrate(images()[1]),
    "hidden": lambda: fitted("hidden", features=FEATURES),
    "tree": lambda: fitted("tree"),
    "boosted": lambda: fitted("boosted", cpd=SMALL_BOOSTED),
    "tied": lambda: fitted("tied", cpd=SMALL_TIED),
    "tied, grey": lambda: fitted("tied", slice(50), grey=True, threshold=(0.2, 0.5), cpd=SMALL_TIED),
    "best": lambda: fitted("best"),
    "best, grey": lambda: fitted(
        "best", slice(50), grey=True, features=cbn.Features(layers=((8, 2, 2),), iterations=0)
    ),
}


def hash_of(*arrays):
    found = hashlib.sha256()
    for array in map(np.ascontiguousarray, arrays):
        found.update(f"{array.dtype.str}{array.shape}".encode() + array.tobytes())
    return found.hexdigest()[:16]


def results(model):
    """Hashes by name."""
    _, test, _ = images()
    test = test * np.uint8(model.binarizer_.full_scale)
    networks = model.fitted_.network.networks
    mask = np.zeros((28, 28), bool)
    mask[18:] = True
    filters = model.fitted_.settings.kind.name in ("boosted", "tied")
    painted = model.inpaint(test[5], mask, n=3, random_state=5, **({} if filters else {"n_sweeps": 10}))
    through_layers = len(networks) > 1 and networks[0].chains_through_layers  # then there are chains
    hole = np.zeros((28, 28), bool)
    hole[10:14] = True
    filtered = painted if through_layers else model.inpaint(test[5], hole, n=3, n_particles=1000, random_state=5)
    contrast = model.fitted_.network.contrast
    return {
        "counts": hash_of(*(own.counts for own in networks)),
        "structure": hash_of(*(array for own in networks for array in own.layer.arrays())),
        "kernels": hash_of(*(k for t in model.hidden_layers_ for k in (t.kernels.weights, t.kernels.bias))),
        **{score: hash_of(model.layer_scores(test, score), model.score_samples(test, score)) for score in SCORES},
        **({"contrast": of_contrast(model, contrast, test)} if contrast else {}),
        "calibration": hash_of(
            model.calibration_scores_, [model.offset_, model.heat_map_scale()], model.p_values(test)
        ),
        "map": hash_of(model.surprise_map(test[:5])),
        "sample": hash_of(model.sample(5, random_state=3)),
        "chains": "" if filters else hash_of(model.sample(2, "gibbs", n_steps=1000, random_state=4)),
        "inpainting": hash_of(painted.samples, painted.mean),
        "particles": "" if through_layers else hash_of(filtered.samples, filtered.mean),
        "repair": hash_of(model.repair(test[9], 5).repaired),
        "bic": hash_of(np.array(model.bic_terms(), float)),
    }


def of_contrast(model, contrast, test):
    scores = model.layer_scores(test, "contrast"), model.score_samples(test, "contrast"), model.contrast_map(test[:5])
    return hash_of(*scores, *contrast.arrays().values())


def recorded(name):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", cbn.MixingWarning)  # short runs on purpose
        return results(MODELS[name]())


@pytest.mark.parametrize("name", MODELS)
def test_results_are_those_that_were_recorded(name):
    assert recorded(name) == json.loads(RECORD.read_text())[name]


@pytest.mark.slow
def test_results_are_those_of_processors_on_which_numpy_computes_otherwise():
    """NumPy's exponentials differ with AVX-512, and matrix products of its BLAS with the processor."""
    old = {"NPY_DISABLE_CPU_FEATURES": " ".join(instruction_sets), "OPENBLAS_CORETYPE": "Nehalem"}
    asked = ["-q", "-p", "no:cacheprovider", "-k", "grey or thresholds", __file__]
    run = subprocess.run(
        [sys.executable, "-P", "-m", "pytest", *asked],
        env=os.environ | old,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout


if __name__ == "__main__":
    names = sys.argv[1:] or MODELS
    record = (json.loads(RECORD.read_text()) if RECORD.exists() else {}) | {name: recorded(name) for name in names}
    RECORD.write_text(json.dumps({name: record[name] for name in MODELS}, indent=1) + "\n")
