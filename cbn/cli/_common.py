# SPDX-License-Identifier: BSD-3-Clause
"""What all programs use, under one name: parsing, running, results. NumPy is not loaded by it."""

from ._assumed import assume, assume_model, tell_assumed
from ._parser import DEFAULT_MODEL, add_model, add_seed, integer, make_parser, rate
from ._results import (
    ENERGY,
    SCORE,
    Names,
    Table,
    cell,
    check_outputs,
    counted,
    file_names,
    output_folder,
    print_json,
    print_json_list,
    print_table,
)
from ._running import Clock, UsageError, naming, progress, renaming, run, say, warn

__all__ = [
    "DEFAULT_MODEL",
    "ENERGY",
    "SCORE",
    "Clock",
    "Names",
    "Table",
    "UsageError",
    "add_model",
    "add_seed",
    "assume",
    "assume_model",
    "cell",
    "check_outputs",
    "counted",
    "file_names",
    "integer",
    "make_parser",
    "naming",
    "output_folder",
    "print_json",
    "print_json_list",
    "print_table",
    "progress",
    "rate",
    "renaming",
    "run",
    "say",
    "tell_assumed",
    "warn",
]
