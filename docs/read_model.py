# SPDX-License-Identifier: BSD-3-Clause
"""Reads model files of tables and trees with NumPy alone, as docs/format.md describes them, and scores images.

    python read_model.py MODEL IMAGES.npy

prints log p of the pixel layer for every image, in nats.
"""

import io
import json
import sys
import zipfile

import numpy as np

LIMITS = 1e-12, 1 - 1e-12  # of probabilities of trees


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


def log_probability(path, images):
    """log p of the pixel layer, nats, (n,), of images (n, height, width) of whole numbers up to the full scale."""
    header, arrays = read(path)
    network = header["networks"][0]
    bits = binarize(images, network["thresholds"], network["full_scale"])
    if network.get("cpd", "table") == "table":
        return table_log_probability(network, arrays["counts_0"], bits)
    if network["cpd"] == "tree":
        return tree_log_probability(network, arrays["sizes_0"], arrays["split_0"], arrays["counts_0"], bits)
    raise ValueError(f"{path}: {network['cpd']} networks are beyond this program")


if __name__ == "__main__":
    print("\n".join(map(repr, log_probability(sys.argv[1], np.load(sys.argv[2])).tolist())))
