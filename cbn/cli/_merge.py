# SPDX-License-Identifier: BSD-3-Clause
"""What the programs that train ask of --add and --merge alike."""

import os

from ._running import UsageError


def refuse_others(arguments, defaults, allowed, option, why):
    """Refuses options that do not go with ``option``: those that differ from the defaults and are not allowed."""
    for name, value in vars(arguments).items():
        if name not in allowed and value != getattr(defaults, name):
            raise UsageError(f"--{name.replace('_', '-')}: not with {option}, {why}; leave it out")


def check_paths(paths, noun):
    """Refuses one model alone, and a model that is named twice, whose images would count twice."""
    if len(paths) < 2:
        raise UsageError(f"--merge: {paths[0]!r} alone; give two models or more")
    real = [os.path.realpath(path) for path in paths]
    for i, path in enumerate(paths):
        if real[i] in real[:i]:
            raise UsageError(f"--merge: {path!r} twice; its {noun} would count twice; name each model once")
