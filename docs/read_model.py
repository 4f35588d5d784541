# SPDX-License-Identifier: BSD-3-Clause
"""Reads model files with NumPy alone, as docs/format.md describes them, and scores images.

    python read_model.py MODEL IMAGES.npy

prints log p of the pixel layer for every image, in nats; where the model has a contrast, its two numbers as well.
"""

import io
import json
import math
import sys
import zipfile

import numpy as np

LIMITS = 1e-12, 1 - 1e-12  # of probabilities of trees
ONE = 65536  # of log-odds that are whole numbers
CHUNK = 64  # images whose causal features are in memory at a time
FAR = 10**9  # a distance to what is not there
# Thresholds of the statistics of a profile, in the order of profile().
GAPS, LENGTHS = (2, 3, 4, 5, 6, 7, 8, 10, 12, 16, 24), (2, 3, 4, 5, 7, 10, 14, 20)
COLUMNS = -9, -5, -3, -2, -1, 0, 1, 2, 3, 4, 6, 10
THRESHOLDS = (
    GAPS, GAPS, (1, 2, 3, 4, 5, 7, 9, 12, 16, 24), GAPS, LENGTHS, LENGTHS, (1, 2, 3, 4), (1, 2, 3, 4),
    (1, 2, 3, 4, 6, 8, 12, 16, 24), (1, 4, 8, 16, 24, 32, 48, 64, 80, 96, 112, 128, 160, 192, 256, 384, 512, 1024),
    *[COLUMNS] * 10, (1, 2, 3, 4, 5, 6, 8, 10, 12, 14, 16, 18, 20, 24, 32), COLUMNS, COLUMNS, (3, 4, 5, 6, 7, 8, 10, 12, 16),
)  # fmt: skip


def read(path):
    """(header, arrays by name) of a model file; refuses what this program does not know."""
    with zipfile.ZipFile(path) as archive:
        header = json.loads(archive.read("header.json"))
        if header["format"] != "cbn-model" or header["kind"] != "network" or header["version"] > 13:
            raise ValueError(f"{path}: not a network in a version that this program knows")
        names = [name for name in archive.namelist() if name.endswith(".npy")]
        arrays = {name[:-4]: np.load(io.BytesIO(archive.read(name)), allow_pickle=False) for name in names}
    return header, arrays


def binarize(images, thresholds, full_scale):
    """(n, height, width) whole numbers -> (n, nodes) bits: channel by channel, row by row."""
    return np.concatenate([(images > t * full_scale).reshape(len(images), -1) for t in thresholds], axis=1).astype(int)


def table_log_probability(network, counts, bits):
    layer, a = network["layer"], network["pseudocount"]
    channels, height, width = layer["channels"], layer["height"], layer["width"]
    states = bits.reshape(len(bits), channels, height, width)
    result, first = np.zeros(len(bits)), 0
    for channel in range(channels):
        parents = [r[1:] for r in layer["relations"] if r[0] == channel]  # (parent channel, dy, dx, required)
        for y in range(height):
            for x in range(width):
                row, certain = np.zeros(len(bits), int), np.zeros(len(bits), bool)
                for bit, (parent, dy, dx, required) in enumerate(parents):
                    if 0 <= y + dy and 0 <= x + dx < width:
                        state = states[:, parent, y + dy, x + dx]
                        row |= state << bit
                        certain |= bool(required) & (state == 0)
                own, n = states[:, channel, y, x], counts[first + row]
                p = (n[np.arange(len(n)), own] + a) / (n.sum(axis=1) + 2 * a)
                result += np.where(certain, 0, np.log(p))  # a pixel below a threshold is below the next one
                first += 1 << len(parents)
    return result


def tree_log_probability(network, sizes, split, counts, bits):
    layer, a, strength = network["layer"], network["pseudocount"], network["shrinkage"]
    n_positions, result, first = layer["height"] * layer["width"], np.zeros(len(bits)), 0
    for node, size in enumerate(sizes):
        own, n = split[first : first + size], counts[first : first + size]
        below_threshold = node >= n_positions  # then the root asks the next lower threshold at the same pixel
        child = np.where(own >= 0, 2 * np.cumsum(own >= 0) - 1, 0)  # of an inner vertex: where the bit is 0
        p = np.empty(size)  # of state 1
        p[0] = np.clip((n[0, 1] + a) / (n[0].sum() + 2 * a), *LIMITS)
        for v in np.flatnonzero(own >= 0):
            for c in (child[v], child[v] + 1):
                begins = below_threshold and v == 0
                prior, weight = (a, 2 * a) if begins else (strength * p[v], strength)
                own_p = (n[c, 1] + prior) / (n[c].sum() + weight)
                p[c] = 0 if begins and c == child[v] else np.clip(own_p, *LIMITS)
        at = np.zeros(len(bits), int)
        while (own[at] >= 0).any():
            at = np.where(own[at] >= 0, child[at] + bits[np.arange(len(bits)), own[at]], at)
        result += np.log(np.where(bits[:, node] == 1, p[at], 1 - p[at]))
        first += size
    return result


