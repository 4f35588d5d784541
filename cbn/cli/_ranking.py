# SPDX-License-Identifier: BSD-3-Clause
"""--top, --sort and --sheet: their options."""

from . import _common as common

SHEET = 20  # pictures of a sheet, where --top does not say how many
MOST_OF_SHEET = 1000


def add_ranking(parser, what, extreme, more=""):
    """Options of lists; ``what`` is "images" or "pictures", ``extreme`` what the most anomalous have, ``more`` is said of a sheet."""
    group = parser.add_argument_group(
        "the most anomalous",
        f"Those of {extreme} come first, equal ones in the order of the {what}. What is printed and drawn follows these\n"
        "options; files of --csv, --jsonl and --parquet have every row, in the order read.",
    )
    group.add_argument("--top", type=common.integer(1, 10**9), metavar="N", help=f"only the N most anomalous {what}")
    group.add_argument("--sort", action="store_true", help=f"all {what}, the most anomalous first")
    group.add_argument(
        "--sheet", metavar="FILE",
        help=f"write one picture (PNG) of the N most anomalous {what} of --top (default: {SHEET}) with name, verdict and "
        f"score{more}",
    )  # fmt: skip


def check_ranking(arguments):
    """Refuses a sheet that nobody could look at."""
    if arguments.sheet is not None and arguments.top is not None and arguments.top > MOST_OF_SHEET:
        raise common.UsageError(f"--top {arguments.top}: a sheet has at most {MOST_OF_SHEET:,} pictures; give fewer")


def is_ranked(arguments):
    """Whether the list is in the order of scores."""
    return arguments.sort or arguments.top is not None
