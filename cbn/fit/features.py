# SPDX-License-Identifier: BSD-3-Clause
"""The step "features" of the fit: hidden layers trained above given pixels, with checkpoints and interruption."""

import os
from collections.abc import Callable, Sequence
from dataclasses import astuple
from numbers import Integral
from typing import Any

from .._version import __version__
from ..bits.planes import BitPlanes
from ..exceptions import ModelFileError
from ..io.checkpoint import fingerprint
from ..layers.checkpoint import load_checkpoint, save_checkpoint
from ..layers.geometry import LayerGeometry
from ..layers.kernels import Kernels
from ..layers.training import HiddenTraining, TrainedLayer, TrainingOptions, TrainingState
from .settings import Settings


def train_features(
    settings: Settings,
    start: Sequence[Kernels],
    geometries: Sequence[LayerGeometry],
    planes: BitPlanes,
    num_threads: int,
    *,
    progress: Callable[..., None] | None = None,
    checkpoint: Any = None,
    resume: bool = False,
) -> tuple[tuple[TrainedLayer, ...], bool]:
    """Trained layers, and whether training was interrupted before its end.

    Parameters
    ----------
    settings : Settings
        Its ``random_state`` makes the seed of a new training. One that is resumed has its own, which must be this if it
        is a number.
    start : sequence of Kernels
        Kernels to start from, for the first layers.
    geometries : sequence of LayerGeometry
    planes : BitPlanes
        Of the pixels, of all counted images.
    num_threads : int
    progress : callable, optional
        Called with the TrainingState after every iteration.
    checkpoint : path, optional
        File to write after every iteration. It stays, because what is learned is not saved yet.
    resume : bool
        Go on from the checkpoint, if there is one.

    Returns
    -------
    layers : tuple of TrainedLayer
    interrupted : bool
        KeyboardInterrupt: ``layers`` are the finished ones and the best so far of the one under way.
    """
    features = settings.features
    mark = _marker(settings, start, geometries, planes) if checkpoint is not None else None
    state: TrainingState | None = None
    if mark is not None and resume and os.path.exists(checkpoint):
        state, seed = load_checkpoint(checkpoint, mark, features.layers, geometries)
        if isinstance(settings.random_state, Integral) and settings.seed() != seed:
            raise ModelFileError(
                f"{os.fsdecode(checkpoint)!r}: a checkpoint of random_state {seed}, not {settings.random_state}; give "
                "the same one, or delete it to begin anew"
            )
    elif not features.layers:
        return (), False
    else:
        seed = settings.seed()
    options = training_options(settings, seed)
    states = HiddenTraining(features.layers, geometries, planes, options, num_threads, start).run(state)
    try:
        for state in states:
            if mark is not None:
                save_checkpoint(checkpoint, state, seed, mark(seed))
            if progress is not None:
                progress(state)
    except KeyboardInterrupt:
        return (state.layers() if state is not None else ()), True
    return (state.finished if state is not None else ()), False


def training_options(settings: Settings, seed: int) -> TrainingOptions:
    """How hidden layers are learned."""
    features = settings.features
    return TrainingOptions(
        iterations=features.iterations,
        learning_rate=features.learning_rate,
        momentum=features.momentum,
        normalize=features.normalize_kernels,
        keep_activation=features.keep_activation,
        initialization=features.initialization,
        activation=features.activation,
        replace_worst=features.replace_worst,
        # where neither kernel steps nor the network ask for relations, none are searched
        max_parents=features.max_parents if settings.kind.uses_relations or features.iterations else 0,
        pseudocount=features.pseudocount,
        seed=seed,
        forced=features.relations("forced_relations"),
        forbidden=features.relations("forbidden_relations"),
    )


def _marker(
    settings: Settings, start: Sequence[Kernels], geometries: Sequence[LayerGeometry], planes: BitPlanes
) -> Callable[[int], str]:
    """From a seed to what a checkpoint belongs to: the images, and everything that training depends on."""
    own = settings.features.get_params()
    belongs = {name: value for name, value in own.items() if name not in ("layer_weights", "kernels")}
    belongs["layers"] = [astuple(layer) for layer in (*geometries, *settings.features.layers)]
    belongs["kernels"] = [(k.weights.tolist(), k.bias.tolist(), k.pool) for k in start]
    belongs["uses_relations"] = settings.kind.uses_relations
    belongs |= {"n_images": planes.n_images, "version": __version__}  # black images change no bit-plane
    digest = planes.sha256()
    return lambda seed: fingerprint(digest, {**belongs, "seed": seed})
