# SPDX-License-Identifier: BSD-3-Clause
"""Options out of parameter objects: ranges, defaults and help texts are those of their fields."""

import argparse
from collections.abc import Callable
from typing import Any

from .._params import Checked, Choice, Flag, Parameters, Rule, Spec, specs


def add_fields(group: Any, kind: type[Parameters]) -> None:
    """An option for every field of a parameter class that has one; None where it is not given."""
    for spec in specs(kind):
        if isinstance(spec.rule, Flag) or (isinstance(spec.rule, Checked) and spec.rule.parse is None):
            continue
        choices = spec.rule.choices if isinstance(spec.rule, Choice) else None
        group.add_argument(
            f"--{spec.option}",
            dest=spec.name,
            type=_reader(spec),
            choices=choices,
            metavar=None if choices else _metavar(spec.rule),
            help=help_of(spec),
        )


def given_fields(arguments: argparse.Namespace, kind: type[Parameters]) -> dict[str, Any]:
    """The fields whose options are given, by name."""
    values = {spec.name: getattr(arguments, spec.name, None) for spec in specs(kind)}
    return {name: value for name, value in values.items() if value is not None}


def help_of(spec: Spec) -> str:
    """What the field means, and its default unless the text says what happens without it."""
    text = spec.help.rstrip(".")
    text = text[:1].lower() + text[1:] if not text[1:2].isupper() else text
    default = f"{spec.default:g}" if isinstance(spec.default, float) else spec.default
    return (text if spec.default is None else f"{text} (default: {default})").replace("%", "%%")


def _metavar(rule: Rule) -> str:
    if isinstance(rule, Checked):
        return rule.metavar or "X"
    return "N" if rule.kind is int else "X"


def _reader(spec: Spec) -> Callable[[str], Any]:
    """An argparse type: what a field may be, read from text."""
    rule = spec.rule

    def read(text: str) -> Any:
        try:
            value = rule.parse(text) if isinstance(rule, Checked) and rule.parse else rule.kind(text)  # type: ignore[union-attr]
        except ValueError as error:
            reason = str(error) if isinstance(rule, Checked) else f"{text!r} is no {rule}"
            raise argparse.ArgumentTypeError(reason) from None
        if isinstance(rule, Choice):
            return value  # argparse lists the choices
        try:
            return rule.check(value, spec.name)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error).removeprefix(f"{spec.name}: ")) from None

    return read
