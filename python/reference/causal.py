# SPDX-License-Identifier: BSD-3-Clause
"""Causal features, and the sample of (image, position) pairs that tied trees learn from; ``cbn_tied.h``.

``causal`` is ((channels, height, width), radius, places, profile). Everything is computed from one byte a pixel, position by
position, by what the header says and not by how the engine does it.
"""

import numpy as np

from .arguments import Bits, Counts, Planes, States
from .bitplane import unpack_planes
from .random import MASK, philox

Causal = tuple[tuple[int, int, int], int, bool, bool]
Sampling = tuple[int, int, int, bool, int]  # seed, below, thinning, nested, number of the first image
ROW = 8  # purpose of random numbers
MAX_CUTS = 63
INFINITE = 10**9

GAPS = (2, 3, 4, 5, 6, 7, 8, 10, 12, 16, 24)
COLUMNS = (-9, -5, -3, -2, -1, 0, 1, 2, 3, 4, 6, 10)
LENGTHS = (2, 3, 4, 5, 7, 10, 14, 20)
THRESHOLDS = (
    GAPS, GAPS, (1, 2, 3, 4, 5, 7, 9, 12, 16, 24), GAPS, LENGTHS, LENGTHS, (1, 2, 3, 4), (1, 2, 3, 4),
    (1, 2, 3, 4, 6, 8, 12, 16, 24),
    (1, 4, 8, 16, 24, 32, 48, 64, 80, 96, 112, 128, 160, 192, 256, 384, 512, 1024),
    *(COLUMNS,) * 10, (1, 2, 3, 4, 5, 6, 8, 10, 12, 14, 16, 18, 20, 24, 32), COLUMNS, COLUMNS,
    (3, 4, 5, 6, 7, 8, 10, 12, 16),
)  # fmt: skip


def profile_thresholds() -> tuple[tuple[int, ...], ...]:
    """A tuple of thresholds for every statistic of the profile."""
    return THRESHOLDS


def window(radius: int) -> list[tuple[int, int]]:
    """(dy, dx), nearest first."""
    near = [(dy, dx) for dy in range(-radius, 1) for dx in range(-radius, radius + 1) if (dy, dx) < (0, 0)]
    return sorted(near, key=lambda o: (max(-o[0], abs(o[1])), -o[0], abs(o[1]), o[0], o[1]))


