# SPDX-License-Identifier: BSD-3-Clause
"""Pictures of the programs of introspective energy models: --data, --good and --test, --synthetic."""

import argparse
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from . import _common as common
from ._iem_options import BACKBONE_SIZE, MAX_SIDE, chosen_sidewards
from ._reading import add_reading, color_name, naming_reader, picture_size, reading, tell

if TYPE_CHECKING:
    from ..datasets import InspectionSet

# Seed and side of --synthetic: the pictures stay the same whatever the seed of the model.
SYNTHETIC_SEED, SYNTHETIC_SIZE = 0, 64
# The kinds of cbn.datasets.make_category, which --help does not wait for.
KINDS = ("texture", "object")


def add_training_data(parser: argparse.ArgumentParser) -> None:
    """The group "pictures" of cbn-iem-train."""
    group = parser.add_argument_group("pictures", "One of --data, --good and --synthetic.")
    group.add_argument(
        "--data", "--images", metavar="PATH",
        help="a category in the layout of MVTec AD: train/good, test/good, test/DEFECT, ground_truth/DEFECT; with "
        "--categories a folder of such",
    )  # fmt: skip
    group.add_argument(
        "--categories", metavar="NAME,...", help="categories in the folder --data; 'all': one model for each"
    )
    group.add_argument("--good", metavar="DIR", help="a folder of pictures without defects to learn from")
    group.add_argument(
        "--test", metavar="DIR",
        help="with --good: pictures to judge; sub-folders are kinds of defects, one of them may be called good",
    )  # fmt: skip
    add_synthetic(group)
    group.add_argument(
        "--calibration", metavar="DIR",
        help="good pictures that had no part in training and set the threshold; resized to the size of the others",
    )  # fmt: skip
    group.add_argument(
        "--size", type=picture_size, metavar="N",
        help="resize pictures to N x N, or HEIGHTxWIDTH pixels (default: as they are, but shrunk where a side is "
        f"longer than {MAX_SIDE}; with a pretrained network, the default, {BACKBONE_SIZE[0]} x {BACKBONE_SIZE[1]})",
    )  # fmt: skip
    group.add_argument(
        "--color",
        type=color_name,
        choices=("auto", "grey", "rgb"),
        default="auto",
        help="auto: rgb if any has colour (default: auto)",
    )
    add_reading(group)


def add_synthetic(group: Any) -> None:
    group.add_argument("--synthetic", choices=KINDS, help="a small made category, for a first run without data")


@dataclass(frozen=True)
class Job:
    """One model to train: its pictures and its file."""

    name: str | None  # of the category where several are trained
    path: str | None  # of --data
    out: str


def list_jobs(arguments: argparse.Namespace) -> list[Job]:
    """The models that --data, --categories and --out name."""
    sources = [name for name in ("data", "good", "synthetic") if getattr(arguments, name) is not None]
    if len(sources) != 1:
        given = " and ".join(f"--{name}" for name in sources) or "none of them"
        raise common.UsageError(f"give one of --data, --good and --synthetic ({given} given)")
    if arguments.test is not None and arguments.good is None:
        raise common.UsageError("--test: goes with --good; a folder --data brings its own test pictures")
    if arguments.synthetic is not None and arguments.color == "auto":
        arguments.color = "grey"
    if arguments.categories is None:
        return [Job(None, arguments.data, arguments.out)]
    if arguments.data is None:
        raise common.UsageError("--categories: goes with --data FOLDER; name the folder that holds the categories")
    from ..datasets import list_categories

    with common.naming("--data"):
        present = list_categories(arguments.data)
    names = present if arguments.categories == "all" else list(dict.fromkeys(arguments.categories.split(",")))
    for name in names:
        if name not in present:
            raise common.UsageError(f"--categories: no category {name!r}; choose among {', '.join(present)}")
    stem, suffix = os.path.splitext(arguments.out)
    return [
        Job(name, os.path.join(arguments.data, name), f"{stem}-{safe}{suffix}")
        for name, safe in zip(names, common.file_names(names), strict=True)
    ]


def load_pictures(arguments: argparse.Namespace, job: Job) -> "InspectionSet":
    """The InspectionSet of a job."""
    from ..datasets import load_good_and_test, load_mvtec

    learned = chosen_sidewards(arguments) == "neural" and arguments.backbone is None
    size = arguments.size or (None if learned else BACKBONE_SIZE)
    options = {"size": size, "color": arguments.color}
    if arguments.synthetic is not None:
        return synthetic(arguments, size, arguments.color)
    options |= {"max_side": MAX_SIDE, **reading(arguments)}
    option = "--data"
    if arguments.good is not None:
        option = "--good" if arguments.test is None else "--good, --test"
    # what is wrong with one of two folders names the argument
    with naming_reader(option), common.renaming(good="--good", test="--test"):
        if arguments.good is not None:
            dataset = load_good_and_test(arguments.good, arguments.test, **options)
        else:
            dataset = load_mvtec(job.path, **options)
    tell(arguments, dataset.report, option)
    return dataset


def synthetic(arguments: argparse.Namespace, size: tuple[int, int] | None, color: str) -> "InspectionSet":
    """The synthetic category that both programs know by its kind."""
    from ..datasets import make_category

    return make_category(
        arguments.synthetic, size=size or SYNTHETIC_SIZE, color=color, random_state=SYNTHETIC_SEED,
        n_jobs=arguments.threads,
    )  # fmt: skip
