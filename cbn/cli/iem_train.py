# SPDX-License-Identifier: BSD-3-Clause
"""cbn-iem-train: train an introspective energy model on good pictures, say how well it finds defects, write a file."""

import argparse
from typing import TYPE_CHECKING, Any

from ..iem.names import EMBEDDED
from . import _common as common
from . import _iem_options as options
from ._apart import check_apart, hashes_of
from ._config import make_training_parser
from ._iem_calibration import load_calibration
from ._iem_data import Job, add_training_data, list_jobs, load_pictures
from ._report_after import add_report, check_after, report_on_category

if TYPE_CHECKING:
    from ..datasets import InspectionSet
    from ..iem.fitted import FittedEnergyModel
    from ..iem.gaussian.fitted import FittedGaussianModel
    from ..iem.pretrained.backbone import Backbone
    from ..iem.pretrained.embedded import EmbeddedBackbone


def build_parser() -> argparse.ArgumentParser:
    parser = make_training_parser(
        "cbn-iem-train",
        "Fit an introspective energy model to pictures without defects and write a model file. If there are test\n"
        "pictures, print how well it tells good from defective ones, and with masks how well it finds the defects,\n"
        "with 95 % bootstrap intervals. Of neural models Ctrl-C keeps the epochs so far; --resume goes on, after a\n"
        "crash as well, to the model of an undisturbed training.",
        [
            "cbn-iem-train --synthetic texture                     # a first look without data, writes iem.cbn",
            "cbn-iem-train --data mvtec/screw                      # a category of MVTec AD",
            "cbn-iem-train --data mvtec --categories all --resume  # all of them, table beside the thesis's",
            "cbn-iem-train --data mvtec/grid --sidewards neural    # the thesis's own models",
            "cbn-iem-train --good pictures/ --test more/ --size 128 --brightness median",
            "cbn-iem-train --good pictures/ --calibration today/   # the threshold from pictures of its own",
            "cbn-iem-train --data mvtec/tile --backbone alexnet --weights alexnet.pth",
            "cbn-iem-train --data mvtec/tile --sharing a --dry-run",
            "cbn-iem-train --config screw.toml --seed 1            # options from a file, the line's before them",
            "cbn-iem-train --good may/ --keep-sums --out may.cbn   # a model that can learn more",
            "cbn-iem-train --good june/ --add may.cbn --out both.cbn",
            "cbn-iem-train --merge plant1.cbn plant2.cbn --out all.cbn",
        ],
    )
    add_training_data(parser)
    options.add_model_options(parser)
    parser.add_argument(
        "--out", default=options.DEFAULT_MODEL, metavar="FILE",
        help=f"model file to write (default: {options.DEFAULT_MODEL}; with --categories, iem-CATEGORY.cbn)",
    )  # fmt: skip
    group = parser.add_argument_group("further training", "Of Gaussian models that keep their sums (--keep-sums).")
    group.add_argument(
        "--add", metavar="MODEL",
        help="add the pictures to this model: --out becomes what one training on all of them would give. Settings and size "
        "are those of the model, and so is the threshold's false-alarm rate",
    )  # fmt: skip
    group.add_argument(
        "--merge", nargs="+", action="extend", metavar="MODEL",
        help="make one model of two or more, without pictures: --out becomes what one training on the pictures of all would "
        "give, with the false-alarm rate of the first",
    )  # fmt: skip
    parser.add_argument(
        "--resume", action="store_true", default=None,
        help="go on from the checkpoints FILE.checkpoint, where there are any, and keep models that are complete",
    )  # fmt: skip
    parser.add_argument(
        "--dry-run", action="store_true", help="print sizes of all levels, parameters and memory; train nothing"
    )
    add_report(parser)
    common.add_seed(parser)
    return parser


def main(argv: list[str] | None = None) -> int:
    return common.run("cbn-iem-train", build_parser, train, argv)


def train(arguments: argparse.Namespace) -> None:
    check_after(arguments)
    base = None
    if arguments.merge is not None or arguments.add is not None:
        from . import _iem_further as further

        common.check_outputs(arguments, "--out", picture=None, models=("--out",))
        if arguments.merge is not None:
            return further.merge(arguments, build_parser().parse_args([]))
        base = further.read_base(arguments)
    if arguments.false_alarm_rate is None:
        arguments.false_alarm_rate = options.FALSE_ALARM_RATE
    options.check_model_options(arguments)
    common.check_outputs(arguments, "--out", picture=None, models=("--out",))
    if arguments.calibration is not None and arguments.categories is not None:
        raise common.UsageError("--calibration: pictures of one category; with --categories leave it out")
    jobs = list_jobs(arguments)
    backbone = options.read_backbone(arguments)
    with options.naming_options():
        work = _dry_run if arguments.dry_run else _train_models
        work(arguments, jobs, backbone, base)


