# SPDX-License-Identifier: BSD-3-Clause
"""cbn-score for a network: scores, verdicts, heat maps, explanations and repairs."""

import os
from dataclasses import replace

import numpy as np

from . import _common as common
from ._images import images_for, read_splits
from ._ranking import is_ranked
from ._row_files import has_files, print_rows, row_files, takes_stdout
from ._score_images import BATCH, NAMING, scored_images
from ._sheet import write_sheet
from ._thresholds import is_alone, set_threshold
from ._verdicts import COLUMNS, judge, judged_rows, told_threshold
from ._worst import Ranking

SHOWN = "image", "label", "score", "p_value", "verdict", "heatmap", "changes"
_MEANINGS = {"score": common.SCORE}


def score_network(arguments, fitted):
    """Everything that the options ask for."""
    clock = common.Clock()
    alone = is_alone(arguments, *NAMING)
    if arguments.calibration is not None or arguments.save_calibrated is not None:
        fitted = set_threshold(arguments, fitted, lambda own: recalibrated(arguments, own), clock, alone)
    if not alone:
        score_images(arguments, fitted, clock)


def recalibrated(arguments, fitted):
    """The network with the threshold of the images of --calibration."""
    sets = read_splits(arguments, "--calibration", arguments.calibration)
    if len(sets) > 1:
        raise common.UsageError(
            f"--calibration: {arguments.calibration!r} has {' and '.join(sets)} images; give one of these alone"
        )
    chosen = next(iter(sets.values()))
    return fitted.calibrated(images_for(arguments, fitted, chosen, "--calibration"))


def score_images(arguments, fitted, clock):
    """Scores, verdicts and what is made of them."""
    ranked = is_ranked(arguments)
    with clock.part("load"):
        later = arguments.top is None and (arguments.json or arguments.sort)  # rows are made again at the end
        source = scored_images(arguments, fitted, keeps=later or arguments.fdr is not None)
    common.output_folder("--heatmap", arguments.heatmap)
    common.output_folder("--repair", arguments.repair)
    printed = None
    if source.images is None and not arguments.json and not ranked:
        printed = common.Table(SHOWN, not takes_stdout(arguments), has_files(arguments), _MEANINGS)
    ranking, rows = Ranking(arguments, source), []  # rows of images that are held

    def row_of(i, score, verdict):
        name, label = ranking.about(i)
        return {"image": name, "score": score, **verdict} | ({} if label is None else {"label": label})

    def scores_of(images):
        scores = fitted.judged_scores(images)
        ranking.add(scores)
        return scores

    with clock.part("score"), row_files(arguments, COLUMNS) as write_row:

        def done(*columns):
            row = row_of(*columns)
            if write_row:
                write_row({**row, "file": row["image"]})
            if printed:
                printed.add(row)
            elif source.images is not None:
                rows.append(row)

        has_rows = write_row or printed or source.images is not None  # those of --json are made at the end
        batches = map(scores_of, source.batches())
        scores, judgement = judge(arguments, fitted.calibration, batches, source.n, done if has_rows else None)

    def rows_of(places):
        return (row_of(*columns) for columns in judged_rows(arguments, fitted.calibration, scores, BATCH, places))

    places = ranking.places(scores)
    if source.images is not None and ranked:
        rows = [rows[i] for i in places]
    if printed:
        printed.end()
    source.move_seconds(clock)
    summary = {
        "n": judgement.n,
        "score": fitted.settings.score,
        "direction": common.SCORE,
        "threshold": judgement.threshold,
        **judgement.summary(),
        "calibration": fitted.calibration.source,
        "n_calibration": len(fitted.calibration.scores),
        "binarization": fitted.rule,
        "sheet": arguments.sheet,
    }
    if arguments.sheet is not None:
        with clock.part("sheet"):
            meaning = f"score ({summary['score']}): {common.SCORE}"
            write_sheet(arguments, ranking, rows_of(ranking.numbers()), "images", meaning)
    explanations = []
    if source.images is not None:
        images = source.images[places] if ranked else source.images
        explanations = draw_and_explain(
            arguments, fitted, images, rows, judgement, clock, lambda i: source.picture(places[i] if ranked else i)
        )
    if arguments.json:
        for row, nodes in zip(rows, explanations):
            row["explanation"] = [node.to_dict() for node in nodes]
        summary["reading"] = source.report.to_dict()
        end = {"seconds": clock.seconds, "model": arguments.model}
        common.print_json_list(summary, "images", rows or rows_of(places), end)
        return
    if takes_stdout(arguments):
        if ranked:
            print_rows(arguments, COLUMNS, ({**row, "file": row["image"]} for row in rows or rows_of(places)))
        return
    if printed is None:
        printed = common.Table(SHOWN, meanings=_MEANINGS)
        for i, row in enumerate(rows or rows_of(places)):
            printed.add(row, explanations[i] if explanations else ())
    shown = f"{summary['score']} below {summary['threshold']:.6g}"
    told = told_threshold(arguments, fitted.calibration, summary["threshold"], shown)
    common.say(arguments, f"{judgement.sentence('images')} ({'; '.join([*told, summary['binarization']])})")


