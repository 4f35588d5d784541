# SPDX-License-Identifier: BSD-3-Clause
"""Options of cbn-iem-score, and which of them go together."""

import argparse
import math
import os
from typing import Any

from ..exceptions import CbnError
from . import _common as common
from ._iem_data import add_synthetic
from ._iem_options import DEFAULT_MODEL
from ._ranking import add_ranking, check_ranking
from ._reading import add_reading, picture_size
from ._thresholds import add_thresholds, check_alone, check_thresholds, real
from ._verdicts import add_verdicts, check_verdicts

# Options that make something of the pictures that are scored.
OF_SCORING = (
    "csv", "jsonl", "parquet", "sheet", "top", "sort", "maps", "save_maps", "map_threshold", "n", "alarm_threshold", "fdr",
    "extrapolate",
)  # fmt: skip


def build_parser() -> argparse.ArgumentParser:
    parser = common.make_parser(
        "cbn-iem-score",
        "Print energy, conformal p-value and verdict (normal or outlier) of every picture, separated by tabs.\n"
        f"Energy: {common.ENERGY}; the score in files is minus the energy: {common.SCORE}.\n"
        "Pictures are resized to those that the model was trained on. With --watch: those of a folder, as they arrive.",
        [
            "cbn-iem-score --synthetic texture --maps maps/      # after cbn-iem-train --synthetic texture",
            "cbn-iem-score screw.cbn --data mvtec/screw --json   # the test pictures of a category of MVTec AD",
            "cbn-iem-score --model screw.cbn --images pictures/ --false-alarm-rate 0.01 --csv verdicts.csv",
            "cbn-iem-score --model screw.cbn --images pictures/ --top 20 --sheet worst.png",
            "cbn-iem-score screw.cbn --calibration today/ --save-calibrated today.cbn",
            "cbn-iem-score today.cbn --watch camera/ --csv results.csv",
            "cbn-iem-score today.cbn --watch camera/ --csv results.csv --jsonl -   # rows for a program that reads on",
            "cbn-iem-score screw.cbn --images new/ --map-threshold auto --save-masks masks/ --boxes boxes.csv",
        ],
    )
    common.add_model(parser, DEFAULT_MODEL)
    group = parser.add_argument_group("pictures", "One of --data, --synthetic and --watch.")
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
    _add_watch(parser.add_argument_group("a folder that pictures arrive in"))
    add_thresholds(add_verdicts(parser, "pictures"), "pictures", energies=True)
    add_ranking(parser, "pictures", "the highest energies", "; regions of high energy are outlined")
    _add_maps(parser.add_argument_group("maps, in standard deviations, of where pictures are unlike normal ones"))
    return parser


def _add_watch(group: Any) -> None:
    group.add_argument(
        "--watch", metavar="DIR",
        help="score each picture that is or comes to be in this folder and its sub-folders once, until Ctrl-C or SIGTERM. "
        "The file of --csv is the record: pictures that are in it are done. Nothing in the folder is changed",
    )  # fmt: skip
    group.add_argument("--once", action="store_true", help="with --watch: score what is there and new, and end")
    group.add_argument(
        "--interval", type=real(0.01, 86400), metavar="SECONDS",
        help="with --watch: time between looks, for which a file must stay the same before it is read (default: 1)",
    )  # fmt: skip
    group.add_argument(
        "--patience", type=real(0, 86400), metavar="SECONDS",
        help="with --watch: time without a change after which a file that cannot be read is recorded as unreadable "
        "(default: 10)",
    )  # fmt: skip


def _add_maps(group: Any) -> None:
    group.add_argument(
        "--maps", "--heatmap", metavar="DIR", help="write a picture of each map, with the model's one scale of colours"
    )
    group.add_argument(
        "--scale", type=real(0, 1e9, above=True), metavar="X",
        help="with --maps: top of the colour scale, in standard deviations (default: the model's)",
    )  # fmt: skip
    group.add_argument(
        "--level", type=common.integer(0, 31), metavar="N", help="maps of one level, 0 for the image itself"
    )
    group.add_argument("--save-maps", metavar="DIR", help="write the values of each map")
    group.add_argument(
        "--map-format", choices=("npy", "png16"),
        help="with --save-maps: npy: float32; png16: grey of 16 bits, standard deviations x 1000, as scale.json beside them "
        "says (default: npy)",
    )  # fmt: skip
    group.add_argument(
        "--map-threshold", type=_map_threshold, metavar="X",
        help="find connected regions above X standard deviations, for --save-masks, --boxes and --json; auto: 1.2 times "
        "what 99.9 %% of the pixels of training pictures stay below (default: none)",
    )  # fmt: skip
    group.add_argument("--save-masks", metavar="DIR", help="with --map-threshold: write the regions as PNG of 1 bit")
    group.add_argument(
        "--boxes", metavar="FILE",
        help="with --map-threshold: write a row for each region as CSV: file, left, top, width, height, area, peak, in "
        "pixels of the model's size",
    )  # fmt: skip
    group.add_argument(
        "--min-area", type=common.integer(1, 10**9), metavar="N",
        help="with --map-threshold: leave out regions of fewer pixels (default: 1)",
    )  # fmt: skip


