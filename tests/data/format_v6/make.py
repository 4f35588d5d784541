# SPDX-License-Identifier: BSD-3-Clause
"""Makes the model files of format version 6 and expected.json in this folder.

Images come from whole-number arithmetic, so that nothing depends on a random generator of NumPy.
"""

import hashlib
import json
import warnings
from dataclasses import astuple, fields, is_dataclass
from pathlib import Path

import numpy as np

import cbn

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
    features = cbn.Features(
        layers=((3, 3, 1), (2, 2, 1)), iterations=2, layer_weights=(1, 2, 0.5), max_parents=3, learning_rate=0.1,
        forced_relations=((1, 0, 1, -3, 1),), initialization="promising", replace_worst=1, pseudocount=0.5,
    )  # fmt: skip
    labels = np.repeat(["across", "down"], 60)
    return {
        "pixel.cbn": network(random_state=3).fit(images(200)),
        "hidden.cbn": network("hidden", cpd=cbn.Table(offsets=((-1, 0), (0, -1)), pseudocount=0.5), features=features,
                              outlier_score="normalized", shift=1, false_alarm_rate=0.05, random_state=4)
        .fit(images(60)).partial_fit(images(40, 60)).calibrate(images(60, 200)),
        "tree.cbn": network("tree", cpd=cbn.Tree(reach=3, max_leaves=12, min_leaf=2, shrinkage=4.0), folds=2,
                            threshold=(0.25, 0.6), full_scale=255).fit(images(150)),
        "boosted.cbn": network(cpd=cbn.Boosted(rounds=6, max_leaves=4, n_candidates=12, rate=0.4, reach=4),
                               threshold="auto", random_state=5).fit(images(150)),
        "best.cbn": network("best", features=cbn.Features(layers=((3, 2, 1), (2, 2, 1)), iterations=0), threshold=0.3,
                            random_state=6).fit(images(150)),
        "classifier.cbn": cbn.ConvolutionalBayesianNetworkClassifier("tree", threshold="auto", class_prior=(0.25, 0.75))
        .fit(np.concatenate([images(60), images(60, kind=1)]), labels),
    }  # fmt: skip


def plain(value):
    """A value as JSON: an object as its fields and the name of its class."""
    if hasattr(value, "get_params"):
        value = {"class": type(value).__name__} | value.get_params(deep=False)
    if isinstance(value, dict):
        return {name: plain(own) for name, own in value.items()}
    if isinstance(value, tuple | list):
        return [plain(own) for own in value]
    return list(astuple(value)) if is_dataclass(value) else value


def digest(array):
    return hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()


def rounded(array):
    return [float(f"{v:.12g}") for v in np.ravel(array)]


def behaviour(model):
    """What a model answers, as JSON: numbers to 12 digits, and hashes of drawn images."""
    new = np.concatenate([images(3, 300), images(3, 300, kind=1)])
    arguments = {name: value for name, value in plain(model).items() if name != "n_jobs"}
    if isinstance(model, cbn.ConvolutionalBayesianNetworkClassifier):
        return {
            "arguments": arguments,
            "classes": model.classes_.tolist(),
            "joint_log_probability": rounded(model.joint_log_probability(new)),
            "predict": model.predict(new).tolist(),
            "networks": [of_network(network, new) for network in model.networks_],
        }
    return {"arguments": arguments, **of_network(model, new)}


def of_network(model, new):
    settings = model.fitted_.settings
    mask = np.tri(*SHAPE, dtype=bool)
    sweeps = {"n_sweeps": 20} if settings.kind.gibbs else {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", cbn.MixingWarning)  # short runs on purpose
        warnings.simplefilter("ignore", cbn.CalibrationWarning)  # few images of a class
        predicted = model.predict(new).tolist()
        drawn = {
            "ancestral": model.sample(20, random_state=7),
            "inpaint": model.inpaint(new[0], mask, n=4, random_state=7, **sweeps).samples,
        }
    return {
        "settings": {own.name: plain(getattr(settings, own.name)) for own in fields(settings)},
        "layer_scores": {name: rounded(model.layer_scores(new, name)) for name in SCORES},
        "scores": {name: rounded(model.score_samples(new, name)) for name in SCORES},
        "judged_scores": rounded(model.judged_scores(new)),
        "p_values": rounded(model.p_values(new)),
        "predict": predicted,
        "verdicts": model.verdicts(new).verdicts.tolist(),
        "offset": None if np.isinf(model.offset_) else model.offset_,
        "surprise_map": rounded(model.surprise_map(new[5:6])),
        "bic": rounded(model.bic())[0],
        "heat_map_scale": rounded(model.heat_map_scale())[0],
        "n_images": model.n_images_,
        "binarization": model.binarization_,
        "calibration": model.calibration_,
        "judge": None if model.fitted_.judge is None else model.fitted_.judge.pixels.n_images,
        "data_sha256": model.provenance_["data_sha256"],
        "sha256": {name: digest(array) for name, array in drawn.items()},
        "layers": [
            [{"nodes": own.layer.n_nodes}, [int(np.abs(a.astype(object)).sum()) for a in own.layer.arrays()]]
            for own in model.fitted_.network.networks
        ],
        "hidden": [
            {
                "gain": rounded([point.gain for point in layer.curve]),
                "best": layer.best,
                "steps": [[s.relation.child, s.relation.parent, s.relation.dy, s.relation.dx] for s in layer.steps],
                "weights": digest(layer.kernels.weights),
            }
            for layer in model.hidden_layers_
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
