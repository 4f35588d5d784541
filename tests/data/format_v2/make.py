# SPDX-License-Identifier: BSD-3-Clause
"""Makes the model files of format version 2 and expected.json in this folder.

Images come from whole-number arithmetic, so that nothing depends on a random generator of NumPy.
"""

import json
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


def interrupt_after(n):
    """A progress callback that interrupts a fit at its n-th report."""
    reports = iter(range(1, n + 1))

    def progress(state):
        if next(reports) == n:
            raise KeyboardInterrupt

    return progress


def models():
    """The fitted models by file name."""
    hidden = cbn.ConvolutionalBayesianNetwork(
        "hidden", hidden=((3, 3, 1), (2, 2, 1)), iterations=2, random_state=3
    ).fit(images(150))
    grey = cbn.ConvolutionalBayesianNetwork(
        "hidden", hidden=((3, 2, 2),), threshold=(0.25, 0.6), pseudocount=0.5, score="normalized", layer_weights=(1, 2),
        max_parents=3, forced_relations=((1, 0, 1, -3, 1),), forbidden_relations=((1, 0, 0, 0, -2),), iterations=4,
        initialization="promising", activation=(0.2, 0.5), learning_rate=0.1, momentum=0.5, normalize_kernels=False,
        keep_activation=False, replace_worst=1, shift=1, false_alarm_rate=0.05, random_state=4,
    ).fit(images(60)).partial_fit(images(40, 60)).calibrate(images(60, 200))  # fmt: skip
    part = cbn.ConvolutionalBayesianNetwork("hidden", hidden=((2, 3, 1), (2, 2, 1)), iterations=2, random_state=5)
    try:
        part.fit(images(150), progress=interrupt_after(2))
    except KeyboardInterrupt:
        pass
    return {"hidden.cbn": hidden, "grey.cbn": grey, "interrupted.cbn": part}


def rounded(array):
    return [float(f"{v:.12g}") for v in np.ravel(array)]


def behaviour(model):
    """What a model answers, as JSON: numbers to 12 digits."""
    new = np.concatenate([images(4, 300), images(4, 300, kind=1)])
    arguments = {name: value for name, value in model.get_params().items() if name != "n_jobs"}
    return {
        "arguments": json.loads(json.dumps(arguments)),
        "layer_scores": {name: rounded(model.layer_scores(new, name)) for name in SCORES},
        "scores": {name: rounded(model.score_samples(new, name)) for name in SCORES},
        "p_values": rounded(model.p_values(new)),
        "predict": model.predict(new).tolist(),
        "offset": model.offset_,
        "surprise_map": rounded(model.surprise_map(new[:1])),
        "explain": [[e.layer, e.channel, e.row, e.column, e.count, e.row_count] for e in model.explain(new[5], 4)],
        "bic": rounded(model.bic())[0],
        "heat_map_scale": rounded(model.heat_map_scale())[0],
        "n_images": model.n_images_,
        "binarization": model.binarization_,
        "calibration": model.calibration_,
        "data_sha256": model.provenance_["data_sha256"],
        "hidden": [
            {
                "gain": rounded([point.gain for point in layer.curve]),
                "bic": rounded([point.bic for point in layer.curve]),
                "relations": [point.relations for point in layer.curve],
                "activation": rounded([point.activation for point in layer.curve]),
                "best": layer.best,
                "steps": [[s.relation.child, s.relation.parent, s.relation.dy, s.relation.dx] for s in layer.steps],
                "bic_changes": rounded([step.bic_change for step in layer.steps]),
                "weights": rounded(layer.kernels.weights),
                "bias": rounded(layer.kernels.bias),
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
