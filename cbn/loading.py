# SPDX-License-Identifier: BSD-3-Clause
"""cbn.load: what a model file holds, in its estimator. The only file that knows all of them."""

import os
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from zipfile import ZipFile

from .estimators.classifier import ConvolutionalBayesianNetworkClassifier
from .estimators.iem import IntrospectiveEnergyModel
from .estimators.network import ConvolutionalBayesianNetwork
from .fit.modelfile import restore_classifier, restore_network
from .iem.files.modelfile import restore as restore_energy
from .iem.gaussian.files import restore as restore_gaussian
from .io.modelformat import read_model

Estimator = ConvolutionalBayesianNetwork | ConvolutionalBayesianNetworkClassifier | IntrospectiveEnergyModel


def load(path: str | os.PathLike[str], *, n_jobs: int | None = None) -> Estimator:
    """Read a model file.

    Parameters
    ----------
    path : str or path-like
    n_jobs : int, optional
        Threads; None is all cores. Not part of a model: results do not depend on it.

    Returns
    -------
    ConvolutionalBayesianNetwork, ConvolutionalBayesianNetworkClassifier or IntrospectiveEnergyModel

    Raises
    ------
    ModelFileError
        "not a cbn model", "newer than this version" or "damaged: ...".
    """

    def of(estimator: Any, restore: Callable[[ZipFile, dict[str, Any]], Any]) -> Callable[..., Estimator]:
        return lambda archive, header: estimator._of(replace(restore(archive, header), n_jobs=n_jobs))

    return read_model(
        path,
        {
            "network": of(ConvolutionalBayesianNetwork, restore_network),
            "classifier": of(ConvolutionalBayesianNetworkClassifier, restore_classifier),
            "energy": of(IntrospectiveEnergyModel, restore_energy),
            "gaussian": of(IntrospectiveEnergyModel, restore_gaussian),
        },
    )
