# SPDX-License-Identifier: BSD-3-Clause
"""How pictures are read: options that the programs share, and what is said of the files that were read."""

import argparse
import contextlib
import re

from ..exceptions import DataError
from ._running import naming, say


def picture_size(text):
    """An argparse type: "300" or "240x320" (height x width)."""
    match = re.fullmatch(r"(\d{1,5})(?:x(\d{1,5}))?", text)
    sides = [int(side) for side in match.groups() if side is not None] if match else [0]
    if min(sides) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a size such as 300 or 240x320 (height x width)")
    return sides[0], sides[-1]


def color_name(text):
    """An argparse type: the other spelling of grey is grey."""
    return "grey" if text == "gray" else text


def full_scale(text):
    """An argparse type: what white is."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value <= 2**31:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number above 0, such as 4095")
    return value


def add_size_and_color(group):
    """Options of programs that read grey images."""
    group.add_argument(
        "--size", type=picture_size, metavar="N",
        help="resize pictures to N x N, or HEIGHTxWIDTH pixels, whatever their proportions (default: all must be of one "
        "size)",
    )  # fmt: skip
    group.add_argument(
        "--color", type=color_name, choices=("grey",), help="grey: make pictures of colour grey (default: refuse them)"
    )


def add_reading(group):
    """Options of all programs that read pictures."""
    group.add_argument(
        "--background", choices=("black", "white"), default="black",
        help="what lies behind transparent parts of pictures (default: black)",
    )  # fmt: skip
    group.add_argument(
        "--full-scale", type=full_scale, metavar="X",
        help="the value of white, such as 4095 for 12 bits (default: 1, 255 or 65535 where one of them fits)",
    )  # fmt: skip
    group.add_argument("--skip-bad", action="store_true", help="leave out pictures that cannot be read")


def reading(arguments):
    """What a reader of cbn.datasets takes from these options, but for size and colour."""
    own = {name: getattr(arguments, name) for name in ("background", "full_scale", "skip_bad")}
    return {**own, "n_jobs": arguments.threads}


def tell(arguments, report, option="--data"):
    """Says on stderr what was left out and what was assumed."""
    for line in report.lines():
        say(arguments, f"{option}: {line}")


# Errors of cbn.datasets name arguments of its functions.
_OPTIONS = (
    (re.compile(r"size=\(height, width\)"), "--size HEIGHTxWIDTH"),
    (re.compile(r"\b(color|background)='(\w+)'"), r"--\1 \2"),
    (re.compile(r"\bfull_scale=(\S+)"), r"--full-scale \1"),
    (re.compile(r"\bgive full_scale\b"), "give --full-scale"),
    (re.compile(r"\bgive plain folders to load_good_and_test$"), "give a plain folder of good pictures with --good"),
    (re.compile(r"(cannot be read as a picture \(.*\); replace the file)$"), r"\1, or leave such out by --skip-bad"),
)


@contextlib.contextmanager
def naming_reader(option):
    """Errors of readers name the option that gave the path, and the options that mend them."""
    try:
        with naming(option):
            yield
    except DataError as error:
        message = str(error)
        for pattern, own in _OPTIONS:
            message = pattern.sub(own, message)
        raise DataError(message) from None
