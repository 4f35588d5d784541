# SPDX-License-Identifier: BSD-3-Clause
"""Several layers as one network: bits of every layer from pixels, scores over all layers, maps at pixels.

Hidden nodes are functions of the pixels, so the product of the layers' probabilities is no density of images but an
unnormalized energy; with the pixel layer alone it is the normalized probability of the binarized image.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import _engine
from ..bits.planes import BitPlanes
from ..cpd.base import CPD, SCORES
from .contrast import NAME as CONTRAST
from .contrast import LogRatio
from .geometry import LayerGeometry, Transition

Floats = npt.NDArray[np.float64]
Scales = dict[str, tuple[float, ...]]


class LayeredNetwork:
    """CPDs of layers one above the other.

    Parameters
    ----------
    networks : sequence of CPD
        The pixels' first.
    transitions : sequence of Transition
        One fewer: transition l makes layer l + 1 of layer l.
    geometries : sequence of LayerGeometry
    scales : dict of score name -> tuple of float
        Factor of every layer's score, see :func:`scales_of`; 1 for each by default.
    contrast : LogRatio, optional
        It makes the score "contrast": the layers' "standardized", and two columns of its own.
    """

    def __init__(
        self,
        networks: Sequence[CPD],
        transitions: Sequence[Transition],
        geometries: Sequence[LayerGeometry],
        scales: Scales | None = None,
        contrast: LogRatio | None = None,
    ) -> None:
        self.networks, self.transitions, self.geometries = tuple(networks), tuple(transitions), tuple(geometries)
        self.scales = scales or {name: (1.0,) * len(self.networks) for name in SCORES}
        self.contrast = contrast
        self._engine_transitions = [_engine.Transition(t) for t in self.transitions]

    def __reduce__(self) -> tuple[type["LayeredNetwork"], tuple[Any, ...]]:
        return type(self), (self.networks, self.transitions, self.geometries, self.scales, self.contrast)

    def __len__(self) -> int:
        return len(self.networks)

    @property
    def pixels(self) -> CPD:
        """The CPDs of the pixel layer."""
        return self.networks[0]

    def with_scales(self, scales: Scales) -> "LayeredNetwork":
        """The same layers with other factors of their scores."""
        return LayeredNetwork(self.networks, self.transitions, self.geometries, scales, self.contrast)

    def with_contrast(self, contrast: LogRatio | None) -> "LayeredNetwork":
        """The same layers beside another contrast."""
        return LayeredNetwork(self.networks, self.transitions, self.geometries, self.scales, contrast)

    def freeze(self) -> None:
        """Makes everything that was learned unwritable."""
        for own in (*self.networks, *((self.contrast,) if self.contrast else ())):
            own.freeze()

    def chain_tables(
        self, layer_weights: Sequence[float], num_threads: int
    ) -> tuple[Any, npt.NDArray[np.int64], float]:
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
        values = np.concatenate([weight * own.log_table(num_threads) for own, weight in zip(self.networks, weights)])
        n_nodes = sum(own.layer.n_nodes for own in self.networks)
        unit = 2.0 ** (np.frexp(np.abs(values).max() * n_nodes)[1] - 60)
        layers = [own.chain_layer() for own in self.networks]
        return _engine.LayerStack(layers, self._engine_transitions), np.rint(values / unit).astype(np.int64), unit

    def planes(self, pixels: BitPlanes, num_threads: int) -> list[BitPlanes]:
        """Bit-planes of every layer."""
        return planes_of_layers(self._engine_transitions, pixels, num_threads)

    def recounted(self, pixels: BitPlanes, num_threads: int) -> "LayeredNetwork":
        """The same layers, kernels, scales and contrast with the counts of other images."""
        planes = self.planes(pixels, num_threads)
        networks = [own.recounted(bits, num_threads) for own, bits in zip(self.networks, planes)]
        return LayeredNetwork(networks, self.transitions, self.geometries, self.scales, self.contrast)

    def layer_scores(
        self, planes: Sequence[BitPlanes], score: str, num_threads: int, *, leave_one_out: bool = False
    ) -> Floats:
        """(n_images, layers) of a named score before layers are combined; nats where the score has that unit.

        Of "contrast" there are two columns more: minus the log-ratio of the image in nats, and minus what of its map is
        above the normal; see cbn.layers.contrast.
        """
        if score == CONTRAST:
            own = self.layer_scores(planes, "standardized", num_threads)
            return np.concatenate([own, self.checked_contrast().columns(planes[0], num_threads)], axis=1)
        columns = [
            own.score(bits, score, num_threads, leave_one_out=leave_one_out) for own, bits in zip(self.networks, planes)
        ]
        return np.stack(columns, axis=1)

    def checked_contrast(self) -> LogRatio:
        """The contrast. Raises ValueError where there is none."""
        if self.contrast is None:
            raise ValueError("contrast: the network has none; fit one with preset='best', or contrast=True")
        return self.contrast

    def combine(self, layer_scores: Floats, score: str) -> Floats:
        """(n_images,) sum over layers of scale x score, in the order of the layers."""
        total = self.scales[score][0] * layer_scores[:, 0]
        for column, scale in zip(layer_scores.T[1:], self.scales[score][1:]):
            total = total + scale * column
        return total

    def surprise_maps(self, planes: Sequence[BitPlanes], num_threads: int) -> Floats:
        """(n_images, height, width) surprise at the pixels; each map sums to the image's surprise.

        What surprises at a hidden node is spread evenly over the pixels of its receptive field.
        """
        n_images = planes[0].n_images
        maps = None
        for own, bits, geometry, scale in zip(self.networks, planes, self.geometries, self.scales["surprise"]):
            nodes = own.surprise_maps(bits, num_threads)
            grid = nodes.reshape(n_images, geometry.channels, geometry.height, geometry.width)
            grid = grid.sum(axis=1) if geometry.channels > 1 else grid[:, 0]
            grid *= scale
            if maps is None:
                maps = np.add(grid, 0.0, out=grid)  # no pixel has -0
            else:
                _spread(grid, geometry, maps)
        assert maps is not None  # there are pixels
        return maps


def planes_of_layers(transitions: Sequence[Any], pixels: BitPlanes, num_threads: int) -> list[BitPlanes]:
    """Bit-planes of every layer, from those of the pixels; ``transitions`` are the engine's."""
    planes = [pixels]
    for transition in transitions:
        above = BitPlanes.empty(transition.n_nodes_out, pixels.n_images)
        _engine.transition_forward(transition, planes[-1].words, pixels.n_images, above.words, num_threads)
        planes.append(above)
    return planes