def draw_and_explain(arguments, fitted, images, rows, judgement, clock, picture_of):
    """What --heatmap and --repair ask for, noted in the rows; the explanations of every image."""
    if arguments.heatmap:
        with clock.part("heatmap"):
            write_heat_maps(arguments, fitted, images, rows, picture_of)
    explanations = []
    if arguments.explain is not None:
        with clock.part("explain"):
            numbers = common.progress(range(len(images)), arguments, len(images), "image", "explanations")
            kinds = ("surprise", "contrast") if fitted.settings.score == "contrast" else ("surprise",)
            explanations = [
                [node for by in kinds for node in fitted.explain(images[i], arguments.explain, by)] for i in numbers
            ]
    if arguments.repair:
        with clock.part("repair"):
            at_rate = replace(fitted, settings=replace(fitted.settings, false_alarm_rate=judgement.rate))
            outliers = np.flatnonzero([row["verdict"] == "outlier" for row in rows])
            write_repairs(arguments, at_rate, images, rows, outliers)
    return explanations


def write_heat_maps(arguments, fitted, images, rows, picture_of):
    """One picture per image, all with the model's scale; ``picture_of`` gives the i-th image as it was read."""
    from ..plots import pictures

    vmax = fitted.heat_map_scale()
    contrast_top = None if fitted.network.contrast is None else fitted.contrast_map_scale()
    names = common.file_names(os.path.splitext(row["image"])[0] for row in rows)
    for i in common.progress(range(len(images)), arguments, len(images), "picture", "heat maps"):
        row = rows[i]
        path = os.path.join(arguments.heatmap, f"{names[i]}.png")
        p_value = "" if row["p_value"] is None else f", p = {row['p_value']:.4g}"
        title = f"{row['image']}: {row['verdict']}{p_value}"
        surprise = fitted.surprise_map(images[i : i + 1])[0]
        against = None
        if contrast_top is not None:
            against = fitted.contrast_map(images[i : i + 1], smooth=True)[0], contrast_top
        picture = pictures.heat_map(picture_of(i), surprise, vmax, 255, title, against)
        pictures.save_png(picture, path)
        row["heatmap"] = path


def write_repairs(arguments, fitted, images, rows, outliers):
    """One picture per outlier; rows get the number of changed pixels, None where no set of changes was found."""
    from ..plots import pictures

    names = common.file_names(os.path.splitext(row["image"])[0] for row in rows)
    for row in rows:
        row["changes"] = 0
    for i in common.progress(outliers.tolist(), arguments, len(outliers), "image", "repairs"):
        found = fitted.repair(images[i])
        rows[i]["changes"] = len(found.changes) if found.succeeded else None
        rows[i]["repair"] = os.path.join(arguments.repair, f"{names[i]}.png")
        picture = pictures.repair(found.image, found.repaired, fitted.binarization.full_scale)
        pictures.save_png(picture, rows[i]["repair"])
