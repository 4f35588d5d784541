# SPDX-License-Identifier: BSD-3-Clause
"""The methods of the estimator that learn: fit, partial_fit, calibration."""

import hashlib


from .. import _validation as validation
from ..bits.augmentation import shifted_images
from ..bits.binarization import Binarization, check_thresholds, chosen_thresholds
from ..cpd import boostedlayer as boosted
from ..cpd import treelayer as trees
from ..cpd.grid import check_table_size, pixel_layer
from ..exceptions import DataError
from ..fit import growth as fitting
from ..fit.presets import resolve, starting_kernels
from .detection import HEAT_MAP_SHARE


class LearningMixin:
    """Training and calibration for an estimator that has the constructor arguments of presets.resolve."""

    def fit(self, X, y=None, *, progress=None, checkpoint=None, resume=False):
        """Learn from normal images, and calibrate the threshold on them.

        Tables are calibrated by leave-one-out scores of the training images, which counts allow exactly. Trees were
        chosen with the images in view, so each image is scored by a network grown without its fold.

        Parameters
        ----------
        X : array-like, (n, height, width) or flat (n, height * width)
            bool, integers 0..255, or floats in [0, 1]; flat images are square unless ``image_shape`` says otherwise.
        y : ignored
        progress : callable, optional
            Called with a :class:`cbn.layers.training.TrainingState` after every iteration of a hidden layer, and with
            (nodes done, nodes in all) while boosted trees grow, those of cross-validation included.
        checkpoint : path, optional
            File to write after every iteration of a hidden layer. It is still there when fit returns, so that nothing
            is lost before the model is saved: delete it then.
        resume : bool
            Go on from ``checkpoint`` if it is there; the result has the same bytes as that of an uninterrupted fit.

        Returns
        -------
        self

        Raises
        ------
        DataError
            Images that cannot be used: shape, type, range, NaN.
        ModelFileError
            A checkpoint of other images, arguments or seed, or a damaged one.
        ValueError
            A constructor argument outside its range, or a hidden layer that does not fit the images.
        KeyboardInterrupt
            While hidden layers were trained: the model is fitted with the best ones so far. At any other time it is
            not.
        """
        return self._fit(X, y, progress=progress, checkpoint=checkpoint, resume=resume)

    def _fit(self, X, y=None, *, progress=None, checkpoint=None, resume=False, held_out=True):
        """:meth:`fit`; with ``held_out`` False the scores of the training images themselves set the threshold.

        That grows no network but the one, for those who want the density alone.
        """
        setting = resolve(self)
        images = validation.as_images(X, image_shape=self.image_shape)
        full_scale = validation.full_scale_of(images) if self.full_scale is None else int(self.full_scale)
        if self.full_scale == 1:
            validation.check_full_scale(images, full_scale)
        _check_labels(y, images)
        thresholds = check_thresholds(chosen_thresholds(setting["threshold"], images, full_scale), full_scale)
        binarization = Binarization(thresholds, full_scale)
        layer = pixel_layer(*images.shape[1:], setting["offsets"], binarization.channels)
        geometries = fitting.training_geometries(setting, images.shape[1:], binarization.channels)
        if setting["cpd"] == "table":
            check_table_size(layer, "offsets")
        else:
            for geometry in geometries:
                if setting["cpd"] == "tree":
                    trees.check_growth_size(geometry, setting["reach"], setting["max_leaves"])
                else:
                    boosted.check_growth_size(geometry, setting["reach"], setting["boosting"])
        start = starting_kernels(self.kernels, setting["hidden"], geometries)
        threads = validation.check_threads(self.n_jobs)
        counted = shifted_images(images, setting["shift"])
        planes = binarization.planes(counted, threads)
        digest = hashlib.sha256(planes).hexdigest()
        trained, interrupted = fitting.train_hidden_layers(
            setting, start, geometries, planes, len(counted), self.random_state, digest, threads,
            progress=progress, checkpoint=checkpoint, resume=resume,
        )  # fmt: skip
        seed = validation.check_seed(self.random_state) if setting["cpd"] == "boosted" else 0
        folds = min(setting["folds"], len(images)) if setting["cpd"] != "table" and held_out else 1
        n_networks, n_grown = 1 + (folds if folds > 1 else 0), 0

        def grow(images):
            """The network of images with the kernels as they are."""
            nonlocal n_grown
            counted = shifted_images(images, setting["shift"])
            planes = binarization.planes(counted, threads)
            earlier, n_grown = n_grown, n_grown + 1

            def report(n_done, n_nodes):
                progress(earlier * n_nodes + n_done, n_networks * n_nodes)

            return fitting.network_of(
                setting, layer, trained, geometries, planes, len(counted), seed, threads, progress and report
            )

        network = grow(images)
        names = fitting.score_names(network, setting["score"])
        own = network.planes(binarization.planes(images, threads), len(images), threads)
        if network.pixels.leaves_one_out:
            source, scores = "leave-one-out", fitting.leave_one_out_scores(network, own, len(images), names, threads)
        elif folds > 1:
            source = "cross-validation"
            scores = fitting.cross_validated_scores(
                grow, lambda held: binarization.planes(held, threads), images, names, folds, threads
            )
        else:
            source = "training images"
            scores = {name: network.layer_scores(own, len(images), name, threads) for name in names}
        self._finish(network, trained, binarization, own, len(images), len(counted), setting, digest, source, scores)
        if interrupted:
            raise KeyboardInterrupt
        return self

    def partial_fit(self, X, y=None):
        """Add images to what was learned; kernels, relations and trees stay as they are.

        With tables and without hidden layers ``fit(A).partial_fit(B)`` has exactly the counts of ``fit(A and B)``. The
        threshold is calibrated again on the images of this call: by their leave-one-out scores under all counts, or, for
        trees, by their scores before they are counted. The first call is the same as :meth:`fit`; parameters and errors
        are those of :meth:`fit`. Boosted trees cannot add images (ValueError).
        """
        if not hasattr(self, "counts_"):
            return self.fit(X, y)
        setting = resolve(self)
        if not hasattr(self._network.pixels, "recounted"):
            raise ValueError("partial_fit: boosted trees are no counts, to which images could be added; fit all images")
        images = self._images(X)
        _check_labels(y, images)
        threads = validation.check_threads(self.n_jobs)
        counted = shifted_images(images, setting["shift"])
        planes = self.binarizer_.planes(counted, threads)
        digest = hashlib.sha256(planes)
        digest.update(self.provenance_.get("data_sha256", "").encode())
        network, names = self._network, fitting.score_names(self._network, setting["score"])
        own = network.planes(self.binarizer_.planes(images, threads), len(images), threads)
        source, scores = "separate images", None
        if not network.pixels.leaves_one_out:
            scores = {name: network.layer_scores(own, len(images), name, threads) for name in names}
        added = network.recounted(planes, len(counted), threads)
        for new, earlier in zip(added.networks, network.networks):
            new.add(earlier.counts)
        if scores is None:
            source, scores = "leave-one-out", fitting.leave_one_out_scores(added, own, len(images), names, threads)
        n_images = self.n_images_ + len(counted)
        self._finish(
            added, self.hidden_layers_, self.binarizer_, own, len(images), n_images, setting, digest.hexdigest(), source,
            scores,
        )  # fmt: skip
        return self

    def _finish(self, network, trained, binarization, planes, n, n_images, setting, digest, source, scores):
        """Sets every learned attribute; ``planes`` and ``scores`` are of n images that are among the counted ones."""
        threads = validation.check_threads(self.n_jobs)
        combined = fitting.scaled_scores(network, setting["layer_weights"], scores, setting["score"])
        self.heat_map_scale_ = None
        if trained or not network.pixels.leaves_one_out:
            self.heat_map_scale_ = fitting.map_quantile(network, planes, n, HEAT_MAP_SHARE, threads)
        self._set_network(network, trained, binarization, n_images, setting["score"])
        self.binarization_ = binarization.describe()
        self.provenance_ = {"data_sha256": digest}
        self._set_calibration(combined, source)
        self.threshold_at(self.false_alarm_rate)  # warns of too few images

    def _set_network(self, network, trained, binarization, n_images, score):
        self._network, self.hidden_layers_ = network, tuple(trained)
        self.binarizer_, self.score_, self.n_images_ = binarization, score, n_images
        self.layer_, self.counts_ = network.pixels.layer, network.pixels.counts
        self.image_shape_ = (self.layer_.height, self.layer_.width)
        self.n_features_in_ = self.layer_.n_positions


def _check_labels(y, images):
    if hasattr(y, "__len__") and len(y) != len(images):
        raise DataError(f"y: {len(y)} labels for {len(images)} images")
