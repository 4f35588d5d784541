# SPDX-License-Identifier: BSD-3-Clause
"""What all programs share: options, one-line errors, exit codes, data, models.

Exit codes: 0 done, 1 failed, 2 wrong usage, 130 interrupted. Results go to stdout; progress and messages to stderr.
"""

import argparse
import contextlib
import errno
import json
import os
import re
import sys
import time
import traceback
import warnings

import numpy as np

from .. import datasets
from .._version import __version__
from ..exceptions import CbnError, DataError, ModelFileError

DEFAULT_MODEL = "model.cbn"


class UsageError(Exception):
    """Options that do not fit together; exit code 2."""


class Parser(argparse.ArgumentParser):
    """Errors in one line.

    Attributes
    ----------
    default_text : callable, name of an argument -> str, or None
        Fills in ``{default}`` in the help of options. It is called for --help only: to know defaults can take imports.
    """

    def __init__(self, *args, **kwargs):
        super().__init__(*args, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False, **kwargs)
        self.default_text = None

    def format_help(self):
        for action in self._actions:
            if action.help and "{default}" in action.help:
                action.help = action.help.replace("{default}", self.default_text(action.dest))
        return super().format_help()

    def error(self, message):
        self.exit(2, f"{self.prog}: error: {_one_line(message)} (see {self.prog} --help)\n")


def make_parser(program, description, examples):
    """A parser with the options that every program has."""
    epilog = "examples:\n" + "\n".join(f"  {line}" for line in examples)
    parser = Parser(prog=program, description=description, epilog=epilog)
    parser.set_defaults(program=program)
    common = parser.add_argument_group("common options")
    common.add_argument("--threads", type=thread_count, metavar="N", help="threads (default: all cores)")
    common.add_argument("--json", action="store_true", help="print one JSON object on stdout, nothing else there")
    common.add_argument("--quiet", action="store_true", help="no progress or messages on stderr, errors excepted")
    common.add_argument("--version", action="version", version=f"{program} {__version__}")
    return parser


def add_seed(parser):
    parser.add_argument("--seed", type=integer(0, 2**64 - 1), default=0, metavar="N", help="random seed (default: 0)")


def add_data(parser, what):
    """Options that name images."""
    group = parser.add_argument_group("images")
    group.add_argument(
        "--data",
        metavar="PATH",
        help=f"{what}: IDX file or folder, folder of pictures (sub-folders are labels; train/ and test/ are splits), .npy "
        "or .npz, or one picture; 'openml' downloads the grey MNIST (default: the embedded binarized MNIST)",
    )
    group.add_argument("--labels", metavar="PATH", help="labels for a single IDX or .npy file of images")
    return group


def add_choice(group):
    """Options that choose among the images of --data, for programs that read some of them."""
    group.add_argument("--split", choices=("train", "test"), help="which part (default: test where there is one)")
    group.add_argument("--digit", "--label", metavar="LABEL", help="only images of this label")


def add_model(parser):
    parser.add_argument(
        "--model", default=DEFAULT_MODEL, metavar="FILE", help=f"model file to read (default: {DEFAULT_MODEL})"
    )


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


def run(program, build_parser, body, argv):
    """Parses argv, runs body(arguments) and returns the exit code: every failure is one line on stderr."""
    try:
        arguments = build_parser().parse_args(argv)
        if sys.stdout is None:
            raise OSError(errno.EBADF, "closed; nothing can be printed", "standard output")
        # names that the terminal cannot show are shown escaped
        for stream in (sys.stdout, sys.stderr):
            if hasattr(stream, "reconfigure"):
                stream.reconfigure(errors="backslashreplace")
        with _short_warnings(arguments):
            body(arguments)
            sys.stdout.flush()
        return 0
    except UsageError as error:
        return _fail(program, error, 2, hint=f" (see {program} --help)")
    except (DataError, ModelFileError, CbnError) as error:
        return _fail(program, error, 1)
    except BrokenPipeError:  # the reader of the output, such as head, has gone
        _silence_stdout()
        return 1
    except KeyboardInterrupt as interrupt:  # a body that knows what it leaves behind raises one with a message
        message = str(interrupt) or "interrupted; files that were not complete have not been written"
        return _fail(program, message, 130)
    except MemoryError:
        return _fail(program, "not enough memory; use fewer or smaller images, or fewer parents", 1)
    except OSError as error:
        _silence_stdout()
        return _fail(program, f"{error.filename or 'output'}: {error.strerror or error}", 1)
    except ValueError as error:  # arguments of the estimator, checked there
        if os.environ.get("CBN_DEBUG"):
            traceback.print_exc()
        return _fail(program, error, 2)
    except Exception as error:
        if os.environ.get("CBN_DEBUG"):
            traceback.print_exc()
        return _fail(
            program, f"internal error: {type(error).__name__}: {error}; please report it (CBN_DEBUG=1 shows where)", 1
        )


