# SPDX-License-Identifier: BSD-3-Clause
"""What programs leave: JSON and tables on stdout, and files under names that are checked before any work is done."""

import json
import math
import os
import re
from pathlib import Path

from ..exceptions import CbnError
from ._running import UsageError

# What numbers mean, said by every program in the same words.
SCORE, ENERGY = "higher = more normal", "lower = more normal"
# What a file is, its name must say: endings of the options that write pictures, animations and arrays.
_ENDINGS = {
    "--gif": (".gif",), "--npz": (".npz",), "--responses": (".png",), "--save-kernels": (".npz",), "--save-config": (".toml",),
}  # fmt: skip
# Options that name files to read.
_INPUTS = ("--model", "--data", "--labels", "--calibration", "--mask", "--kernels", "--weights", "--good", "--test", "--add",
           "--merge", "--config")  # fmt: skip


def print_json(result):
    """One JSON object on stdout. NaN and infinity, which JSON lacks, become null."""
    print(json.dumps(finite(result), allow_nan=False))


def print_json_list(before, name, rows, after):
    """The same of ``{**before, name: [*rows], **after}``, of whose rows one is in memory at a time."""
    print(json.dumps(finite(before), allow_nan=False)[:-1], end=f", {json.dumps(name)}: [")
    for number, row in enumerate(rows):
        print(f"{', ' if number else ''}{json.dumps(finite(row), allow_nan=False)}", end="")
    print("], " + json.dumps(finite(after), allow_nan=False)[1:])