def cuts(side: int) -> list[int]:
    n = min(side - 1, MAX_CUTS)
    return [-(-i * side // (n + 1)) for i in range(1, n + 1)]


def causal_count(causal: Causal) -> int:
    """Number of features."""
    (channels, height, width), radius, places, profile = causal
    n = len(window(radius)) * channels + channels - 1
    return n + places * (len(cuts(height)) + len(cuts(width))) + profile * sum(map(len, THRESHOLDS))


def distance(pixels: Bits, first: int) -> int:
    """Place of the first 1, counted from `first`."""
    return int(np.argmax(pixels)) + first if pixels.any() else INFINITE


def n_runs(pixels: Bits) -> int:
    padded = np.concatenate([[False], pixels])
    return int((padded[1:] & ~padded[:-1]).sum())


def run(pixels: Bits) -> int:
    """Length of the run of ones at the beginning."""
    return len(pixels) if pixels.all() else int(np.argmin(pixels))


def profile_of(image: Bits, y: int, x: int) -> list[bool]:
    """The bits of one position of one image (height, width) of one channel."""
    width = image.shape[1]
    nothing = np.zeros(width, bool)
    above, row, left = image[:y], image[y - 1] if y else nothing, image[y, :x]
    ink = int(above.sum() + left.sum())
    runs = sum(n_runs(line) for line in above) + n_runs(left)
    numbers: list[float] = [
        distance(left[::-1], 1), distance(above[::-1, x], 1), distance(row[x::-1], 0), distance(row[x + 1 :], 1),
        run(left[::-1]), run(above[::-1, x]), n_runs(left), n_runs(row), row.sum(), ink,
    ]  # fmt: skip
    for line in (*(image[y - up] if y >= up else nothing for up in (1, 2, 3, 5)), above.any(axis=0)):
        found = np.flatnonzero(line)
        numbers += [x - found[0], x - found[-1]] if len(found) else [-INFINITE, -INFINITE]
    inked = np.flatnonzero(above.any(axis=1))
    numbers.append(y - inked[0] if len(inked) else 0)
    for lines in (above, above[-4:]):
        columns = np.nonzero(lines)[1]
        numbers.append(x - columns.sum() / len(columns) if len(columns) else -INFINITE)
    numbers.append(2 * ink / runs if runs else 0)
    # means are compared to whole numbers: rounding by less than 1e-9 decides no threshold wrongly but at equality
    return [number >= t - 1e-9 for number, thresholds in zip(numbers, THRESHOLDS) for t in thresholds]


def features_of(causal: Causal, states: States, node: int) -> Bits:
    """(n, features) of a node in images (n, nodes)."""
    (channels, height, width), radius, places, profile = causal
    channel, inside = divmod(node, height * width)
    y, x = divmod(inside, width)
    pixels = states.reshape(-1, channels, height, width).astype(bool)
    n, columns = len(pixels), []
    for dy, dx in window(radius):
        there = 0 <= y + dy and 0 <= x + dx < width
        columns += [pixels[:, c, y + dy, x + dx] if there else np.zeros(n, bool) for c in range(channels)]
    columns += [pixels[:, c, y, x] if c < channel else np.zeros(n, bool) for c in range(channels - 1)]
    if places:
        columns += [np.full(n, y >= cut) for cut in cuts(height)] + [np.full(n, x >= cut) for cut in cuts(width)]
    bits = np.array(columns, bool).reshape(len(columns), n).T
    if profile:
        bits = np.concatenate([bits, [profile_of(image, y, x) for image in pixels[:, channel]]], axis=1)
    return bits


def unpacked(planes: Planes, n_images: int) -> States:
    states = np.empty((n_images, len(planes)), np.uint8)
    unpack_planes(planes, states)
    return states


def causal_features(
    causal: Causal, planes: Planes, n_images: int, node: int, bits: Planes, num_threads: int = 1
) -> None:
    """bits (features, words): the features of a node in all images."""
    found = features_of(causal, unpacked(planes, n_images), node)
    bits[:] = 0
    for i, row in enumerate(found):
        bits[row, i // 64] |= np.uint64(1 << i % 64)


# ---- rows ----


def quiet(causal: Causal, states: States, channel: int, position: int) -> Bits:
    """(n,) no 1 among the earlier pixels of the channel within distance 2."""
    (channels, height, width), *_ = causal
    return ~features_of(((channels, height, width), 2, False, False), states, channel * height * width + position)[
        :, channel : len(window(2)) * channels : channels
    ].any(axis=1)


def kept_pairs(
    causal: Causal, planes: Planes, n_images: int, channel: int, sampling: Sampling
) -> list[list[tuple[int, int, int, bool]]]:
    """For every word of images its rows (key, position, image, quiet), in their random order."""
    seed, below, thinning, nested, first = sampling
    (_, height, width), *_ = causal
    states, positions = unpacked(planes, n_images), height * width
    words: list[list[tuple[int, int, int, bool]]] = [[] for _ in range(-(-n_images // 64))]
    for position in range(positions):
        node = channel * positions + position
        still = quiet(causal, states, channel, position)
        for image in range(n_images):
            if nested and channel and not states[image, node - positions]:
                continue
            key, other, *_ = philox((position, first + image, channel, ROW), (seed & MASK, seed >> 32))
            thinned = still[image] and not states[image, node]
            if key < below and (not thinned or other < 2**32 // thinning):
                words[image // 64].append((key, position, image, bool(still[image])))
    return [sorted(rows, key=lambda row: row[0]) for rows in words]


def rows_count(
    causal: Causal,
    planes: Planes,
    n_images: int,
    channel: int,
    sampling: Sampling,
    counts: Counts,
    num_threads: int = 1,
) -> None:
    """counts (words): rows from the images of each word."""
    counts[:] = [len(rows) for rows in kept_pairs(causal, planes, n_images, channel, sampling)]


def rows_take(
    causal: Causal,
    planes: Planes,
    n_images: int,
    channel: int,
    sampling: Sampling,
    begin: Counts,
    rows: tuple[Planes, Planes, Planes, Planes],
    num_threads: int = 1,
) -> None:
    """rows (features, target, members, quiet), filled; the rows of a word of images begin with block begin[word]."""
    (_, height, width), *_ = causal
    states = unpacked(planes, n_images)
    features, target, members, still = rows
    for array in rows:
        array[:] = 0
    own = {
        position: features_of(causal, states, channel * height * width + position) for position in range(height * width)
    }
    for first, pairs in zip(begin, kept_pairs(causal, planes, n_images, channel, sampling)):
        for i, (_, position, image, is_quiet) in enumerate(pairs):
            block, bit = first + i // 64, np.uint64(1 << i % 64)
            features[block, own[position][image]] |= bit
            members[block] |= bit
            if is_quiet:
                still[block] |= bit
            if states[image, channel * height * width + position]:
                target[block] |= bit
