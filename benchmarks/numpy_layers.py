# SPDX-License-Identifier: BSD-3-Clause
"""Hidden layers in NumPy, vectorized over images and positions: windows side by side, matrix products, bincount."""

import numpy as np
from arrays import Counts, Reals, States

from cbn.cpd.grid import Layer, Relation
from cbn.layers.geometry import LayerGeometry, Transition

WEIGHT_ONE = 2**20  # the engine's weights are whole multiples of 1 / WEIGHT_ONE
BATCH = 512  # images whose windows are in memory at once


def _windows(transition: Transition, states: States) -> Reals:
    """(n, conv height, conv width, inputs) float64: what every kernel sees at every position, before pooling."""
    t = transition
    height, width = t.height * t.pool, t.width * t.pool  # positions beyond the last pooling window are not looked at
    images = states.reshape(len(states), t.in_channels, t.in_height, t.in_width)
    seen = np.lib.stride_tricks.sliding_window_view(images, (t.kernel_size, t.kernel_size), axis=(2, 3))
    seen = seen[:, :, :height, :width].transpose(0, 2, 3, 1, 4, 5)
    return seen.reshape(len(states), height, width, -1).astype(np.float64)


def _pooled(transition: Transition, windows: Reals) -> Reals:
    """(n, height, width, kernels, pool x pool) sums; whole numbers below 2^53, so exact."""
    t = transition
    weights = t.weights.reshape(t.out_channels, -1).T.astype(np.float64)
    sums = windows.reshape(-1, len(weights)) @ weights + t.bias  # one product
    sums = sums.reshape(len(windows), t.height, t.pool, t.width, t.pool, t.out_channels)
    return sums.transpose(0, 1, 3, 5, 2, 4).reshape(len(windows), t.height, t.width, t.out_channels, -1)


def forward(transition: Transition, states: States) -> States:
    """(n, nodes above) uint8 from (n, nodes below) uint8."""
    out = []
    for first in range(0, len(states), BATCH):
        largest = _pooled(transition, _windows(transition, states[first : first + BATCH])).max(axis=-1)
        out.append((largest > 0).transpose(0, 3, 1, 2).reshape(len(largest), -1))
    return np.concatenate(out).astype(np.uint8)


def _shifted(grid: Counts, dy: int, dx: int) -> Counts:
    """grid[:, y + dy, x + dx], 0 outside; dy <= 0."""
    height, width = grid.shape[1:]
    moved = np.zeros_like(grid)
    to_left, to_right = max(0, -dx), width - max(0, dx)
    moved[:, -dy:, to_left:to_right] = grid[:, : height + dy, to_left + dx : to_right + dx]
    return moved


def _rows(layer: Layer, channel: int, grids: Counts) -> Counts:
    """(n, height, width) table row of every node of a channel."""
    row = np.zeros(grids[0].shape, np.int64)
    for bit, r in enumerate(layer.parents(channel)):
        row |= _shifted(grids[r.parent], r.dy, r.dx) << bit
    return row


def _grids(layer: Layer, states: States) -> Counts:
    return states.reshape(len(states), layer.channels, layer.height, layer.width).transpose(1, 0, 2, 3).astype(np.int64)


def state_gradient(layer: Layer, states: States, counts: Counts, pseudocount: float = 1.0) -> Reals:
    """(n, channels, height, width) dL/dz of every node, nats (see python/reference/gradient.py)."""
    grids = _grids(layer, states)
    gradient = np.zeros(grids.shape)
    position = np.arange(layer.n_positions).reshape(layer.height, layer.width)
    for channel in range(layer.channels):
        relations, first = layer.parents(channel), layer.table_begin(channel * layer.n_positions)
        own = counts[first : first + (layer.n_positions << len(relations))].reshape(layer.n_positions, -1, 2)
        smoothed = own + pseudocount
        log_p = np.log(smoothed / smoothed.sum(axis=2, keepdims=True))
        alone = own.sum(axis=1) + pseudocount
        odds = log_p[..., 1] - log_p[..., 0] - np.log(alone[:, 1] / alone[:, 0])[:, None]
        row, x = _rows(layer, channel, grids), grids[channel]
        gradient[channel] += odds[position, row]
        for bit, r in enumerate(relations):
            says = log_p[position, row | 1 << bit, x] - log_p[position, row & ~(1 << bit), x]
            left, right = max(0, -r.dx), layer.width - max(0, r.dx)  # columns whose parent exists
            parents = gradient[r.parent][:, : layer.height + r.dy, left + r.dx : right + r.dx]
            parents += says[:, -r.dy :, left:right]
    return gradient.transpose(1, 0, 2, 3)


