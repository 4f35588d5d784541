# SPDX-License-Identifier: BSD-3-Clause
"""Model files of Gaussian energy models: kind "gaussian" of :mod:`cbn.io.modelformat`, from version 7 on. Version 9 has ``blocks``,
version 12 ``usual``, and other defaults of cbn.iem.Gaussian, version 13 ``sharpen``.

Header beside ``format``, ``version``, ``kind`` and ``package``
--------------------------------------------------------------
arguments      of the fit: ``gaussian`` null or the fields of cbn.iem.Gaussian (``blocks`` from version 9 on), ``brightness``, ``false_alarm_rate``
backbone       hash of the pretrained network's weights; those that come with the package are not in the file; null without
picture_shape  [height, width, channels]
n_images       pictures of the fit
calibration    where the scores of normal pictures come from
digest         null, or of models that keep sums the sum of all pictures' digests, modulo 2^64
provenance     free-form record

Arrays: ``basis`` float32 (features, directions), ``offset`` float32 (directions,); ``mean`` float32 (positions,
directions) and ``factors`` float32 (positions, floats) as cbn_gaussian_factors() packs them; ``calibration`` float64 (n,);
``usual`` float32 (2, rows, columns), slope and offset of relative energies, of models that have them;
``weights`` float32, where the network's are not those of the package. Without a network the filters of every scale s, from
0: ``first_weights_s`` float32 (taps, channels, filters) and ``first_bias_s`` float32 (filters,), of the second layer alike.
Models that keep sums: ``sums`` int64 (positions, features), ``products`` int64 (positions, features * (features + 1) / 2),
``digests`` uint64 (kept,) in increasing order and ``kept`` int16 (kept, rows, columns, features). None is compressed.
"""

from typing import Any
from zipfile import ZipFile

import numpy as np

from ... import _engine
from ... import _validation as validation
from ...io.archive import read_array
from ...metrics.calibration import Calibration
from ..files.levelfile import read_finite
from ..files.modelfile import read_shape
from ..names import SCRATCH
from ..parameters import Arguments
from ..pretrained.efficientnet import EfficientNetLite0
from .features import Extractor, PretrainedFeatures
from .fitted import FittedGaussianModel
from .fitting import checked, kind_of
from .models import directions_of, has_usual
from .parameters import BEFORE, DIRECTIONS_BEFORE, SHARPEN_BEFORE, Gaussian
from .positions import Moments, PositionGaussians, diagonals, n_products
from .scratch import FIRST, FIRST_SIDE, SCALES, SECOND, SECOND_SIDE, Filters, PCAFeatures
from .sums import KeptSums
from .usual import Usual
from .whitening import Whitening
from .writing import KEPT, KIND, LAYERS, VERSION, VERSION_OF_BLOCKS, VERSION_OF_USUAL, save

__all__ = ["KIND", "restore", "save"]

FIRST_VERSION = 7
CALIBRATIONS = ("leave-one-out", "separate images")


def restore(archive: ZipFile, header: dict[str, Any]) -> FittedGaussianModel:
    """The fitted model of an open model file. Anything that cannot be one raises one of the exceptions in DAMAGE."""
    if header["version"] < FIRST_VERSION:
        raise ValueError(f"kind {KIND!r} in version {header['version']}")
    given = header["arguments"]
    if not isinstance(given, dict) or set(given) != {*KEPT, "gaussian"}:
        raise ValueError("the header names other arguments than Gaussian models have")
    parameters = given["gaussian"]
    if parameters is not None and "blocks" in parameters and header["version"] < VERSION_OF_BLOCKS:
        raise ValueError(f"blocks in version {header['version']}")
    if parameters is not None and "sharpen" in parameters and header["version"] < VERSION:
        raise ValueError(f"sharpen in version {header['version']}")
    if header["version"] < VERSION_OF_USUAL:
        parameters = _before(parameters or {}, header["backbone"] is not None)
    if header["version"] < VERSION:
        parameters = (parameters or {}) | {"sharpen": SHARPEN_BEFORE}
    arguments = Arguments(
        **{name: given[name] for name in KEPT},
        gaussian=None if parameters is None else Gaussian().set_params(**parameters),
        backbone=SCRATCH if header["backbone"] is None else None,
    )
    if arguments.random_state is not None:
        validation.check_seed(arguments.random_state)
    gaussian, brightness, rate = checked(arguments)
    picture_shape = read_shape(header)
    n_images = validation.check_integer(header["n_images"], "n_images", 2, 2**40)
    source = validation.check_choice(header["calibration"], "calibration", CALIBRATIONS)
    provenance = dict(header["provenance"])
    if provenance != header["provenance"]:
        raise ValueError("provenance of another type")
    extractor = _extractor(archive, header["backbone"], picture_shape[2], gaussian)
    rows, columns = extractor.shape(*picture_shape[:2])
    size = directions_of(gaussian, kind_of(arguments))
    mean = read_finite(archive, "mean", (rows * columns, size))
    factors = read_finite(archive, "factors", (rows * columns, _engine.factor_floats(size)))
    if not (diagonals(factors, size) > 0).all():
        raise ValueError("factors whose diagonal is not above 0")
    whitening = Whitening(
        read_finite(archive, "basis", (extractor.n_features, size)), read_finite(archive, "offset", (size,))
    )
    scores = read_array(archive, "calibration", np.float64, (None,))
    sums = (
        _sums(archive, header.get("digest"), (rows, columns, extractor.n_features), n_images)
        if gaussian.keep_sums
        else None
    )
    return FittedGaussianModel(
        picture_shape=picture_shape,
        brightness=brightness,
        extractor=extractor,
        whitening=whitening,
        gaussians=PositionGaussians((rows, columns), n_images, gaussian, mean, factors),
        usual=_usual(archive, (rows, columns)) if has_usual(gaussian, n_images) else None,
        calibration=Calibration.restored(scores, source, rate),
        n_images=n_images,
        provenance=provenance,
        arguments=arguments,
        sums=sums,
    )


