# SPDX-License-Identifier: BSD-3-Clause
"""The methods of the estimator that judge images: scores, p-values, surprise maps, explanations, hidden nodes, BIC."""

import numpy as np
from sklearn.utils.validation import check_is_fitted

from .. import _engine
from .. import _validation as validation
from ..cpd.base import SCORES
from ..exceptions import DataError
from ..explain.markov import markov_report
from ..explain.repair import Repair, repair_image
from ..explain.responses import mean_patches
from ..explain.surprise import explain_image

# Heat maps reach from 0 to the surprise that this share of the pixels of the training images stays below.
HEAT_MAP_SHARE = 0.999


class DetectionMixin:
    """Scores and what follows from them, for an estimator with a fitted network."""

    def _images(self, X, name="X"):
        check_is_fitted(self, "counts_")
        images = validation.as_images(X, name=name, image_shape=self.image_shape_)
        validation.check_full_scale(images, self.binarizer_.full_scale, name)
        return images

    def _scores(self, images, score):
        return self._network.combine(self._layer_scores(images, score), score)

    def _layer_scores(self, images, score):
        planes, threads = self._planes(images)
        return self._network.layer_scores(planes, len(images), score, threads)

    def _planes(self, images):
        """Bit-planes of every layer, and the number of threads."""
        threads = validation.check_threads(self.n_jobs)
        return self._network.planes(self.binarizer_.planes(images, threads), len(images), threads), threads

    def score_samples(self, X, score=None):
        """Score of every image; higher is more normal.

        Parameters
        ----------
        X : array-like, (n, height, width) or flat
        score : str, optional
            One of the scores below; the constructor's (or the preset's) by default.

            - "log_probability": log p(image) in nats (thesis eq. 1), under the rule ``binarization_``.
            - "surprise": minus the sum of (-log p - entropy of the pixel given its parents), nats. Images of few
              strokes are likely under every model; this takes that advantage away.
            - "standardized": minus the surprise divided by the standard deviation that the model expects of it.
            - "normalized": minus the sum of \\|-log p - mean\\| / standard deviation, both of that pixel's -log p over
              the training images, the deviation at least 0.01 nats (thesis eq. 14, 15).

            With hidden layers the score is the sum over layers of weight x score, each brought to the spread that the
            pixel layer's has over the training images, so that no layer drowns the others. "log_probability" is then
            an energy in nats of the pixel layer, no normalized probability; :meth:`layer_scores` has its parts.

        Returns
        -------
        scores : ndarray, (n,) float64
        """
        images = self._images(X)
        return self._scores(images, self._score_name(score))

    def layer_scores(self, X, score=None):
        """The score of every layer before they are combined: (n, layers) float64, the pixel layer first.

        Parameters
        ----------
        X : array-like, (n, height, width) or flat
        score : str, optional
            As in :meth:`score_samples`. Column 0 of "log_probability" is the normalized log p(image) in nats.
        """
        images = self._images(X)
        return self._layer_scores(images, self._score_name(score))

    def _score_name(self, score):
        return self.score_ if score is None else validation.check_choice(score, "score", SCORES)

    def surprise_map(self, X):
        """Surprise of every pixel, nats: (n, height, width) float64; each map sums to the image's surprise.

        0 is what the model expects of the pixel; large values are where the image is an outlier. Several thresholds
        are summed into their pixel. A hidden node's surprise is spread evenly over the pixels that it is a function of.
        """
        images = self._images(X)
        planes, threads = self._planes(images)
        return self._network.surprise_maps(planes, len(images), threads)

    def explain(self, image, n=10):
        """The nodes that surprise most in an image: what was expected there, and how often training saw it.

        Parameters
        ----------
        image : array-like, (height, width)
        n : int
            Number of nodes.

        Returns
        -------
        list of cbn.explain.surprise.NodeSurprise
            Those that contribute most to the image's surprise first; ``str()`` of each is a sentence.
        """
        image = validation.as_array(image, "image")
        if image.ndim != 2:
            raise DataError(f"image: shape {image.shape}; give one image of (height, width)")
        images = self._images(image[None], name="image")
        planes, threads = self._planes(images)
        n = validation.check_integer(n, "n", 1, 2**30)
        return explain_image(self._network, planes, n, self.binarizer_.thresholds, threads)

    def repair(self, image, max_changes=200):
        """The smallest set of pixel changes found that makes an outlier normal.

        Parameters
        ----------
        image : array-like, (height, width)
        max_changes : int
            Give up after so many pixels.

        Returns
        -------
        cbn.explain.repair.Repair
            Without changes for an image that is no outlier. Greedy: an upper bound of the smallest number of changes. A
            pixel set to any other grey level counts once.
        """
        image = validation.as_array(image, "image")
        if image.ndim != 2:
            raise DataError(f"image: shape {image.shape}; give one image of (height, width)")
        images = self._images(image[None], name="image")
        max_changes = validation.check_integer(max_changes, "max_changes", 1, 2**30)
        threads = validation.check_threads(self.n_jobs)

        def score_of(states):
            pictures = self.binarizer_.pictures(states, self.image_shape_)
            return self._scores(pictures if self.binarizer_.full_scale > 1 else pictures.astype(bool), self.score_)

        states = self.binarizer_.states(images, threads)[0]
        n_positions = images[0].size
        threshold = self.threshold_at(self.false_alarm_rate)
        repaired, places, score = repair_image(score_of, states, n_positions, threshold, max_changes)
        pictures = self.binarizer_.pictures(np.stack([states, repaired]), self.image_shape_)
        changes = tuple(divmod(place, self.image_shape_[1]) for place in places)
        return Repair(*pictures, changes, float(score_of(states[None])[0]), score, threshold, max_changes)

    def heat_map_scale(self):
        """Upper end of the heat-map scale, nats: 99.9 % of all pixels' surprises in training lie below. One per model."""
        check_is_fitted(self, "counts_")
        if self.heat_map_scale_ is not None:
            return max(self.heat_map_scale_, 0.01)
        quantile = self._network.pixels.surprise_quantile(HEAT_MAP_SHARE, validation.check_threads(self.n_jobs))
        return max(self._network.scales["surprise"][0] * quantile, 0.01)

    def node_statistics(self, layer=0):
        """What training saw at every node of a layer: share of ones, and mean -log p in nats.

        Parameters
        ----------
        layer : int
            0 are the pixels.

        Returns
        -------
        ones, nats : ndarray, both (channels, height, width) float64
        """
        check_is_fitted(self, "counts_")
        layer = validation.check_integer(layer, "layer", 0, len(self._network) - 1)
        network = self._network.networks[layer]
        shape = network.layer.channels, network.layer.height, network.layer.width
        ones, nats = network.node_means(validation.check_threads(self.n_jobs))
        return ones.reshape(shape), nats.reshape(shape)

    def layer_geometries(self):
        """Shape, receptive field and stride of every layer, the pixels' first: tuple of LayerGeometry."""
        check_is_fitted(self, "counts_")
        return tuple(self._network.geometries)

    def hidden_states(self, X):
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
        images = self._images(X)
        planes, threads = self._planes(images)
        found = []
        for own, geometry in zip(planes[1:], self._network.geometries[1:]):
            states = np.empty((len(images), len(own)), np.uint8)
            _engine.unpack_planes(own, states, threads)
            found.append(states.reshape(-1, geometry.channels, geometry.height, geometry.width))
        return found

    def mean_patches(self, X):
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
        hidden = zip(self.hidden_states(X), self._network.geometries[1:])
        return [mean_patches(pictures, states, geometry) / self.binarizer_.full_scale for states, geometry in hidden]

    def markov_report(self, X):
        """How far the network is from its own independence assumptions on images: a cbn.explain.markov.MarkovReport.

        Parameters
        ----------
        X : array-like, (n, height, width) or flat
            Best the training images: tables and relations are theirs.
        """
        images = self._images(X)
        if not self._network.pixels.leaves_one_out:
            raise ValueError("markov_report: measured for tables, whose parents are the same everywhere; not for trees")
        planes, _ = self._planes(images)
        return markov_report(self._network, planes, len(images))

    def binarized_pictures(self, X):
        """The images as the model sees them: (n, height, width) uint8, values as :meth:`sample` returns them."""
        images = self._images(X)
        states = self.binarizer_.states(images, validation.check_threads(self.n_jobs))
        return self.binarizer_.pictures(states, self.image_shape_)

    def bic_terms(self):
        """(log-likelihood at maximum likelihood in nats, number of free parameters, BIC) of the training images.

        With hidden layers each is the sum over the layers.
        """
        check_is_fitted(self, "counts_")
        return self._sum_of_terms(self._network.networks)

    @staticmethod
    def _sum_of_terms(networks):
        terms = [network.bic() for network in networks]
        return tuple(sum(column) for column in zip(*terms))

    def bic(self, X=None):
        """Bayesian information criterion of the training images, or of X under the same relations; smaller is better.

        ``n_parameters * ln(n) - 2 log-likelihood`` at maximum likelihood (thesis eq. 3), float.
        """
        if X is None:
            return self.bic_terms()[2]
        images = self._images(X)
        planes, threads = self._planes(images)
        if not hasattr(self._network.pixels, "recounted"):
            raise ValueError("X: the BIC of boosted trees is that of their training images; call bic() without images")
        networks = self._network.recounted(planes[0], len(images), threads).networks
        return self._sum_of_terms(networks)[2]
