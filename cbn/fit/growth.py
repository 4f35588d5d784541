# SPDX-License-Identifier: BSD-3-Clause
"""From bit-planes to a network of layers: training with checkpoints and interruption, counts, scales."""

import os
from dataclasses import astuple
from numbers import Integral

import numpy as np

from .. import _validation as validation
from .._version import __version__
from ..cpd import table as scoring
from ..cpd.base import SCORES
from ..cpd.boosted import BoostedNetwork
from ..cpd.candidates import required_nodes
from ..cpd.tree import TreeNetwork
from ..exceptions import ModelFileError
from ..io.checkpoint import fingerprint
from ..layers.checkpoint import load_checkpoint, save_checkpoint
from ..layers.geometry import geometry
from ..layers.relations import check_relations, check_search_size
from ..layers.stack import LayeredNetwork
from ..layers.training import HiddenTraining, TrainingOptions
from .presets import weights_of_layers

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
    if setting["cpd"] != "table" and setting["iterations"] == 0:  # no kernel step asks for relations
        setting = setting | {"max_parents": 0}
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


def network_of(setting, pixel_layer, trained, geometries, planes, n_images, seed, num_threads, progress=None):
    """The LayeredNetwork of pixel bit-planes with the CPDs that the setting asks for, its scales still 1.

    Parameters
    ----------
    setting : dict
        Checked constructor arguments.
    pixel_layer : cbn.cpd.grid.Layer
        Relations of the pixels, for tables; for trees only its required ones count.
    trained : sequence of TrainedLayer
        Kernels of the hidden layers and, for tables, their relations.
    geometries : sequence of LayerGeometry
    planes : ndarray, (pixel nodes, words) uint64
    n_images, seed, num_threads : int
    progress : callable, optional
        Called with (nodes done, nodes in all) while boosted trees grow.
    """
    transitions = [t.kernels.transition(below) for t, below in zip(trained, geometries)]
    used = geometries[: 1 + len(trained)]
    network = LayeredNetwork([], transitions, used, {name: (1.0,) * len(used) for name in SCORES})
    for number, own in enumerate(network.planes(planes, n_images, num_threads)):
        geometry = used[number]
        required = required_nodes(pixel_layer) if number == 0 else None
        if setting["cpd"] == "table":
            layer = trained[number - 1].layer if number else pixel_layer
            found = scoring.CountedNetwork.from_planes(layer, own, n_images, setting["pseudocount"], num_threads)
        elif setting["cpd"] == "tree":
            found = TreeNetwork.grown(geometry, own, n_images, required, setting, num_threads)
        else:
            found = BoostedNetwork.grown(geometry, own, n_images, required, setting, seed, num_threads, progress)
        network.networks.append(found)
    return network


def leave_one_out_scores(network, planes, n_images, names, num_threads):
    """Score name -> (n_images, layers) scores of counted images, each by the network without it."""
    return {name: network.layer_scores(planes, n_images, name, num_threads, leave_one_out=True) for name in names}


def cross_validated_scores(grow, planes_of, images, names, folds, num_threads):
    """Score name -> (n_images, layers) scores of images, each by a network grown without its fold.

    Parameters
    ----------
    grow : callable, images -> LayeredNetwork
    planes_of : callable, images -> their pixel bit-planes
    images : ndarray, (n, height, width)
    names : iterable of str
    folds : int
        Image i belongs to fold i modulo the number of folds.
    num_threads : int
    """
    found = {}
    fold_of = np.arange(len(images)) % folds
    for fold in range(folds):
        own = fold_of == fold
        if own.all() or not own.any():  # a single image has none to be judged by
            continue
        network = grow(images[~own])
        planes = network.planes(planes_of(images[own]), int(own.sum()), num_threads)
        for name in names:
            scores = network.layer_scores(planes, int(own.sum()), name, num_threads)
            found.setdefault(name, np.zeros((len(images), len(network))))[own] = scores
    return found


def scaled_scores(network, layer_weights, scores_by_name, score):
    """(n_images,) combined scores of normal images; sets the network's scales from the layers' scores first."""
    network.set_scales(weights_of_layers(layer_weights, len(network)), scores_by_name)
    return network.combine(scores_by_name[score], score)


def score_names(network, score):
    """The scores that are needed of normal images: one layer has nothing to be brought to one scale."""
    return dict.fromkeys((score, *(SCORES if len(network) > 1 else ())))


def map_quantile(network, planes, n_images, share, num_threads):
    """The surprise that a share of the pixels of up to SCALE_IMAGES of the images stays below, nats."""
    words = max(1, min(planes[0].shape[1], SCALE_IMAGES // 64))
    n = min(n_images, 64 * words)
    maps = network.surprise_maps([np.ascontiguousarray(own[:, :words]) for own in planes], n, num_threads)
    return float(np.quantile(maps, share))