def finite(value):
    """A value that JSON can hold: None in place of NaN and infinity."""
    import numpy as np

    if isinstance(value, dict):
        return {str(key): finite(v) for key, v in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if isinstance(value, list | tuple):
        return [finite(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def print_table(columns, rows):
    """A header and rows on stdout, separated by tabs; ``rows`` are dicts."""
    print("\t".join(map(cell, columns)))
    for row in rows:
        print("\t".join(cell(row[name]) for name in columns))


class Table:
    """Rows on stdout, separated by tabs, each as soon as it is given.

    Parameters
    ----------
    shown : sequence of str
        Columns; those that the first row lacks are left out.
    prints : bool
        False where stdout is another's.
    goes_on : bool
        Where rows go to a file as well: what stdout refuses is said by :meth:`end`, when the file has all of them.
    meanings : dict, optional
        What is said of columns, in brackets after their names.
    """

    def __init__(self, shown, prints=True, goes_on=False, meanings=None):
        self.shown, self.columns, self.meanings = shown if prints else (), None, meanings or {}
        self.goes_on, self.refused = goes_on, None

    def add(self, row, more=()):
        """A row, under the names of the columns if it is the first one, and lines below it. Raises OSError."""
        if self.refused is not None:
            return
        try:
            self._print(row, more)
        except OSError as error:
            if not self.goes_on:
                raise
            self.refused = error

    def end(self):
        """Raises what stdout said before, OSError."""
        if self.refused is not None:
            raise self.refused

    def _heading(self, name):
        return f"{name} ({self.meanings[name]})" if name in self.meanings else name

    def _print(self, row, more):
        if self.columns is None:
            self.columns = [name for name in self.shown if name in row]
            if self.columns:
                print("\t".join(cell(self._heading(name)) for name in self.columns))
        if self.columns:
            print("\t".join(cell(row[name]) for name in self.columns), flush=True)
        for line in more:
            print(f"  {line}")


def cell(value):
    """A value in a table: six digits; tabs, line breaks and other control characters escaped; "-" for None."""
    if isinstance(value, float):
        return f"{value:.6g}"
    text = "-" if value is None else str(value)
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in text)


def counted(labels):
    """ "3 (21), 5 (43)": labels and how many there are of each; of one label that alone."""
    counts = {}
    for label in labels:
        counts[label] = counts.get(label, 0) + 1
    if len(counts) == 1:
        return f"label {next(iter(counts))}"
    return "labels " + ", ".join(f"{label} ({n:,})" for label, n in counts.items())


def check_outputs(arguments, *options, picture="--out", endings=(".png",), folders=(), models=()):
    """Refuses outputs that cannot be, before any work is done.

    The folder of a file must be there and, but for --dry-run, take a file; pictures, animations and arrays have their usual
    endings, the option ``picture`` one of ``endings``; ``models``, options of model files, replace nothing but models; no two
    options name the same file, and none a file that is read. What lies in a folder that is read is left alone: no picture in
    it is written over, and ``folders``, options of folders of pictures, are elsewhere. "-" stands for stdout.
    """
    inputs = {option: getattr(arguments, option.removeprefix("--"), None) for option in _INPUTS}
    lists = {option: paths if isinstance(paths, list) else [paths] for option, paths in inputs.items()}
    taken = {os.path.realpath(path): option for option, paths in lists.items() for path in paths if path}
    read = {path: option for path, option in taken.items() if os.path.isdir(path)}
    for option in (*options, *folders):
        path = getattr(arguments, option.removeprefix("--").replace("-", "_"))
        if path is None or (option in ("--csv", "--jsonl") and path == "-"):
            continue
        real = os.path.realpath(path)
        if option not in folders:
            _check_file(option, path, endings if option == picture else _ENDINGS.get(option, ()))
            if not getattr(arguments, "dry_run", False):
                _check_writable(option, path)
            if real in taken:
                raise UsageError(f"{option}: {path!r} is the file of {taken[real]} too; give another name")
            if option in models:
                _check_model(option, path)
        for folder, name in read.items():
            if os.path.commonpath([folder, real]) == folder and (option in folders or _is_data(real)):
                raise UsageError(
                    f"{option}: {path!r} is in the folder of {name}, which is left as it is; give another place"
                )
        if os.path.isfile(path) or not os.path.exists(path):
            taken[real] = option


def _check_file(option, path, endings):
    if not path:
        raise CbnError(f"{option}: cannot write '': the name is empty; give the name of a file")
    if os.path.isdir(path) or path.endswith(("/", os.sep)):
        what = "it is a folder" if os.path.isdir(path) else "it ends as a folder does"
        raise CbnError(f"{option}: cannot write {path!r}: {what}; give the name of a file")
    if not os.path.isdir(os.path.dirname(os.path.abspath(path))):
        raise CbnError(
            f"{option}: cannot write {path!r}: its folder does not exist; create the folder or give another path"
        )
    if endings and not path.lower().endswith(endings) and (os.path.isfile(path) or not os.path.exists(path)):
        *first, last = endings
        raise UsageError(
            f"{option}: {path!r}; give a name that ends in {', '.join(first)}{' or ' if first else ''}{last}"
        )


def _check_writable(option, path):
    from ..io.files import check_writable

    try:
        check_writable(path)
    except CbnError as error:
        raise CbnError(f"{option}: {error}") from None


def _check_model(option, path):
    """What a model is written over is a model."""
    from ..io.archive import is_foreign

    if is_foreign(path):
        raise UsageError(f"{option}: {path!r} is there and is no cbn model; give another name, or remove it")


def _is_data(path):
    """Whether a file is there and is a picture or an array by its name."""
    from ..datasets.pictureformats import is_picture_name

    return os.path.isfile(path) and (is_picture_name(Path(path)) or path.endswith((".npy", ".npz")))


def output_folder(option, path):
    """The folder of an option, made if it is not there; None where the option is not given."""
    if path is None:
        return None
    if not path:
        raise CbnError(f"{option}: empty; give the name of a folder")
    from ..io.files import make_folder

    make_folder(path)
    return path


def safe_name(text):
    """Text as part of a file name: letters, digits, points, dashes and underscores, not beginning with a point."""
    return re.sub(r"[^\w.-]", "_", str(text)).lstrip(".") or "_"


class Names:
    """Safe file names of values, one after the other, all different."""

    def __init__(self):
        self._taken = set()

    def __call__(self, value):
        stem = name = safe_name(value)
        number = 1
        while name in self._taken:
            number += 1
            name = f"{stem}-{number}"
        self._taken.add(name)
        return name


def file_names(values):
    """Safe file names of values, all different: "a/b" and "a_b" become "a_b" and "a_b-2"."""
    return list(map(Names(), values))
