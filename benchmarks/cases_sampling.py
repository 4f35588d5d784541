# SPDX-License-Identifier: BSD-3-Clause
"""Gibbs proposals per second, with and without hidden layers, and the time of 64 ancestral samples."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pyagrum
from arrays import Facts, Images, States
from context import DIGIT, SEED, Context
from engines import CUTOFF, N_PIXELS, NumpySampler, Twin, estimator, generic, reference
from measure import Engine, goal, interleave, rows
from peer_pyagrum import NAMES, Database, template

import cbn
from cbn.inference.chains import GibbsChains

CHAINS = 64
STEPS = 20_000  # proposals per chain in one timed call of cbn
NUMPY_STEPS = 1_000
TWIN_STEPS = 100
HIDDEN_STEPS = 2_000  # the same through all layers
SCRATCH_STEPS = 10
COMPARED_STEPS = 2_000  # enough that every pixel is proposed more than twice, on average


def _chains(model: "cbn.ConvolutionalBayesianNetwork") -> GibbsChains:
    return model.gibbs_chains(CHAINS, random_state=SEED)


def _compared_states(
    chains: GibbsChains, on_path: Callable[[Callable[..., Any]], Callable[..., Any]] = lambda call: call
) -> States:
    """States after the steps that the twin does as well; on_path may be ``generic``."""
    on_path(chains.advance)(COMPARED_STEPS)
    return chains.states


def _conditional_error(sampler: NumpySampler, twin: Twin, states: States) -> float:
    """Largest difference of the NumPy sampler's p(pixel | others) from the ratio of the two joint probabilities."""
    values = twin.values(reference.LOG_PROBABILITY)
    worst = 0.0
    for pixel in range(0, N_PIXELS, 37):
        off, on = states.copy(), states.copy()
        off[:, pixel], on[:, pixel] = 0, 1
        gap = twin.score(on * np.uint8(255), values) - twin.score(off * np.uint8(255), values)
        worst = max(worst, np.abs(sampler.conditional(states, pixel) - 1 / (1 + np.exp(-gap))).max())
    return float(worst)


def gibbs(context: Context) -> Facts:
    images, threads = context.digit(), context.threads
    model, model_one = estimator(threads).fit(images), estimator(1).fit(images)
    twin = Twin().fit(images)
    probability, sites = twin.probabilities(), np.arange(N_PIXELS)
    start = _chains(model).states
    expected = start.copy()
    reference.sample_gibbs(twin.layer, probability, SEED, 0, COMPARED_STEPS, sites, expected)

    def differing(states: States) -> Facts:
        return {f"states that differ from the twin's after {COMPARED_STEPS:,} steps": int((states != expected).sum())}

    sampler = NumpySampler(probability, SEED)
    twin_states, numpy_states = start.copy(), start.copy()
    chains, chains_one, chains_generic = _chains(model), _chains(model_one), _chains(model)
    engines = [
        Engine("cbn", lambda: chains.advance(STEPS), accuracy=differing(_compared_states(_chains(model)))),
        Engine(
            "cbn, 1 thread",
            lambda: chains_one.advance(STEPS),
            accuracy=differing(_compared_states(_chains(model_one))),
        ),
        Engine(
            "cbn generic",
            generic(lambda: chains_generic.advance(STEPS)),
            accuracy=differing(_compared_states(_chains(model), generic)),
        ),
        Engine(
            "numpy",
            lambda: sampler.gibbs(numpy_states, NUMPY_STEPS),
            accuracy={"max error of p(pixel given the others)": _conditional_error(sampler, twin, start)},
        ),
        Engine(
            "twin",
            lambda: reference.sample_gibbs(twin.layer, probability, SEED, 0, TWIN_STEPS, sites, twin_states),
            max_rounds=5,
            accuracy=differing(expected),
        ),
    ]
    steps = {"numpy": NUMPY_STEPS, "twin": TWIN_STEPS}
    seconds = interleave(engines, context.rounds)
    per_million = {
        name: {r: s * 1e6 / (CHAINS * steps.get(name, STEPS)) for r, s in own.items()} for name, own in seconds.items()
    }
    table = rows(engines, per_million, "cbn")
    for row in table:
        row["rate"] = 1e6 / row["median"]
    rate = table[0]["rate"]
    identical = all(not v for row in table for k, v in row["accuracy"].items() if k.startswith("states"))
    return {
        "title": f"Gibbs sampling: {CHAINS} chains, network of digit {DIGIT}",
        "about": "Seconds per million proposals, over all chains together. A timed call does "
        f"{STEPS:,} proposals per chain in cbn, {NUMPY_STEPS:,} in NumPy, {TWIN_STEPS} in the twin. NumPy draws its "
        "own random numbers, so its conditional probabilities are checked instead of its states.",
        "rate": "proposals per second",
        "rows": table,
        "goals": [
            goal(
                f"at least 20 million proposals per second with {threads} threads",
                f"{rate / 1e6:.1f} million",
                rate >= 20e6,
            ),
            goal("states identical to the twin's", "identical" if identical else "different", identical),
        ],
    }


