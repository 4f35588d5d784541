# SPDX-License-Identifier: BSD-3-Clause
"""Errors and warnings of cbn. Every error is one line that names the argument, the value and the mend."""


class CbnError(Exception):
    """Base class of all errors raised by cbn on purpose."""


class DataError(CbnError, ValueError):
    """Images, labels or weights that cannot be used: wrong shape, type, range, file format or content."""


class ModelFileError(CbnError, ValueError):
    """A file that is not a cbn model, is newer than this version, or is damaged."""


class MixingWarning(UserWarning):
    """Markov chains that had not mixed when their samples were taken."""


class CalibrationWarning(UserWarning):
    """Too few calibration images for the false-alarm rate asked for."""
