# SPDX-License-Identifier: BSD-3-Clause
"""Made the model files of format version 3 and expected.json in this folder, with the flat arguments of that time.

Images come from whole-number arithmetic, so that nothing depends on a random generator of NumPy.
"""

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np

import cbn
from cbn.boosted import Boosting  # as the module was called then

FOLDER = Path(__file__).parent
SHAPE = (10, 9)
SCORES = ("log_probability", "surprise", "standardized", "normalized")


def images(n, first=0, kind=0):
    """(n, 10, 9) uint8 grey stripes of a kind, numbers ``first`` to ``first + n - 1``, with some noise."""
    i, y, x = np.ogrid[first : first + n, : SHAPE[0], : SHAPE[1]]
    stripes = (i * 37 + (y * (20 + i % 3) if kind != 1 else 0) + (x * (24 + i % 5) if kind != 0 else 0)) % 256
    mixed = (i * 7919 + y * 104729 + x * 1299709 + kind * 15485863) * 2654435761 % 2**32
    return np.where(mixed >> 28 == 0, (mixed >> 16) % 256, stripes).astype(np.uint8)


def models():
    """The fitted models by file name."""
    network = cbn.ConvolutionalBayesianNetwork
    tree = network(
        "tree", threshold=(0.25, 0.6), pseudocount=0.5, score="normalized", reach=3, penalty=0.3, max_leaves=12,
        min_leaf=2, shrinkage=4.0, folds=2, shift=1, false_alarm_rate=0.05, random_state=4,
    ).fit(images(60)).partial_fit(images(40, 60)).calibrate(images(60, 200))  # fmt: skip
    boosting = Boosting(rounds=6, max_leaves=4, n_candidates=12, rate=0.4)
    boosted = network("boosted", threshold=(0.3, 0.7), reach=4, boosting=boosting, random_state=5).fit(images(150))
    best = network("best", hidden=((3, 2, 1), (2, 2, 1)), threshold=0.3, reach=4, random_state=6).fit(images(150))
    labels = np.repeat(["across", "down"], 60)
    classifier = cbn.ConvolutionalBayesianNetworkClassifier("tree", threshold="auto", reach=2, class_prior=(0.25, 0.75))
    classifier.fit(np.concatenate([images(60), images(60, kind=1)]), labels)
    # tables, and arguments that are left to the preset
    hidden = network("hidden", hidden=((2, 3, 1),), iterations=2, threshold="auto", random_state=7).fit(images(120))
    return {
        "tree.cbn": tree, "boosted.cbn": boosted, "best.cbn": best, "classifier.cbn": classifier, "hidden.cbn": hidden,
    }  # fmt: skip


def rounded(array):
    return [float(f"{v:.12g}") for v in np.ravel(array)]


def arguments_of(model):
    arguments = {name: value for name, value in model.get_params().items() if name != "n_jobs"}
    return json.loads(json.dumps(arguments, default=asdict))


def behaviour(model):
    """What a model answers, as JSON: numbers to 12 digits."""
    new = np.concatenate([images(4, 300), images(4, 300, kind=1)])
    if isinstance(model, cbn.ConvolutionalBayesianNetworkClassifier):
        return {
            "arguments": arguments_of(model),
            "classes": model.classes_.tolist(),
            "joint_log_probability": rounded(model.joint_log_probability(new)),
            "predict": model.predict(new).tolist(),
            "networks": [_of_network(network, new) for network in model.networks_],
        }
    return {"arguments": arguments_of(model), **_of_network(model, new)}


def _of_network(model, new):
    return {
        "layer_scores": {name: rounded(model.layer_scores(new, name)) for name in SCORES},
        "scores": {name: rounded(model.score_samples(new, name)) for name in SCORES},
        "p_values": rounded(model.p_values(new)),
        "predict": model.predict(new).tolist(),
        "offset": None if np.isinf(model.offset_) else model.offset_,
        "surprise_map": rounded(model.surprise_map(new[5:6])),
        "bic": rounded(model.bic())[0],
        "heat_map_scale": rounded(model.heat_map_scale())[0],
        "n_images": model.n_images_,
        "binarization": model.binarization_,
        "calibration": model.calibration_,
        "data_sha256": model.provenance_["data_sha256"],
        "layers": [
            [{"nodes": own.layer.n_nodes}, [int(np.abs(a.astype(object)).sum()) for a in own.layer.arrays()]]
            for own in model._network.networks
        ],
    }


def main():
    expected = {}
    for name, model in models().items():
        model.save(FOLDER / name)
        expected[name] = behaviour(model)
    (FOLDER / "expected.json").write_text(json.dumps(expected, indent=1) + "\n")


if __name__ == "__main__":
    main()
