# SPDX-License-Identifier: BSD-3-Clause
"""What the fuzzers of all readers share: damaged bytes, odd values in headers, bombs, and a limit of time."""

import os
import signal
import zipfile
from contextlib import contextmanager

from hypothesis import settings
from hypothesis import strategies as st

from helpers.modelfiles import members_of

FUZZ = settings(deadline=None, max_examples=int(os.environ.get("CBN_FUZZ_EXAMPLES", "150")))
SECONDS = 10  # any file here loads in a hundredth of that


PLAIN = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
    | st.sampled_from([2**20, 2**30, 2**31, 2**62, 2**63, 255, 1, 0, "network", "classifier", "pixel", 0.3, 1e308])
)  # fmt: skip
NESTED = PLAIN | st.lists(PLAIN, max_size=4)
VALUES = NESTED | st.lists(NESTED, max_size=3) | st.dictionaries(st.text(max_size=3), NESTED, max_size=3)


@contextmanager
def soon(seconds=SECONDS):
    """Fails, instead of running on, when the block takes too long (where the system has an alarm)."""

    def late(*_):
        raise AssertionError(f"not done after {seconds} s")

    if not hasattr(signal, "SIGALRM"):
        yield
        return
    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def at(header, path):
    """The container and key of a path such as networks/0/layer."""
    *before, last = [int(key) if key.isdigit() else key for key in path.split("/")]
    for key in before:
        header = header[key]
    return header, last


def places(value, path=""):
    """Paths of everything in a header, containers and leaves."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield f"{path}{key}"
        yield from places(inner, f"{path}{key}/")


def bomb(source, path, name, size, head=b"", filler=b"\0"):
    """A copy of a model file whose member holds size bytes that compress to a thousandth."""
    members = members_of(source)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for other in members.keys() - {name}:
            archive.writestr(other, members[other])
        with archive.open(name, "w") as member:
            member.write(head)
            for _ in range(size // 2**20):
                member.write(filler * (2**20 // len(filler)))
    assert path.stat().st_size < 2 * size // 1000 + 20_000
    return path


@st.composite
def damaged(draw, content):
    """The bytes with pieces overwritten, inserted, cut out, or the end missing."""
    data = bytearray(content)
    for _ in range(draw(st.integers(1, 5))):
        at = draw(st.integers(0, len(data)))
        patch = draw(st.binary(max_size=8))
        how = draw(st.sampled_from(["overwrite", "overwrite", "insert", "cut", "end"]))
        if how == "overwrite":
            data[at : at + len(patch)] = patch
        elif how == "insert":
            data[at:at] = patch
        elif how == "cut":
            del data[at : at + len(patch)]
        else:
            del data[at:]
    return bytes(data)
