# SPDX-License-Identifier: BSD-3-Clause
"""What was given on a command line, as text: of it come the record of a model and the command that makes it again."""

import argparse
import math

# Not kept: what says where results go and how the work is done, but changes no byte of a model.
HABITS = ("config", "out", "threads", "json", "quiet", "resume", "dry-run", "save-kernels", "report")


def long_options(parser):
    """Long option -> its action, without dashes; every spelling of it."""
    found = {}
    for action in parser._actions:
        names = [option[2:] for option in action.option_strings if option.startswith("--")]
        if is_switch(action):
            names = names[:1]  # --no-NAME is NAME = false
        if action.default is not argparse.SUPPRESS:  # --help and --version do something else
            found |= dict.fromkeys(names, action)
    return found


def name_of(action):
    """The first of its long options, without dashes."""
    return next(option[2:] for option in action.option_strings if option.startswith("--"))


def is_switch(action):
    """--NAME and --no-NAME."""
    return isinstance(action, argparse.BooleanOptionalAction)


def is_flag(action):
    return action.nargs == 0 and not is_switch(action)


def is_repeated(action):
    """May be given several times, its values being all of them."""
    return isinstance(action, argparse._AppendAction)


def given_options(parser, words):
    """Option -> text as it was given, True or False, or a list of texts. The words are those that the parser accepts."""
    plain = argparse.ArgumentParser(add_help=False, allow_abbrev=False, argument_default=argparse.SUPPRESS)
    actions = {name_of(action): action for action in long_options(parser).values()}
    for name, action in actions.items():
        how = {"action": "store", "nargs": action.nargs}
        if is_switch(action):
            how = {"action": argparse.BooleanOptionalAction, "default": argparse.SUPPRESS}
        elif is_flag(action):
            how = {"action": "store_true", "default": argparse.SUPPRESS}
        elif is_repeated(action):
            how = {"action": "extend", "nargs": action.nargs or 1}
        options = action.option_strings[:1] if is_switch(action) else action.option_strings
        plain.add_argument(*options, dest=name, **how)
    return vars(plain.parse_args(words))


def words_of(options):
    """Words of a command line that give these options; several values of one are given one by one."""
    words = []
    for name, value in options.items():
        for own in value if isinstance(value, list) else [value]:
            if isinstance(own, bool):
                words.append(f"--{name}" if own else f"--no-{name}")
            else:
                words += [f"--{name}={own}"] if own[:1] in ("-", "") else [f"--{name}", own]
    return words


def record_of(arguments, calibration=None, **changes):
    """What a model keeps of its command: program and options, those that change no byte of it left out; its threshold.

    ``calibration`` is that of the model, where it is known already; ``changes`` are options that another value, or None for no
    such option, stands for.
    """
    options = {name: value for name, value in arguments.kept.items() if name not in HABITS}
    for name, value in changes.items():
        options.pop(name, None)
        if value is not None:
            options[name] = value
    return {"program": arguments.program, "options": options, **offset_of(calibration)}


def offset_of(calibration):
    """The threshold that a command makes, by which it is seen whether a model has another later."""
    known = calibration is not None and math.isfinite(calibration.offset)
    return {"offset": float(calibration.offset) if known else None}
