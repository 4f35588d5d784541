# SPDX-License-Identifier: BSD-3-Clause
"""What a report of a fault should say of the machine and the packages."""

import platform
import sys
from importlib.metadata import PackageNotFoundError, version

from . import _engine
from ._version import __version__

PACKAGES = "numpy", "scipy", "scikit-learn", "Pillow", "matplotlib", "tqdm", "dask", "distributed", "Cython", "pip"


def show_versions() -> None:
    """Print the versions of cbn, Python and the packages that it uses, and what the engine runs on.

    Examples
    --------
    >>> show_versions()  # doctest: +ELLIPSIS
    cbn              ...
    instruction set  ...
    """
    found = {
        "cbn": __version__,
        "instruction set": _engine.instruction_set(),
        "threads": f"{_engine.max_threads()}",
        "Python": sys.version.split()[0],
        "system": platform.platform(),
    }
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    for name, value in found.items():
        print(f"{name:16} {value}")
