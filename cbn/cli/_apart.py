# SPDX-License-Identifier: BSD-3-Clause
"""Whether the images of --calibration had no part in a training that is to begin."""

import hashlib

from ..exceptions import DataError
from . import _common as common

OPTION = "--calibration"
# This share of the images may be among those of training by chance, beside twice the share of these that repeat each other.
CHANCE = 0.01


def check_apart(arguments, trained, calibration):
    """Refuses images that all are training images too, and warns where some are.

    Small binary images may be equal by chance. How often is seen in the training images, which repeat each other then.

    Parameters
    ----------
    trained : list of bytes
        :func:`hashes_of` the training images as they were read.
    calibration : ndarray, (n, ...)

    Raises
    ------
    DataError
        They name the option.
    """
    own = hashes_of(calibration)
    different = set(trained)
    shared = sum(one in different for one in own)
    if shared <= len(own) * (CHANCE + 2 * (1 - len(different) / len(trained))):
        return
    if shared == len(own):
        raise DataError(
            f"{OPTION}: all {len(own):,} images are among those of the training; give others, or leave the option out"
        )
    common.warn(
        arguments,
        f"{OPTION}: {shared:,} of {len(own):,} images are among those of the training; expect more false alarms than asked "
        "for, or give images that had no part in it",
    )


def hashes_of(images):
    """A list of one hash for every image of an array (n, ...)."""
    kind = f"{images.dtype.str}{images.shape[1:]}".encode()
    return [hashlib.blake2b(kind + own.tobytes(), digest_size=16).digest() for own in images]
