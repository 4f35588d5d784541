# SPDX-License-Identifier: BSD-3-Clause
"""``n_jobs`` is the number of threads of every call of the engine, and is read anew at every method."""

import warnings

import numpy as np
import pytest

import cbn
from cbn import IntrospectiveEnergyModel
from helpers.images import blots
from helpers.inspection import SMALL, energy_model, textures
from helpers.threads import FILTERS, watch

X, NEW = blots(80, 8), blots(9, 8, seed=3)
MASK = np.zeros((8, 8), bool)
MASK[3:6, 2:5] = True
LAYERS = ((3, 2, 1),)
NETWORKS = {
    "pixel": {},
    "hidden": {"features": cbn.Features(layers=LAYERS, iterations=1)},
    "tree": {"cpd": cbn.Tree(reach=3), "folds": 2},
    "boosted": {"cpd": cbn.Boosted(rounds=2, max_leaves=3, n_candidates=9, reach=3)},
    "tied": {"cpd": cbn.Tied(radius=2, pairs=3000, rounds=3, max_leaves=4, corrections=1)},
    "best": {"features": cbn.Features(layers=LAYERS, iterations=0)},
}


@pytest.fixture
def seen(monkeypatch):
    return watch(monkeypatch)


def only(seen, n):
    """Takes what was seen."""
    assert seen
    assert {threads for name, threads in seen if name not in FILTERS} <= {n}, sorted(seen)
    assert {threads for name, threads in seen if name in FILTERS} <= {1, n}
    seen.clear()


def use(model):
    for score in ("log_probability", "standardized", "normalized"):
        model.score_samples(NEW, score)
    sweeps = {"n_sweeps": 8} if model.fitted_.network.pixels.gibbs else {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", cbn.MixingWarning)  # short runs on purpose
        model.inpaint(NEW[0], MASK, 2, **sweeps)
        if sweeps:
            model.sample(2, "gibbs", n_steps=40)
    model.predict(NEW), model.surprise_map(NEW), model.explain(NEW[0]), model.repair(1 - NEW[0], 2), model.sample(3)
    model.heat_map_scale(), model.layer_scores(NEW), model.bic_terms(), model.node_statistics(), model.p_values(NEW)


@pytest.mark.parametrize("preset", NETWORKS)
def test_of_networks(preset, seen, tmp_path):
    settings = {"random_state": 3, "false_alarm_rate": 0.2} | NETWORKS[preset]
    model = cbn.ConvolutionalBayesianNetwork(preset, n_jobs=3, **settings).fit(X)
    only(seen, 3)
    use(model)
    only(seen, 3)
    use(model.set_params(n_jobs=2).calibrate(NEW))
    only(seen, 2)
    if preset == "pixel":
        model.partial_fit(NEW)
        only(seen, 2)
    model.save(tmp_path / "model.cbn")
    use(cbn.load(tmp_path / "model.cbn").set_params(n_jobs=3))
    only(seen, 3)


def test_of_classifiers(seen):
    labels = np.arange(len(X)) % 2
    model = cbn.ConvolutionalBayesianNetworkClassifier("tree", cpd=cbn.Tree(reach=2), random_state=3, n_jobs=3)
    model.fit(X, labels).partial_fit(X[:9], np.full(9, 7))
    only(seen, 3)
    model.set_params(n_jobs=2).predict_proba(NEW)
    model.networks_[0].score_samples(NEW)
    only(seen, 2)


@pytest.mark.parametrize("kind", ["gaussian", "neural"])
def test_of_energy_models(kind, seen):
    pictures = textures(12, 64 if kind == "gaussian" else 32)
    settings = {"n_jobs": 3, "random_state": 0, "false_alarm_rate": 0.2}
    if kind == "gaussian":
        model = IntrospectiveEnergyModel(gaussian=cbn.iem.Gaussian(keep_sums=True), **settings)
    else:
        model = energy_model(architecture=SMALL, epochs=1, **settings)
    model.fit(pictures)
    only(seen, 3)
    model.set_params(n_jobs=2).calibrate(textures(24, pictures.shape[1])[12:])
    model.score_samples(pictures), model.predict(pictures), model.energy_map(pictures)
    only(seen, 2)
    if kind == "gaussian":
        model.partial_fit(pictures)
        only(seen, 2)
