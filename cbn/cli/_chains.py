# SPDX-License-Identifier: BSD-3-Clause
"""What the programs that run Gibbs chains share: their temperature, and what is said about their mixing."""

import argparse

from . import _common as common


def add_temperature(parser):
    parser.add_argument(
        "--temperature",
        type=temperature,
        metavar="T",
        help="of the Gibbs chains: 1 is the model's distribution (default), 0 accepts only what is more probable, "
        "FIRST,LAST goes from one to the other during the run (annealing)",
    )


def temperature(text):
    """An argparse type: T, or FIRST,LAST as a tuple."""
    from .._validation import check_temperature

    try:
        numbers = tuple(float(part) for part in text.split(","))
        first, last = check_temperature(numbers if len(numbers) > 1 else numbers[0])
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no number from 1e-9 to 1e9, nor 0, nor two such numbers, neither of them 0, as in 4,0.25"
        ) from None
    return first if first == last else (first, last)


def say_mixing(arguments, mixing, option):
    """The mixing report on stdout; what to do about bad mixing on stderr. Chains that anneal or climb have none."""
    say_mixings(arguments, [None], [mixing], option)


def say_mixings(arguments, names, mixings, option):
    """The same of several images, by name; once what is said of all of them."""
    if arguments.temperature == 0 or isinstance(arguments.temperature, tuple):
        if not arguments.json:
            print("mixing: not judged, because chains that anneal or climb have no distribution to mix into")
        return
    summaries = [mixing.summary() for mixing in mixings]
    if not arguments.json:
        if len(set(summaries)) == 1:
            print(summaries[0])
        else:
            for name, summary in zip(names, summaries):
                print(f"{common.cell(name)}: {summary}")
    bad = [mixing for mixing in mixings if not mixing.mixed]
    if bad:
        of = "" if len(mixings) == 1 else f"{len(bad)} of {len(mixings)} images: "
        common.warn(arguments, f"{of}{bad[0].problem}; raise {option}")
