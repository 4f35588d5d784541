# SPDX-License-Identifier: BSD-3-Clause
"""From bit-planes to a network of layers: training with checkpoints and interruption, counts, scales."""

import os
from dataclasses import astuple
from numbers import Integral

import numpy as np

from . import __version__, scoring
from . import _validation as validation
from .architecture import geometry
from .checkpoint import fingerprint, load_checkpoint, save_checkpoint
from .exceptions import ModelFileError
from .layered import LayeredNetwork
from .presets import weights_of_layers
from .structure import check_relations, check_search_size
from .training import HiddenTraining, TrainingOptions

# Images on whose maps the heat-map scale of a network with hidden layers is measured.
SCALE_IMAGES = 1000


def training_geometries(setting, shape, n_thresholds):
    """The geometry of all layers, everything refused that cannot be trained. Raises ValueError."""
    geometries = geometry(*shape, n_thresholds, setting["hidden"])
    for number, layer in enumerate(geometries[1:]):
        forced = setting["forced_relations"][number]
        check_relations(layer, number + 1, forced, setting["forbidden_relations"][number])
        check_search_size(layer, setting["max_parents"], forced)
    return geometries


def train_hidden_layers(
    setting, start, geometries, planes, n_images, random_state, data_sha256, num_threads, *,
    progress=None, checkpoint=None, resume=False,
):  # fmt: skip
    """Trained layers, and whether training was interrupted before its end.

    Parameters
    ----------
    setting : dict
        Checked constructor arguments.
    start : sequence of Kernels
        Kernels to start from, for the first layers.
    geometries : sequence of LayerGeometry
    planes : ndarray, (pixel nodes, words) uint64
    n_images : int
    random_state : int, NumPy generator or None
        Makes the seed of a new training. One that is resumed has its own, which must be this if it is a number.
    data_sha256 : str
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
    same = ("iterations", "learning_rate", "momentum", "keep_activation", "initialization", "activation",
            "replace_worst", "max_parents", "pseudocount")  # fmt: skip
    belongs = {name: setting[name] for name in (*same, "normalize_kernels", "forced_relations", "forbidden_relations")}
    belongs["layers"] = [astuple(layer) for layer in (*geometries, *setting["hidden"])]
    belongs["kernels"] = [(k.weights.tolist(), k.bias.tolist(), k.pool) for k in start]
    belongs |= {"n_images": n_images, "version": __version__}  # black images change no bit-plane

    def mark(seed):
        return fingerprint(data_sha256, {**belongs, "seed": seed})

    state = None
    if checkpoint is not None and resume and os.path.exists(checkpoint):
        state, seed = load_checkpoint(checkpoint, mark, setting["hidden"], geometries)
        if isinstance(random_state, Integral) and validation.check_seed(random_state) != seed:
            raise ModelFileError(
                f"{os.fsdecode(checkpoint)!r}: a checkpoint of random_state {seed}, not {random_state}; give the same "
                "one, or delete it to begin anew"
            )
    else:  # a generator is left alone where nothing is drawn
        seed = validation.check_seed(random_state) if setting["hidden"] else 0
    options = TrainingOptions(
        **{name: setting[name] for name in same}, normalize=setting["normalize_kernels"], seed=seed,
        forced=setting["forced_relations"], forbidden=setting["forbidden_relations"],
    )  # fmt: skip
    states = HiddenTraining(setting["hidden"], geometries, planes, n_images, options, num_threads, start).run(state)
    try:
        for state in states:
            if checkpoint is not None:
                save_checkpoint(checkpoint, state, seed, mark(seed))
            if progress is not None:
                progress(state)
    except KeyboardInterrupt:
        return (state.layers() if state is not None else ()), True
    return (state.finished if state is not None else ()), False


def count_layers(pixel_layer, trained, geometries, planes, n_images, pseudocount, num_threads):
    """The LayeredNetwork of pixel bit-planes, its scales still 1."""
    transitions = [t.kernels.transition(below) for t, below in zip(trained, geometries)]
    layers = [pixel_layer, *(t.layer for t in trained)]
    used = geometries[: len(layers)]
    network = LayeredNetwork([], transitions, used, {name: (1.0,) * len(layers) for name in scoring.SCORES})
    for layer, own in zip(layers, network.planes(planes, n_images, num_threads)):
        network.networks.append(scoring.CountedNetwork.from_planes(layer, own, n_images, pseudocount, num_threads))
    return network


def leave_one_out_scores(network, layer_weights, planes, n_images, score, num_threads):
    """(n_images,) combined leave-one-out scores of counted images; sets the network's scales from them first."""
    every = scoring.SCORES if len(network) > 1 else ()  # one layer has nothing to be brought to one scale
    of = {
        name: network.layer_scores(planes, n_images, name, num_threads, leave_one_out=True)
        for name in dict.fromkeys((score, *every))
    }
    network.set_scales(weights_of_layers(layer_weights, len(network)), of)
    return network.combine(of[score], score)


def map_quantile(network, planes, n_images, share, num_threads):
    """The surprise that a share of the pixels of up to SCALE_IMAGES of the images stays below, nats."""
    words = max(1, min(planes[0].shape[1], SCALE_IMAGES // 64))
    n = min(n_images, 64 * words)
    maps = network.surprise_maps([np.ascontiguousarray(own[:, :words]) for own in planes], n, num_threads)
    return float(np.quantile(maps, share))