def ancestral(context: Context) -> Facts:
    images, threads = context.digit(), context.threads
    model, model_one = estimator(threads).fit(images), estimator(1).fit(images)
    twin = Twin().fit(images)
    probability = twin.probabilities()

    def by_twin() -> States:
        states = np.zeros((CHAINS, N_PIXELS), np.uint8)
        reference.sample_ancestral(twin.layer, probability, SEED, None, states)
        return states

    def by_cbn(used: "cbn.ConvolutionalBayesianNetwork") -> Images:
        return used.sample(CHAINS, random_state=SEED)

    expected = by_twin().reshape(CHAINS, 28, 28)

    def differing(pictures: Images) -> Facts:
        return {"pixels that differ from the twin's": int(((pictures > CUTOFF) != expected).sum())}

    def likely(states: States) -> Facts:
        scores = model.score_samples((states * np.uint8(255)).reshape(-1, 28, 28))
        return {
            "mean nats of 1,000 samples": float(-scores.mean()),
            "standard error": float(scores.std() / np.sqrt(len(scores))),
        }

    sampler = NumpySampler(probability, SEED)
    pyagrum.initRandom(SEED)
    with Database(images) as database:
        network = template()
        learned = database.learner(threads, network).learnParameters(network)
    generator = pyagrum.BNDatabaseGenerator(learned)  # it does not keep the network alive: `learned` must stay

    def by_pyagrum(n: int) -> States:
        generator.drawSamples(n)
        states = np.empty((n, N_PIXELS), np.uint8)
        for column, name in enumerate(generator.varOrderNames()):
            states[:, NAMES.index(name)] = [generator.samplesAt(i, column) for i in range(n)]
        return states

    cbn_nats = likely(model.sample(1000, random_state=SEED) // 255)
    engines = [
        Engine("cbn", lambda: by_cbn(model), accuracy={**differing(by_cbn(model)), **cbn_nats}),
        Engine("cbn, 1 thread", lambda: by_cbn(model_one), accuracy=differing(by_cbn(model_one))),
        Engine("cbn generic", generic(lambda: by_cbn(model)), accuracy=differing(generic(lambda: by_cbn(model))())),
        Engine("numpy", lambda: sampler.ancestral(CHAINS), accuracy=likely(sampler.ancestral(1000))),
        Engine("twin", by_twin, max_rounds=5, accuracy=differing(by_twin().reshape(CHAINS, 28, 28) * 255)),
        Engine("pyagrum", lambda: generator.drawSamples(CHAINS), accuracy=likely(by_pyagrum(1000))),
    ]
    table = rows(engines, interleave(engines, context.rounds), "cbn")
    milliseconds = 1e3 * table[0]["median"]
    identical = all(not v for row in table for k, v in row["accuracy"].items() if k.startswith("pixels"))
    return {
        "title": f"Ancestral sampling: {CHAINS} images, network of digit {DIGIT}",
        "about": "`cbn` is the whole `sample`. NumPy and pyAgrum draw their own random numbers, so the mean negative "
        "log-probability of 1,000 samples under cbn's network is compared.",
        "rows": table,
        "goals": [
            goal("less than 20 ms", f"{milliseconds:.2f} ms", milliseconds < 20),
            goal("identical to the twin's", "identical" if identical else "different", identical),
        ],
    }


def hidden_gibbs(context: Context) -> Facts:
    """Proposals per second through the pixels and two hidden layers."""
    images, threads = context.digit(), context.threads
    # untrained kernels cost a proposal as much as trained ones
    model, model_one = (estimator(n, preset="hidden", iterations=0).fit(images) for n in (threads, 1))
    chains, chains_one, chains_generic = _chains(model), _chains(model_one), _chains(model)
    expected = _compared_states(_chains(model_one))

    def differing(states: States) -> Facts:
        return {f"states that differ from 1 thread's after {COMPARED_STEPS:,} steps": int((states != expected).sum())}

    random = np.random.default_rng(SEED)
    states = _chains(model).states.copy()

    def from_scratch() -> None:
        for pixel in random.integers(N_PIXELS, size=SCRATCH_STEPS):
            pair = np.stack([states, states])
            pair[:, :, pixel] = [[0], [1]]
            energy = model.layer_scores(pair.reshape(-1, 28, 28) * np.uint8(255), "log_probability").sum(axis=1)
            gap = np.clip(energy[CHAINS:] - energy[:CHAINS], -700, 700)
            states[:, pixel] = random.random(CHAINS) < 1 / (1 + np.exp(-gap))

    engines = [
        Engine("cbn", lambda: chains.advance(HIDDEN_STEPS), accuracy=differing(_compared_states(_chains(model)))),
        Engine("cbn, 1 thread", lambda: chains_one.advance(HIDDEN_STEPS), accuracy=differing(expected)),
        Engine(
            "cbn generic",
            generic(lambda: chains_generic.advance(HIDDEN_STEPS)),
            accuracy=differing(_compared_states(_chains(model), generic)),
        ),
        Engine("cbn, from scratch", from_scratch, max_rounds=5),
    ]
    steps = {"cbn, from scratch": SCRATCH_STEPS}
    seconds = interleave(engines, context.rounds)
    per_million = {
        name: {r: s * 1e6 / (CHAINS * steps.get(name, HIDDEN_STEPS)) for r, s in own.items()}
        for name, own in seconds.items()
    }
    table = rows(engines, per_million, "cbn")
    for row in table:
        row["rate"] = 1e6 / row["median"]
    rate = table[0]["rate"]
    identical = all(not v for row in table for v in row["accuracy"].values())
    return {
        "title": f"Gibbs sampling through two hidden layers: {CHAINS} chains, network of digit {DIGIT}",
        "about": "Seconds per million proposals, over all chains together. A timed call does "
        f"{HIDDEN_STEPS:,} proposals per chain. `from scratch` scores all layers of the images with the pixel at 0 and "
        f"at 1 for every proposal, {SCRATCH_STEPS} per chain.",
        "rate": "proposals per second",
        "rows": table,
        "goals": [
            goal(
                f"at least 1 million proposals per second with {threads} threads",
                f"{rate / 1e6:.2f} million",
                rate >= 1e6,
            ),
            goal("the same states for any threads and instruction set", "yes" if identical else "no", identical),
        ],
    }
