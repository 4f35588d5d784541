# SPDX-License-Identifier: BSD-3-Clause
"""Networks as files of other programs: BIF, XMLBIF and UAI, without loss.

A variable is a node of one layer, named ``L<layer>_k<channel>_y<row>_x<column>`` with states ``off`` and ``on``. Trees are
written as full tables over the nodes that they ask; where such a table would be too large the export is refused before
anything is written. Probabilities have all digits of their doubles. BIF and XMLBIF carry the position and the kernel or
threshold as properties; UAI has no room for them: its variables are numbered in node order, channel by channel, row by row.

BIF: Cozman 1998, "The Interchange Format for Bayesian Networks". UAI: the format of the UAI inference competitions.
"""

import os
from collections.abc import Iterator, Sequence
from typing import ClassVar, Literal, Protocol

import numpy as np
import numpy.typing as npt

from .files import atomic_write

Format = Literal["bif", "xmlbif", "uai"]
FORMATS: dict[str, Format] = {".bif": "bif", ".xmlbif": "xmlbif", ".xml": "xmlbif", ".uai": "uai"}
# Parents of one node, and table rows of all nodes together, beyond which the export is refused.
MAX_PARENTS, MAX_ROWS = 16, 2**22


class Grid(Protocol):
    """Where the nodes of a layer are; see cbn.cpd.grid.Layer."""

    @property
    def n_nodes(self) -> int: ...
    @property
    def n_positions(self) -> int: ...
    @property
    def width(self) -> int: ...


class TableNetwork(Protocol):
    """The distributions of one layer, if they can be written as tables; see cbn.cpd.base.CPD."""

    exports: ClassVar[bool]
    nouns: ClassVar[str]

    @property
    def layer(self) -> Grid: ...

    def table_parents(self, node: int) -> list[int]: ...

    def table_of(self, node: int, parents: list[int]) -> npt.NDArray[np.float64]: ...


def export_network(
    network: TableNetwork,
    path: str | os.PathLike[str],
    *,
    layer: int = 0,
    what: Literal["pixel", "hidden"] = "pixel",
    thresholds: Sequence[float] = (),
    format: Format | None = None,
) -> None:
    """Write one layer's network, complete or not at all.

    Parameters
    ----------
    network : cbn.cpd.base.CPD
    path : str or path-like
    layer : int
        Its number, for the names.
    what : {"pixel", "hidden"}
    thresholds : sequence of float
        Of the channels of the pixel layer.
    format : {"bif", "xmlbif", "uai"}, optional
        By the ending of the path where it is left out.

    Raises
    ------
    ValueError
        An unknown format, boosted trees, or tables that would be too large.
    """
    ending = os.path.splitext(os.fspath(path))[1].lower()
    format = FORMATS.get(ending) if format is None else format
    if format not in ("bif", "xmlbif", "uai"):
        raise ValueError(f"path: {os.fspath(path)!r}; give a name that ends in .bif, .xmlbif or .uai, or the format")
    if not network.exports:
        raise ValueError(f"export: {network.nouns} are no tables that fit into a file; use cpd='tree' or 'table'")
    parents = [network.table_parents(node) for node in range(network.layer.n_nodes)]
    rows = sum(1 << len(p) for p in parents)
    largest = max(range(len(parents)), key=lambda node: len(parents[node]))
    names, most = _Names(network.layer, layer, what, thresholds), len(parents[largest])
    if most > MAX_PARENTS or rows > MAX_ROWS:
        raise ValueError(
            f"export: tables of {rows:,} rows, that of {names.name(largest)} with {most} parents, but {MAX_ROWS:,} rows and {MAX_PARENTS} "
            "parents are possible: fit with smaller max_leaves, reach or a higher penalty"
        )
    writer = {"bif": _write_bif, "xmlbif": _write_xmlbif, "uai": _write_uai}[format]
    with atomic_write(path) as file:
        for piece in writer(network, parents, names):
            file.write(piece.encode())


class _Names:
    """Names and properties of nodes."""

    def __init__(self, layer: Grid, number: int, what: Literal["pixel", "hidden"], thresholds: Sequence[float]) -> None:
        self.layer, self.number, self.what, self.thresholds = layer, number, what, thresholds

    def place(self, node: int) -> tuple[int, int, int]:
        channel, inside = divmod(node, self.layer.n_positions)
        return channel, *divmod(inside, self.layer.width)

    def name(self, node: int) -> str:
        channel, y, x = self.place(node)
        return f"L{self.number}_k{channel}_y{y}_x{x}"

    def properties(self, node: int) -> list[str]:
        channel, y, x = self.place(node)
        own = f"kernel = {channel}"
        if self.what == "pixel":
            own = f"threshold = {self.thresholds[channel]!r}" if self.thresholds else f"channel = {channel}"
        return [f"position = ({x}, {y})", f"layer = {self.number}", own]


def _write_bif(network: TableNetwork, parents: list[list[int]], names: _Names) -> Iterator[str]:
    yield "network cbn {\n}\n"
    for node in range(len(parents)):
        yield f"variable {names.name(node)} {{\n  type discrete [ 2 ] {{ off, on }};\n"
        yield "".join(f"  property {text} ;\n" for text in names.properties(node)) + "}\n"
    states = ("off", "on")
    for node, own in enumerate(parents):
        table = network.table_of(node, own)
        if not own:
            yield f"probability ( {names.name(node)} ) {{\n  table {float(table[0, 0])!r}, {float(table[0, 1])!r};\n}}\n"
            continue
        yield f"probability ( {names.name(node)} | {', '.join(map(names.name, own))} ) {{\n"
        for row, (off, on) in enumerate(table.tolist()):
            situation = ", ".join(states[row >> (len(own) - 1 - i) & 1] for i in range(len(own)))
            yield f"  ({situation}) {off!r}, {on!r};\n"
        yield "}\n"


def _write_xmlbif(network: TableNetwork, parents: list[list[int]], names: _Names) -> Iterator[str]:
    from xml.sax.saxutils import escape  # with it come urllib and email

    yield '<?xml version="1.0" encoding="US-ASCII"?>\n<BIF VERSION="0.3">\n<NETWORK>\n<NAME>cbn</NAME>\n'
    for node in range(len(parents)):
        properties = "".join(f"<PROPERTY>{escape(text)}</PROPERTY>" for text in names.properties(node))
        yield (
            f'<VARIABLE TYPE="nature"><NAME>{names.name(node)}</NAME><OUTCOME>off</OUTCOME><OUTCOME>on</OUTCOME>'
            f"{properties}</VARIABLE>\n"
        )
    for node, own in enumerate(parents):
        given = "".join(f"<GIVEN>{names.name(parent)}</GIVEN>" for parent in own)
        numbers = " ".join(map(repr, network.table_of(node, own).ravel().tolist()))
        yield f"<DEFINITION><FOR>{names.name(node)}</FOR>{given}<TABLE>{numbers}</TABLE></DEFINITION>\n"
    yield "</NETWORK>\n</BIF>\n"


def _write_uai(network: TableNetwork, parents: list[list[int]], names: _Names) -> Iterator[str]:
    n = len(parents)
    yield f"BAYES\n{n}\n{' '.join(['2'] * n)}\n{n}\n"
    for node, own in enumerate(parents):
        yield f"{len(own) + 1} {' '.join(map(str, [*own, node]))}\n"
    for node, own in enumerate(parents):
        numbers = network.table_of(node, own).ravel().tolist()
        yield f"\n{len(numbers)}\n{' '.join(map(repr, numbers))}\n"
