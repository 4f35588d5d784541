# SPDX-License-Identifier: BSD-3-Clause
"""What cbn-iem-train prints of trained models, the thesis's Tables 5 and 7 beside it."""

import argparse
import math
from typing import Any

import numpy as np

from ..datasets import InspectionSet
from . import _common as common
from ._too_few import threshold_line

# AUROC in percent by category of MVTec AD: thesis Table 5 (kernels learned) and Table 7 (kernels of AlexNet).
TABLE_5_MODELS = ("IEM", "Patch SVDD", "ITAE", "GANomaly", "RIAD")
TABLE_5 = {
    "bottle": (99.0, 98.6, 94.1, 89.2, 99.9),
    "cable": (78.5, 90.3, 83.2, 75.7, 81.9),
    "capsule": (72.1, 76.7, 68.1, 73.2, 88.4),
    "hazelnut": (94.8, 92.0, 85.5, 78.5, 83.3),
    "metal_nut": (53.6, 94.0, 66.7, 70.0, 88.5),
    "pill": (82.8, 86.1, 78.6, 74.3, 83.8),
    "screw": (100.0, 81.3, 100.0, 74.6, 84.5),
    "toothbrush": (95.8, 100.0, 100.0, 65.3, 100.0),
    "transistor": (95.7, 91.5, 84.3, 79.2, 90.9),
    "zipper": (97.8, 95.1, 87.6, 74.5, 98.1),
    "carpet": (94.1, 92.9, 70.6, 69.9, 84.2),
    "grid": (93.1, 94.6, 88.3, 70.8, 99.6),
    "leather": (96.8, 90.9, 86.2, 84.2, 100.0),
    "tile": (87.2, 97.8, 73.5, 79.4, 98.7),
    "wood": (97.0, 96.5, 92.3, 83.4, 93.0),
}
TABLE_7_MODELS = ("IEM", "ReconPatch", "PatchCore", "MemSeg")
TABLE_7 = {
    "bottle": (98.9, 100.0, 100.0, 100.0),
    "cable": (89.5, 99.7, 99.5, 98.2),
    "capsule": (78.3, 99.8, 98.1, 100.0),
    "hazelnut": (98.9, 100.0, 100.0, 100.0),
    "metal_nut": (79.2, 100.0, 100.0, 100.0),
    "pill": (85.5, 96.21, 96.6, 99.0),
    "screw": (88.7, 99.8, 98.1, 97.8),
    "toothbrush": (96.9, 100.0, 100.0, 100.0),
    "transistor": (89.3, 100.0, 100.0, 99.2),
    "zipper": (90.8, 99.9, 99.4, 100.0),
    "carpet": (91.0, 100.0, 98.7, 99.6),
    "grid": (80.1, 99.5, 98.2, 100.0),
    "leather": (96.8, 100.0, 100.0, 100.0),
    "tile": (99.1, 100.0, 98.7, 100.0),
    "wood": (99.2, 99.47, 99.2, 99.6),
}
_NAMES = {"image_auroc": "image AUROC", "pixel_auroc": "pixel AUROC", "mean_pixel_auroc": "  mean by image",
          "aupro": "AUPRO", "f1": "F1 at threshold"}  # fmt: skip
# Brightness that separates good from defective pictures so well, one way or the other, is worth a warning.
_CONFOUNDED = 0.9
# Good test pictures that differ from those of the threshold with a smaller p-value than this are worth a warning.
_DIFFERENT = 0.01


def thesis_figures(category: str, with_backbone: bool) -> tuple[int, dict[str, float]] | None:
    """(number of the thesis's table, {model: AUROC in percent}), or None for another category."""
    tables: dict[int, tuple[tuple[str, ...], dict[str, tuple[float, ...]]]]
    tables = {5: (TABLE_5_MODELS, TABLE_5), 7: (TABLE_7_MODELS, TABLE_7)}  # type: ignore[dict-item]
    number = 7 if with_backbone else 5
    models, table = tables[number]
    return (number, dict(zip(models, table[category], strict=True))) if category in table else None


