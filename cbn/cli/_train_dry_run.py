# SPDX-License-Identifier: BSD-3-Clause
"""cbn-train --dry-run: sizes by arithmetic, time by training a little on a few images."""

import numpy as np

from ..bits import stream as packing
from ..datasets import stream as reading
from ..layers.relations import candidate_relations
from . import _common as common
from ._images import ALL
from ._train_report import layer_names
from ._train_trial import timed


def dry_run(parsed, arguments, images, geometries, streams):
    """Prints parameters, memory and expected time of the whole job: one network, or one for each label.

    Parameters
    ----------
    parsed : argparse.Namespace
    arguments : Arguments or ClassifierArguments
    images : ImageSet
    geometries : sequence of LayerGeometry
        Of the pixels and of every hidden layer.
    streams : bool
        Whether the training makes bits of images as they are read.
    """
    sets = sets_of(parsed, images)
    largest = max(sets, key=len)
    settings = arguments.resolve()
    tried = timed(arguments, largest, settings)
    trial, n_images = tried.fitted, [len(own) for own in sets]
    copies = (2 * settings.shift + 1) ** 2
    parameters, table_bytes = _sizes(settings, geometries, trial)
    n_nodes = sum(own.n_nodes for own in geometries)
    words = -(-len(largest) * copies // 64)
    held = images.images.nbytes + (largest.images.nbytes * copies if copies > 1 else 0)
    others = 0  # words of the pixels of networks whose turn is later
    if streams:
        held = min(held, _bytes_while_read(settings, images.images[0].nbytes, len(sets)))
        others = sum(-(-len(own) // 64) for own in sets) - words
    result = {
        "n_models": len(sets),
        "n_train": sum(n_images),
        "image_shape": list(trial.image_shape),
        "n_nodes": n_nodes,
        "cpd": settings.kind.name,
        "n_parameters": parameters,
        "layers": [
            {"name": name, "shape": [own.channels, own.height, own.width], "receptive_field": own.receptive_field,
             "distance": own.distance}
            for name, own in zip(layer_names(len(geometries)), geometries)
        ],
        "memory_bytes": {
            "images": held,
            "bit_planes": (n_nodes * words + geometries[0].n_nodes * others) * 8,
            "tables": table_bytes,
        },
        "expected_fit_seconds": tried.seconds(n_images),
        "expected_fit_seconds_range": list(tried.bounds(n_images)),
    }  # fmt: skip
    exact = len(geometries) == 1 and trial.network.pixels.tied_relations is not None
    common.print_json(result) if parsed.json else _print(result, tried.n_images, exact)


def sets_of(parsed, images):
    """The training images of every network of the job."""
    if parsed.digit != ALL and not parsed.classifier:
        return [images]
    return [images.select(label) for label in np.unique(images.labels).tolist()]


def _bytes_while_read(settings, image_bytes, n_models):
    """Most bytes of images that are held until they are bits."""
    of_thresholds = packing.FIRST * image_bytes * n_models if isinstance(settings.threshold, str) else 0
    return reading.CHUNK_BYTES + packing.BATCH_BYTES + of_thresholds


def _sizes(settings, geometries, trial):
    """(most parameters of a network, bytes of its tables or trees); what the trial has where a kind knows no bound."""
    parameters = table_bytes = 0
    for number, (own, network) in enumerate(zip(geometries, trial.network.networks)):
        # every kernel with as many parents as may be searched for it
        n_relations = min(settings.features.max_parents, len(candidate_relations(own)) // own.channels) if number else 0
        found = settings.kind.most(settings.cpd, own, number == 0, n_relations)
        if found is None:
            found = network.bic()[1], sum(array.nbytes for array in network.arrays().values())
        parameters, table_bytes = parameters + found[0], table_bytes + found[1]
    return parameters, table_bytes


def _print(result, n_trial, exact):
    megabytes = {name: f"{name.replace('_', ' ')} {size / 1e6:.1f} MB" for name, size in result["memory_bytes"].items()}
    height, width = result["image_shape"]
    if result["n_models"] > 1:
        print(f"models           {result['n_models']}; parameters and memory are those of the largest")
    print(f"images           {result['n_train']:,} of {height} x {width} pixels")
    for layer in result["layers"][1:]:
        channels, height, width = layer["shape"]
        field, distance = layer["receptive_field"], layer["distance"]
        print(
            f"{layer['name']:17}{channels} kernels x {height} x {width} positions, each sees {field} x {field} pixels, "
            f"parents {distance} positions away"
        )
    print(f"parameters       {'' if exact else 'at most '}{result['n_parameters']:,} in {result['n_nodes']:,} nodes")
    print(f"memory           {', '.join(megabytes.values())}")
    low, high = result["expected_fit_seconds_range"]
    print(f"expected         about {_short(low)} to {_short(high)} s to fit (from trials on up to {n_trial:,} images)")


def _short(seconds):
    """Two digits, as many as the number deserves."""
    return f"{seconds:,.0f}" if seconds >= 10 else f"{float(f'{seconds:.2g}'):.10f}".rstrip("0").rstrip(".")
