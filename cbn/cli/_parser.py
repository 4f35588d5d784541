# SPDX-License-Identifier: BSD-3-Clause
"""The command line: a parser whose errors are one line, the options that all programs have, types of values."""

import argparse
import os
import re
import sys

from .._version import __version__

DEFAULT_MODEL = "model.cbn"


def one_line(message):
    return " ".join(str(message).split())


class Parser(argparse.ArgumentParser):
    """Errors in one line; ``read`` is what programs call."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False, **kwargs)

    def read(self, words):
        """The arguments of a command line."""
        return self.parse_args(words)

    def parse_args(self, args=None, namespace=None):
        """As argparse does it, but an option that is none is named together with the one that is spelt most like it."""
        for word in args or ():
            if word == "--":
                break
            if word.startswith("--") and " " not in word:
                self._refuse_misspelt(word.partition("=")[0])
        return super().parse_args(args, namespace)

    def _refuse_misspelt(self, option):
        known = self._option_string_actions
        if option in known:
            return
        import difflib

        near = difflib.get_close_matches(option, known, n=1)
        if near:
            self.error(f"unrecognized arguments: {option}; did you mean {near[0]}?")

    def error(self, message):
        self.exit(2, f"{self.prog}: error: {one_line(message)} (see {self.prog} --help)\n")


def make_parser(program, description, examples, kind=Parser):
    """A parser with the options that every program has."""
    epilog = "examples:\n" + "\n".join(f"  {line}" for line in examples)
    parser = kind(prog=program, description=description, epilog=epilog)
    parser.set_defaults(program=program)
    common = parser.add_argument_group("common options")
    common.add_argument("--threads", type=thread_count, metavar="N", help="threads (default: all cores)")
    common.add_argument("--json", action="store_true", help="print one JSON object on stdout, nothing else there")
    common.add_argument(
        "--quiet",
        action="store_true",
        help="no progress, assumptions, notes or warnings on stderr, errors excepted; the result stays on stdout",
    )
    common.add_argument(
        "--completion", action=_Completion, choices=("bash", "zsh"), default=argparse.SUPPRESS,
        help="print what completes the options of this program in a shell, and exit",
    )  # fmt: skip
    common.add_argument("--version", action="version", version=f"{program} {__version__}")
    return parser


def add_seed(parser):
    parser.add_argument("--seed", type=integer(0, 2**64 - 1), default=0, metavar="N", help="random seed (default: 0)")


def add_model(parser, default=DEFAULT_MODEL):
    """The model file to read, by its option or alone."""
    parser.add_argument(
        "--model", action=_Once, default=default, metavar="FILE", help=f"model file to read (default: {default})"
    )
    parser.add_argument(
        "positional",
        nargs="?",
        action=_Once,
        default=argparse.SUPPRESS,
        metavar="MODEL",
        help="the same without --model",
    )


class _Completion(argparse.Action):
    """Prints a file that docs/options.py has made of the parser, and ends the program."""

    def __call__(self, parser, namespace, values, option_string=None):
        path = os.path.join(os.path.dirname(__file__), "completion", f"{parser.prog}.{values}")
        with open(path, encoding="utf-8") as file:
            sys.stdout.write(file.read())
        parser.exit()


class _Once(argparse.Action):
    """The one model file of a program, however it is named."""

    def __call__(self, parser, namespace, values, option_string=None):
        way, earlier = getattr(namespace, "named_model", (option_string, values))
        if way != option_string and earlier != values:
            parser.error(f"--model: {earlier!r} beside {values!r}; name one model")
        namespace.model, namespace.named_model = values, (option_string, values)


def with_values(argv):
    """Words of a command line in which values that begin with a dash, such as -1,0, are joined to their option."""
    joined = []
    for word in map(str, argv):
        if joined and re.match(r"-[\d.]", word) and re.fullmatch(r"--[a-z-]+", joined[-1]):
            joined[-1] = f"{joined[-1]}={word}"
        else:
            joined.append(word)
    return joined


def integer(low, high):
    """An argparse type: a whole number in low..high."""

    def convert(text):
        try:
            value = int(text)
        except ValueError:
            value = None
        if value is None or not low <= value <= high:
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from {low} to {high}")
        return value

    return convert


def rate(text):
    """An argparse type: a number between 0 and 1."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 < value < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number between 0 and 1")
    return value


thread_count = integer(1, 1024)
