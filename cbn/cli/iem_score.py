# SPDX-License-Identifier: BSD-3-Clause
"""cbn-iem-score: energy, p-value and verdict of every picture, and maps of where it is unlike normal ones."""

import argparse
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from . import _common as common
from ._iem_files import load_fitted
from ._iem_pictures import BATCH, pictures_of
from ._iem_score_options import build_parser, check_options
from ._ranking import is_ranked
from ._row_files import has_files, print_rows, row_files, takes_stdout
from ._sheet import write_sheet
from ._thresholds import is_alone, set_threshold
from ._verdicts import COLUMNS, judge, judged_rows, told_threshold

if TYPE_CHECKING:
    from ..datasets import InspectionSet
    from ..iem.fitted import FittedEnergyModel
    from ._iem_maps import Maps

SHOWN = "image", "label", "energy", "p_value", "verdict", "map"
_MEANINGS = {"energy": common.ENERGY}

__all__ = ["build_parser", "main"]


def main(argv: list[str] | None = None) -> int:
    return common.run("cbn-iem-score", build_parser, score, argv)


def score(arguments: argparse.Namespace) -> None:
    check_options(arguments)
    clock = common.Clock()
    with clock.part("model"):
        fitted = replace(load_fitted(arguments.model), n_jobs=arguments.threads)
    common.assume_model(arguments)
    height, width, _ = fitted.picture_shape
    if arguments.size not in (None, (height, width)):
        asked = "x".join(map(str, arguments.size))
        raise common.UsageError(
            f"--size {asked}: the model reads pictures of {height}x{width}, to which all are resized; leave it out"
        )
    if arguments.calibration is not None or arguments.save_calibrated is not None:
        alone = is_alone(arguments, "data", "synthetic", "watch")
        fitted = set_threshold(arguments, fitted, lambda own: _recalibrated(arguments, own), clock, alone)
    if arguments.watch is not None:
        from ._iem_watch import watch

        common.tell_assumed(arguments)
        summary = watch(arguments, fitted, clock)
        if arguments.json:
            summary |= _latency(summary["latency"]) | {"seconds": clock.seconds, "model": arguments.model}
            common.print_json(summary)
    elif arguments.data is not None or arguments.synthetic is not None:
        _score_list(arguments, fitted, clock)


def _recalibrated(arguments: argparse.Namespace, fitted: Any) -> Any:
    """The model with the threshold of the pictures of --calibration."""
    from ._iem_calibration import load_calibration

    return fitted.calibrate(load_calibration(arguments, fitted.picture_shape))


