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
from ._verdicts import csv_rows, given_threshold, judge, judged_rows

if TYPE_CHECKING:
    from ..datasets import InspectionSet
    from ..iem.fitted import FittedEnergyModel
    from ._iem_maps import Maps

SHOWN = "image", "label", "energy", "p_value", "verdict", "map"

__all__ = ["build_parser", "main"]


def main(argv: list[str] | None = None) -> int:
    return common.run("cbn-iem-score", build_parser, score, argv)


def score(arguments: argparse.Namespace) -> None:
    check_options(arguments)
    clock = common.Clock()
    with clock.part("model"):
        fitted = replace(load_fitted(arguments.model), n_jobs=arguments.threads)
    height, width, _ = fitted.picture_shape
    if arguments.size not in (None, (height, width)):
        asked = "x".join(map(str, arguments.size))
        raise common.UsageError(
            f"--size {asked}: the model reads pictures of {height}x{width}, to which all are resized; leave it out"
        )
    if arguments.calibration is not None:
        fitted = _calibrated(arguments, fitted, clock)
    if arguments.watch is not None:
        from ._iem_watch import watch

        summary = watch(arguments, fitted, clock)
        if arguments.json:
            summary |= _latency(summary["latency"]) | {"seconds": clock.seconds, "model": arguments.model}
            common.print_json(summary)
    elif arguments.data is not None or arguments.synthetic is not None:
        _score_list(arguments, fitted, clock)


def _calibrated(arguments: argparse.Namespace, fitted: Any, clock: common.Clock) -> Any:
    """The model with its threshold from the pictures of --calibration, which --save-calibrated keeps."""
    from ._iem_calibration import calibrated, load_calibration

    alone = arguments.data is None and arguments.synthetic is None and arguments.watch is None
    with clock.part("calibration"):
        pictures = load_calibration(arguments, fitted.picture_shape)
        fitted = calibrated(fitted, pictures, arguments.calibration, warn=alone)
    if arguments.save_calibrated is not None:
        fitted.save(arguments.save_calibrated)
    if alone:
        own = fitted.calibration
        if arguments.json:
            common.print_json(
                {"threshold": -own.offset, "false_alarm_rate": own.false_alarm_rate, "calibration": own.source,
                 "n_calibration": len(own.scores), "seconds": clock.seconds, "model": arguments.model,
                 "saved": arguments.save_calibrated}
            )  # fmt: skip
        else:
            print(
                f"{arguments.save_calibrated}: energy {-own.offset:.6g} at a false-alarm rate of {own.false_alarm_rate:g}, "
                f"from {len(own.scores):,} {own.source}"
            )
    return fitted


def _score_list(arguments: argparse.Namespace, fitted: "FittedEnergyModel", clock: common.Clock) -> None:
    """Scores of pictures that are all there."""
    from ._iem_maps import Maps

    with clock.part("load"):
        source = pictures_of(arguments, fitted)
    prints = not arguments.json and arguments.csv != "-"
    printed = common.Table(SHOWN, prints, goes_on=arguments.csv is not None) if source.dataset is None else None
    rows: list[dict[str, Any]] = []
    seconds: list[float] = []  # of every picture, its share of its batch's

    def scores_of(pictures: Any) -> Any:
        start = time.perf_counter()
        found = fitted.judged_scores(pictures)
        if arguments.json:
            seconds.extend([(time.perf_counter() - start) / len(found)] * len(found))
        return found

    def row_of(i: int, score: float, verdict: dict[str, Any]) -> dict[str, Any]:
        name, label = source.about(i)
        return {"image": name, "energy": -score, **verdict} | ({} if label is None else {"label": label})

    with Maps(arguments, fitted) as maps:
        with clock.part("score"), csv_rows(arguments) as write_row:

            def done(i: int, score: float, verdict: dict[str, Any]) -> None:
                row = row_of(i, score, verdict)
                if write_row:
                    write_row({**row, "file": row["image"], "score": score})
                if printed is None:
                    rows.append(row)
                else:
                    printed.add(row)

            batches = map(scores_of, source.batches())
            scores, judgement = judge(arguments, fitted.calibration, batches, source.n, done)
        if printed is not None:
            printed.end()
        source.move_seconds(clock)
        clock.seconds["score_per_image"] = clock.seconds["score"] / judgement.n
        if maps.wanted:
            assert source.dataset is not None
            with clock.part("maps"):
                _write_maps(arguments, maps, source.dataset, rows)
            clock.seconds["maps_per_image"] = clock.seconds["maps"] / judgement.n
    summary = {
        "n": judgement.n,
        "threshold": -judgement.threshold,
        **judgement.summary(),
        "calibration": fitted.calibration.source,
        "n_calibration": len(fitted.calibration.scores),
    }
    if arguments.json:
        summary |= maps.summary() | _latency(seconds) | {"reading": source.report.to_dict()}
        again = (row_of(*columns) for columns in judged_rows(arguments, fitted.calibration, scores, BATCH))
        common.print_json_list(summary, "images", rows or again, {"seconds": clock.seconds, "model": arguments.model})
        return
    if arguments.csv != "-":
        if printed is None:
            printed = common.Table(SHOWN)
            for row in rows:
                printed.add(row)
        source_of = f"threshold from {summary['n_calibration']:,} {summary['calibration']}"
        common.say(
            arguments,
            f"{judgement.sentence('pictures')} (energy above {summary['threshold']:.6g}"
            f"{f'; {source_of}' if given_threshold(arguments) is None else ''})",
        )
    maps.tell()


def _latency(seconds: list[float]) -> dict[str, Any]:
    """Seconds from a picture to its verdict, for --json; of pictures that are scored together each one's share."""
    from statistics import fmean, median

    if not seconds:
        return {"latency": None}
    return {"latency": {"mean": fmean(seconds), "median": median(seconds), "max": max(seconds)}}


def _write_maps(
    arguments: argparse.Namespace, maps: "Maps", dataset: "InspectionSet", rows: list[dict[str, Any]]
) -> None:
    """Everything that is made of maps, for every row."""
    test, found = dataset.test, None
    assert test is not None
    for i in common.progress(range(len(rows)), arguments, len(rows), "picture", "maps"):
        if i % BATCH == 0:
            found = maps.of(test[i : min(i + BATCH, len(rows))])
        known = dataset.masks is not None and dataset.has_mask is not None and dataset.has_mask[i]
        mask = dataset.masks[i] if known and dataset.masks is not None else None
        maps.write(test[i], found[i % BATCH], rows[i], mask)
