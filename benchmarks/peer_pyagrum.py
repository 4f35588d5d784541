# SPDX-License-Identifier: BSD-3-Clause
"""pyAgrum on the 784-pixel network: parameters of the given network, and structure search among the same parents."""

import os
import tempfile
from collections.abc import Iterator
from typing import Self

import numpy as np
import pyagrum
from arrays import Images, Reals, States
from engines import CUTOFF, N_PIXELS, OFFSETS, SIDE

NAMES = [f"p{pixel}" for pixel in range(N_PIXELS)]


def arcs() -> Iterator[tuple[int, int]]:
    """(parent, child) pixels of the preset "pixel"."""
    for pixel in range(N_PIXELS):
        row, column = divmod(pixel, SIDE)
        for dy, dx in OFFSETS:
            if 0 <= row + dy < SIDE and 0 <= column + dx < SIDE:
                yield (row + dy) * SIDE + column + dx, pixel


def template(with_arcs: bool = True) -> pyagrum.BayesNet:
    """A network of binary variables, with the arcs of the preset or with none."""
    network = pyagrum.BayesNet()
    for name in NAMES:
        network.add(pyagrum.RangeVariable(name, "", 0, 1))
    if with_arcs:
        for parent, child in arcs():
            network.addArc(parent, child)
    return network


class Database:
    """The binarized images as the CSV file that pyAgrum reads; a context manager that removes it."""

    def __init__(self, images: Images) -> None:
        self.states = (images > CUTOFF).astype(np.uint8).reshape(len(images), N_PIXELS)

    def __enter__(self) -> Self:
        text = np.empty((len(self.states), 2 * N_PIXELS), np.uint8)
        text[:, ::2] = self.states + ord("0")
        text[:, 1::2] = ord(",")
        text[:, -1] = ord("\n")
        handle, self.path = tempfile.mkstemp(suffix=".csv")
        with os.fdopen(handle, "wb") as file:
            file.write((",".join(NAMES) + "\n").encode() + text.tobytes())
        return self

    def __exit__(self, *_: object) -> None:
        os.unlink(self.path)

    def learner(self, threads: int, network: pyagrum.BayesNet | None = None) -> pyagrum.BNLearner:
        """A BNLearner with the data read and the pseudo-count of the preset."""
        learner = pyagrum.BNLearner(self.path, network or template())
        learner.setNumberOfThreads(threads)
        learner.useSmoothingPrior(1)
        return learner


def learn_structure(database: Database, threads: int) -> pyagrum.BayesNet:
    """Greedy hill climbing by BIC; a pixel may take any of the four parents of the preset, and no other.

    The possible edges restrict the neighbours; the order of the pixels fixes every edge's direction.
    """
    learner = database.learner(threads, template(with_arcs=False))
    learner.useScoreBIC()
    learner.useGreedyHillClimbing()
    for parent, child in arcs():
        learner.addPossibleEdge(NAMES[parent], NAMES[child])
    learner.setTotalOrder(NAMES)
    return learner.learnBN()


def log_probabilities_one_by_one(network: "pyagrum.BayesNet", states: States) -> Reals:
    """(n,) through pyAgrum's own interface, one instantiation after the other."""
    instantiation = network.completeInstantiation()
    nodes = [network.idFromName(name) for name in NAMES]
    scores = np.empty(len(states))
    for i, image in enumerate(states):
        for node, state in zip(nodes, image.tolist()):
            instantiation.chgVal(node, state)
        scores[i] = network.log2JointProbability(instantiation) * np.log(2)
    return scores


def log_probabilities_from_tables(network: "pyagrum.BayesNet", states: States) -> Reals:
    """(n,) with pyAgrum's tables looked up by NumPy: its own interface would take minutes for all test images."""
    scores = np.zeros(len(states))
    for name in NAMES:
        table = network.cpt(name)
        # an array of a table has its variables in the opposite order of their names
        pixels = [int(variable[1:]) for variable in reversed(table.names)]
        scores += np.log(table.toarray())[tuple(states[:, pixels].T)]
    return scores
