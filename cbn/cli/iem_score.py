# SPDX-License-Identifier: BSD-3-Clause
"""cbn-iem-score: energy, p-value and verdict of every picture, and maps of where it is unlike normal ones."""

import argparse
import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ..exceptions import CbnError, DataError, ModelFileError
from . import _common as common
from ._iem_data import add_synthetic, synthetic
from ._iem_files import cell, load_fitted
from ._iem_options import DEFAULT_MODEL, SCALE_KEY
from ._reading import add_reading, naming_reader, picture_size, reading, tell
from ._verdicts import add_verdicts, check_verdicts, csv_rows, judge_in_batches

if TYPE_CHECKING:
    from ..datasets import InspectionSet
    from ..iem.fitted import FittedEnergyModel

# Top of the colour scale of maps, in standard deviations, for models that cbn-iem-train has not measured one for.
DEFAULT_SCALE = 4.0
BATCH = 16  # pictures whose maps are in memory at a time


def build_parser() -> argparse.ArgumentParser:
    parser = common.make_parser(
        "cbn-iem-score",
        "Print energy, conformal p-value and verdict (normal or outlier) of every picture, separated by tabs.\n"
        "Pictures are resized to those that the model was trained on.",
        [
            "cbn-iem-score --synthetic texture --maps maps/      # after cbn-iem-train --synthetic texture",
            "cbn-iem-score screw.cbn --data mvtec/screw --json   # the test pictures of a category of MVTec AD",
            "cbn-iem-score --model screw.cbn --images pictures/ --false-alarm-rate 0.01",
        ],
    )
    parser.add_argument("positional", nargs="?", metavar="MODEL", help=f"model file to read (default: {DEFAULT_MODEL})")
    parser.add_argument("--model", metavar="FILE", help="the same by name")
    group = parser.add_argument_group("pictures", "One of --data and --synthetic.")
    group.add_argument(
        "--data", "--images", metavar="PATH",
        help="a picture, a folder of pictures (sub-folders are kinds of defects), or a category in the layout of MVTec "
        "AD",
    )  # fmt: skip
    add_synthetic(group)
    group.add_argument(
        "--size", type=picture_size, metavar="N",
        help="the size of the model, N x N or HEIGHTxWIDTH pixels, to which pictures are resized anyway; another is refused",
    )  # fmt: skip
    add_reading(group)
    group.add_argument("--n", type=common.integer(1, 10**9), metavar="N", help="only the first N pictures")
    add_verdicts(parser, "pictures")
    parser.add_argument(
        "--maps", "--heatmap", metavar="DIR",
        help="write a picture of where each is unlike normal ones, in standard deviations, with the model's one scale",
    )  # fmt: skip
    parser.add_argument(
        "--level", type=common.integer(0, 31), metavar="N",
        help="with --maps: the map of one level, 0 for the image itself",
    )  # fmt: skip
    parser.add_argument(
        "--scale", type=_positive, metavar="X",
        help="with --maps: top of the colour scale, in standard deviations (default: the model's)",
    )  # fmt: skip
    return parser


def main(argv: list[str] | None = None) -> int:
    return common.run("cbn-iem-score", build_parser, score, argv)


def score(arguments: argparse.Namespace) -> None:
    _check_options(arguments)
    check_verdicts(arguments)
    fitted = replace(load_fitted(arguments.model), n_jobs=arguments.threads)
    clock = common.Clock()
    with clock.part("load"):
        dataset = load_pictures(arguments, fitted)
    test = dataset.test[: arguments.n]
    if arguments.maps is not None:
        from ..io.files import make_folder

        make_folder(arguments.maps)
    rows: list[dict[str, Any]] = []
    with clock.part("score"), csv_rows(arguments) as write_row:

        def done(i: int, score: float, verdict: dict[str, Any]) -> None:
            label = {} if dataset.defects is None else {"label": dataset.defects[i]}
            rows.append({"image": dataset.test_names[i], "energy": -score, **verdict, **label})
            if write_row:
                write_row({**rows[-1], "file": dataset.test_names[i], "score": score})

        _, judgement = judge_in_batches(
            arguments, fitted.calibration, lambda part: fitted.judged_scores(test[part]), len(test), BATCH, done
        )
    clock.seconds["score_per_image"] = clock.seconds["score"] / len(test)
    if arguments.maps is not None:
        scale = arguments.scale or scale_of(fitted, arguments.model)
        with clock.part("maps"):
            write_maps(arguments, fitted, dataset, rows, scale)
    summary = {
        "n": len(rows),
        "threshold": -judgement.verdicts.threshold,
        **judgement.summary(),
        "calibration": fitted.calibration.source,
        "n_calibration": len(fitted.calibration.scores),
    }
    if arguments.json:
        if arguments.maps is not None:
            summary["scale"] = scale
        summary["reading"] = dataset.report.to_dict()
        common.print_json({**summary, "images": rows, "seconds": clock.seconds, "model": arguments.model})
        return
    if arguments.csv == "-":
        return
    columns = [name for name in ("image", "label", "energy", "p_value", "verdict", "map") if name in rows[0]]
    print("\t".join(columns))
    for row in rows:
        print("\t".join(cell(row[c]) for c in columns))
    common.say(
        arguments,
        f"{judgement.sentence('pictures')} (energy above {summary['threshold']:.6g}; threshold from "
        f"{summary['n_calibration']:,} {summary['calibration']})",
    )