def _score_list(arguments: argparse.Namespace, fitted: "FittedEnergyModel", clock: common.Clock) -> None:
    """Scores of pictures that are all there."""
    from ._iem_maps import Maps
    from ._worst import Ranking

    with clock.part("load"):
        source = pictures_of(arguments, fitted)
    ranked, held = is_ranked(arguments), source.dataset is not None
    prints = not arguments.json and not takes_stdout(arguments) and not ranked and not held
    printed = common.Table(SHOWN, prints, has_files(arguments), _MEANINGS)
    has_maps = any(own is not None for own in (arguments.maps, arguments.save_maps, arguments.map_threshold))
    ranking = Ranking(arguments, source, keeps_pictures=has_maps and not held)
    rows: list[dict[str, Any]] = []  # of pictures that are held
    seconds: list[float] = []  # of every picture, its share of its batch's

    def scores_of(pictures: Any) -> Any:
        start = time.perf_counter()
        found = fitted.judged_scores(pictures)
        if arguments.json:
            seconds.extend([(time.perf_counter() - start) / len(found)] * len(found))
        ranking.add(found)
        return found

    def row_of(i: int, score: float, verdict: dict[str, Any]) -> dict[str, Any]:
        name, label = ranking.about(i)
        return {"image": name, "energy": -score, **verdict} | ({} if label is None else {"label": label})

    def rows_of(places: Any) -> Any:
        return (row_of(*columns) for columns in judged_rows(arguments, fitted.calibration, scores, BATCH, places))

    with Maps(arguments, fitted) as maps:
        with clock.part("score"), row_files(arguments, COLUMNS) as write_row:

            def done(*columns: Any) -> None:
                row = row_of(*columns)
                if write_row:
                    write_row(_filed(row))
                if held:
                    rows.append(row)
                else:
                    printed.add(row)

            batches = map(scores_of, source.batches())
            scores, judgement = judge(arguments, fitted.calibration, batches, source.n, done)
        printed.end()
        source.move_seconds(clock)
        clock.seconds["score_per_image"] = clock.seconds["score"] / judgement.n
        places = ranking.places(scores)
        if held and ranked:
            rows = [rows[i] for i in places]
        if maps.wanted:
            with clock.part("maps"):
                if source.dataset is None:
                    rows = [*rows_of(places)]
                    _write_maps(arguments, maps, [one.picture for one in ranking.kept], rows)
                else:
                    pictures, masks = source.dataset.test, _masks(source.dataset, places)
                    assert pictures is not None
                    _write_maps(arguments, maps, [pictures[i] for i in places], rows, masks)
            clock.seconds["maps_per_image"] = clock.seconds["maps"] / len(rows)
        if arguments.sheet is not None:
            with clock.part("sheet"):
                outlines = _outlines(arguments, maps, [one.picture for one in ranking.kept])
                meaning = f"energy: {common.ENERGY}"
                write_sheet(arguments, ranking, rows_of(ranking.numbers()), "pictures", meaning, outlines)
    summary = {
        "n": judgement.n,
        "direction": common.ENERGY,
        "threshold": -judgement.threshold,
        **judgement.summary(),
        "calibration": fitted.calibration.source,
        "n_calibration": len(fitted.calibration.scores),
        "sheet": arguments.sheet,
    }
    if arguments.json:
        summary |= maps.summary() | _latency(seconds) | {"reading": source.report.to_dict()}
        end = {"seconds": clock.seconds, "model": arguments.model}
        common.print_json_list(summary, "images", rows or rows_of(places), end)
        return
    if takes_stdout(arguments):
        if ranked:
            print_rows(arguments, COLUMNS, map(_filed, rows or rows_of(places)))
    else:
        if held or ranked:
            printed = common.Table(SHOWN, meanings=_MEANINGS)
            for row in rows or rows_of(places):
                printed.add(row)
        shown = f"energy above {summary['threshold']:.6g}"
        told = told_threshold(arguments, fitted.calibration, summary["threshold"], shown)
        common.say(arguments, f"{judgement.sentence('pictures')} ({'; '.join(told)})")
    maps.tell()


def _filed(row: dict[str, Any]) -> dict[str, Any]:
    """The row under the names of columns of files."""
    return row | {"file": row["image"], "score": -row["energy"]}


def _outlines(arguments: argparse.Namespace, maps: "Maps", pictures: list[Any]) -> list[Any]:
    """Of every picture of a sheet, where it is unlike normal ones."""
    import numpy as np

    from ._iem_maps import AUTO, scale_of

    threshold = AUTO * scale_of(maps.fitted, arguments.model) if maps.threshold is None else maps.threshold
    found: list[Any] = []
    for first in range(0, len(pictures), BATCH):
        found.extend(maps.of(np.stack(pictures[first : first + BATCH])) > threshold)
    return found


def _latency(seconds: list[float]) -> dict[str, Any]:
    """Seconds from a picture to its verdict, for --json; of pictures that are scored together each one's share."""
    from statistics import fmean, median

    if not seconds:
        return {"latency": None}
    return {"latency": {"mean": fmean(seconds), "median": median(seconds), "max": max(seconds)}}


def _masks(dataset: "InspectionSet", places: Any) -> list[Any]:
    """Where pictures are known to be defective; None where it is not known."""
    if dataset.masks is None or dataset.has_mask is None:
        return [None] * len(places)
    return [dataset.masks[i] if dataset.has_mask[i] else None for i in places]


def _write_maps(
    arguments: argparse.Namespace, maps: "Maps", pictures: list[Any], rows: list[dict[str, Any]], masks: Any = None
) -> None:
    """Everything that is made of maps, for every row and its picture."""
    import numpy as np

    found: Any = None
    for i in common.progress(range(len(rows)), arguments, len(rows), "picture", "maps"):
        if i % BATCH == 0:
            found = maps.of(np.stack(pictures[i : i + BATCH]))
        maps.write(pictures[i], found[i % BATCH], rows[i], None if masks is None else masks[i])