def add_trees(sizes, split, value, bits, odds):
    """Adds to odds (n,) the values of the leaves that bits (n, features) come to in every tree."""
    rows, first = np.arange(len(bits)), 0
    for size in sizes:
        own, values = split[first : first + size], value[first : first + size]
        child = np.where(own >= 0, 2 * np.cumsum(own >= 0) - 1, 0)
        at = np.zeros(len(bits), int)
        while (own[at] >= 0).any():
            at = np.where(own[at] >= 0, child[at] + bits[rows, own[at]], at)
        odds += values[at]
        first += size


def add_forests(n_trees, arrays, bits_of, odds):
    """Of the i-th owner, which has n_trees[i] trees of (sizes, split, value), to odds(i) what bits_of(i) come to."""
    sizes, split, value = arrays
    tree, vertex = 0, 0
    for owner, n in enumerate(n_trees):
        own = sizes[tree : tree + n]
        part = slice(vertex, vertex + own.sum())
        add_trees(own, split[part], value[part], bits_of(owner), odds(owner))
        tree, vertex = tree + n, vertex + own.sum()


def boosted_odds(arrays, bits, prefix=""):
    """(n, nodes) what trees of single nodes add to their log-odds."""
    odds = np.zeros(bits.shape, np.int64)
    forests = [arrays[prefix + name] for name in ("sizes", "split", "value")]
    add_forests(arrays[prefix + "trees"], forests, lambda node: bits, lambda node: odds[:, node])
    return odds


def nats(odds, bits, n_positions):
    """(n, nodes) log p of bits (n, nodes), from log-odds."""
    sign = np.where(bits == 1, 1, -1)
    found = -np.logaddexp(0, -sign * odds / ONE)
    certain = bits[:, :-n_positions] == 0  # a pixel below a threshold is below the next one
    found[:, n_positions:][certain] = 0
    return found


def distance(bits, first):
    """(n,) place of the first 1 of bits (n, k), counted from a number; FAR where there is none."""
    return np.where(bits.any(axis=1), (np.argmax(bits, axis=1) if bits.shape[1] else 0) + first, FAR)


def run(bits):
    """(n,) ones before the first 0."""
    return np.cumprod(bits, axis=1).sum(axis=1)


def n_runs(bits):
    """(n,) runs of ones in the rows of bits (n, rows, k)."""
    return bits[..., :1].sum(axis=(1, 2)) + (bits[..., 1:] & ~bits[..., :-1]).sum(axis=(1, 2))


def profile(pixels, y, x):
    """The statistics of a place in images (n, height, width): pairs of a numerator and a denominator, (n,) each."""
    n, _, width = pixels.shape
    ones, nothing = np.ones(n, int), np.zeros((n, width), bool)
    above, left = pixels[:, :y], pixels[:, y, :x]
    row = pixels[:, y - 1] if y else nothing
    ink = above.sum(axis=(1, 2)) + left.sum(axis=1)
    found = [
        distance(left[:, ::-1], 1), distance(above[:, ::-1, x], 1), distance(row[:, x::-1], 0), distance(row[:, x + 1 :], 1),
        run(left[:, ::-1]), run(above[:, ::-1, x]), n_runs(left[:, None]), n_runs(row[:, None]), row.sum(axis=1), ink,
    ]  # fmt: skip
    for line in (*(pixels[:, y - up] if y >= up else nothing for up in (1, 2, 3, 5)), above.any(axis=1)):
        there = line.any(axis=1)
        found.append(np.where(there, x - np.argmax(line, axis=1), -FAR))
        found.append(np.where(there, x - (width - 1 - np.argmax(line[:, ::-1], axis=1)), -FAR))
    rows = above.any(axis=2)
    found.append(np.where(rows.any(axis=1), y - (np.argmax(rows, axis=1) if y else 0), 0))
    pairs = [(number, ones) for number in found]
    for lines in (above, above[:, -4:]):  # x less a mean column
        per_column = lines.sum(axis=1)
        count = per_column.sum(axis=1)
        total = x * count - (per_column * np.arange(width)).sum(axis=1)
        pairs.append((np.where(count > 0, total, -FAR), np.maximum(count, 1)))
    runs = n_runs(above) + n_runs(left[:, None])
    return [*pairs, (2 * ink, np.maximum(runs, 1))]


