# SPDX-License-Identifier: BSD-3-Clause
"""The kinds of CPDs by name: the one place where a kind is looked up."""

from typing import Any

from .. import _validation as validation
from .._params import Parameters
from .base import CPD, Source
from .boosted_cpd import BoostedCPD
from .table import TableCPD
from .tied import TiedCPD
from .tree import TreeCPD

_KINDS: dict[str, type[CPD]] = {}


def register(kind: type[CPD]) -> type[CPD]:
    """Makes a kind known by its ``name`` and its ``parameter_class``; returns it, to be used as a decorator."""
    for known in _KINDS.values():
        if known is not kind and (known.name == kind.name or known.parameter_class is kind.parameter_class):
            raise ValueError(f"{kind.__name__}: name {kind.name!r} or its parameters are those of {known.__name__}")
    _KINDS[kind.name] = kind
    return kind


def unregister(kind: type[CPD]) -> None:
    """Makes a kind unknown again."""
    _KINDS.pop(kind.name, None)


def names() -> tuple[str, ...]:
    """The names of all kinds, those that the package has first."""
    return tuple(_KINDS)


def parameter_classes() -> tuple[type[Parameters], ...]:
    """The classes of the parameter objects of all kinds."""
    return tuple(kind.parameter_class for kind in _KINDS.values())


def kind_named(name: object, argument: str = "cpd") -> type[CPD]:
    """The kind of a name. Raises ValueError that names the argument and the choices."""
    return _KINDS[validation.check_choice(name, argument, names())]


def kind_of(parameters: object, argument: str = "cpd") -> type[CPD]:
    """The kind that a parameter object is of. Raises ValueError."""
    for kind in _KINDS.values():
        if isinstance(parameters, kind.parameter_class):
            return kind
    known = ", ".join(f"cbn.{kind.parameter_class.__name__}()" for kind in _KINDS.values())
    raise ValueError(f"{argument}: {parameters!r:.80}; give one of {known}, or {', '.join(map(repr, _KINDS))}")


def read_cpd(source: Source, n_images: int) -> CPD:
    """One layer's CPDs from a file; anything that cannot be raises one of cbn.io.archive.DAMAGE."""
    grid, described = source.grid, source.description["layer"]
    if any(described[key] != size for key, size in grid.sizes().items()):
        raise ValueError(f"a layer of other sizes than {grid} nodes")
    network = cpd_of(source.description).read(source)
    network.check_counts(n_images)
    network.freeze()
    return network


def cpd_of(description: dict[str, Any]) -> type[CPD]:
    """The kind that a description in a file names; tables go without saying."""
    return kind_named(description.get("cpd", TableCPD.name))


for _kind in (TableCPD, TreeCPD, BoostedCPD, TiedCPD):
    register(_kind)
