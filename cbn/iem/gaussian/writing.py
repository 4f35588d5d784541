# SPDX-License-Identifier: BSD-3-Clause
"""Writes model files; :mod:`cbn.iem.gaussian.files` describes and reads them."""

from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from ..._version import __version__
from ...io.archive import write_archive
from ...io.modelformat import FORMAT, plain
from ...metrics.calibration import Calibration
from ..nn.arrays import Shape
from ..parameters import Arguments
from ..pretrained.efficientnet import EfficientNetLite0
from .features import Extractor, PretrainedFeatures
from .positions import PositionGaussians
from .scratch import PCAFeatures
from .sums import KeptSums
from .usual import Usual
from .whitening import Whitening

KIND, VERSION = "gaussian", 13
VERSION_OF_USUAL = 12  # the first of files that may have usual energies
VERSION_OF_BLOCKS = 9  # the first of files whose parameters name blocks
LAYERS = ("first", "second")  # of filters without a pretrained network
KEPT = ("sidewards", "brightness", "false_alarm_rate", "random_state")


class Content(Protocol):
    """What a file holds of a FittedGaussianModel."""

    @property
    def arguments(self) -> Arguments: ...
    @property
    def picture_shape(self) -> Shape: ...
    @property
    def extractor(self) -> Extractor: ...
    @property
    def whitening(self) -> Whitening: ...
    @property
    def gaussians(self) -> PositionGaussians: ...
    @property
    def usual(self) -> Usual | None: ...
    @property
    def calibration(self) -> Calibration: ...
    @property
    def n_images(self) -> int: ...
    @property
    def provenance(self) -> dict[str, Any]: ...
    @property
    def sums(self) -> KeptSums | None: ...


def save(fitted: Content, path: Any) -> None:
    """Write a fitted model, complete or not at all. Raises CbnError where it cannot be written."""
    digest, features = _of_features(fitted.extractor)
    given = {name: plain(getattr(fitted.arguments, name)) for name in (*KEPT, "gaussian")}
    header = {
        "format": FORMAT,
        "version": VERSION,
        "kind": KIND,
        "package": __version__,
        "arguments": given,
        "backbone": digest,
        "picture_shape": list(fitted.picture_shape),
        "n_images": fitted.n_images,
        "calibration": fitted.calibration.source,
        "digest": None if fitted.sums is None else fitted.sums.digest,
        "provenance": fitted.provenance,
    }
    arrays: dict[str, npt.NDArray[Any]] = {
        "basis": fitted.whitening.basis,
        "offset": fitted.whitening.offset,
        "mean": fitted.gaussians.mean,
        "factors": fitted.gaussians.factors,
        "calibration": fitted.calibration.scores,
    }
    if fitted.usual is not None:
        arrays["usual"] = np.stack([fitted.usual.slope, fitted.usual.offset])
    features |= _of_sums(fitted.sums)
    write_archive(path, header, arrays | features, stored={*arrays, *features})


def _of_sums(sums: KeptSums | None) -> dict[str, npt.NDArray[Any]]:
    if sums is None:
        return {}
    own = sums.moments
    return {"sums": own.sums, "products": own.products, "digests": sums.digests, "kept": sums.features}


def _of_features(extractor: Extractor) -> tuple[str | None, dict[str, npt.NDArray[Any]]]:
    """What makes the features: the hash of a pretrained network, and arrays that the package has not."""
    if isinstance(extractor, PretrainedFeatures):
        digest = extractor.network.digest()
        return digest, {} if digest == EfficientNetLite0().digest() else {"weights": extractor.network.packed}
    assert isinstance(extractor, PCAFeatures)
    return None, {
        f"{layer}_{name}_{scale}": getattr(filters, name)
        for layer in LAYERS
        for scale, filters in enumerate(getattr(extractor, layer))
        for name in ("weights", "bias")
    }