def warn_of_brightness(arguments: argparse.Namespace, result: dict[str, Any]) -> None:
    """A warning where the brightness of whole pictures tells good from defective ones."""
    area = (result["baselines"] or {}).get("mean_brightness")
    if area is not None and max(area, 1 - area) >= _CONFOUNDED and arguments.brightness != "median":
        common.warn(
            arguments,
            f"{result['category']}: mean brightness alone separates good from defective test pictures (AUROC "
            f"{area:.3f}), so that figures say little about defects; compare with --brightness median",
        )


def warn_of_difference(arguments: argparse.Namespace, result: dict[str, Any]) -> None:
    """A warning where good test pictures have other scores than those that set the threshold.

    Training pictures that errors were measured on, and not held out, are no measure: they differ anyway.
    """
    found = result["good_against_calibration"]
    if found is None or found["p_value"] >= _DIFFERENT or result["calibration"] == "training images":
        return
    separate = result["calibration"] == "separate images"
    like, mend = ("calibration", "calibrate with pictures like them") if separate else (
        "training", "recalibrate with --calibration"
    )  # fmt: skip
    common.warn(
        arguments,
        f"{result['category']}: good test pictures are not like {like} pictures (AUROC {found['auroc']:.2f}): expect other "
        f"false-alarm rates; {mend}",
    )


def print_one(result: dict[str, Any], dataset: InspectionSet) -> None:
    seconds = result["seconds"]
    print(f"category         {dataset.describe()}")
    if result["added_to"] is not None:
        print(f"added to         {result['added_to']}: {result['n_images']:,} pictures in all")
    backbone = f", kernels of {result['backbone']}" if result["backbone"] else ""
    if result["sidewards"] == "gaussian":
        rows, columns = result["positions"]
        print(
            f"model            Gaussian of {result['n_directions']} directions at {rows} x {columns} positions{backbone}, "
            f"{result['n_parameters']:,} parameters"
        )
    else:
        _print_levels(result, backbone)
    shown = f"energy {result['threshold']:.3f} ({common.ENERGY})"
    decides = math.isfinite(result["threshold"])
    print(threshold_line(shown, result["n_calibration"], result["calibration"], result["false_alarm_rate"], decides))
    if result["n_test"]:
        print(f"alarms           {result['n_alarms']:,} of {result['n_test']:,} test pictures")
    if (false := result["false_alarms"]) is not None:
        low, high = (100 * bound for bound in false["interval"])
        print(
            f"false alarms     {false['n']:,} of {false['of']:,} good test pictures: {100 * false['rate']:.1f} % "
            f"({low:.1f} to {high:.1f}); {100 * result['false_alarm_rate']:g} % were asked for"
        )
    _print_figures(result)
    _print_defects(result["defects"])
    print("seconds          " + ", ".join(f"{name.replace('_', ' ')} {s:.3f}" for name, s in seconds.items()))
    print(f"model            {result['model']}")


def _print_levels(result: dict[str, Any], backbone: str) -> None:
    print(
        f"levels           {result['n_levels']}, sharing {result['sharing']}, {result['energy']} energy{backbone}, "
        f"{result['n_parameters']:,} parameters"
    )
    print("loss by level    " + ", ".join(f"{loss:.4f}" for loss in result["loss"]) + " of the variance")
    print("dead kernels     " + ", ".join(f"{share:.0%}" for share in result["dead_kernels"]) + " by level")


def _print_figures(result: dict[str, Any]) -> None:
    if result["f1"] is None and result["pixel_auroc"] is None:
        return
    print(f"{'':17}{'figure':>7}  {'95 % interval':16}  without a model")
    baselines = result["baselines"] or {}
    gradient = baselines.get("image_gradient", {})
    for name, shown in _NAMES.items():
        if result[name] is None:
            continue
        low, high = result["intervals"][name]
        beside = ""
        if name == "image_auroc":
            beside = (
                f"brightness {baselines['mean_brightness']:.3f}, its distance from training "
                f"{baselines['brightness_distance']:.3f}"
            )
        elif name in gradient:
            beside = f"image gradient {gradient[name]:.3f}"
        print(f"{shown:17}{result[name]:7.3f}  {f'{low:.3f} to {high:.3f}':16}  {beside}".rstrip())
    if result["auroc_against_calibration"] is not None:
        print(f"{'AUROC against':17}{result['auroc_against_calibration']:7.3f}  the {result['calibration']}")
    if result["thesis"]:
        known = ", ".join(f"{name} {value:g} %" for name, value in result["thesis"]["image_auroc"].items())
        print(f"{'thesis Table ' + str(result['thesis']['table']):17}{known}")


