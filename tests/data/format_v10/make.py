# SPDX-License-Identifier: BSD-3-Clause
"""Makes the model files of format version 10, which has tied trees, and expected.json in this folder.

Images, and what is asked of a model, are those of version 6.
"""

import importlib.util
import json
from pathlib import Path

import cbn

FOLDER = Path(__file__).parent
_spec = importlib.util.spec_from_file_location("format_v6", FOLDER.parent / "format_v6" / "make.py")
_of_version_6 = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_of_version_6)
images, behaviour, plain = _of_version_6.images, _of_version_6.behaviour, _of_version_6.plain


def models():
    """The fitted models by file name."""
    small = {"radius": 2, "pairs": 5000, "rounds": 8, "max_leaves": 6, "rate": 0.4, "min_hessian": 0.5, "l2": 2.0}
    return {
        "tied.cbn": cbn.ConvolutionalBayesianNetwork("tied", cpd=cbn.Tied(**small), random_state=8).fit(images(150)),
        "corrected.cbn": cbn.ConvolutionalBayesianNetwork(
            "tied", cpd=cbn.Tied(networks=2, corrections=4, thinning=3, **small), threshold=(0.25, 0.6), full_scale=255,
            random_state=9,
        ).fit(images(150)),
    }  # fmt: skip


def main():
    expected = {}
    for name, model in models().items():
        model.save(FOLDER / name)
        expected[name] = behaviour(model)
    (FOLDER / "expected.json").write_text(json.dumps(expected, indent=1) + "\n")


if __name__ == "__main__":
    main()