def scales_of(layer_weights: Sequence[float], scores_by_name: Mapping[str, Floats]) -> Scales:
    """Scales that give layers of equal weight equal spread over normal images.

    The scale of layer l is weight_l * deviation_0 / deviation_l: every layer's score is brought to the spread of the
    pixel layer's, so that the sum stays in its unit. Ranks are those of scores centred and divided by their deviation;
    the centre is left out, because it moves every image alike and would take the unit away. A layer whose score is the
    same for all these images has no spread to go by and keeps its unit.

    Parameters
    ----------
    layer_weights : sequence of float, one for each layer
    scores_by_name : dict of score name -> ndarray, (n_images, layers)
        Scores of normal images. With one layer there is nothing to bring to one scale, and they are not read.
    """
    if len(layer_weights) == 1:
        return {name: (float(layer_weights[0]),) for name in SCORES}
    scales = {}
    for name, scores in scores_by_name.items():
        deviation = scores.std(axis=0)
        reference = deviation[0] if deviation[0] > 0 else 1.0
        factor = np.divide(reference, deviation, out=np.ones_like(deviation), where=deviation > 1e-12 * reference)
        scales[name] = tuple((np.asarray(layer_weights) * factor).tolist())
    return scales


def _spread(grid: Floats, geometry: LayerGeometry, maps: Floats) -> None:
    """maps += every node of the grid, spread evenly over its receptive field."""
    size, stride = geometry.receptive_field, geometry.stride
    if size == 1:
        maps += grid
        return
    for y in range(geometry.height):
        for x in range(geometry.width):
            rows, columns = slice(y * stride, y * stride + size), slice(x * stride, x * stride + size)
            maps[:, rows, columns] += (grid[:, y, x] / size**2)[:, None, None]