def _print_defects(rows: list[dict[str, Any]]) -> None:
    if not rows:
        return
    width = max(len("defect"), *(len(row["defect"]) for row in rows))
    print(f"{'defect':{width}} {'n':>6} {'found':>7} {'image AUROC':>12} {'pixel AUROC':>12} {'AUPRO':>7}")
    for row in rows:
        print(
            f"{row['defect']:{width}} {row['n']:6,} {row['found']:7.0%} {_cell(row['image_auroc'], 12)} "
            f"{_cell(row['pixel_auroc'], 12)} {_cell(row['aupro'], 7)}"
        )


def _cell(value: float | None, width: int) -> str:
    return f"{'-' if value is None else format(value, '.3f'):>{width}}"


def summary(results: list[dict[str, Any]]) -> dict[str, float | None]:
    """Means over categories, as --json prints them; those that are not known of some category None."""
    means: dict[str, float | None] = {}
    for name in _NAMES:
        values = [result[name] for result in results]
        means[f"mean_{name}"] = None if None in values else float(np.mean(values))
    return means


def print_all(results: list[dict[str, Any]], means: dict[str, float | None]) -> None:
    """One row a category, in percent as in the thesis."""
    with_backbone = bool(results[0]["backbone"])
    number, models = (7, TABLE_7_MODELS) if with_backbone else (5, TABLE_5_MODELS)
    width = max(len("category"), *(len(result["category"]) for result in results))
    print(f"in percent; the columns on the right are the image AUROC of the thesis's Table {number}")
    head = f"{'category':{width}} {'train':>6} {'test':>5} {'image AUROC':>21} {'pixel AUROC':>12} {'AUPRO':>6}"
    print(f"{head} {'F1':>6} {'seconds':>8}  |" + "".join(f" {name:>10}" for name in models))
    for result in results:
        image = "-"
        if result["image_auroc"] is not None:
            low, high = (100 * bound for bound in result["intervals"]["image_auroc"])
            image = f"{100 * result['image_auroc']:.1f} ({low:.1f} to {high:.1f})"
        known = (result["thesis"] or {}).get("image_auroc", {})
        print(
            f"{result['category']:{width}} {result['n_train']:6,} {result['n_test']:5,} {image:>21} "
            f"{_percent(result['pixel_auroc'], 12)} {_percent(result['aupro'], 6)} {_percent(result['f1'], 6)} "
            f"{result['seconds']['fit']:8.1f}  |" + "".join(f" {known.get(name, '-'):>10}" for name in models)
        )
    mean = [_percent(means[f"mean_{name}"], size) for name, size in
            (("image_auroc", 21), ("pixel_auroc", 12), ("aupro", 6), ("f1", 6))]  # fmt: skip
    n_train, n_test = (sum(result[name] for result in results) for name in ("n_train", "n_test"))
    known = [result["thesis"] for result in results]
    thesis = ""
    if None not in known:  # the mean of other categories than ours would not compare
        thesis = "".join(f" {np.mean([row['image_auroc'][name] for row in known]):10.1f}" for name in models)
    fit = sum(result["seconds"]["fit"] for result in results)
    print(f"{'mean':{width}} {n_train:6,} {n_test:5,} {' '.join(mean)} {fit:8.1f}  |{thesis}")
    print(f"models: {results[0]['model']} ... {results[-1]['model']}")


def _percent(value: float | None, width: int) -> str:
    return f"{'-' if value is None else format(100 * value, '.1f'):>{width}}"