def check_options(arguments: argparse.Namespace) -> None:
    """Refuses options that do not fit together, before anything is read or written."""
    given = [name for name in ("data", "synthetic", "watch") if getattr(arguments, name) is not None]
    if len(given) > 1 or (not given and arguments.save_calibrated is None):
        said = ("both" if len(given) == 2 else "all") if given else "none"
        raise common.UsageError(f"give one of --data, --synthetic and --watch ({said} given)")
    check_verdicts(arguments)
    check_thresholds(arguments)
    check_ranking(arguments)
    _check_maps(arguments)
    _check_watch(arguments)
    common.check_outputs(
        arguments,
        "--csv",
        "--jsonl",
        "--parquet",
        "--sheet",
        "--boxes",
        "--save-calibrated",
        picture="--sheet",
        folders=("--maps", "--save-maps", "--save-masks"),
        models=("--save-calibrated",),
    )
    if not given:
        check_alone(arguments, OF_SCORING, "--data, --synthetic or --watch")
    if arguments.watch is not None:
        _check_outside(arguments)


def _goes_with(arguments: argparse.Namespace, names: tuple[str, ...], needed: str) -> None:
    for name in names:
        if getattr(arguments, name) not in (None, False):
            raise common.UsageError(f"--{name.replace('_', '-')}: goes with {needed}")


def _check_maps(arguments: argparse.Namespace) -> None:
    for name in ("maps", "save_maps", "save_masks"):
        if getattr(arguments, name) == "":
            raise CbnError(f"--{name.replace('_', '-')}: empty; give the name of a folder")
    if arguments.map_threshold is None:
        _goes_with(arguments, ("save_masks", "boxes", "min_area"), "--map-threshold X (a number, or auto)")
    elif arguments.save_masks is None and arguments.boxes is None and not arguments.json:
        raise common.UsageError("--map-threshold: goes with --save-masks DIR, --boxes FILE or --json")
    if arguments.map_threshold == "auto" and arguments.level is not None:
        raise common.UsageError("--map-threshold auto: is for maps of all levels; with --level give a number")
    if arguments.maps is None:
        _goes_with(arguments, ("scale",), "--maps DIR")
        if arguments.save_maps is None and arguments.map_threshold is None:
            _goes_with(arguments, ("level",), "--maps DIR, --save-maps DIR or --map-threshold X")
    if arguments.save_maps is None:
        _goes_with(arguments, ("map_format",), "--save-maps DIR")
    folders: dict[str, str] = {}
    for name in ("maps", "save_maps", "save_masks"):
        if (path := getattr(arguments, name)) is not None:
            option = f"--{name.replace('_', '-')}"
            if other := folders.get(os.path.realpath(path)):
                raise common.UsageError(f"{option}: {path!r} is the folder of {other} too; give another")
            folders[os.path.realpath(path)] = option


def _check_watch(arguments: argparse.Namespace) -> None:
    if arguments.watch is None:
        _goes_with(arguments, ("once", "interval", "patience"), "--watch DIR")
        return
    if arguments.csv in (None, "-"):
        raise common.UsageError("--watch: needs --csv FILE, the record of which pictures are done")
    if arguments.fdr is not None:
        raise common.UsageError("--fdr: is for lists that are complete; with --watch give --false-alarm-rate")
    if arguments.jsonl not in (None, "-"):
        raise common.UsageError(
            "--jsonl: with --watch only -, for a program that reads stdout; its file of rows is --csv FILE"
        )
    for name in ("parquet", "sheet", "top", "sort"):
        if getattr(arguments, name) not in (None, False):
            raise common.UsageError(f"--{name}: is for lists that are complete; --watch keeps its rows in --csv FILE")
    if arguments.n is not None:
        raise common.UsageError("--n: goes with --data or --synthetic; --watch scores every new picture")
    if arguments.json and not arguments.once:
        raise common.UsageError("--json: with --watch only beside --once, as nothing can be said of all at the end")


def _check_outside(arguments: argparse.Namespace) -> None:
    """The folder that is watched stays as it is."""
    watched = os.path.realpath(arguments.watch)
    for name in ("csv", "maps", "save_maps", "save_masks", "boxes", "save_calibrated"):
        path = getattr(arguments, name)
        if path is not None and os.path.commonpath([watched, os.path.realpath(path)]) == watched:
            raise common.UsageError(
                f"--{name.replace('_', '-')}: {path!r} is in the folder of --watch, in which nothing is changed; give "
                "another place"
            )


def _map_threshold(text: str) -> Any:
    """An argparse type: "auto" or a number."""
    if text == "auto":
        return text
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise argparse.ArgumentTypeError(f"{text!r} is neither a number nor auto")
    return value