def kernel_gradient(
    transition: Transition, layer: Layer, below: States, above: States, counts: Counts, sharpness: float = 8.0
) -> tuple[Reals, Reals]:
    """dL by weights and by bias, shaped as the transition's."""
    t = transition
    by_state = state_gradient(layer, above, counts).transpose(0, 2, 3, 1)
    weights, bias = np.zeros((t.out_channels, t.weights[0].size)), np.zeros(t.out_channels)
    for first in range(0, len(below), BATCH):
        windows = _windows(t, below[first : first + BATCH])
        pooled = _pooled(t, windows)
        e = np.exp(-np.abs(sharpness * pooled.max(axis=-1) / WEIGHT_ONE))
        factor = by_state[first : first + BATCH] * sharpness * e / (1 + e) ** 2
        at = np.zeros(pooled.shape)  # the factor goes to the activation that won
        np.put_along_axis(at, pooled.argmax(axis=-1)[..., None], factor[..., None], axis=-1)
        at = at.reshape(*factor.shape, t.pool, t.pool).transpose(0, 1, 4, 2, 5, 3)
        weights += at.reshape(-1, t.out_channels).T @ windows.reshape(-1, windows.shape[-1])
        bias += factor.sum(axis=(0, 1, 2))
    return weights.reshape(t.weights.shape), bias


def search(geometry: LayerGeometry, states: States, max_parents: int) -> tuple[list[Relation], float]:
    """The relations that greedy search by BIC adds (cbn.layers.relations.search_relations), and the sum of the BIC changes."""
    shape = geometry.channels, geometry.height, geometry.width
    n, n_positions = len(states), geometry.height * geometry.width
    grids = states.reshape(n, *shape).transpose(1, 0, 2, 3).astype(np.int64)
    n_ln_n = np.arange(n + 1) * np.log(np.maximum(np.arange(n + 1), 1))
    position = np.arange(n_positions).reshape(shape[1:])
    inside = np.ones((1, *shape[1:]), np.int64)
    found, change = [], 0.0
    for child in range(geometry.channels):
        row, chosen = np.zeros(grids[child].shape, np.int64), []
        present = np.zeros(n_positions, np.int64)
        candidates = [Relation(child, p, dy, dx) for p in range(shape[0]) for dy, dx in geometry.relation_offsets()]
        while len(chosen) < max_parents:
            base, half = position << (len(chosen) + 2), 2 << len(chosen)
            best, best_change = None, 0.0
            for r in candidates:
                parent = _shifted(grids[r.parent], r.dy, r.dx)
                index = base + (parent * half + row * 2 + grids[child])
                joint = np.bincount(index.ravel(), minlength=2 * half * n_positions).reshape(n_positions, 2, -1, 2)
                without = joint.sum(axis=1)

                def likelihood(counts: Counts) -> Reals:
                    terms = n_ln_n[counts].sum(axis=-1) - n_ln_n[counts.sum(axis=-1)]
                    return terms.reshape(n_positions, -1).sum(axis=1)

                exists = _shifted(inside, r.dy, r.dx).ravel() == 1
                by_position = 2.0**present * np.log(n) - 2 * (likelihood(joint) - likelihood(without))
                bic_change = by_position[exists].sum()
                if bic_change < best_change:
                    best, best_change = r, bic_change
            if best is None:
                break
            row |= _shifted(grids[best.parent], best.dy, best.dx) << len(chosen)
            present += _shifted(inside, best.dy, best.dx).ravel()
            chosen.append(best)
            candidates.remove(best)
            change += best_change
        found += chosen
    return found, change
