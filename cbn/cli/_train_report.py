# SPDX-License-Identifier: BSD-3-Clause
"""How good trained models are: AUROC of all layers and of each, likelihood gains; the thesis's tables beside them."""

import numpy as np

from ..cpd.kinds import kind_named
from ..datasets.mnist import BINARIZATION
from ..layers.contrast import PARTS
from ..metrics.bootstrap import auroc
from ._images import images_for
from ._packed import PackedTest
from ._results import SCORE
from ._too_few import threshold_line
from ._train_density import print_density

# AUROC by digit, in percent: thesis Table 1 (one layer) and Table 2 (two hidden layers of five kernels), both with
# conditional probability tables.
THESIS_TABLE_1 = (94.9, 99.9, 82.1, 84.2, 85.0, 89.2, 95.1, 94.8, 76.6, 92.5)
THESIS_TABLE_2 = (98.9, 99.3, 91.3, 89.2, 90.9, 86.7, 98.0, 94.3, 87.7, 93.8)


def describe(parsed, fitted, chosen, test, clock, out):
    """The result of one training as --json prints it; and log p of all test images by the pixel layer, or None."""
    label = None if parsed.digit is None else chosen.labels[0].item()
    with clock.part("score"):
        quality, log_probability = evaluate(parsed, fitted, test, label)
    _, n_parameters, bic = fitted.bic_terms()
    trained, settings, calibration = fitted.hidden_layers, fitted.settings, fitted.calibration
    trees = [own["trees"] for own in (network.facts() for network in fitted.network.networks) if "trees" in own]
    result = {
        "digit": label,
        "preset": settings.preset,
        "cpd": settings.kind.name,
        "n_layers": len(fitted.network),
        "n_train": len(chosen),
        "reading": chosen.report.to_dict(),
        **quality,
        "gain": [[layer.curve[0].gain, layer.curve[layer.best].gain] for layer in trained],
        "n_relations": [len(layer.layer.relations) for layer in trained],
        "best_iteration": [layer.best for layer in trained],
        "binarization": fitted.rule,
        "n_trees": sum(own["trees"] for own in trees) if trees else None,
        "n_leaves": [own["leaves"] for own in trees] or None,
        "n_parameters": n_parameters,
        "bic": bic,
        "calibration": calibration.source,
        "n_calibration": len(calibration.scores),
        "score": settings.score,
        "threshold": calibration.offset,
        "false_alarm_rate": settings.false_alarm_rate,
        "seed": parsed.seed,
        "seconds": clock.seconds,
        "model": out,
    }
    return result, log_probability


def evaluate(parsed, fitted, test, label):
    """AUROC by score in percent, combined and by layer; mean log-probability (nats) of test images of the label.

    And the log-probability of every test image by the pixel layer, (n_test,), or None without test images.
    """
    quality = {"n_test": 0, "auroc": None, "auroc_by_layer": None, "log_probability_test": None}
    if test is None:
        return quality, None
    planes = test_planes(parsed, fitted, test)
    by_layer = {name: fitted.network.layer_scores(planes, name, fitted.threads) for name in fitted.score_names}
    own = (
        np.ones(planes[0].n_images, bool)
        if label is None
        else test.labels == label
        if test.labels is not None
        else None
    )
    quality["n_test"] = planes[0].n_images
    log_probability = by_layer["log_probability"][:, 0].copy()
    if own is None or not own.any():
        return quality, log_probability
    # of the pixels: with hidden layers the combined score is no log-probability
    quality["log_probability_test"] = float(log_probability[own].mean())
    if not own.all():
        combined = {name: fitted.network.combine(scores, name) for name, scores in by_layer.items()}
        quality["auroc"] = {name: 100 * auroc(own, scores) for name, scores in combined.items()}
        quality["auroc_by_layer"] = {
            name: [100 * auroc(own, column) for column in scores.T] for name, scores in by_layer.items()
        }
    return quality, log_probability


def test_planes(parsed, fitted, test):
    """Bit-planes of every layer of test images: an ImageSet or PackedTest."""
    if isinstance(test, PackedTest):
        return fitted.network.planes(test.planes[fitted.binarization], fitted.threads)
    return fitted.planes(fitted.validated(images_for(parsed, fitted, test)))


def summary(results):
    """Means over all models, as --json prints them."""
    rated = all(result["auroc"] for result in results)

    def mean(key):
        if not rated:
            return None
        return {name: np.mean([r[key][name] for r in results], axis=0).tolist() for name in results[0][key]}

    return {"mean_auroc": mean("auroc"), "mean_auroc_by_layer": mean("auroc_by_layer")}


def layer_names(n_layers):
    """Names of the layers of a model, the pixels first."""
    return ["pixels", *(f"hidden {number}" for number in range(1, n_layers))]


def column_names(by_layer):
    """Names of the columns of scores by layer: of a contrast there are two more."""
    n_layers = len(by_layer["standardized"])
    return [*layer_names(n_layers), *(PARTS if "contrast" in by_layer else ())]