def cuts(side):
    n = min(side - 1, 63)
    return [-(-i * side // (n + 1)) for i in range(1, n + 1)]


def causal_features(layer, states, channel, y, x):
    """(n, features) bits of a place in states (n, channels, height, width)."""
    n, channels, height, width = states.shape
    columns, reach = [], layer["radius"]
    near = [(dy, dx) for dy in range(-reach, 1) for dx in range(-reach, reach + 1) if (dy, dx) < (0, 0)]
    for dy, dx in sorted(near, key=lambda o: (max(-o[0], abs(o[1])), -o[0], abs(o[1]), o[0], o[1])):
        there = y + dy >= 0 and 0 <= x + dx < width
        columns += [states[:, c, y + dy, x + dx] if there else np.zeros(n, bool) for c in range(channels)]
    columns += [states[:, c, y, x] if c < channel else np.zeros(n, bool) for c in range(channels - 1)]
    if layer["places"]:
        columns += [np.full(n, y >= cut) for cut in cuts(height)] + [np.full(n, x >= cut) for cut in cuts(width)]
    if layer["profile"]:
        for (top, bottom), thresholds in zip(profile(states[:, channel], y, x), THRESHOLDS, strict=True):
            columns += [top >= t * bottom for t in thresholds]
    return np.array(columns, bool).T


def tied_nats(network, arrays, bits):
    """(n, nodes) log p of every node."""
    layer, found = network["layer"], []
    channels, height, width = shape = layer["channels"], layer["height"], layer["width"]
    for first in range(0, len(bits), CHUNK):
        own = bits[first : first + CHUNK]
        states = own.reshape(-1, *shape).astype(bool)
        odds = np.repeat(arrays["base"].astype(np.int64), height * width * len(own)).reshape(channels, -1)

        def features(channel, states=states):  # of all places, one after the other
            places = [causal_features(layer, states, channel, y, x) for y in range(height) for x in range(width)]
            return np.concatenate(places)

        forests = [arrays[name] for name in ("sizes", "split", "value")]
        add_forests(arrays["trees"], forests, features, lambda channel, odds=odds: odds[channel])
        odds = odds.reshape(channels * height * width, -1).T
        if layer["n_own_trees"]:
            odds = odds + boosted_odds(arrays, own, "own_")
        found.append(nats(odds, own, height * width))
    return np.concatenate(found)


def log_probability(path, images):
    """log p of the pixel layer, nats, (n,), of images (n, height, width) of whole numbers up to the full scale."""
    header, arrays = read(path)
    network, arrays = header["networks"][0], of_network(arrays, "")
    bits = binarize(images, network["thresholds"], network["full_scale"])
    kind = network.get("cpd", "table")
    if kind == "table":
        return table_log_probability(network, arrays["counts"], bits)
    if kind == "tree":
        return tree_log_probability(network, arrays["sizes"], arrays["split"], arrays["counts"], bits)
    if kind == "boosted":
        n_positions = network["layer"]["height"] * network["layer"]["width"]
        return nats(arrays["base"] + boosted_odds(arrays, bits), bits, n_positions).sum(axis=1)
    if kind == "tied":
        return tied_nats(network, arrays, bits).sum(axis=1)
    raise ValueError(f"{path}: {kind} networks are beyond this program")


def of_network(arrays, prefix):
    """The arrays of the first network whose names begin with a prefix, by what is between it and the number."""
    if prefix:
        return {name.removeprefix(prefix): own for name, own in arrays.items() if name.startswith(prefix)}
    return {name.removesuffix("_0"): own for name, own in arrays.items() if name.endswith("_0")}


def smoothed(maps, deviation):
    """Maps (n, height, width) after a Gaussian filter, 0 outside."""
    reach = math.ceil(3 * deviation)
    weights = np.array([math.exp(-0.5 * (k / deviation) ** 2) if k else 1.0 for k in range(-reach, reach + 1)])
    weights = np.rint(weights / weights.sum() * 2**20) / 2**20
    for axis in (1, 2):
        size = maps.shape[axis]
        padding = [(reach, reach) if own == axis else (0, 0) for own in range(3)]
        wide = np.pad(maps, padding)
        maps = sum(w * np.take(wide, range(k, k + size), axis=axis) for k, w in enumerate(weights))
    return maps


def contrast(path, images):
    """(n, 2): minus the log-ratio in nats, and minus what exceeds the normal at places; None where there is no contrast."""
    header, arrays = read(path)
    network = header["networks"][0]
    if "contrast" not in network:
        return None
    described = network["contrast"]
    bits = binarize(images, network["thresholds"][:1], network["full_scale"])
    own, background = (
        tied_nats(described[name], of_network(arrays, f"contrast_0_{name}_"), bits) for name in ("own", "background")
    )
    maps = (background - own).reshape(len(bits), *arrays["contrast_0_mean"].shape)
    apart = smoothed(maps, described["smoothing"]) - arrays["contrast_0_mean"]
    above = np.maximum(apart / (arrays["contrast_0_deviation"] + 0.02), 0)
    return -np.stack([maps.sum(axis=(1, 2)), np.sqrt((above * above).mean(axis=(1, 2)))], axis=1)


if __name__ == "__main__":
    columns, ratio = [log_probability(sys.argv[1], images := np.load(sys.argv[2]))], contrast(sys.argv[1], images)
    columns += [] if ratio is None else list(ratio.T)
    print("\n".join("\t".join(map(repr, row)) for row in np.stack(columns, axis=1).tolist()))
