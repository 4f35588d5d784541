# SPDX-License-Identifier: BSD-3-Clause
"""cbn-iem-train --dry-run: sizes of every level and memory by arithmetic; nothing is trained."""

from dataclasses import replace
from typing import Any

from ..datasets import InspectionSet
from ..iem.gaussian import fitting
from ..iem.gaussian.features import PretrainedFeatures
from ..iem.gaussian.fitted import FittedGaussianModel
from ..iem.nn.arrays import Shape
from ..iem.parameters import Arguments
from ..iem.settings import backbone_of, resolve


def describe(arguments: Arguments, dataset: InspectionSet, picture_shape: Shape) -> dict[str, Any]:
    """Sizes of all levels and the memory that training needs, as --json prints them."""
    settings = resolve(arguments, backbone_of(arguments), len(dataset.train), picture_shape)
    shape, architecture = settings.input_shape(picture_shape), settings.architecture
    sizes = settings.sizes(picture_shape)
    memory = architecture.memory(len(dataset.train), *shape, settings.batch_size, settings.sharing)
    return {
        "category": dataset.category,
        "n_train": len(dataset.train),
        "n_test": 0 if dataset.test is None else len(dataset.test),
        "picture_shape": list(picture_shape),
        "sharing": settings.sharing,
        "epochs": list(settings.epochs),
        "batch_size": settings.batch_size,
        "levels": [
            {"shape": [size.height, size.width, size.channels], "receptive_field": size.receptive_field,
             "distance": size.distance, "inputs": size.inputs, "hidden": list(size.hidden),
             "kernel_parameters": size.kernel_parameters, "sidewards_parameters": size.sidewards_parameters}
            for size in sizes
        ],
        "n_parameters": sum(size.kernel_parameters + size.sidewards_parameters for size in sizes),
        "memory_bytes": {
            "pictures": sum(pictures.nbytes for pictures in (dataset.train, dataset.test) if pictures is not None),
            "activations": memory.activations,
            "batch": memory.batch,
            "parameters": memory.parameters,
        },
    }  # fmt: skip


def describe_gaussian(
    arguments: Arguments, dataset: InspectionSet, picture_shape: Shape, *, with_network: bool = True
) -> dict[str, Any]:
    """Positions and the memory that a fit of Gaussian models needs, as --json prints them."""
    gaussian = fitting.checked(arguments)[0]
    kind = fitting.kind_of(arguments)
    if with_network and issubclass(kind, PretrainedFeatures):
        fitting.pretrained(arguments, gaussian)  # refuses weights and blocks that are not there
    rows, columns, size = fitting.sizes(picture_shape, kind, gaussian)
    return {
        "category": dataset.category,
        "n_train": len(dataset.train),
        "n_test": 0 if dataset.test is None else len(dataset.test),
        "picture_shape": list(picture_shape),
        "sidewards": "gaussian",
        "positions": [rows, columns],
        "n_directions": size,
        "passes": fitting.passes(gaussian),
        "n_kept": fitting.n_kept(len(dataset.train), picture_shape, kind, gaussian),
        "memory_bytes": {
            "pictures": sum(pictures.nbytes for pictures in (dataset.train, dataset.test) if pictures is not None),
            **fitting.memory(len(dataset.train), picture_shape, kind, gaussian),
        },
    }


def describe_added(base: FittedGaussianModel, path: str, dataset: InspectionSet) -> dict[str, Any]:
    """The same of pictures that are added to a model. Its sums and the new ones are there at a time, and both models."""
    arguments = replace(base.arguments, gaussian=base.gaussians.gaussian)
    result = describe_gaussian(arguments, dataset, base.picture_shape, with_network=False)
    n_images = base.n_images + len(dataset.train)
    memory = fitting.memory(n_images, base.picture_shape, fitting.kind_of(arguments), base.gaussians.gaussian)
    result["memory_bytes"] |= {name: 2 * size for name, size in memory.items()}
    return result | {"added_to": path, "n_images": n_images}


def print_one(result: dict[str, Any]) -> None:
    height, width, channels = result["picture_shape"]
    color = "grey" if channels == 1 else "RGB"
    print(f"{result['category']}: {result['n_train']:,} training and {result['n_test']:,} test pictures, "
          f"{height} x {width}, {color}")  # fmt: skip
    if "added_to" in result:
        print(f"added to         {result['added_to']}: {result['n_images']:,} pictures in all")
    if result.get("sidewards") == "gaussian":
        rows, columns = result["positions"]
        print(f"positions        {rows} x {columns}, a Gaussian of {result['n_directions']} directions each")
        if result["passes"] == 1:
            print("passes           1 over the pictures; sums are kept in the model")
        else:
            print(f"passes           {result['passes']} over the pictures; features of {result['n_kept']:,} are computed once, "
                  f"of {result['n_train'] - result['n_kept']:,} in each")  # fmt: skip
        _print_memory(result)
        return
    print(f"{'level':5} {'nodes':>12} {'field':>6} {'distance':>9} {'inputs':>7}  {'networks':14} "
          f"{'kernels':>10} {'sidewards':>12} {'epochs':>7}")  # fmt: skip
    for number, (level, epochs) in enumerate(zip(result["levels"], result["epochs"], strict=True)):
        nodes = "x".join(map(str, level["shape"]))
        networks = "-".join(map(str, (level["inputs"], *level["hidden"], 1)))
        print(
            f"{number:5} {nodes:>12} {level['receptive_field']:6} {level['distance']:9} {level['inputs']:7,}  "
            f"{networks:14} {level['kernel_parameters']:10,} {level['sidewards_parameters']:12,} {epochs:7,}"
        )
    print(f"parameters       {result['n_parameters']:,} (sharing {result['sharing']})")
    _print_memory(result)


def _print_memory(result: dict[str, Any]) -> None:
    memory = result["memory_bytes"]
    parts = ", ".join(f"{name} {size / 1e6:.1f} MB" for name, size in memory.items())
    print(f"memory           {sum(memory.values()) / 1e6:.1f} MB, about, beside the program: {parts}")
