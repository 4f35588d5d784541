# SPDX-License-Identifier: BSD-3-Clause
"""Makes the model files of format version 11 and expected.json in this folder; images and answers as for version 6."""

import importlib.util
import json
from pathlib import Path

import cbn

FOLDER = Path(__file__).parent
_specification = importlib.util.spec_from_file_location("make_v6", FOLDER.parent / "format_v6" / "make.py")
v6 = importlib.util.module_from_spec(_specification)
_specification.loader.exec_module(v6)
images, plain, rounded = v6.images, v6.plain, v6.rounded


def models():
    """The fitted models by file name."""
    network = cbn.ConvolutionalBayesianNetwork
    features = cbn.Features(layers=((3, 2, 1),), iterations=0)
    contrast = cbn.Contrast(
        radius=2, roll=1, rounds=5, pairs=3000, background_rounds=3, background_pairs=2000, weight=0.5
    )
    return {
        "best.cbn": network("best", features=features, contrast=contrast, random_state=6).fit(images(120)),
        "off.cbn": network("best", features=features, contrast=False, random_state=6).fit(images(120)),
    }


def behaviour(model):
    """What a model answers, as JSON; of a contrast its scores and a map."""
    found = v6.behaviour(model)
    if model.fitted_.network.contrast is not None:
        new = images(3, 300)
        found["contrast"] = {
            "layer_scores": rounded(model.layer_scores(new, "contrast")),
            "scores": rounded(model.score_samples(new, "contrast")),
            "map": rounded(model.contrast_map(new[:1])),
        }
    return found


def main():
    expected = {}
    for name, model in models().items():
        model.save(FOLDER / name)
        expected[name] = behaviour(model)
    (FOLDER / "expected.json").write_text(json.dumps(expected, indent=1) + "\n")


if __name__ == "__main__":
    main()