def _fail(program, error, code, hint=""):
    _to_stderr(f"{program}: error: {_one_line(error)}{hint}")
    return code


def _to_stderr(message):
    if sys.stderr is not None:  # print would take standard output for None
        with contextlib.suppress(OSError):
            print(message, file=sys.stderr, flush=True)


def _one_line(message):
    return " ".join(str(message).split())


def _silence_stdout():
    """Nothing more can be written; the interpreter's own flush at exit must not complain."""
    if sys.stdout is not None:
        with contextlib.suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@contextlib.contextmanager
def _short_warnings(arguments):
    """Warnings of cbn as one line on stderr, others not at all."""

    def show(message, category, filename, lineno, file=None, line=None):
        if category.__module__.startswith("cbn") or category is UserWarning:
            warn(arguments, message)

    with warnings.catch_warnings():
        warnings.simplefilter("default")
        warnings.showwarning = show
        yield


def say(arguments, message):
    """A message on stderr, unless --quiet."""
    if not arguments.quiet:
        _to_stderr(message)


def warn(arguments, message):
    """A warning on stderr, unless --quiet."""
    say(arguments, f"{arguments.program}: warning: {_one_line(message)}")


def progress(iterable, arguments, total, unit, description):
    """A tqdm bar on stderr; none with --quiet or where stderr is closed or no terminal."""
    from tqdm import tqdm

    disable = True if arguments.quiet or sys.stderr is None else None
    return tqdm(iterable, total=total, unit=unit, desc=description, disable=disable, leave=False)


def print_json(result):
    """One JSON object on stdout. NaN and infinity, which JSON lacks, become null."""
    print(json.dumps(_finite(result), allow_nan=False))


