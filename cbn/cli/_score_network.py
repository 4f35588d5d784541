# SPDX-License-Identifier: BSD-3-Clause
"""cbn-score for a network: scores, verdicts, heat maps, explanations and repairs."""

import os
from dataclasses import replace

import numpy as np

from . import _common as common
from . import _images as images_of
from ._verdicts import csv_rows, judge_in_batches

BATCH = 512  # images that are scored between two writes of rows


def score_network(arguments, fitted):
    """Everything that the options ask for."""
    clock = common.Clock()
    with clock.part("load"):
        chosen, index = images_of.choose_images(arguments)
        index = index[: arguments.n]
        images = images_of.images_for(arguments, fitted, chosen)[: arguments.n]
    common.output_folder("--heatmap", arguments.heatmap)
    common.output_folder("--repair", arguments.repair)
    names = chosen.names or [str(i) for i in index]
    labels = None if chosen.labels is None else chosen.labels.tolist()
    rows = []

    with clock.part("score"), csv_rows(arguments) as write_row:

        def done(i, score, verdict):
            label = {} if labels is None else {"label": labels[i]}
            rows.append({"image": names[i], "score": score, **verdict, **label})
            if write_row:
                write_row({**rows[-1], "file": names[i]})

        _, judgement = judge_in_batches(
            arguments, fitted.calibration, lambda part: fitted.judged_scores(images[part]), len(images), BATCH, done
        )
    rate, outliers = judgement.rate, judgement.outliers
    if arguments.heatmap:
        with clock.part("heatmap"):
            write_heat_maps(arguments, fitted, images, rows)
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
            at_rate = replace(fitted, settings=replace(fitted.settings, false_alarm_rate=rate))
            write_repairs(arguments, at_rate, images, rows, np.flatnonzero(outliers))
    summary = {
        "n": len(rows),
        "score": fitted.settings.score,
        "threshold": judgement.verdicts.threshold,
        **judgement.summary(),
        "calibration": fitted.calibration.source,
        "n_calibration": len(fitted.calibration.scores),
        "binarization": fitted.rule,
    }
    if arguments.json:
        for row, nodes in zip(rows, explanations):
            row["explanation"] = [node.to_dict() for node in nodes]
        summary["reading"] = chosen.report.to_dict()
        common.print_json({**summary, "images": rows, "seconds": clock.seconds, "model": arguments.model})
        return
    if arguments.csv == "-":
        return
    shown = "image", "label", "score", "p_value", "verdict", "heatmap", "changes"
    columns = [name for name in shown if name in rows[0]]
    print("\t".join(columns))
    for i, row in enumerate(rows):
        print("\t".join(common.cell(row[name]) for name in columns))
        for node in explanations[i] if explanations else ():
            print(f"  {node}")
    common.say(
        arguments,
        f"{judgement.sentence('images')} ({summary['score']} below {summary['threshold']:.6g}; threshold from "
        f"{summary['n_calibration']:,} {summary['calibration']} scores; {summary['binarization']})",
    )


def write_heat_maps(arguments, fitted, images, rows):
    """One picture per image, all with the model's scale."""
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
        shown = fitted.binarized_pictures(images[i : i + 1])[0]
        against = None
        if contrast_top is not None:
            against = fitted.contrast_map(images[i : i + 1], smooth=True)[0], contrast_top
        picture = pictures.heat_map(shown, surprise, vmax, fitted.binarization.full_scale, title, against)
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