def _before(parameters: dict[str, Any], pretrained: bool) -> dict[str, Any]:
    """Parameters of a file before version 12, where other values were the defaults."""
    directions = parameters.get("directions")
    return BEFORE | parameters | {"directions": DIRECTIONS_BEFORE[pretrained] if directions is None else directions}


def _usual(archive: ZipFile, shape: tuple[int, int]) -> Usual:
    slope, offset = read_finite(archive, "usual", (2, *shape))
    if not (slope > 0).all():
        raise ValueError("usual energies whose slope is not above 0")
    return Usual(slope, offset)


def _sums(archive: ZipFile, digest: Any, shape: tuple[int, int, int], n_images: int) -> KeptSums:
    positions, features = shape[0] * shape[1], shape[2]
    sums = read_array(archive, "sums", np.int64, (positions, features))
    products = read_array(archive, "products", np.int64, (positions, n_products(features)))
    most = n_images * _engine.MAX_ROUNDED
    for array, bound in ((sums, most), (products, most * _engine.MAX_ROUNDED)):
        if array.max() > bound or array.min() < -bound:
            raise ValueError(f"sums that {n_images} pictures cannot have")
    digests = read_array(archive, "digests", np.uint64, (None,))
    if not 1 <= len(digests) <= n_images:
        raise ValueError(f"features of {len(digests)} pictures are kept, of {n_images}")
    kept = read_array(archive, "kept", np.int16, (len(digests), *shape))
    if (digests[1:] < digests[:-1]).any() or kept.min() < -_engine.MAX_ROUNDED or kept.max() > _engine.MAX_ROUNDED:
        raise ValueError("digests in another order, or features out of range")
    return KeptSums(
        Moments(sums, products, n_images), validation.check_integer(digest, "digest", 0, 2**64 - 1), digests, kept
    )


def _extractor(archive: ZipFile, digest: Any, channels: int, gaussian: Gaussian) -> Extractor:
    smooth = bool(gaussian.smooth)
    if digest is not None:
        assert gaussian.blocks is not None  # of resolved parameters
        return PretrainedFeatures(_network(archive, digest), gaussian.blocks, smooth)
    sizes = ((FIRST_SIDE**2, channels, FIRST), (SECOND_SIDE**2, FIRST, SECOND))
    first, second = (
        [
            Filters(
                read_finite(archive, f"{layer}_weights_{scale}", shape),
                read_finite(archive, f"{layer}_bias_{scale}", shape[2:]),
            )
            for scale in range(SCALES)
        ]
        for layer, shape in zip(LAYERS, sizes, strict=True)
    )
    return PCAFeatures(first, second, smooth)


def _network(archive: ZipFile, digest: Any) -> EfficientNetLite0:
    """The network of a file: with weights of its own, or that of the package."""
    if "weights.npy" in archive.namelist():
        network = EfficientNetLite0.of_packed(read_array(archive, "weights", np.float32, (None,)))
    else:
        network = EfficientNetLite0()
    if network.digest() != digest:
        raise ValueError("made with other weights of the pretrained network than those of this version")
    return network
