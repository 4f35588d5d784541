# SPDX-License-Identifier: BSD-3-Clause
"""Checkpoints: the state of training after an iteration, from which it goes on to the same bytes."""

import hashlib
import json
from pathlib import Path

import numpy as np

from ._archive import read_archive, read_array, write_archive
from .exceptions import ModelFileError
from .kernels import Kernels
from .layerfile import describe_trained, read_trained, trained_arrays
from .training import TrainingState

FORMAT, VERSION = "cbn-checkpoint", 1


def fingerprint(data_sha256, setting):
    """What a checkpoint belongs to: a hash of the images and of every argument that training depends on.

    Parameters
    ----------
    data_sha256 : str
        Of the training bit-planes.
    setting : dict
        Arguments; anything with a telling repr.
    """
    text = json.dumps([data_sha256, sorted((name, repr(value)) for name, value in setting.items())])
    return hashlib.sha256(text.encode()).hexdigest()


def save_checkpoint(path, state, seed, mark):
    """Write a TrainingState, the seed and the fingerprint; complete or not at all."""
    layers = state.layers()
    header = {
        "format": FORMAT,
        "version": VERSION,
        "fingerprint": mark,
        "seed": seed,
        "finished": len(state.finished),
        "iteration": state.iteration,
        "layers": [describe_trained(layer) for layer in layers],
    }
    arrays, stored = {}, set()
    for number, layer in enumerate(layers, start=1):
        arrays |= trained_arrays(layer, f"layer_{number}")
        stored.add(f"layer_{number}_curve")
    if state.kernels is not None:
        arrays |= {"next_weights": state.kernels.weights, "next_bias": state.kernels.bias, "next_target": state.target}
        arrays |= {"next_velocity_weights": state.velocity[0], "next_velocity_bias": state.velocity[1]}
    write_archive(path, header, arrays, stored)


def load_checkpoint(path, mark, geometries):
    """(TrainingState, seed) of a checkpoint for the training that ``mark`` names.

    Parameters
    ----------
    path : str or path-like
    mark : callable, seed -> fingerprint
    geometries : sequence of LayerGeometry

    Raises
    ------
    ModelFileError
        Not a checkpoint, damaged, or of other images or arguments.
    """
    path = Path(path)

    def restore(archive, header):
        seed = header["seed"]
        if type(seed) is not int or not 0 <= seed < 2**64:
            raise ValueError(f"seed {seed!r}")
        if header["fingerprint"] != mark(seed):
            return None
        n_finished, iteration = header["finished"], header["iteration"]
        layers = [
            read_trained(archive, entry, f"layer_{number}", *geometries[number - 1 : number + 1])
            for number, entry in enumerate(header["layers"], start=1)
        ]
        if type(n_finished) is not int or not len(layers) - 1 <= n_finished <= len(layers):
            raise ValueError(f"{n_finished!r} finished layers of {len(layers)}")
        if len(layers) == n_finished:
            return TrainingState(finished=tuple(layers)), seed
        best = layers[-1]
        if iteration != len(best.curve):
            raise ValueError(f"iteration {iteration!r} after {len(best.curve)}")
        shape = best.kernels.weights.shape
        kernels = Kernels(
            read_array(archive, "next_weights", np.float64, shape),
            read_array(archive, "next_bias", np.float64, shape[:1]),
            best.kernels.pool,
        )
        velocity = (
            read_array(archive, "next_velocity_weights", np.float64, shape),
            read_array(archive, "next_velocity_bias", np.float64, shape[:1]),
        )
        target = read_array(archive, "next_target", np.float64, shape[:1])
        return TrainingState(tuple(layers[:-1]), iteration, kernels, velocity, target, best), seed

    found = read_archive(path, "a cbn checkpoint", "there is nothing to resume", FORMAT, VERSION, restore)
    if found is None:
        raise ModelFileError(
            f"{str(path)!r}: a checkpoint of other images, arguments or version of cbn; give the same ones, or delete "
            "it to begin anew"
        )
    return found
