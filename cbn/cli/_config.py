# SPDX-License-Identifier: BSD-3-Clause
"""--config of the programs that train: options out of a TOML file, those of the command line before them."""

import argparse

from ..exceptions import DataError
from ._given import given_options, is_flag, is_repeated, is_switch, long_options, name_of, words_of
from ._parser import Parser, make_parser


class TrainingParser(Parser):
    """A parser with --config, whose arguments know what was given."""

    def read(self, words):
        """Parses words, and the file of --config before them.

        ``given`` are the options that were given, as text, and ``kept`` those that are not as by default.
        """
        arguments = self.parse_args(words)
        given = given_options(self, words)
        if arguments.config is not None:
            given = read_config(self, arguments.config, but_for=given) | given
            arguments = self.parse_args(words_of(given))
        actions = long_options(self)
        arguments.given = given
        arguments.kept = {
            name: text for name, text in given.items()
            if getattr(arguments, actions[name].dest) != actions[name].default
        }  # fmt: skip
        return arguments


def make_training_parser(program, description, examples):
    """A parser as all programs have it, with --config."""
    parser = make_parser(program, description, examples, kind=TrainingParser)
    parser.add_argument(
        "--config", metavar="FILE",
        help="options from a TOML file, under their long names without dashes; what is on the command line goes before them "
        "(cbn-show --save-config writes such a file)",
    )  # fmt: skip
    return parser


def read_config(parser, path, but_for=()):
    """Option -> text, True or False, or a list of texts, out of a TOML file; ``but_for`` has names that are left out.

    A wrong key or value ends the program in one line (exit code 2). Raises DataError for a file that cannot be read.
    """
    actions = long_options(parser)
    found, keys = {}, {}
    for key, value in _table(parser, path).items():
        action = actions.get(key)
        if isinstance(value, dict):
            parser.error(f"--config {path}: {key}: a table; write options as NAME = VALUE, without tables")
        if action is None or name_of(action) == "config":
            parser.error(f"--config {path}: {key}: {_unknown(parser, key, actions)}")
        name = name_of(action)
        if name in keys:
            parser.error(f"--config {path}: {key}: the same option as {keys[name]}; leave one of them out")
        keys[name] = key
        try:
            text = _text(action, value)
        except ValueError as error:
            parser.error(f"--config {path}: {key} = {_shown(value)}: {error}")
        if text is not None and name not in but_for:
            found[name] = text
    return found


def _table(parser, path):
    import tomllib

    try:
        with open(path, "rb") as file:
            return tomllib.load(file)
    except OSError as error:
        raise DataError(f"--config: {path!r}: {error.strerror or error}; give a TOML file") from None
    except (ValueError, RecursionError) as error:  # of TOML and of UTF-8
        parser.error(f"--config {path}: no TOML file: {error or 'too deep'}")


def _unknown(parser, key, actions):
    import difflib

    if key in ("config", "help", "version"):
        return "not in such a file; leave it out"
    if key.startswith("no-") and key[3:] in actions:
        return f"write {key[3:]} = false"
    near = difflib.get_close_matches(key.strip("-").replace("_", "-"), actions, n=1)
    if near:
        return f"no option of {parser.prog}; did you mean {near[0]}?"
    return f"no option of {parser.prog}; keys are its long options without dashes"


def _text(action, value):
    """The value of a key as text of its option, checked by the option's own rule; None where that is not to be given.

    Raises
    ------
    ValueError
        It says what to give.
    """
    if is_switch(action) or is_flag(action):
        if not isinstance(value, bool):
            raise ValueError("give true or false")
        return value if value or is_switch(action) else None
    if is_repeated(action):
        return [_checked(action, own) for own in (value if isinstance(value, list) else [value])] or None
    return _checked(action, value)


def _checked(action, value):
    text = _as_text(value)
    if text is None:
        raise ValueError("give text or a number, or a list of them")
    if action.type is not None:
        try:
            action.type(text)
        except argparse.ArgumentTypeError as error:
            raise ValueError(str(error).removeprefix(f"{text!r} ").removeprefix(f"{text!r}; ")) from None
        except ValueError:
            raise ValueError("is not a number" if action.type in (int, float) else "give another value") from None
    if action.choices is not None and text not in action.choices:
        raise ValueError(f"choose one of {', '.join(action.choices)}")
    return text


def _as_text(value):
    """A value of TOML as a command line has it: [1, 2] as 1,2 and [[1, 2], [3, 4]] as 1,2;3,4. None for others."""
    if isinstance(value, list) and value and all(isinstance(own, list) for own in value):
        return _joined(";", map(_of_list, value))
    return _of_list(value) if isinstance(value, list) else _of_one(value)


def _of_list(values):
    return _joined(",", map(_of_one, values)) if values else None


def _of_one(value):
    if isinstance(value, str):
        return value
    return repr(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _joined(separator, parts):
    parts = list(parts)
    return None if None in parts else separator.join(parts)


def _shown(value):
    """A value for messages, as TOML has it."""
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value!r:.80}" if isinstance(value, str | int | float | list) else f"{value!s:.80}"


def config_text(program, options):
    """The TOML file that gives these options. Raises ValueError for names of files that are no text."""
    lines = [f"# {program} --config FILE"]
    for name, value in options.items():
        lines.append(f"{name} = {_toml(value)}")
    return "\n".join(lines) + "\n"


def _toml(value):
    if isinstance(value, list):
        return f"[{', '.join(map(_toml, value))}]"
    if isinstance(value, bool):
        return str(value).lower()
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise ValueError(f"{value!r}: a name that is not UTF-8 cannot be in a TOML file; rename it") from None
    return _number(value) or _string(value)


def _number(text):
    """The text itself where TOML reads it as a number that is written in the same way again."""
    for kind in (int, float):
        try:
            if repr(kind(text)) == text and text.lstrip("-")[:1].isdigit():
                return text
        except ValueError:
            pass
    return None


def _string(text):
    import json

    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
