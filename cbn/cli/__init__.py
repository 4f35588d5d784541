# SPDX-License-Identifier: BSD-3-Clause
"""The programs: one file each, shared habits in ``_common``; ``_train_*`` are parts of cbn-train, one concept each.

Here are their entry points, which load as little as possible.
"""

import importlib
import os
import sys

from ._interrupt import after_imports, is_interrupt

# Pictures go to files: a window system that is set but not installed must not stop matplotlib from loading.
os.environ.pop("MPLBACKEND", None)


def _start(name):
    with after_imports():
        try:
            return importlib.import_module(f".{name}", __name__).main()
        except BaseException as error:  # while the modules load; later `run` answers it
            if not is_interrupt(error):
                raise
            print(f"cbn-{name.replace('_', '-')}: error: interrupted", file=sys.stderr)
            return 130


def start_train():
    return _start("train")


def start_sample():
    return _start("sample")


def start_score():
    return _start("score")


def start_inpaint():
    return _start("inpaint")


def start_show():
    return _start("show")


def start_iem_train():
    return _start("iem_train")


def start_iem_score():
    return _start("iem_score")


def start_report():
    return _start("report")