def _finite(value):
    if isinstance(value, dict):
        return {str(key): _finite(v) for key, v in value.items()}
    if isinstance(value, list | tuple | np.ndarray):
        return [_finite(v) for v in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not np.isfinite(value):
        return None
    return value


# What a file is, its name must say: endings of the options that write pictures, animations and arrays.
_ENDINGS = {"--gif": ".gif", "--npz": ".npz", "--responses": ".png", "--save-kernels": ".npz"}
# Options that name files to read.
_INPUTS = ("--model", "--data", "--labels", "--calibration", "--mask", "--kernels", "--weights")


def check_outputs(arguments, *options, picture="--out"):
    """Refuses output files that cannot be, before any work is done.

    The folder must be there; pictures, animations and arrays have their usual endings; no two options name the same
    file, and none a file that is read.
    """
    inputs = {option: getattr(arguments, option.removeprefix("--"), None) for option in _INPUTS}
    taken = {os.path.realpath(path): option for option, path in inputs.items() if path}
    for option in options:
        path = getattr(arguments, option.removeprefix("--").replace("-", "_"))
        if path is None:
            continue
        if not path or os.path.isdir(path) or path.endswith(("/", os.sep)):
            raise CbnError(f"{option}: cannot write {path!r}: it is a folder or empty; give the name of a file")
        if not os.path.isdir(os.path.dirname(os.path.abspath(path))):
            raise CbnError(
                f"{option}: cannot write {path!r}: its folder does not exist; create the folder or give another path"
            )
        ending = ".png" if option == picture else _ENDINGS.get(option)
        if ending and not path.lower().endswith(ending) and (os.path.isfile(path) or not os.path.exists(path)):
            raise UsageError(f"{option}: {path!r}; give a name that ends in {ending}")
        real = os.path.realpath(path)
        if real in taken:
            raise UsageError(f"{option}: {path!r} is the file of {taken[real]} too; give another name")
        if os.path.isfile(path) or not os.path.exists(path):
            taken[real] = option


@contextlib.contextmanager
def naming(option):
    """Errors about data name the option that gave them."""
    try:
        yield
    except DataError as error:
        message = str(error).removeprefix("path: ")
        raise DataError(message if message.startswith("--") else f"{option}: {message}") from None


def load_data(arguments):
    """(train, test) ImageSets of --data and --labels; test may be None."""
    if arguments.data is None or arguments.data == "openml":
        if arguments.labels is not None:
            raise UsageError("--labels goes with --data FILE")
        return datasets.load_mnist() if arguments.data is None else datasets.fetch_mnist_grey()
    with naming("--data"):
        return datasets.load_images(arguments.data, arguments.labels)


def choose_images(arguments):
    """The ImageSet that --data, --split and --digit name; and the index of each image in its split."""
    train, test = load_data(arguments)
    if arguments.split == "test" and test is None:
        raise DataError(f"--split test: {arguments.data} has no test images; use --split train")
    chosen = train if arguments.split == "train" or test is None else test
    index = np.arange(len(chosen))
    if arguments.digit is not None:
        selected = chosen.select(arguments.digit)
        index = np.flatnonzero(chosen.labels == selected.labels[0])
        chosen = selected
    return chosen, index


def load_model(path):
    """The network of a model file."""
    from ..fit.modelfile import load

    model = load(path)
    if not hasattr(model, "networks_") and not hasattr(model, "counts_"):
        raise ModelFileError(f"{path!r}: an introspective energy model; the program for it is cbn-iem-score")
    if hasattr(model, "networks_"):
        raise ModelFileError(
            f"{path!r}: a classifier of {len(model.networks_)} networks, but one network is needed; save one of them "
            "with cbn.load(...).networks_[i].save(...)"
        )
    return model


def load_energy_model(path):
    """The introspective energy model of a model file."""
    from ..estimators.iem import IntrospectiveEnergyModel
    from ..fit.modelfile import load

    model = load(path)
    if not isinstance(model, IntrospectiveEnergyModel):
        raise ModelFileError(f"{path!r}: a Bayesian network; the programs for it are cbn-score and cbn-show")
    return model


def images_for(arguments, model, images, option="--data"):
    """Images of an ImageSet, given by an option, as the model reads them.

    Sets that are binary count as such whatever the model's scale. Grey sets are binarized by the model's own rule, also
    where the model was trained on images that had been binarized by that rule before (the embedded MNIST). A model of
    pixels that were drawn gets the likelier state of each, and a warning.
    """
    from ..bits.binarization import Binarization
    from ..datasets.stochastic import RULE

    shape = images.images.shape[1:]
    if shape != tuple(model.image_shape_):
        height, width = model.image_shape_
        raise DataError(
            f"{option}: images of {shape[0]} x {shape[1]} pixels, but the model needs {height} x {width}; resize them"
        )
    if images.binarization is not None:
        if images.binarization != model.binarization_:
            warn(
                arguments,
                f"{option}: binary images ({images.binarization}) for a model of another rule ({model.binarization_}): "
                "their scores compare only if both rules give the same bits",
            )
        return images.images.astype(bool)
    own = model.binarizer_
    grey = Binarization(own.thresholds, 255)
    if own.full_scale == 1 and model.binarization_ == grey.describe():
        return images.images > int(np.floor(own.thresholds[0] * 255))
    if model.binarization_.startswith(RULE):
        warn(
            arguments,
            f"{option}: grey images are binarized by value > 0.5 x 255, but the model is of another rule "
            f"({model.binarization_}): their scores do not compare with those that set its threshold",
        )
        return images.images > 127
    return images.images


def safe_name(text):
    """Text as part of a file name: letters, digits, points, dashes and underscores, not beginning with a point."""
    return re.sub(r"[^\w.-]", "_", str(text)).lstrip(".") or "_"


def file_names(values):
    """Safe file names of values, all different: "a/b" and "a_b" become "a_b" and "a_b-2"."""
    names = {}  # in order; a dict, because thousands of names are looked up
    for value in values:
        stem = name = safe_name(value)
        number = 1
        while name in names:
            number += 1
            name = f"{stem}-{number}"
        names[name] = None
    return list(names)


class Clock:
    """Seconds by part of a program, on top of given ones."""

    def __init__(self, seconds=()):
        self.seconds = dict(seconds)

    @contextlib.contextmanager
    def part(self, name):
        start = time.perf_counter()
        yield
        self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - start
