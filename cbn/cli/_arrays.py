# SPDX-License-Identifier: BSD-3-Clause
"""Arrays in place of a picture: --out of programs that draw images, told apart by the ending of the name."""

import os

from ._running import UsageError

NPY, NPZ = ".npy", ".npz"
# What a name may end in where a picture or arrays can be asked for.
ENDINGS = (".png", NPY, NPZ)


def is_array_file(path):
    """Whether arrays are meant, not a picture."""
    return os.path.splitext(path)[1].lower() in (NPY, NPZ)


def check_arrays(arguments):
    """Refuses to write all arrays twice."""
    if arguments.npz is not None and arguments.out.lower().endswith(NPZ):
        raise UsageError(
            f"--npz: {arguments.npz!r} beside --out {arguments.out!r}, which has the same arrays; leave one out"
        )


def write_arrays(path, **arrays):
    """The first array alone as .npy, or all of them by name as .npz. Raises CbnError."""
    import numpy as np

    from ..io.files import atomic_write

    with atomic_write(path) as file:
        if path.lower().endswith(NPY):
            np.save(file, next(iter(arrays.values())), allow_pickle=False)
        else:
            np.savez_compressed(file, **arrays)


def files_of(arguments):
    """{"picture", "npy", "npz": path or None}: what --out and --npz leave, for --json."""
    ending = os.path.splitext(arguments.out)[1].lower()
    return {
        "picture": None if ending in (NPY, NPZ) else arguments.out,
        "npy": arguments.out if ending == NPY else None,
        "npz": arguments.out if ending == NPZ else arguments.npz,
    }
