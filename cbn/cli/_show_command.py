# SPDX-License-Identifier: BSD-3-Clause
"""The command that makes a model again, out of its record: as cbn-show prints it, and as a file for --config."""

import os
import re
import shlex

from ..exceptions import CbnError
from ..io.provenance import COMMAND
from ._assumed import tell_assumed
from ._config import config_text
from ._given import HABITS, words_of
from ._parser import DEFAULT_MODEL
from ._results import cell

# What --out is where it is not given.
_DEFAULTS = {"cbn-train": DEFAULT_MODEL, "cbn-iem-train": "iem.cbn"}


def command_of(provenance):
    """(program, options) of the record; None where there is none, as in models of Python and of earlier versions."""
    record = provenance.get(COMMAND)
    if not isinstance(record, dict):
        return None
    program, options = record.get("program"), record.get("options")
    if isinstance(options, dict):  # a foreign file must not say where this machine writes
        options = {name: value for name, value in options.items() if name not in HABITS}
    known = isinstance(program, str) and program in _DEFAULTS and isinstance(options, dict)
    if not known or not all(re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name) for name in options):
        return None
    values = [own for value in options.values() for own in (value if isinstance(value, list) else [value])]
    return (program, options) if all(isinstance(own, str | bool) for own in values) else None


def command_line(provenance, path):
    """The command in words, with --out for a file of another name than by default; None where it is not known."""
    found = command_of(provenance)
    if found is None:
        return None
    program, options = found
    # models of one job are named by --out together
    several = options.get("digit") == "all" and "classifier" not in options
    out = {} if several or os.path.basename(path) == _DEFAULTS[program] else {"out": path}
    return shlex.join([program, *words_of(options | out)])


def told_of_command(arguments, fitted):
    """What --json says of the command, and whether the model has another threshold now; writes the file of --save-config.

    ``fitted`` is a model of any kind, or a network of a classifier.
    """
    tell_assumed(arguments)
    provenance = fitted.provenance
    line = command_line(provenance, arguments.model)
    told = {"command": line, "changed": line is not None and _is_changed(provenance, fitted.calibration)}
    if arguments.save_config is not None:
        save_config(arguments.save_config, arguments.model, provenance)
        told["config"] = arguments.save_config
    return told


def _is_changed(provenance, calibration):
    """Whether the threshold is not the one that the command made."""
    offset = provenance[COMMAND].get("offset")
    return calibration is not None and offset not in (None, float(calibration.offset))


def print_command(facts, provenance=None):
    """The lines of cbn-show; ``provenance`` where the facts have none of their own."""
    provenance = facts["provenance"] if provenance is None else provenance
    line = facts["command"] or "not recorded"
    if facts["changed"]:
        line += f", then another threshold ({provenance.get('calibrated_with') or 'from elsewhere'})"
    if "unfinished" in provenance:
        line += f", interrupted {provenance['unfinished']}"
    print(f"command          {cell(line)}")
    if "config" in facts:
        print(f"config           {facts['config']}")


def save_config(path, model, provenance):
    """Writes the record as a file for --config. Raises CbnError where there is none."""
    from ..io.files import atomic_write

    found = command_of(provenance)
    if found is None:
        raise CbnError(
            f"--save-config: {model!r} does not say the command that made it, as models of Python and of earlier versions; "
            "write the file by hand"
        )
    try:
        text = config_text(*found)
    except ValueError as error:
        raise CbnError(f"--save-config: {error}") from None
    with atomic_write(path) as file:
        file.write(text.encode())
