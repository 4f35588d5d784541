# SPDX-License-Identifier: BSD-3-Clause
"""Drawing images: ancestral passes, Gibbs chains, inpainting."""

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from .. import _engine
from ..bits.binarization import Binarization
from ..cpd.base import CPD
from ..cpd.grid import Grid
from ..layers.stack import LayeredNetwork
from .mixing import MixingReport, image_statistics, mixing_report
from .temperatures import Temperatures

# Gibbs work between two returns to Python, in proposals over all chains: a few hundredths of a second. The second
# figure is for chains through all layers, whose calls begin by making the hidden layers from scratch: the work of some
# ten steps, which at least LAYERED_BATCH_STEPS are to outweigh.
BATCH_PROPOSALS, LAYERED_BATCH_PROPOSALS, LAYERED_BATCH_STEPS = 2_000_000, 100_000, 50


def ancestral_states(
    network: CPD,
    n: int,
    seed: int,
    num_threads: int,
    *,
    clamped: npt.NDArray[np.uint8] | None = None,
    states: npt.NDArray[np.uint8] | None = None,
) -> npt.NDArray[np.uint8]:
    """(n, nodes) uint8 states drawn by one raster pass; clamped nodes keep their given states."""
    if states is None:
        states = np.zeros((n, network.layer.n_nodes), np.uint8)
    network.draw(states, clamped, seed, num_threads)
    return states


def random_states(layer: Grid, n: int, seed: int) -> npt.NDArray[np.uint8]:
    """(n, nodes) uint8: every pixel at a uniformly random grey level, the start of thesis Algorithm 1."""
    u = np.empty((n, layer.n_positions))
    _engine.uniform(seed, _engine.RANDOM_START, 0, u)
    level = np.floor(u * (layer.channels + 1)).astype(np.uint8)  # number of thresholds exceeded
    channels = np.arange(layer.channels, dtype=np.uint8)
    return (level[:, None, :] > channels[:, None]).astype(np.uint8).reshape(n, layer.n_nodes)


class GibbsChains:
    """Parallel Gibbs chains (thesis Algorithm 1) through all layers of a network.

    A step proposes to flip one pixel in every chain. With hidden layers it is accepted by the product over layers of
    p(layer)^weight, hidden nodes being functions of the pixels.

    Parameters
    ----------
    network : LayeredNetwork
    layer_weights : sequence of float, one for each layer
    binarization : Binarization
    states : ndarray, (n_chains, pixel nodes) uint8
        Start of the chains; changed in place.
    sites : ndarray of int64
        The nodes that may change.
    seed, num_threads : int
    temperatures : cbn.inference.temperatures.Temperatures
    """

    def __init__(
        self,
        network: LayeredNetwork,
        layer_weights: Sequence[float],
        binarization: Binarization,
        states: npt.NDArray[np.uint8],
        sites: npt.NDArray[np.int64],
        seed: int,
        num_threads: int,
        temperatures: Temperatures,
    ) -> None:
        self.network, self.layer, self.binarization = network, network.pixels.layer, binarization
        self.states, self.sites = states, sites
        self.seed, self.num_threads = seed, num_threads
        self.temperatures = temperatures
        self.steps_done = 0
        # pixels alone at temperature 1 have a faster sampler, which gives the same; trees have no other
        self._plain = not network.pixels.chains_through_layers or (len(network) == 1 and temperatures.plain)
        if not self._plain:
            self._tables = network.chain_tables(layer_weights, num_threads)

    def advance(self, n_steps: int) -> None:
        """Does n_steps proposals in every chain, in batches short enough for Ctrl-C."""
        if self._plain:
            batch = max(1, BATCH_PROPOSALS // len(self.states))
        else:
            batch = max(LAYERED_BATCH_STEPS, LAYERED_BATCH_PROPOSALS // len(self.states))
        end = self.steps_done + n_steps
        while self.steps_done < end:
            now = min(batch, end - self.steps_done)
            if self._plain:
                self.network.pixels.flip(self.states, self.sites, self.seed, self.steps_done, now, self.num_threads)
            else:
                inverse = self.temperatures.inverse(self.steps_done, now)
                _engine.sample_gibbs_layers(
                    *self._tables, inverse, self.seed, self.steps_done, self.sites, self.states, self.num_threads
                )
            self.steps_done += now

    def pictures(self) -> npt.NDArray[np.uint8]:
        """(n_chains, height, width) uint8 pictures of the present states."""
        return self.binarization.pictures(self.states, (self.layer.height, self.layer.width))

    def run(self, n_steps: int, n_draws: int) -> Iterator[npt.NDArray[np.uint8]]:
        """Yields the pictures at n_draws equally spaced steps, the last one at n_steps."""
        done = 0
        for draw in range(1, n_draws + 1):
            now = n_steps * draw // n_draws
            self.advance(now - done)
            done = now
            yield self.pictures()


class Recorder:
    """Collects what the mixing report needs: statistics of the pictures of the second half of a run."""

    def __init__(self, n_draws: int) -> None:
        self.n_warm_up = n_draws // 2
        self.n_seen = 0
        self._statistics: list[dict[str, npt.NDArray[np.float64]]] = []

    def add(self, pictures: npt.NDArray[np.uint8]) -> bool:
        """Takes the pictures of one draw; True when they count (the warm-up is over)."""
        self.n_seen += 1
        if self.n_seen <= self.n_warm_up:
            return False
        self._statistics.append(image_statistics(pictures))
        return True

    def report(self) -> MixingReport:
        """The MixingReport of the draws after the warm-up."""
        names = self._statistics[0]
        return mixing_report({name: np.stack([s[name] for s in self._statistics], axis=1) for name in names})
