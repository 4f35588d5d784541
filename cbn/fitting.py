# SPDX-License-Identifier: BSD-3-Clause
"""From bit-planes to a network of layers: training with checkpoints and interruption, counts, scales."""

import numbers
import os

import numpy as np

from . import __version__, scoring
from . import _validation as validation
from .architecture import geometry
from .checkpoint import fingerprint, load_checkpoint, save_checkpoint
from .layered import LayeredNetwork
from .presets import check_kernel_shapes
from .structure import check_relations, check_search_size
from .training import HiddenTraining, TrainingOptions

# Images on whose maps the heat-map scale of a network with hidden layers is measured.
SCALE_IMAGES = 1000


def training_geometries(setting, shape, n_thresholds):
    """The geometry of all layers, everything refused that cannot be trained. Raises ValueError."""
    geometries = geometry(*shape, n_thresholds, setting["hidden"])
    check_kernel_shapes(setting["kernels"], setting["hidden"], geometries)
    for number, layer in enumerate(geometries[1:]):
        forced, forbidden = setting["forced_relations"][number], setting["forbidden_relations"][number]
        check_relations(layer, number + 1, forced, forbidden)
        check_search_size(layer, setting["max_parents"], len(forced))
    return geometries


def train_hidden_layers(
    setting, geometries, planes, n_images, random_state, data_sha256, num_threads, *, progress=None, checkpoint=None,
    resume=False,
):  # fmt: skip
    """Trained layers, and whether training was interrupted before its end.

    Parameters
    ----------
    setting : dict
        Checked constructor arguments.
    geometries : sequence of LayerGeometry
    planes : ndarray, (pixel nodes, words) uint64
    n_images : int
    random_state : int, NumPy generator or None
        Asked for a seed by a new training. One that is resumed has its own, which an integer must equal.
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
    names = ("hidden", "iterations", "learning_rate", "momentum", "normalize_kernels", "keep_activation", "initialization",
             "activation", "replace_worst", "max_parents", "pseudocount", "forced_relations", "forbidden_relations")  # fmt: skip
    belongs = {name: setting[name] for name in names}
    belongs["kernels"] = [(k.weights.tolist(), k.bias.tolist(), k.pool) for k in setting["kernels"]]
    # bit-planes do not say where rows or images end; another version may train in another way
    belongs |= {"geometries": geometries, "n_images": n_images, "version": __version__}

    def mark(seed):
        own = random_state if isinstance(random_state, numbers.Integral) else seed
        return fingerprint(data_sha256, {**belongs, "seed": int(own)})

    state = None
    if checkpoint is not None and resume and os.path.exists(checkpoint):
        state, seed = load_checkpoint(checkpoint, mark, geometries)
    else:
        seed = validation.check_seed(random_state)
    options = TrainingOptions(
        **{name: setting[name] for name in ("iterations", "learning_rate", "momentum", "keep_activation", "initialization",
                                            "activation", "replace_worst", "max_parents", "pseudocount")},
        normalize=setting["normalize_kernels"], seed=seed,
        forced=setting["forced_relations"], forbidden=setting["forbidden_relations"],
    )  # fmt: skip
    training = HiddenTraining(setting["hidden"], geometries, planes, n_images, options, num_threads, setting["kernels"])
    try:
        for state in training.run(state):
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
    of = {name: network.layer_scores(planes, n_images, name, num_threads, leave_one_out=True) for name in {score, *every}}
    network.set_scales(layer_weights[: len(network)], of)
    return network.combine(of[score], score)


def map_quantile(network, planes, n_images, share, num_threads):
    """The surprise that a share of the pixels of the training images stays below, nats: on up to SCALE_IMAGES of them."""
    words = max(1, min(planes[0].shape[1], SCALE_IMAGES // 64))
    n = min(n_images, 64 * words)
    maps = network.surprise_maps([np.ascontiguousarray(own[:, :words]) for own in planes], n, num_threads)
    return float(np.quantile(maps, share))
