# SPDX-License-Identifier: BSD-3-Clause
"""cbn-train --dry-run: sizes by arithmetic, time by training a little on a few images."""

import time
from dataclasses import replace

import numpy as np

from ..fit.presets import resolve
from ..layers.relations import candidate_relations
from . import _common as common
from ._train_report import layer_names

# Images and iterations of the trial.
TRIAL_IMAGES, TRIAL_ITERATIONS = 2048, 3
# Rounds of boosted trees of the trial.
TRIAL_ROUNDS = 4
# Bytes of an entry of a table: its two counts, and the tables of probabilities and of two scores that are made of them.
ENTRY_BYTES = 2 * (8 + 3 * 8)
# Bytes of a vertex of a tree: split and two children; of a boosted tree: split and value.
TREE_BYTES, BOOSTED_BYTES = 4 + 2 * 4, 4 + 4


def dry_run(arguments, model, images, geometries):
    """Prints parameters, memory and expected time of the whole job: one model, or one for each label.

    Parameters
    ----------
    arguments : argparse.Namespace
    model : ConvolutionalBayesianNetwork
    images : ImageSet
    geometries : sequence of LayerGeometry
        Of the pixels and of every hidden layer.
    """
    sets = sets_of(arguments, images)
    largest = max(sets, key=len)
    setting = resolve(model)
    trial, seconds_per_image, n_trial = _time(model, largest, setting)
    copies = (2 * setting["shift"] + 1) ** 2
    parameters, table_bytes = _sizes(setting, geometries, trial)
    n_nodes = sum(own.channels * own.height * own.width for own in geometries)
    words = -(-len(largest) * copies // 64)
    result = {
        "n_models": len(sets),
        "n_train": sum(map(len, sets)),
        "image_shape": list(trial.image_shape_),
        "n_nodes": n_nodes,
        "cpd": setting["cpd"],
        "n_parameters": parameters,
        "layers": [
            {"name": name, "shape": [own.channels, own.height, own.width], "receptive_field": own.receptive_field,
             "distance": own.distance}
            for name, own in zip(layer_names(len(geometries)), geometries)
        ],
        "memory_bytes": {
            "images": images.images.nbytes + (largest.images.nbytes * copies if copies > 1 else 0),
            "bit_planes": n_nodes * words * 8,
            "tables": table_bytes,
        },
        "expected_fit_seconds": seconds_per_image * sum(map(len, sets)),
    }  # fmt: skip
    common.print_json(result) if arguments.json else _print(result, n_trial)


def sets_of(arguments, images):
    """The training images of every model of the job."""
    if arguments.digit is None:
        return [images]
    labels = np.unique(images.labels).tolist() if arguments.digit == "all" else [arguments.digit]
    return [images.select(label) for label in labels]


def _sizes(setting, geometries, trial):
    """(most parameters of a model, bytes of its tables or trees)."""
    n_nodes = sum(own.channels * own.height * own.width for own in geometries)
    if setting["cpd"] == "boosted":
        boosting = setting["boosting"]
        n_leaves = n_nodes * boosting.rounds * boosting.max_leaves
        n_vertices = n_nodes * boosting.rounds * (2 * boosting.max_leaves - 1)
        return n_leaves + n_nodes, n_vertices * BOOSTED_BYTES
    if setting["cpd"] == "tree":
        n_leaves = n_nodes * setting["max_leaves"]
        return n_leaves, (2 * n_leaves - n_nodes) * (ENTRY_BYTES + TREE_BYTES)
    # every kernel with as many parents as may be searched for it
    most = [min(setting["max_parents"], len(candidate_relations(own)) // own.channels) for own in geometries[1:]]
    hidden_rows = sum(own.channels * own.height * own.width << k for own, k in zip(geometries[1:], most))
    return trial._network.pixels.bic()[1] + hidden_rows, (len(trial.counts_) + hidden_rows) * ENTRY_BYTES


def _time(model, images, setting):
    """(trial model, expected seconds for each training image, number of images tried)."""
    from sklearn.base import clone

    n_trial, n_iterations = min(TRIAL_IMAGES, len(images)), min(TRIAL_ITERATIONS, setting["iterations"])
    trial = clone(model)
    trial.set_params(false_alarm_rate=0.5, iterations=0, replace_worst=0)  # a small set has its own threshold
    rounds = setting["boosting"].rounds
    if setting["cpd"] == "boosted":
        trial.set_params(boosting=replace(setting["boosting"], rounds=min(rounds, TRIAL_ROUNDS)))
    trial.fit(images.images[:n_trial])  # warms up
    moments = []
    start = time.perf_counter()
    trial.set_params(iterations=n_iterations).fit(
        images.images[:n_trial], progress=lambda *state: moments.append(time.perf_counter())
    )
    seconds = time.perf_counter() - start
    if setting["cpd"] == "boosted":  # the rounds take the time
        seconds *= max(1, rounds / TRIAL_ROUNDS)
    elif n_iterations:
        # every layer reports after each of its iterations and once more after the last structure step
        by_layer = np.reshape(moments, (len(setting["hidden"]), n_iterations + 1))
        per_iteration = (by_layer[:, -1] - by_layer[:, 0]).sum() / n_iterations
        seconds += per_iteration * (setting["iterations"] - n_iterations)
    return trial, seconds / n_trial, n_trial


def _print(result, n_trial):
    megabytes = {name: f"{name.replace('_', ' ')} {size / 1e6:.1f} MB" for name, size in result["memory_bytes"].items()}
    height, width = result["image_shape"]
    hidden = result["layers"][1:]
    if result["n_models"] > 1:
        print(f"models           {result['n_models']}; parameters and memory are those of the largest")
    print(f"images           {result['n_train']:,} of {height} x {width} pixels")
    for layer in hidden:
        channels, height, width = layer["shape"]
        field, distance = layer["receptive_field"], layer["distance"]
        print(
            f"{layer['name']:17}{channels} kernels x {height} x {width} positions, each sees {field} x {field} pixels, "
            f"parents {distance} positions away"
        )
    most = "at most " if hidden or result["cpd"] != "table" else ""
    print(f"parameters       {most}{result['n_parameters']:,} in {result['n_nodes']:,} nodes")
    print(f"memory           {', '.join(megabytes.values())}")
    print(f"expected         {result['expected_fit_seconds']:.3f} s to fit (from {n_trial} images)")
