# SPDX-License-Identifier: BSD-3-Clause
"""Several layers as one network: bits of every layer from pixels, scores over all layers, maps at pixels.

Hidden nodes are functions of the pixels, so the product of the layers' probabilities is no density of images but an
unnormalized energy; with the pixel layer alone it is the normalized probability of the binarized image.
"""

import numpy as np

from .. import _engine
from ..cpd.base import SCORES


class LayeredNetwork:
    """Counted networks one above the other.

    Parameters
    ----------
    networks : list of CountedNetwork
        The pixels' first.
    transitions : list of cbn.layers.geometry.Transition
        One fewer: transition l makes layer l + 1 of layer l.
    geometries : sequence of cbn.layers.geometry.LayerGeometry
    scales : dict of score name -> tuple of float
        Factor of every layer's score, see :meth:`set_scales`.
    """

    def __init__(self, networks, transitions, geometries, scales=None):
        self.networks, self.transitions, self.geometries = networks, transitions, geometries
        self.scales = scales or {name: (1.0,) * len(networks) for name in SCORES}
        self._engine_transitions = [_engine.Transition(t) for t in transitions]

    def __len__(self):
        return len(self.networks)

    @property
    def pixels(self):
        """The CountedNetwork of the pixel layer."""
        return self.networks[0]

    @property
    def chains_through_layers(self):
        """Whether Gibbs chains go through all layers: those of trees go through the pixels alone."""
        return self.pixels.leaves_one_out

    def chain_tables(self, layer_weights, num_threads):
        """What Gibbs chains through all layers need: tables of the product over layers of p(layer)^weight.

        Parameters
        ----------
        layer_weights : sequence of float, one for each layer
            With one layer there is nothing to weigh, and its weight is not used.

        Returns
        -------
        stack : cbn._engine.LayerStack
        values : ndarray, (rows of all layers, 2) int64
            weight x log p in units, so that sums are exact.
        unit : float
            Nats; a power of two so small that the rounding of values cannot be noticed, and so large that values of all
            nodes have room in 62 bits.
        """
        weights = layer_weights if len(self) > 1 else (1.0,)
        tables = []
        for network, weight in zip(self.networks, weights):
            log_p = network.values(_engine.LOG_PROBABILITY, False, num_threads)
            # what a required relation excludes is refused by the engine itself
            tables.append(weight * np.where(np.isfinite(log_p), log_p, 0.0))
        values = np.concatenate(tables)
        n_nodes = sum(network.layer.n_nodes for network in self.networks)
        unit = 2.0 ** (np.frexp(np.abs(values).max() * n_nodes)[1] - 60)
        layers = [network.engine_layer for network in self.networks]
        return _engine.LayerStack(layers, self._engine_transitions), np.rint(values / unit).astype(np.int64), unit

    def planes(self, pixel_planes, n_images, num_threads):
        """Bit-planes of every layer."""
        planes = [pixel_planes]
        for transition in self._engine_transitions:
            above = np.empty((transition.n_nodes_out, pixel_planes.shape[1]), np.uint64)
            _engine.transition_forward(transition, planes[-1], n_images, above, num_threads)
            planes.append(above)
        return planes

    def recounted(self, pixel_planes, n_images, num_threads):
        """The same layers, kernels and scales with the counts of other images."""
        planes = self.planes(pixel_planes, n_images, num_threads)
        networks = [own.recounted(p, n_images, num_threads) for own, p in zip(self.networks, planes)]
        return LayeredNetwork(networks, self.transitions, self.geometries, dict(self.scales))

    def layer_scores(self, planes, n_images, score, num_threads, *, leave_one_out=False):
        """(n_images, layers) of a named score before layers are combined; nats where the score has that unit."""
        columns = [
            network.score(own, n_images, score, num_threads, leave_one_out=leave_one_out)
            for network, own in zip(self.networks, planes)
        ]
        return np.stack(columns, axis=1)

    def combine(self, layer_scores, score):
        """(n_images,) sum over layers of scale x score, in the order of the layers."""
        total = self.scales[score][0] * layer_scores[:, 0]
        for column, scale in zip(layer_scores.T[1:], self.scales[score][1:]):
            total = total + scale * column
        return total

    def set_scales(self, layer_weights, scores_by_name):
        """Scales that give layers of equal weight equal spread over normal images.

        The scale of layer l is weight_l * deviation_0 / deviation_l: every layer's score is brought to the spread of
        the pixel layer's, so that the sum stays in its unit. Ranks are those of scores centred and divided by their
        deviation; the centre is left out, because it moves every image alike and would take the unit away. A layer
        whose score is the same for all these images has no spread to go by and keeps its unit.

        Parameters
        ----------
        layer_weights : sequence of float, one for each layer
        scores_by_name : dict of score name -> ndarray, (n_images, layers)
            Scores of normal images.
        """
        for name, scores in scores_by_name.items():
            deviation = scores.std(axis=0)
            reference = deviation[0] if deviation[0] > 0 else 1.0
            factor = np.divide(reference, deviation, out=np.ones_like(deviation), where=deviation > 1e-12 * reference)
            self.scales[name] = tuple((np.asarray(layer_weights) * factor).tolist())
        if len(self) == 1:  # nothing to combine
            self.scales = {name: (float(layer_weights[0]),) for name in SCORES}

    def surprise_maps(self, planes, n_images, num_threads):
        """(n_images, height, width) surprise at the pixels; each map sums to the image's surprise.

        What surprises at a hidden node is spread evenly over the pixels of its receptive field.
        """
        below = self.geometries[0]
        maps = np.zeros((n_images, below.height, below.width))
        for network, own, geometry, scale in zip(self.networks, planes, self.geometries, self.scales["surprise"]):
            nodes = network.surprise_maps(own, n_images, num_threads)
            grid = nodes.reshape(n_images, geometry.channels, geometry.height, geometry.width).sum(axis=1)
            _spread(scale * grid, geometry, maps)
        return maps


def _spread(grid, geometry, maps):
    """maps += every node of the grid, spread evenly over its receptive field."""
    size, stride = geometry.receptive_field, geometry.stride
    if size == 1:
        maps += grid
        return
    for y in range(geometry.height):
        for x in range(geometry.width):
            rows, columns = slice(y * stride, y * stride + size), slice(x * stride, x * stride + size)
            maps[:, rows, columns] += (grid[:, y, x] / size**2)[:, None, None]
