# SPDX-License-Identifier: BSD-3-Clause
"""Why an image is odd, what was learned, and how far one can believe it: the explaining half of a fitted network."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import _validation as validation
from ..bits.planes import BitPlanes
from ..cpd.base import CPD
from ..explain.contrast import explain_contrast
from ..explain.markov import MarkovReport, markov_report
from ..explain.repair import Repair, repair_image
from ..explain.responses import mean_patches
from ..explain.surprise import Evidence, explain_image
from ..layers.contrast import lowest, smoothed
from ..layers.geometry import LayerGeometry
from .state import HEAT_MAP_SHARE, FittedState, Floats

# So many standard deviations above their mean smoothed contrast maps of normal images hardly reach.
NORMAL_DEVIATIONS = 4.0


class Insight(FittedState):
    """Explanations of images, and what there is to see of the network itself."""

    def surprise_map(self, X: Any) -> Floats:
        """Surprise of every pixel, nats: (n, height, width) float64; each map sums to the image's surprise.

        0 is what the model expects of the pixel; large values are where the image is an outlier. Several thresholds
        are summed into their pixel. A hidden node's surprise is spread evenly over the pixels that it is a function of.
        """
        return self.network.surprise_maps(self.planes(self.validated(X)), self.threads)

    def contrast_map(self, X: Any, *, smooth: bool = False) -> Floats:
        """What speaks against the class at every pixel, nats: (n, height, width) float64; only with a contrast.

        -log p of the network of the class less that of the background of strokes in general. Each map sums to the
        image's log-ratio, which is minus the column "whole" of ``layer_scores(X, "contrast")``. Large values are where
        an image is of another kind; noise, which is odd to both networks, hardly shows. With ``smooth`` maps are those
        of which the column "places" is made: after a Gaussian filter of ``Contrast.smoothing`` pixels.
        """
        planes, contrast = self.pixel_planes(self.validated(X)), self.network.checked_contrast()
        maps = contrast.maps(planes, self.threads)
        return smoothed(maps, contrast.smoothing) if smooth else maps

    def contrast_map_scale(self) -> float:
        """Upper end of the scale of smoothed contrast maps, nats: where normal images vary most, NORMAL_DEVIATIONS above
        their mean. One per model."""
        contrast = self.network.checked_contrast()
        return max(float((contrast.mean + NORMAL_DEVIATIONS * contrast.deviation).max()), 0.01)

    def heat_map_scale(self) -> float:
        """Upper end of the heat-map scale, nats: 99.9 % of all pixels' surprises in training lie below. One per model."""
        scale = self.measured_heat_map_scale
        if scale is None:
            quantile = self.network.pixels.counted_surprise_quantile(HEAT_MAP_SHARE, self.threads)
            if quantile is None:
                raise ValueError(f"heat_map_scale: {self.network.pixels.nouns} must have it measured at the fit")
            scale = self.network.scales["surprise"][0] * quantile
        return max(scale, 0.01)

    def explain(self, image: Any, n: int = 10, by: str = "surprise") -> list[Evidence]:
        """The nodes that surprise most in an image: what was expected there, and how often training saw it.

        Parameters
        ----------
        image : array-like, (height, width)
        n : int
            Number of nodes.
        by : {"surprise", "contrast"}
            "contrast": the pixels that speak most against the class, see :meth:`contrast_map`.

        Returns
        -------
        list of cbn.explain.surprise.NodeSurprise, or of cbn.explain.contrast.ContrastSurprise
            Those that contribute most to the image's surprise (or log-ratio) first; ``str()`` of each is a sentence.
        """
        images = self.validated_image(image)
        n = validation.check_integer(n, "n", 1, 2**30)
        if validation.check_choice(by, "by", ("surprise", "contrast")) == "contrast":
            contrast, pixels = self.network.checked_contrast(), self.pixel_planes(images)
            ratio = contrast.maps(pixels, self.threads)[0]
            seen = lowest(pixels, contrast.own.layer)
            return explain_contrast(contrast.own, ratio, seen, n, self.binarization.thresholds, self.threads)
        planes = self.planes(images)
        return explain_image(self.network, planes, n, self.binarization.thresholds, self.threads)

    def repair(self, image: Any, max_changes: int = 200) -> Repair:
        """A small change in few connected regions that makes an outlier normal.

        Parameters
        ----------
        image : array-like, (height, width)
        max_changes : int
            Give up after so many pixels.

        Returns
        -------
        cbn.explain.repair.Repair
            Without changes for an image that is no outlier. Regions have three pixels and more, or are whole specks and
            pinholes, wherever such a change helps. Greedy: an upper bound of the smallest number of changes. A pixel set
            to any other grey level counts once.
        """
        images = self.validated_image(image)
        max_changes = validation.check_integer(max_changes, "max_changes", 1, 2**30)

        def score_of(states: npt.NDArray[np.uint8]) -> Floats:
            planes = self.network.planes(BitPlanes.of_states(states, self.threads), self.threads)
            return self.judged(planes)

        states = self.pixel_planes(images).states(self.threads)[0]
        threshold = self.calibration.threshold_at(self.settings.false_alarm_rate, stacklevel=3)
        repaired, places, score = repair_image(score_of, states, self.image_shape, threshold, max_changes)
        before, after = self.binarization.pictures(np.stack([states, repaired]), self.image_shape)
        changes = tuple(divmod(place, self.image_shape[1]) for place in places)
        return Repair(before, after, changes, float(score_of(states[None])[0]), score, threshold, max_changes)

    def node_statistics(self, layer: int = 0) -> tuple[Floats, Floats]:
        """What training saw at every node of a layer: share of ones, and mean -log p in nats.

        Parameters
        ----------
        layer : int
            0 are the pixels.

        Returns
        -------
        ones, nats : ndarray, both (channels, height, width) float64
        """
        layer = validation.check_integer(layer, "layer", 0, len(self.network) - 1)
        own = self.network.networks[layer]
        shape = own.layer.channels, own.layer.height, own.layer.width
        ones, nats = own.node_means(self.threads)
        return ones.reshape(shape), nats.reshape(shape)

    def layer_geometries(self) -> tuple[LayerGeometry, ...]:
        """Shape, receptive field and stride of every layer, the pixels' first: tuple of LayerGeometry."""
        return self.network.geometries

    def hidden_states(self, X: Any) -> list[npt.NDArray[np.uint8]]:
        """States of all hidden nodes: a list of (n, kernels, height, width) uint8, one array for every hidden layer.

        Parameters
        ----------
        X : array-like, (n, height, width) or flat

        Returns
        -------
        list of ndarray
            The first hidden layer's first; empty for a model of pixels alone. A node is 1 where its kernel's largest
            response in the pooling window exceeds 0. :meth:`layer_geometries` says which pixels it is a function of.
        """
        planes = self.planes(self.validated(X))
        return [
            own.states(self.threads).reshape(-1, geometry.channels, geometry.height, geometry.width)
            for own, geometry in zip(planes[1:], self.network.geometries[1:])
        ]

    def mean_patches(self, X: Any) -> list[Floats]:
        """What kernels look for: mean pixels of the receptive fields of nodes that are off, and on.

        Parameters
        ----------
        X : array-like, (n, height, width) or flat

        Returns
        -------
        list of ndarray
            For every hidden layer (kernels, 2, field, field) float64, the second index being the state of the node:
            means over images and places of the binarized pixels, as a share of full scale; NaN for a state that no
            node of the kernel is in.
        """
        pictures = self.binarized_pictures(X)
        hidden = zip(self.hidden_states(X), self.network.geometries[1:])
        return [mean_patches(pictures, states, geometry) / self.binarization.full_scale for states, geometry in hidden]

    def markov_report(self, X: Any) -> MarkovReport:
        """How far the network is from its own independence assumptions on images: a cbn.explain.markov.MarkovReport.

        Parameters
        ----------
        X : array-like, (n, height, width) or flat
            Best the training images: tables and relations are theirs.
        """
        images, pixels = self.validated(X), self.network.pixels
        if pixels.tied_relations is None:
            raise ValueError(
                f"markov_report: measured for tables, whose parents are the same everywhere; not for {pixels.nouns}"
            )
        return markov_report(self.network, self.planes(images))

    def binarized_pictures(self, X: Any) -> npt.NDArray[np.uint8]:
        """The images as the model sees them: (n, height, width) uint8, values as :meth:`sample` returns them."""
        states = self.pixel_planes(self.validated(X)).states(self.threads)
        return self.binarization.pictures(states, self.image_shape)

    def bic_terms(self) -> tuple[float, int, float]:
        """(log-likelihood at maximum likelihood in nats, number of free parameters, BIC) of the training images.

        With hidden layers each is the sum over the layers.
        """
        return _sum_of_terms(self.network.networks)

    def bic(self, X: Any = None) -> float:
        """Bayesian information criterion of the training images, or of X under the same relations; smaller is better.

        ``n_parameters * ln(n) - 2 log-likelihood`` at maximum likelihood (thesis eq. 3), float.
        """
        if X is None:
            return self.bic_terms()[2]
        images, pixels = self.validated(X), self.network.pixels
        if not pixels.adds_counts:
            raise ValueError(
                f"X: the BIC of {pixels.nouns} is that of their training images; call bic() without images"
            )
        return _sum_of_terms(self.network.recounted(self.pixel_planes(images), self.threads).networks)[2]


def _sum_of_terms(networks: Iterable[CPD]) -> tuple[float, int, float]:
    log_likelihood, n_parameters, bic = zip(*(own.bic() for own in networks))
    return sum(log_likelihood), sum(n_parameters), sum(bic)
