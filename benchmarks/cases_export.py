# SPDX-License-Identifier: BSD-3-Clause
"""Exported networks as pyAgrum reads them: log-probabilities of the same images."""

import re
import tempfile
import time
from pathlib import Path

import numpy as np
import pyagrum
from arrays import Facts, Reals, States
from context import DIGIT, Context
from engines import CUTOFF, N_PIXELS, SIDE, estimator
from measure import goal, summary

N_IMAGES = 20
# A tree of 8 leaves asks at most 7 pixels: its table has 128 rows.
MODELS = {"pixel": {}, "tree": {"preset": "tree", "max_leaves": 8}}
# pyAgrum knows XMLBIF by another ending
FORMATS = {"XMLBIF": ("x.xmlbif", "x.bifxml"), "BIF": ("x.bif", "x.bif"), "UAI": ("x.uai", "x.uai")}


def node_of(name: str) -> int:
    """Number of the node of a variable: UAI has the number itself for a name."""
    place = [int(number) for number in re.findall(r"\d+", name)]
    return place[0] if len(place) == 1 else place[-2] * SIDE + place[-1]


def log_probabilities(network: "pyagrum.BayesNet", states: States, reversed_parents: bool) -> Reals:
    """(n,) from pyAgrum's tables."""
    total = np.zeros(len(states))
    for name in network.names():
        table = network.cpt(name)
        # the axes of an array are in the opposite order of the names
        *given, own = [node_of(variable) for variable in reversed(table.names)]
        if reversed_parents:
            given.reverse()
        total += np.log(table.toarray())[tuple(states[:, [*given, own]].T)]
    return total


def export(context: Context) -> Facts:
    images = context.test[:N_IMAGES]
    states = (images > CUTOFF).astype(np.uint8).reshape(-1, N_PIXELS)
    table, worst = [], {}
    with tempfile.TemporaryDirectory() as folder:
        for model_name, arguments in MODELS.items():
            model = estimator(context.threads, **arguments).fit(context.digit())
            expected = model.score_samples(images, "log_probability")
            for format, (written, read) in FORMATS.items():
                seconds = []
                for _ in range(min(context.rounds, 5)):
                    begin = time.perf_counter()
                    model.export(Path(folder, written))
                    seconds.append(time.perf_counter() - begin)
                Path(folder, written).replace(Path(folder, read))
                network = pyagrum.loadBN(str(Path(folder, read)))
                found = log_probabilities(network, states, reversed_parents=format == "UAI")
                difference = float(np.abs(found - expected).max())
                worst[format] = max(worst.get(format, 0.0), difference)
                accuracy = {"max difference as pyAgrum reads it, nats": difference}
                table.append({
                    "engine": f"cbn, {model_name} to {format}", **summary(seconds), "ratio": None, "accuracy": accuracy
                })  # fmt: skip
    return {
        "title": f"Export: files of the networks of digit {DIGIT}, read by pyAgrum",
        "about": f"Times are of writing. Differences are the largest over {N_IMAGES} test images. pyAgrum reads BIF and "
        "UAI with single precision. In UAI files it takes the first parent as the one that changes fastest, where the "
        "format has the last; its tables are turned round here.",
        "rows": table,
        "goals": [
            goal("XMLBIF within 1e-9 nats", f"{worst['XMLBIF']:.1e} nats", worst["XMLBIF"] <= 1e-9),
            goal("BIF and UAI within single precision of each pixel (784 x 6e-8)",
                 f"{max(worst['BIF'], worst['UAI']):.1e} nats", max(worst["BIF"], worst["UAI"]) <= N_PIXELS * 6e-8),
        ],
    }  # fmt: skip
