# SPDX-License-Identifier: BSD-3-Clause
"""What the tests of the programs share: running them, small data sets, and the model written out naively."""

import contextlib
import functools
import gzip
import importlib
import io
import json
import os
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np

PROGRAMS = ("cbn-train", "cbn-sample", "cbn-score", "cbn-inpaint", "cbn-show")
ENERGY_PROGRAMS = ("cbn-iem-train", "cbn-iem-score")
REPORT_PROGRAMS = ("cbn-report",)
READERS = PROGRAMS[1:]  # the programs that read a model
PARENTS = ((-1, -1), (-1, 0), (-1, 1), (0, -1))


@dataclass
class Result:
    """What a program did."""

    program: str
    code: int
    out: str
    err: str

    def json(self):
        """The one JSON object that must be all of stdout."""
        assert self.code == 0, self.err
        value = json.loads(self.out, parse_constant=lambda name: _refuse(name))
        assert isinstance(value, dict)
        return value


def _refuse(name):
    raise AssertionError(f"{name} is not JSON")


def module_of(program):
    """cbn-iem-train -> cbn.cli.iem_train"""
    return f"cbn.cli.{program.removeprefix('cbn-').replace('-', '_')}"


def call(program, *argv):
    """Runs a program's main() in this process."""
    main = importlib.import_module(module_of(program)).main
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = main([str(word) for word in argv])
        except SystemExit as exit:  # argparse
            code = 0 if exit.code is None else exit.code
    return Result(program, code, out.getvalue(), err.getvalue())


def done(program, *argv):
    """Runs a program that must succeed."""
    result = call(program, *argv)
    assert result.code == 0, f"{program} {argv}: {result.err}"
    return result


def unassumed(err):
    """The lines of stderr but for that of what was assumed."""
    return [line for line in err.splitlines() if not line.startswith("assumed: ")]


def assert_one_line_error(result, code, *words):
    """One line on stderr that says all the words, beside what was assumed; nothing on stdout; no excuse for a crash."""
    assert result.code == code, (result.code, result.err)
    assert result.out == ""
    lines = unassumed(result.err)
    assert len(lines) == 1, result.err
    assert lines[0].startswith(f"{result.program}: "), result.err
    assert "Traceback" not in result.err and "internal error" not in result.err, result.err
    for word in words:
        assert str(word) in lines[0], f"{word!r} is not in: {lines[0]}"


def installed(program):
    """The path of the installed program."""
    return str(Path(sys.executable).with_name(program))


def environment(**changes):
    """An environment for child processes that does not depend on who runs the tests."""
    base = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "CBN_FORCE_GENERIC", "CBN_DEBUG")}
    return {**base, **changes}


def spawn(program, *argv, cwd, timeout=60, **environ):
    """Runs an installed program as a process of its own."""
    finished = subprocess.run(
        [installed(program), *map(str, argv)], cwd=cwd, env=environment(**environ), capture_output=True, text=True,
        errors="surrogateescape", timeout=timeout, check=False,
    )  # fmt: skip
    return Result(program, finished.returncode, finished.stdout, finished.stderr)


# ---- data ----


def grey_images(n, height, width, seed=0):
    """(n, height, width) uint8: a slope of grey with noise, so that every threshold cuts somewhere."""
    rng = np.random.default_rng(seed)
    slope = np.add.outer(np.linspace(0, 120, height), np.linspace(0, 60, width))
    return np.clip(slope + rng.integers(0, 100, (n, height, width)), 0, 255).astype(np.uint8)


def idx_bytes(array):
    """A uint8 array in the IDX format."""
    header = bytes([0, 0, 8, array.ndim]) + b"".join(int(n).to_bytes(4, "big") for n in array.shape)
    return header + np.ascontiguousarray(array, np.uint8).tobytes()


def write_idx(path, array):
    content = idx_bytes(array)
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)


def write_pictures(folder, images, suffix=".png"):
    """One picture a file: 000.png, 001.png, ..."""
    from PIL import Image

    folder.mkdir(parents=True, exist_ok=True)
    for i, image in enumerate(images):
        Image.fromarray(image).save(folder / f"{i:03}{suffix}")


def save_hidden_model(path):
    """A model of digit 2 with the two untrained hidden layers of the preset."""
    from helpers.networks import Network

    Network("hidden", iterations=0, random_state=0).fit(embedded().part("train", 2).images[:500]).save(path)


@functools.cache
def embedded():
    """The embedded images, unpacked once."""
    from cbn.datasets.mnist import EmbeddedMnist

    return EmbeddedMnist()


def digit_images(n, digit=2, side=20):
    """(n, side, side) uint8 of 0 and 1: the middle of images of a digit, in which hidden layers find relations."""
    margin = (28 - side) // 2
    images = embedded().part("train", digit).images
    return np.ascontiguousarray(images[:n, margin : margin + side, margin : margin + side])


# ---- the model, naively ----


def bits_of(images, thresholds=(0.3,), full_scale=255):
    """(n, channels, height, width) bool: value > threshold x full scale."""
    return np.stack([images.astype(float) > t * full_scale for t in thresholds], axis=1)


def _families(bits, offsets):
    """Yields (node and parent states, state) of every pixel of one image (channels, height, width).

    Parents outside the image count as 0. A channel's pixel has the same pixel of the channel below as one more parent;
    where that is 0 the pixel is 0 for certain, and nothing is yielded.
    """
    channels, height, width = bits.shape
    for c in range(channels):
        for y in range(height):
            for x in range(width):
                if c and not bits[c - 1, y, x]:
                    continue
                near = [(y + dy, x + dx) for dy, dx in offsets]
                states = tuple(bool(bits[c, a, b]) if 0 <= a < height and 0 <= b < width else False for a, b in near)
                yield (c, y, x, states), bool(bits[c, y, x])


def naive_counts(bits, offsets=PARENTS):
    """How often every node was 0 or 1 under every state of its parents."""
    counts = Counter()
    for image in bits:
        counts.update(_families(image, offsets))
    return counts


def naive_log_probability(counts, image, pseudocount=1.0, offsets=PARENTS, leave_out=False):
    """log p of one image (channels, height, width) in nats; leave_out: as if it had not been counted."""
    own = int(leave_out)
    total = 0.0
    for family, state in _families(image, offsets):
        same, other = counts[family, state] - own, counts[family, not state]
        total += np.log((same + pseudocount) / (same + other + 2 * pseudocount))
    return total


def naive_scores(train, test, pseudocount=1.0, offsets=PARENTS):
    """(log p of the test bits, conformal p-values by the leave-one-out scores of the training bits)."""
    counts = naive_counts(train, offsets)
    scores = np.array([naive_log_probability(counts, image, pseudocount, offsets) for image in test])
    n = len(train)
    share = pseudocount * (n - 1) / n if n > 1 else pseudocount  # one image fewer has as much less of it
    left_out = np.array([naive_log_probability(counts, image, share, offsets, True) for image in train])
    p_values = np.array([(1 + np.sum(left_out <= s + 1e-9)) / (len(train) + 1) for s in scores])
    return scores, p_values
