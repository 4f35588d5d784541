# SPDX-License-Identifier: BSD-3-Clause
"""The house: few rooms at the first level, imports that go down only, no circle, nothing left out of the wheel."""

import ast
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "cbn"
# Floors from the ground up: a file imports files of its own room, and of rooms on floors below.
FLOORS = (
    ("exceptions", "_version", "_waiting", "_engine"),
    ("_environment", "_validation"),
    ("_params",),
    ("io",),
    ("bits", "metrics", "datasets"),
    ("explain", "distributed", "report"),
    ("cpd", "plots"),
    ("layers",),
    ("inference",),
    ("fit", "iem"),
    ("estimators",),
    ("loading",),
)
# The programs stand beside the estimators: they read fitted objects, and know nothing of scikit-learn's faces.
BESIDE = {"cli": ("fit", "iem")}


def floor_of(room):
    if room in BESIDE:
        return 1 + max(floor_of(other) for other in BESIDE[room])
    return next(number for number, rooms in enumerate(FLOORS) if room in rooms)


@cache
def files():
    """Module name below cbn -> path, of every Python file."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports_of(module):
    """(module below cbn, line) of everything of the package that a file imports, wherever in it."""
    path = files()[module]
    package = module.split(".") if path.name == "__init__.py" and module else module.split(".")[:-1]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names if alias.name.split(".")[0] == "cbn"]
            base = []
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                base = ["cbn", *package][: 1 + len(package) - (node.level - 1)]
            elif node.module and node.module.split(".")[0] == "cbn":
                base = []
            else:
                continue
            base = ".".join([*base, *(node.module.split(".") if node.module else [])])
            names = [f"{base}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            below = name.removeprefix("cbn").removeprefix(".")
            while below and below not in files() and not below.startswith("_engine"):
                below = below.rpartition(".")[0]  # a name in a module
            yield below, node.lineno


def test_the_first_level_is_small():
    names = {path.name for path in PACKAGE.iterdir() if path.is_file() and path.suffix == ".py"}
    assert len(names) <= 8, sorted(names)
    rooms = {path.name for path in PACKAGE.iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert rooms == {room for rooms in FLOORS[3:-1] for room in rooms} | set(BESIDE)


@pytest.mark.parametrize("module", [name for name in files() if name])
def test_imports_go_down(module):
    room = module.split(".")[0]
    for other, line in imports_of(module):
        other_room = other.split(".")[0]
        if other_room in ("", room):
            assert other != "" or room == "cli", f"{module}:{line} imports the package itself"
            continue
        assert floor_of(other_room) < floor_of(room), f"{module}:{line} imports {other}, which is not below it"


def test_no_circle():
    graph = {name: {other for other, _ in imports_of(name) if other in files() and other != name} for name in files()}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(f"files import each other in a circle: {' -> '.join(error.args[1])}")


def test_files_are_short():
    long = {name: n for name, path in files().items() if (n := len(path.read_text().splitlines())) > 400}
    assert not long


def test_scikit_learn_is_imported_by_the_estimators_alone():
    for name, path in files().items():
        for node in ast.walk(ast.parse(path.read_text())):
            modules = []
            if isinstance(node, ast.Import):
                modules = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and not node.level:
                modules = [node.module]
            if any(module.split(".")[0] == "sklearn" for module in modules):
                assert name.startswith("estimators") or name == "datasets.mnist", f"{name}:{node.lineno}"