def print_one(result, images):
    nats = result["log_probability_test"]
    every = ", all labels" if result["digit"] is None else ""
    print(f"trained on       {result['n_train']:,} images of {images.source}{every}")
    print(f"binarization     {result['binarization']}")
    for number, (start, best) in enumerate(result["gain"] if has_relations(result) else (), start=1):
        print(
            f"hidden layer {number}   gain {start:.2f} -> {best:.2f} nats per image (iteration "
            f"{result['best_iteration'][number - 1]}), {result['n_relations'][number - 1]} relations"
        )
    if result["n_leaves"]:
        by_layer = zip(layer_names(result["n_layers"]), result["n_leaves"])
        trees = f"{result['n_trees']:,} {kind_named(result['cpd']).nouns}"
        print(f"leaves           {trees}, " + ", ".join(f"{name} {n:,}" for name, n in by_layer))
    print(f"parameters       {result['n_parameters']:,} (BIC {result['bic']:,.0f})")
    if nats is not None:
        print(f"log-probability  {nats:.2f} nats of the pixels per test image of the class (under that binarization)")
    shown, decides = f"{result['score']} {result['threshold']:.2f} ({SCORE})", bool(np.isfinite(result["threshold"]))
    print(threshold_line(shown, result["n_calibration"], result["calibration"], result["false_alarm_rate"], decides))
    print("seconds          " + ", ".join(f"{name} {s:.3f}" for name, s in result["seconds"].items()))
    if result["auroc"]:
        print(f"AUROC in percent against the other labels, {result['n_test']:,} test images")
        _print_by_layer(result["auroc"], result["auroc_by_layer"])
        if is_comparable(result, images):
            number, thesis = _thesis(result)
            figure = f"{thesis[result['digit']]:.1f}"
            print(f"  {f'thesis Table {number}':16} " + (f"{figure:>11}" if result["gain"] else figure))
    print(f"model            {result['model']}")


def _print_by_layer(combined, by_layer, indent="  "):
    """A line for every score: all layers together, then each; without hidden layers that is one figure."""
    names = column_names(by_layer)
    if len(names) > 1:
        print(f"{indent}{'':16} " + "".join(f"{name:>12}" for name in ("all layers", *names)))
    for name, value in combined.items():
        if len(names) == 1:
            print(f"{indent}{name:16} {value:.2f}")
        else:
            print(f"{indent}{name:16} " + "".join(f"{v:12.2f}" for v in (value, *by_layer[name])))


def print_all(results, means, images):
    labels = [str(result["digit"]) for result in results]
    first = results[0]
    if means["mean_auroc"]:
        print(f"AUROC in percent of each label against the others ({first['binarization']})")
        _print_row("", labels, "mean")
        for name in first["auroc"]:
            _print_figures(name, [result["auroc"][name] for result in results])
        if first["gain"]:
            score = first["score"]
            print(f"by layer, {score}")
            for layer, name in enumerate(column_names(first["auroc_by_layer"])[: len(first["auroc_by_layer"][score])]):
                _print_figures(f"  {name}", [result["auroc_by_layer"][score][layer] for result in results])
        if is_comparable(first, images):
            number, thesis = _thesis(first)
            _print_figures(f"thesis Table {number}", thesis, digits=1)
        if first["gain"]:
            print("mean over the labels")
            _print_by_layer(means["mean_auroc"], means["mean_auroc_by_layer"], indent="")
    else:
        print(f"{len(results)} labels, one model each; no test images of all of them, by which to measure an AUROC")
    print_density(means, first["binarization"], first["n_test"], first["n_layers"])
    if first["gain"] and has_relations(first):
        print("likelihood gain of relations, nats per training image, start -> best kernels")
        _print_row("", labels, "mean")
        for number in range(len(first["gain"])):
            for which, name in enumerate(("start", "best")):
                _print_figures(f"hidden {number + 1} {name}", [result["gain"][number][which] for result in results])
            relations = [result["n_relations"][number] for result in results]
            _print_figures("  relations", relations, digits=0)
    fit, score = (sum(result["seconds"][name] for result in results) for name in ("fit", "score"))
    print(f"seconds: fit {fit:.3f}, score {score:.3f}, {len(results)} models")
    print(f"models: {first['model']} ... {results[-1]['model']}")


def _print_figures(name, values, digits=2):
    """A row of the table, one figure for each label, and their mean."""
    _print_row(name, [f"{value:.{digits}f}" for value in values], f"{np.mean(values):.{digits}f}")


def _print_row(name, cells, mean):
    print(f"{name:16}" + "".join(f"{cell:>7}" for cell in (*cells, mean)))


def _thesis(result):
    """Number and figures of the thesis's table for this kind of model."""
    return (2, THESIS_TABLE_2) if result["gain"] else (1, THESIS_TABLE_1)


def has_relations(result):
    """Whether hidden layers have searched relations: where CPDs use them always, else only to train kernels."""
    return kind_named(result["cpd"]).uses_relations or any(result["n_relations"])


def is_comparable(result, images):
    """The thesis's tables stand beside its own data, threshold and kind of model only."""
    own_data = images.source.startswith(("MNIST train (embedded)", "MNIST train (OpenML)"))
    of_the_thesis = kind_named(result["cpd"]).uses_relations and result["binarization"] == BINARIZATION
    return own_data and of_the_thesis
