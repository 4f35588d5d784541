# SPDX-License-Identifier: BSD-3-Clause
"""Options out of parameter objects: ranges, defaults and help texts are those of their fields."""

import argparse
from collections.abc import Callable
from typing import Any

from .._params import Checked, Choice, Flag, Parameters, Rule, Spec, specs


def has_option(spec: Spec) -> bool:
    """Whether text can be a value of the field."""
    return not isinstance(spec.rule, Checked) or spec.rule.parse is not None


def option_of(spec: Spec) -> str:
    """The option as users type it; a flag that is set by default has one that unsets it."""
    return f"--no-{spec.option}" if isinstance(spec.rule, Flag) and spec.default else f"--{spec.option}"


def destination(spec: Spec) -> str:
    """The attribute of parsed arguments; fields of two classes that have one option share it."""
    return spec.option.replace("-", "_")


def add_fields(group: Any, kind: type[Parameters]) -> None:
    """An option for every field of a parameter class that has one; None where it is not given."""
    for spec in specs(kind):
        if has_option(spec):
            add_field(group, spec, help_of(spec))


def add_field(group: Any, spec: Spec, help: str) -> None:
    """The option of one field."""
    name, dest, rule = option_of(spec), destination(spec), spec.rule
    if isinstance(rule, Flag):
        group.add_argument(name, dest=dest, action="store_const", const=not spec.default, help=help)
        return
    choices = rule.choices if isinstance(rule, Choice) else None
    repeated = isinstance(rule, Checked) and rule.repeated
    group.add_argument(
        name, dest=dest, type=_reader(spec), choices=choices, metavar=None if choices else _metavar(rule), help=help,
        action="append" if repeated else "store",
    )  # fmt: skip


def given_fields(arguments: argparse.Namespace, kind: type[Parameters]) -> dict[str, Any]:
    """The fields whose options are given, by name."""
    values = {spec.name: getattr(arguments, destination(spec), None) for spec in specs(kind) if has_option(spec)}
    return {name: tuple(v) if isinstance(v, list) else v for name, v in values.items() if v is not None}


def help_of(spec: Spec, default: str | None = None) -> str:
    """What the field means, and its default unless the text says what happens without it."""
    text = spec.help.rstrip(".")
    text = text[:1].lower() + text[1:] if not text[1:2].isupper() else text
    if isinstance(spec.rule, Flag):
        return f"{'do not ' if spec.default else ''}{text}".replace("%", "%%")
    if default is None and spec.default is not None:
        default = as_option(spec.default)
    return (f"{text} (default: {default})" if default else text).replace("%", "%%")


def as_option(value: Any) -> str:
    """A value as its option would give it."""
    if not isinstance(value, tuple | list):
        return f"{value:g}" if isinstance(value, float) else str(value)
    nested = any(isinstance(own, tuple | list) for own in value)
    return (";" if nested else ",").join(as_option(own) for own in value)


def read_text(spec: Spec, text: str) -> Any:
    """The value of a field from text, checked. Raises ValueError that says what the text must be."""
    rule = spec.rule
    if isinstance(rule, Checked) and rule.parse is not None:
        try:
            value = rule.parse(text)
        except ValueError as error:
            raise ValueError(error if repr(text) in str(error) else f"{text!r}: {error}") from None
        if rule.repeated:  # one entry of several: they are checked together
            return value
    else:
        try:
            value = text if isinstance(rule, Choice) else rule.kind(text)  # type: ignore[union-attr]
        except ValueError:
            value = text
    try:
        return rule.check(value, spec.name)
    except ValueError as error:
        raise ValueError(str(error).removeprefix(f"{spec.name}: ")) from None


def _metavar(rule: Rule) -> str:
    if isinstance(rule, Checked):
        return rule.metavar or "X"
    return "N" if rule.kind is int else "X"


def _reader(spec: Spec) -> Callable[[str], Any]:
    """An argparse type: what a field may be, read from text."""

    def read(text: str) -> Any:
        if isinstance(spec.rule, Choice):
            return text  # argparse lists the choices
        try:
            return read_text(spec, text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return read
