# SPDX-License-Identifier: BSD-3-Clause
"""Densities of binary vectors whose variables lie in no picture, by trees, boosted trees and peers."""

import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from arrays import Facts
from cases_inspection import DATA
from context import Context
from measure import goal, summary
from peers_density import BernoulliMixture, ChowLiu

sys.path.append(str(Path(__file__).parents[1] / "python" / "analysis"))
from binary_vectors import SETTINGS, Network, mutual_information, order_of, read

# Of the 13 sets those that take seconds, not minutes; python/analysis/binary_vectors.py measures all.
SETS = ("nltcs", "plants", "mushrooms", "accidents", "dna", "jester")
# Mean log-likelihoods of EoNADE (Uria, Murray & Larochelle 2014, "A deep and tractable density estimator"), nats.
PUBLISHED = {"mushrooms": -9.68, "dna": -82.31}


def vectors(context: Context) -> Facts:
    found = [name for name in SETS if (DATA / "debd" / f"{name}.npz").is_file() and not context.quick]
    table: list[Facts] = []
    nats: dict[tuple[str, str], float] = {}

    def add(name: str, engine: str, seconds: float, value: float, **more: Any) -> None:
        nats[name, engine] = value
        accuracy = {"test nats a vector": value, **more}
        table.append({"engine": f"{name}, {engine}", **summary([seconds]), "ratio": None, "accuracy": accuracy})

    for name in found:
        data = read(DATA / "debd" / f"{name}.npz")
        for peer in (ChowLiu(), BernoulliMixture()):
            pictures = {part: rows[:, None].astype(np.uint8) * np.uint8(255) for part, rows in data.items()}
            begin = time.perf_counter()
            peer.fit(pictures["train"])
            add(name, peer.name, time.perf_counter() - begin, float(-peer.score_samples(pictures["test"]).mean()))
        information = mutual_information(data["train"])
        order = order_of(information, int(information.sum(axis=0).argmax()))
        for kind, settings in SETTINGS.items():
            begin = time.perf_counter()
            networks = [Network(cpd, order, 0).fit(data["train"]) for cpd in settings]
            scores = [network.log_likelihood(data["valid"]).mean() for network in networks]
            best = networks[int(np.argmax(scores))]
            seconds = time.perf_counter() - begin
            add(name, f"cbn, {kind}", seconds, float(-best.log_likelihood(data["test"]).mean()), settings=len(settings))
    goals = []
    for name in found:
        own, peer = nats[name, "cbn, boosted"], nats[name, ChowLiu.name]
        goals.append(goal(f"{name}: fewer nats than a Chow-Liu tree", f"{own:.2f}, {peer:.2f}", own < peer))
        if name in PUBLISHED:
            most = 1 - PUBLISHED[name]
            text = f"{name}: at most a nat more than EoNADE as published ({-PUBLISHED[name]})"
            goals.append(goal(text, f"{own:.2f}", own <= most, stretch=True))
    return {
        "title": f"Density of binary vectors: {len(found)} sets",
        "about": "Sets of Lowd & Davis (2010) and Van Haaren & Davis (2012), from the folder `debd` of `CBN_DATA`. Variables are "
        "ordered on the training vectors, settings are chosen on the validation vectors, and the test vectors are scored "
        "once, in nats a vector; lower is better. Times are those of all fits, one for each setting and with two folds each. "
        "`python/analysis/binary_vectors.py` measures all 13 sets, and mixtures over orders.",
        "rows": table,
        "details": {},
        "goals": goals,
    }