def _dry_run(
    arguments: argparse.Namespace,
    jobs: list[Job],
    backbone: "Backbone | EmbeddedBackbone | None",
    base: "FittedGaussianModel | None",
) -> None:
    from . import _iem_dry_run as dry_run
    from ._iem_assumed import tell_of_training

    results = []
    for job in jobs:
        dataset = load_pictures(arguments, job)
        shape = (*dataset.image_shape, dataset.channels)
        if base is not None:
            results.append(dry_run.describe_added(base, arguments.add, dataset))
            continue
        chosen = options.fit_arguments(arguments, len(dataset.train), shape, backbone)
        if not results:
            tell_of_training(arguments, chosen, dataset)
        describe = dry_run.describe_gaussian if chosen.sidewards == "gaussian" else dry_run.describe
        results.append(describe(chosen, dataset, shape))
    if arguments.json:
        common.print_json(results[0] if arguments.categories is None else {"categories": results})
        return
    for result in results:
        dry_run.print_one(result)


def _train_models(
    arguments: argparse.Namespace,
    jobs: list[Job],
    backbone: "Backbone | EmbeddedBackbone | None",
    base: "FittedGaussianModel | None",
) -> None:
    from . import _iem_fit as fitting
    from . import _iem_report as report
    from ._iem_assumed import tell_of_training
    from ._iem_figures import evaluate
    from ._jobs import check_checkpoints

    check_checkpoints(arguments, [job.out for job in jobs])
    results = []
    gaussian = options.chosen_sidewards(arguments) == "gaussian"
    with fitting.FitProgress(arguments, len(jobs), "picture" if gaussian else "epoch") as progress:
        for job in jobs:
            clock = common.Clock()
            with clock.part("load"):
                dataset = load_pictures(arguments, job)
                shape = (*dataset.image_shape, dataset.channels)
                calibration = load_calibration(arguments, shape)
                if calibration is not None:
                    check_apart(arguments, hashes_of(dataset.train), calibration)
            chosen = (
                options.fit_arguments(arguments, len(dataset.train), shape, backbone)
                if base is None
                else base.arguments
            )
            if base is None and not results:
                tell_of_training(arguments, chosen, dataset)
            progress.begin(chosen, len(dataset.train), shape, job.name)
            source = arguments.synthetic or arguments.good or job.path
            if base is None:
                fitted = fitting.train_model(arguments, chosen, dataset, calibration, job.out, source, clock, progress)
            else:
                from ._iem_further import add

                fitted = add(arguments, base, dataset, calibration, source, clock, progress)
            describe = _describe_gaussian if gaussian else _describe
            result = describe(arguments, fitted, dataset) | evaluate(fitted, dataset, clock)
            result |= {
                "seconds": clock.seconds,
                "model": job.out,
                "added_to": arguments.add,
                "n_images": fitted.n_images,
            }
            report.warn_of_brightness(arguments, result)
            report.warn_of_difference(arguments, result)
            results.append(result)
    if arguments.categories is None:
        if arguments.json:
            common.print_json(results[0])
        else:
            report.print_one(results[0], dataset)
        report_on_category(arguments, jobs[0].path, dataset)
        return
    means = report.summary(results)
    if arguments.json:
        common.print_json({"categories": results, **means})
    else:
        report.print_all(results, means)


def _describe_gaussian(
    arguments: argparse.Namespace, fitted: "FittedGaussianModel", dataset: "InspectionSet"
) -> dict[str, Any]:
    """What --json prints of a Gaussian model beside its figures."""
    return _of_both(arguments, fitted, dataset, pretrained=fitted.backbone is not None) | {
        "sidewards": "gaussian",
        "positions": list(fitted.gaussians.shape),
        "n_directions": fitted.whitening.basis.shape[1],
        "n_parameters": sum(own.size for own in (fitted.gaussians.mean, fitted.gaussians.factors)),
        "gaussian": fitted.gaussians.gaussian.get_params(),
        "backbone": None if fitted.backbone is None else EMBEDDED,
        "brightness": fitted.brightness,
        "false_alarm_rate": fitted.calibration.false_alarm_rate,
    }


def _of_both(
    arguments: argparse.Namespace, fitted: Any, dataset: "InspectionSet", *, pretrained: bool
) -> dict[str, Any]:
    from ._iem_report import thesis_figures

    calibration = fitted.calibration
    known = thesis_figures(dataset.category, pretrained) if arguments.data is not None else None
    return {
        "category": dataset.category,
        "n_train": len(dataset.train),
        "reading": dataset.report.to_dict(),
        "picture_shape": list(fitted.picture_shape),
        "calibration": calibration.source,
        "n_calibration": len(calibration.scores),
        "threshold": float(-calibration.offset),
        "seed": arguments.seed,
        "thesis": None if known is None else {"table": known[0], "image_auroc": known[1]},
    }


def _describe(arguments: argparse.Namespace, fitted: "FittedEnergyModel", dataset: "InspectionSet") -> dict[str, Any]:
    """What --json prints of a model beside its figures."""
    settings = fitted.settings
    sizes = settings.sizes(fitted.picture_shape)
    return _of_both(arguments, fitted, dataset, pretrained=arguments.backbone is not None) | {
        "sidewards": "neural",
        "n_levels": len(fitted.levels),
        "n_parameters": sum(size.kernel_parameters + size.sidewards_parameters for size in sizes),
        "backbone": arguments.backbone,
        "sharing": settings.sharing,
        "energy": settings.energy,
        "brightness": settings.brightness,
        "epochs": list(settings.epochs),
        "loss": [level.curve[-1] for level in fitted.levels],
        "dead_kernels": fitted.dead_kernels.tolist(),
        "false_alarm_rate": settings.false_alarm_rate,
    }
