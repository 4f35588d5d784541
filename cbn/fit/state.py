# SPDX-License-Identifier: BSD-3-Clause
"""What a fitted network is made of; :class:`cbn.fit.fitted.Fitted` is this with all that can be asked of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import _validation as validation
from ..bits.binarization import Binarization
from ..bits.planes import BitPlanes
from ..distributed.traffic import Traffic
from ..exceptions import DataError
from ..layers.stack import LayeredNetwork
from ..layers.training import TrainedLayer
from ..metrics.calibration import Calibration
from .settings import Arguments, Settings

Floats = npt.NDArray[np.float64]
# Heat maps reach from 0 to the surprise that this share of the pixels of the training images stays below.
HEAT_MAP_SHARE = 0.999


@dataclass(frozen=True, eq=False, kw_only=True)
class FittedState:
    """A network and everything that its methods read; nothing else is read after a fit.

    Attributes
    ----------
    arguments : Arguments
        As the user gave them: what an estimator made of this is constructed with.
    settings : Settings
        As they were resolved.
    network : LayeredNetwork
    hidden_layers : tuple of TrainedLayer
    binarization : Binarization
    n_images : int
        Images counted, shifted copies included.
    measured_heat_map_scale : float or None
        None where counts tell it.
    calibration : Calibration
    judge : LayeredNetwork or None
        The network by whose scores images are compared with the calibration's, where it is not ``network``: one that was
        grown without a part of the images, as the networks were that gave the calibration scores. Compared are thus
        scores under networks of one size.
    rule : str
        The rule that made bits of grey values, in words.
    provenance : dict
        Free-form record kept in files; ``data_digest`` tells the binarized training images.
    n_jobs : int or None
        Threads; not kept in files.
    traffic : Traffic or None
        What went over the network in a fit of a dask array; not kept in files.
    """

    arguments: Arguments
    settings: Settings
    network: LayeredNetwork
    hidden_layers: tuple[TrainedLayer, ...]
    binarization: Binarization
    n_images: int
    measured_heat_map_scale: float | None
    calibration: Calibration
    judge: LayeredNetwork | None
    rule: str
    provenance: dict[str, Any]
    n_jobs: int | None = None
    traffic: Traffic | None = None

    @property
    def image_shape(self) -> tuple[int, int]:
        """(height, width)"""
        layer = self.network.pixels.layer
        return layer.height, layer.width

    @property
    def n_features(self) -> int:
        """Pixels of an image."""
        return self.network.pixels.layer.n_positions

    @property
    def threads(self) -> int:
        """The number of threads of the engine."""
        return validation.check_threads(self.n_jobs)

    def validated(self, X: Any, name: str = "X") -> npt.NDArray[Any]:
        """Images (n, height, width) of the shape and scale that were learned. Raises DataError."""
        full_scale = self.binarization.full_scale
        images = validation.as_images(X, name=name, image_shape=self.image_shape, full_scale=full_scale)
        validation.check_full_scale(images, full_scale, name)
        return images

    def validated_image(self, image: Any) -> npt.NDArray[Any]:
        """One image as an array (1, height, width). Raises DataError."""
        image = validation.as_array(image, "image")
        if image.ndim != 2:
            raise DataError(f"image: shape {image.shape}; give one image of (height, width)")
        return self.validated(image[None], name="image")

    def pixel_planes(self, images: npt.NDArray[Any]) -> BitPlanes:
        """Bit-planes of the pixels of validated images."""
        return self.binarization.planes(images, self.threads)

    def planes(self, images: npt.NDArray[Any]) -> list[BitPlanes]:
        """Bit-planes of every layer."""
        return self.network.planes(self.pixel_planes(images), self.threads)

    def combined(self, planes: Sequence[BitPlanes], score: str) -> Floats:
        """(n,) combined scores of all layers."""
        return self.network.combine(self.network.layer_scores(planes, score, self.threads), score)

    def judged(self, planes: Sequence[BitPlanes]) -> Floats:
        """(n,) combined scores that can be compared with the calibration's."""
        network, score = self.judge or self.network, self.settings.score
        return network.combine(network.layer_scores(planes, score, self.threads), score)
