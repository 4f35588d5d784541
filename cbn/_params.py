# SPDX-License-Identifier: BSD-3-Clause
"""Parameter objects: dataclasses whose fields say what they may be and what they mean.

From one line for each field come the check, the option of a program and the documentation. The objects have
``get_params`` and ``set_params``, so that scikit-learn can clone them and search over their fields, without being
imported here. Nothing is checked when one is made or changed, as scikit-learn asks; :meth:`Parameters.checked` does it.
"""

import dataclasses
import numbers
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self, TypeVar, dataclass_transform

import numpy as np

from . import _validation as validation


@dataclass(frozen=True)
class Whole:
    """A whole number from ``low`` to ``high``."""

    low: int
    high: int
    kind = int

    def check(self, value: object, name: str) -> int:
        return validation.check_integer(value, name, self.low, self.high)

    def __str__(self) -> str:
        return f"int, {_short(self.low)} to {_short(self.high)}"


@dataclass(frozen=True)
class Real:
    """A finite number from ``low`` to ``high``, or between them."""

    low: float
    high: float
    open_ends: bool = False
    kind = float

    def check(self, value: object, name: str) -> float:
        return validation.check_real(value, name, self.low, self.high, open_ends=self.open_ends)

    def __str__(self) -> str:
        return f"float {'in' if self.open_ends else 'from'} " + (
            f"({self.low:g}, {self.high:g})" if self.open_ends else f"{self.low:g} to {self.high:g}"
        )


@dataclass(frozen=True)
class Choice:
    """One of several words."""

    choices: tuple[str, ...]
    kind = str

    def check(self, value: object, name: str) -> str:
        return validation.check_choice(value, name, self.choices)

    def __str__(self) -> str:
        return "{" + ", ".join(f'"{choice}"' for choice in self.choices) + "}"


@dataclass(frozen=True)
class Flag:
    """True or False."""

    kind = bool

    def check(self, value: object, name: str) -> bool:
        if not isinstance(value, bool | np.bool_):
            raise ValueError(f"{name}: {value!r}; give True or False")
        return bool(value)

    def __str__(self) -> str:
        return "bool"


@dataclass(frozen=True)
class Checked:
    """Anything that a function of (value, name) takes; it returns the value as it is used.

    A program has an option for it where ``parse`` makes a value of text (ValueError says what the text must be). An
    option that is ``repeated`` may be given several times; ``parse`` then makes one entry of a tuple.
    """

    function: Callable[[Any, str], Any]
    words: str
    parse: Callable[[str], Any] | None = None
    metavar: str | None = None
    repeated: bool = False

    def check(self, value: object, name: str) -> Any:
        return self.function(value, name)

    def __str__(self) -> str:
        return self.words


Rule = Whole | Real | Choice | Flag | Checked


def numbers_from(kind: Callable[[str], Any], words: str) -> Callable[[str], Any]:
    """What reads the text of an option: one number, or a tuple of several between commas."""

    def parse(text: str) -> Any:
        try:
            values = tuple(kind(word) for word in text.split(","))
        except ValueError:
            raise ValueError(f"{text!r} is not a list of {words} such as 4 or 4,2,2") from None
        return values if len(values) > 1 else values[0]

    return parse


def parameter(rule: Rule, help: str, *, default: Any, option: str | None = None) -> Any:
    """A field of a parameter object: what it may be, and what it means in a sentence.

    ``option`` is the name of its option in the programs where that is not the field's own.
    """
    return field(default=default, metadata={"rule": rule, "help": help, "option": option})


@dataclass(frozen=True)
class Spec:
    """One field as checks, programs and documentation need it."""

    name: str
    default: Any
    rule: Rule
    help: str
    option: str


def specs(kind: "type[Parameters] | Parameters") -> Iterator[Spec]:
    """The fields of a parameter class, in their order."""
    for own in dataclasses.fields(kind):
        option = own.metadata["option"] or own.name.replace("_", "-")
        yield Spec(own.name, own.default, own.metadata["rule"], own.metadata["help"], option)