def _check_options(arguments: argparse.Namespace) -> None:
    if arguments.positional is not None and arguments.model is not None:
        raise common.UsageError(f"--model: {arguments.model!r} beside {arguments.positional!r}; name one model")
    arguments.model = arguments.model or arguments.positional or DEFAULT_MODEL
    if (arguments.data is None) == (arguments.synthetic is None):
        given = "none" if arguments.data is None else "both"
        raise common.UsageError(f"give one of --data and --synthetic ({given} given)")
    if arguments.maps is None:
        for option in ("level", "scale"):
            if getattr(arguments, option) is not None:
                raise common.UsageError(f"--{option}: goes with --maps DIR")
    elif not arguments.maps:
        raise CbnError("--maps: empty; give the name of a folder")


def load_pictures(arguments: argparse.Namespace, fitted: "FittedEnergyModel") -> "InspectionSet":
    """The InspectionSet of --data or --synthetic, as the model reads it."""
    from ..datasets import load_test

    height, width, channels = fitted.picture_shape
    color = "grey" if channels == 1 else "rgb"
    if arguments.size not in (None, (height, width)):
        asked = "x".join(map(str, arguments.size))
        raise common.UsageError(
            f"--size {asked}: the model reads pictures of {height}x{width}, to which all are resized; leave it out"
        )
    if arguments.synthetic is not None:
        return synthetic(arguments.synthetic, (height, width), color)
    with naming_reader("--data"):
        dataset = load_test(arguments.data, (height, width), color, **reading(arguments))
    tell(arguments, dataset.report)
    return dataset


def scale_of(fitted: "FittedEnergyModel", path: str) -> float:
    """The top of the colour scale that a model file holds."""
    scale = fitted.provenance.get(SCALE_KEY, DEFAULT_SCALE)
    if not isinstance(scale, float) or not 0 < scale < float("inf"):
        raise ModelFileError(f"{path!r}: damaged: a colour scale of {scale!r:.40}; give one by --scale")
    return scale


def write_maps(
    arguments: argparse.Namespace,
    fitted: "FittedEnergyModel",
    dataset: "InspectionSet",
    rows: list[dict[str, Any]],
    scale: float,
) -> None:
    """One picture per row, all with one colour scale."""
    from ..plots import pictures

    if arguments.level is not None and not hasattr(fitted, "levels"):
        raise DataError(f"--level {arguments.level}: Gaussian models have no levels; leave it out")
    if arguments.level is not None and arguments.level >= len(fitted.levels):
        raise DataError(f"--level {arguments.level}: the model has levels 0 to {len(fitted.levels) - 1}; give one")
    names = common.file_names(os.path.splitext(row["image"])[0] for row in rows)
    maps: Any = None
    for i in common.progress(range(len(rows)), arguments, len(rows), "picture", "maps"):
        if i % BATCH == 0:
            level = () if arguments.level is None else (arguments.level,)
            maps = fitted.energy_map(dataset.test[i : min(i + BATCH, len(rows))], *level)
        row = rows[i]
        path = os.path.join(arguments.maps, f"{names[i]}.png")
        p_value = "" if row["p_value"] is None else f", p = {row['p_value']:.4g}"
        title = f"{row['image']}: {row['verdict']}{p_value}"
        mask = None if dataset.masks is None or not dataset.has_mask[i] else dataset.masks[i]
        pictures.save_png(pictures.energy_map(dataset.test[i], maps[i % BATCH], scale, title, mask), path)
        row["map"] = path


def _positive(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < 1e9:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number above 0")
    return value
