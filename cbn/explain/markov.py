# SPDX-License-Identifier: BSD-3-Clause
"""How far a network is from its own independence assumptions, measured on images.

A Bayesian network claims the local Markov property: given its parents pa(v), a node v is independent of every set U of
its non-descendants,

    I(v ; U | pa(v)) = 0.

Layers are multiplied as if this held for all of their nodes together. It cannot hold for hidden nodes: they are
functions of the pixels, which are not their parents (thesis, end of section 3.2). The report measures pairs:

    two_apart    layer 0: I(pixel ; u | pa), u an earlier pixel of the same threshold two steps away and no parent
    window       hidden:  I(node ; u | pa), u a node of the layer below that the node is a function of
    same_place   hidden:  I(node k' ; node k | pa(node k')), kernels k < k' at one place
    relation     hidden:  I(node ; parent), what the model does allow for, to compare with

Nothing that u is in the first three is a descendant of the node, so the property implies 0 for each. n times such a
value is what the log-likelihood would gain if u became one more parent. Values are maximum-likelihood estimates minus
their bias under independence to first order, d / 2n (Miller 1955), d being the number of table rows in which both nodes
take both states.

Test of a pair: in every row the count of "both on" is hypergeometric under independence, whatever the probabilities;
the sum over rows of its squared standard score is chi-square with one degree of freedom for each row. Rows in which one
of the four expected counts is below 5 (Cochran 1954) are left out of the test, not of the value. Pairs of one kind are
tested together at a false-discovery rate, by the procedure of Benjamini and Yekutieli (2001), which holds however tests
depend on each other.

What pure noise would give: every pair again with the states of its node shuffled among the images that share its table
row.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from .. import _engine
from ..bits.planes import BitPlanes
from .networks import RelatedLayers, Transition

Kind = Literal["two_apart", "window", "same_place", "relation"]
Place = tuple[int, int, int]  # channel, row, column
# (pairs, 2, 4) nodes, then nats and p-values of the pairs, and those of shuffled nodes
Reals = npt.NDArray[np.float64]
Measured = tuple[npt.NDArray[np.int64], Reals, Reals, Reals, Reals]

FALSE_DISCOVERY_RATE = 0.01
MIN_EXPECTED = 5.0
# Temporary arrays of the popcounts have at most about so many words.
BLOCK_WORDS = 2**21
KINDS: tuple[Kind, ...] = ("two_apart", "window", "same_place", "relation")
# Offsets (dy, dx) of the earlier pixels at Chebyshev distance 2.
TWO_APART = tuple((-2, dx) for dx in range(-2, 3)) + ((-1, -2), (-1, 2), (0, -2))


@dataclass(frozen=True, eq=False)
class PairGroup:
    """Pairs of nodes of one kind.

    Attributes
    ----------
    layer : int
        Of the nodes; 0 are the pixels.
    kind : str
        One of KINDS.
    pairs : ndarray, (pairs, 2, 4) int64
        (layer, channel, row, column) of the node, and of the other.
    nats : ndarray, (pairs,) float64
        (Conditional) mutual information, less its bias under independence; so it can be slightly negative.
    p_values : ndarray, (pairs,) float64
    dependent : ndarray, (pairs,) bool
        Where independence is rejected.
    shuffled_nats : ndarray, (pairs,) float64
        The same of shuffled nodes.
    shuffled_dependent : ndarray, (pairs,) bool
    """

    layer: int
    kind: Kind
    pairs: npt.NDArray[np.int64]
    nats: npt.NDArray[np.float64]
    p_values: npt.NDArray[np.float64]
    dependent: npt.NDArray[np.bool_]
    shuffled_nats: npt.NDArray[np.float64]
    shuffled_dependent: npt.NDArray[np.bool_]

    def largest(self, n: int) -> list[tuple[tuple[int, ...], tuple[int, ...], float]]:
        """The n pairs of most nats: list of (node, other, nats), nodes as (layer, channel, row, column)."""
        order = np.argsort(-self.nats, kind="stable")[:n]
        pairs = self.pairs[order].tolist()
        return [(tuple(own), tuple(other), nats) for (own, other), nats in zip(pairs, self.nats[order].tolist())]

    def to_dict(self, n_largest: int = 5) -> dict[str, Any]:
        """A summary that JSON can hold."""
        return {
            "layer": self.layer,
            "kind": self.kind,
            "n_pairs": len(self.nats),
            "mean": float(self.nats.mean()),
            "largest": [{"node": a, "other": b, "nats": nats} for a, b, nats in self.largest(n_largest)],
            "share_dependent": float(self.dependent.mean()),
            "shuffled_mean": float(self.shuffled_nats.mean()),
            "shuffled_largest": float(self.shuffled_nats.max()),
            "shuffled_share_dependent": float(self.shuffled_dependent.mean()),
        }


@dataclass(frozen=True)
class LayerTotal:
    """What a hidden layer counts twice, nats per image.

    Attributes
    ----------
    layer : int
    repeated : float
        Sum over the layer's nodes of H(node | parents) = I(node ; pixels | parents). By exactly this the layer raises
        the Kullback-Leibler divergence of the product of layers from the distribution of all nodes: pixels decide
        its nodes, so a network with the right parents would add nothing. Estimated with Miller's correction.
    same_place : float
        Of these at least so many repeat another kernel at the same place: the sum over nodes of
        I(node k' ; node k | pa(node k')), k being the kernel before k' for which the sum over places is largest. It
        bounds from below, up to errors of estimation, the divergence of the layer's own product of probabilities from
        the distribution of the layer.
    """

    layer: int
    repeated: float
    same_place: float


@dataclass(frozen=True)
class MarkovReport:
    """Result of :func:`markov_report`.

    Attributes
    ----------
    n_images : int
    groups : tuple of PairGroup
        Those that have pairs, by layer, in the order of KINDS.
    totals : tuple of LayerTotal
        One for every hidden layer.
    """

    n_images: int
    groups: tuple[PairGroup, ...]
    totals: tuple[LayerTotal, ...]

    def to_dict(self, n_largest: int = 5) -> dict[str, Any]:
        """A summary that JSON can hold."""
        return {
            "n_images": self.n_images,
            "false_discovery_rate": FALSE_DISCOVERY_RATE,
            "groups": [group.to_dict(n_largest) for group in self.groups],
            "totals": [
                {"layer": t.layer, "repeated_nats": t.repeated, "same_place_nats": t.same_place} for t in self.totals
            ],
        }


def markov_report(network: RelatedLayers, layers: Sequence[BitPlanes]) -> MarkovReport:
    """Measure the local Markov property.

    Parameters
    ----------
    network : cbn.layers.stack.LayeredNetwork
        Only its relations and windows are used, not its counts.
    layers : list of BitPlanes
        Of every layer for the images to measure on.

    Returns
    -------
    MarkovReport
        The same for the same images, always: shuffling has a fixed seed.
    """
    n_images, planes = layers[0].n_images, [own.words for own in layers]
    every = np.empty((1, planes[0].shape[1]), np.uint64)
    _engine.pack_planes(np.ones((n_images, 1), np.uint8), 0, every)
    groups: list[PairGroup] = []
    totals: list[LayerTotal] = []
    for number in range(len(network)):
        measured = _LayerPairs(network, number, planes, every, n_images)
        measured.run()
        own = {kind: measured.group(kind) for kind in KINDS if measured.found[kind]}
        groups += own.values()
        if number:
            same_place = _strongest_earlier_kernels(own.get("same_place"), network.geometries[number].channels)
            totals.append(LayerTotal(number, measured.entropy, same_place))
    return MarkovReport(n_images, tuple(groups), tuple(totals))


def dependence(
    n: npt.ArrayLike, a: npt.ArrayLike, b: npt.ArrayLike, both: npt.ArrayLike, n_images: int
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """(Conditional) mutual information of pairs of binary nodes, and how likely independence gives as much.

    Parameters
    ----------
    n, a, b, both : ndarray of counts, broadcast to (rows, pairs)
        Images in a row of the condition; of those with the first node on, with the second on, with both.
    n_images : int
        Images in all rows, also in ones that are not given because a node is constant there.

    Returns
    -------
    nats, p_values : ndarray, (pairs,) float64
        Both 0 and 1 where no row has both nodes in both states.

    Examples
    --------
    >>> nats, p_values = dependence([[100]], [[50]], [[50]], [[50]], 100)  # two nodes that are always the same
    >>> round(float(nats[0]), 3), bool(p_values[0] < 1e-20)
    (0.688, True)
    """
    from scipy.special import chdtrc, xlogy

    n, a, b, both = (np.asarray(counts, np.float64) for counts in (n, a, b, both))

    def term(count: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        return np.asarray(xlogy(count, count), np.float64)

    cells = term(both) + term(a - both) + term(b - both) + term(n - a - b + both)
    nats = (cells + term(n) - term(a) - term(n - a) - term(b) - term(n - b)).sum(axis=0)
    varies = (a > 0) & (a < n) & (b > 0) & (b < n)
    nats = (nats - varies.sum(axis=0) / 2) / n_images
    # at least 5 expected in the rarest cell, so n is above 1 as well
    tested = np.minimum(a, n - a) * np.minimum(b, n - b) >= MIN_EXPECTED * n
    tested &= varies
    variance = a * (n - a) * b * (n - b) / np.where(tested, n * n * (n - 1), 1)
    squares = np.divide((both - a * b / np.maximum(n, 1)) ** 2, variance, out=np.zeros_like(variance), where=tested)
    freedom = tested.sum(axis=0)
    p_values = np.where(freedom > 0, chdtrc(np.maximum(freedom, 1), squares.sum(axis=0)), 1.0)
    return nats, p_values


def discoveries(p_values: npt.NDArray[np.float64], rate: float = FALSE_DISCOVERY_RATE) -> npt.NDArray[np.bool_]:
    """Which hypotheses to reject so that at most ``rate`` of the rejections are expected to be false.

    Y. Benjamini, D. Yekutieli, "The control of the false discovery rate in multiple testing under dependency", Annals
    of Statistics 29(4), 2001: for any dependence between the tests. (n,) bool.

    Examples
    --------
    >>> discoveries(np.array([0.001, 0.2, 0.0001])).tolist()
    [True, False, True]
    """
    n = len(p_values)
    order = np.argsort(p_values, kind="stable")
    bounds = rate * np.arange(1, n + 1) / (n * (1 / np.arange(1, n + 1)).sum())
    below = np.flatnonzero(p_values[order] <= bounds)
    rejected = np.zeros(n, bool)
    if len(below):
        rejected[order[: below[-1] + 1]] = True
    return rejected


class _LayerPairs:
    """Measures the pairs of one layer, node by node."""

    def __init__(
        self,
        network: RelatedLayers,
        number: int,
        planes: Sequence[npt.NDArray[np.uint64]],
        every: npt.NDArray[np.uint64],
        n_images: int,
    ) -> None:
        self.layer, self.number = network.networks[number].layer, number
        self.relations = network.networks[number].tied_relations or ()
        self.planes, self.every, self.n_images = planes, every, n_images
        self.transitions = network.transitions
        self.random = np.random.default_rng(number)
        self.found: dict[Kind, list[Measured]] = {kind: [] for kind in KINDS}
        self.entropy = 0.0  # sum over nodes of H(node | parents), nats

    @property
    def transition(self) -> Transition:
        """From the layer below; pixels have none."""
        return self.transitions[self.number - 1]

    def run(self) -> None:
        layer = self.layer
        for channel in range(layer.channels):
            for y in range(layer.height):
                for x in range(layer.width):
                    self.measure_node(channel, y, x)

    def measure_node(self, channel: int, y: int, x: int) -> None:
        """All pairs of one node."""
        plane = self.planes[self.number][self.nodes([(channel, y, x)])[0]]
        parents = self.inside([(r.parent, y + r.dy, x + r.dx) for r in self.relations if r.child == channel])
        rows = _rows(self.every, self.planes[self.number][self.nodes(parents)])
        n, a = _counts(rows), _counts(rows & plane)
        varies = (a > 0) & (a < n)
        rows, n, a = rows[varies], n[varies], a[varies]
        node = self.number, channel, y, x
        if self.number == 0:
            known = {(r.dy, r.dx) for r in self.relations if r.child == r.parent == channel}
            others = self.inside([(channel, y + dy, x + dx) for dy, dx in TWO_APART if (dy, dx) not in known])
            self.add("two_apart", node, others, rows, n, a, plane)
            return
        self.entropy += _entropy(n, a, self.n_images)
        self.add("window", node, self.window(y, x), rows, n, a, plane, below=True)
        self.add("same_place", node, [(c, y, x) for c in range(channel)], rows, n, a, plane)
        n, a = _counts(self.every), _counts(self.every & plane)
        self.add("relation", node, parents, self.every, n, a, plane)

    def add(
        self,
        kind: Kind,
        node: tuple[int, int, int, int],
        others: list[Place],
        rows: npt.NDArray[np.uint64],
        n: npt.NDArray[np.int64],
        a: npt.NDArray[np.int64],
        plane: npt.NDArray[np.uint64],
        below: bool = False,
    ) -> None:
        """Measures a node against others; ``rows`` are masks of images, n and a the counts in them."""
        if not others:
            return
        number = self.number - below
        planes = self.planes[number][self.nodes(others, number)]
        b, both = _joint_counts(rows, plane, planes)
        n, a = n[:, None], a[:, None]
        nats, p_values = dependence(n, a, b, both, self.n_images)
        shuffled = dependence(n, a, b, self.random.hypergeometric(a, n - a, b), self.n_images)
        pairs = [(node, (number, *other)) for other in others]
        self.found[kind].append((np.array(pairs), nats, p_values, *shuffled))

    def group(self, kind: Kind) -> PairGroup:
        pairs, nats, p_values, shuffled_nats, shuffled_p = map(np.concatenate, zip(*self.found[kind]))
        return PairGroup(
            self.number, kind, pairs, nats, p_values, discoveries(p_values), shuffled_nats, discoveries(shuffled_p)
        )

    def inside(self, places: Iterable[Place]) -> list[Place]:
        return [(c, y, x) for c, y, x in places if 0 <= y < self.layer.height and 0 <= x < self.layer.width]

    def nodes(self, places: Iterable[Place], number: int | None = None) -> list[int]:
        """Indices of (channel, row, column) in a layer, by default the own one."""
        below = number is not None and number != self.number
        height = self.transition.in_height if below else self.layer.height
        width = self.transition.in_width if below else self.layer.width
        return [(c * height + y) * width + x for c, y, x in places]

    def window(self, y: int, x: int) -> list[Place]:
        """The nodes of the layer below that the nodes at (y, x) are functions of."""
        t = self.transition
        side = t.kernel_size + t.pool - 1
        top, left = y * t.pool, x * t.pool
        return [(c, top + i, left + j) for c in range(t.in_channels) for i in range(side) for j in range(side)]


def _rows(every: npt.NDArray[np.uint64], parents: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """Masks of the images by state of the parents, one for each state that occurs: (rows, words) uint64."""
    masks = every
    for plane in parents:
        masks = np.concatenate([masks & ~plane, masks & plane])
        masks = masks[masks.any(axis=1)]
    return masks


def _counts(planes: npt.NDArray[np.uint64]) -> npt.NDArray[np.int64]:
    return np.bitwise_count(planes).sum(axis=-1, dtype=np.int64)


def _joint_counts(
    rows: npt.NDArray[np.uint64], plane: npt.NDArray[np.uint64], others: npt.NDArray[np.uint64]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Images in each row with the other on, and with both on: two (rows, others) int64."""
    step = max(1, BLOCK_WORDS // max(1, rows.size))
    blocks = [others[i : i + step] for i in range(0, len(others), step)]
    own = rows & plane
    b = [_counts(rows[:, None] & block) for block in blocks]
    both = [_counts(own[:, None] & block) for block in blocks]
    return np.concatenate(b, axis=1), np.concatenate(both, axis=1)


def _entropy(n: npt.NDArray[np.int64], a: npt.NDArray[np.int64], n_images: int) -> float:
    """H(node | row) of counts in rows where the node varies, Miller's correction added; nats."""
    from scipy.special import xlogy

    terms = xlogy(n, n) - xlogy(a, a) - xlogy(n - a, n - a)
    return float(terms.sum() + len(n) / 2) / n_images


def _strongest_earlier_kernels(group: PairGroup | None, n_kernels: int) -> float:
    """Sum over kernels of the largest sum over places of the nats with one earlier kernel; see LayerTotal."""
    if group is None:
        return 0.0
    sums = np.zeros((n_kernels, n_kernels))
    np.add.at(sums, (group.pairs[:, 0, 1], group.pairs[:, 1, 1]), group.nats)
    return float(sum(max(0.0, sums[k, :k].max()) for k in range(1, n_kernels)))