class Parameters:
    """Base of all parameter objects; make subclasses with :func:`parameters`."""

    __dataclass_fields__: ClassVar[dict[str, dataclasses.Field[Any]]]
    # Fields that say how many steps of about equal work follow one another, and from how large a sample of the images' parts is
    # learned, at most.
    step_fields: ClassVar[tuple[str, ...]] = ()
    sample_fields: ClassVar[tuple[str, ...]] = ()

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Fields by name; ``deep`` has no effect: no field is a parameter object."""
        return {own.name: getattr(self, own.name) for own in dataclasses.fields(self)}

    def set_params(self, **params: Any) -> Self:
        """Changes fields and returns self. Raises ValueError for a name that is none."""
        known = self.get_params()
        for name, value in params.items():
            if name not in known:
                raise ValueError(f"{name}: not a parameter of {type(self).__name__}; choose from {', '.join(known)}")
            setattr(self, name, value)
        return self

    def checked(self) -> Self:
        """A copy with every field checked and in its own type. Raises ValueError that names the field and its range."""
        return type(self)(**{spec.name: spec.rule.check(getattr(self, spec.name), spec.name) for spec in specs(self)})

    def sealed(self) -> Self:
        """The same object, from now on frozen: that of a fit's settings. Copies can be changed again."""
        self.__dict__["_sealed"] = True
        return self

    def __setattr__(self, name: str, value: Any) -> None:
        if self.__dict__.get("_sealed"):
            raise AttributeError(f"{name}: these parameters belong to a fitted model; change those of the estimator")
        super().__setattr__(name, value)

    def replaced(self, **params: Any) -> Self:
        """A copy with other values of some fields."""
        return type(self)(**self.get_params()).set_params(**params)

    def n_steps(self) -> int:
        """Steps that follow one another."""
        return sum(getattr(self, name) for name in self.step_fields)

    def part(self, images: float, steps: float) -> Self:
        """Parameters of a trial on a share of the images: as large a share of samples, and a share of the steps."""
        fewer = {name: round(images * getattr(self, name)) for name in self.sample_fields}
        for name in self.step_fields:
            whole = getattr(self, name)
            fewer[name] = min(whole, max(1, round(steps * whole))) if steps else 0
        least = {spec.name: getattr(spec.rule, "low", 0) for spec in specs(self)}
        return self.replaced(**{name: max(least[name], value) for name, value in fewer.items()})

    def __repr__(self) -> str:
        changed = [
            f"{spec.name}={getattr(self, spec.name)!r}"
            for spec in specs(self)
            if not _same(getattr(self, spec.name), spec.default)
        ]
        return f"{type(self).__name__}({', '.join(changed)})"


Kind = TypeVar("Kind", bound=type[Parameters])


@dataclass_transform(field_specifiers=(parameter,))
def parameters(kind: Kind) -> Kind:
    """Class decorator: a dataclass whose docstring gains a section of its parameters."""
    made = dataclass(repr=False)(kind)
    lines = ["", "    Parameters", "    ----------"]
    for spec in specs(made):
        lines += [f"    {spec.name} : {spec.rule}, default {spec.default!r}", f"        {spec.help}"]
    made.__doc__ = (made.__doc__ or "").rstrip() + "\n" + "\n".join(lines) + "\n    "
    return made  # type: ignore[return-value]


def _same(value: object, default: object) -> bool:
    if isinstance(value, numbers.Number | str | tuple | None) and isinstance(
        default, numbers.Number | str | tuple | None
    ):
        return bool(value == default)
    return value is default


def _short(number: int) -> str:
    """2**20 rather than 1048576."""
    return f"2**{number.bit_length() - 1}" if number >= 2**16 and number & (number - 1) == 0 else str(number)
