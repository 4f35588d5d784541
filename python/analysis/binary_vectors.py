# SPDX-License-Identifier: BSD-3-Clause
"""Densities of binary vectors: trees, boosted trees and mixtures of them over several orders of the variables.

    python python/analysis/binary_vectors.py FOLDER [--sets nltcs plants ...] [--orders 3]

The folder holds the sets of Lowd & Davis (2010) and Van Haaren & Davis (2012) as ``NAME.npz`` with ``train``, ``valid``,
``test`` (rows packed by ``numpy.packbits``) and ``n_vars``, and ``reference_ll.json`` with log-likelihoods to compare with.

A vector is an image of one row. Every variable may ask for all earlier ones; what is earlier is chosen on the training
data: the variable that the chosen ones tell most about comes next (greatest mutual information with one of them), from the
most informative variable in the first order to the least informative in the last. Of settings the one with the best validation log-likelihood is taken, and the test
set is scored once by it. Likelihoods and samples are exact; the probability of an arbitrary subset of variables is not
computed but estimated by particles.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy.special import logsumexp

import cbn

Bits = npt.NDArray[np.uint8]
Reals = npt.NDArray[np.float64]
SETTINGS: dict[str, list[cbn.Tree | cbn.Boosted]] = {
    "tree": [cbn.Tree(reach=2**20, penalty=penalty, shrinkage=35.0) for penalty in (0.5, 1.0)],
    "boosted": [
        cbn.Boosted(reach=2**20, rounds=rounds, rate=rate, max_leaves=leaves, min_hessian=least)
        for rounds, rate, leaves, least in ((60, 0.07, 6, 1.0), (150, 0.07, 6, 1.0), (300, 0.05, 12, 0.5))
    ],
}


def mutual_information(x: Bits) -> Reals:
    """(variables, variables) nats, of pairs, with half a count added to every cell."""
    x = x.astype(np.float64)
    n, ones = len(x), x.sum(axis=0)
    both = x.T @ x
    cells = np.stack([both, ones[:, None] - both, ones[None] - both, n - ones[:, None] - ones[None] + both]) + 0.5
    joint = cells / (n + 2)
    on, off = joint[0] + joint[1], joint[2] + joint[3]
    apart = np.stack([on * on.T, on * off.T, off * on.T, off * off.T])
    return np.asarray((joint * np.log(joint / apart)).sum(axis=0))


def order_of(information: Reals, start: int) -> npt.NDArray[np.intp]:
    """Variables in the order of a maximum spanning tree that grows from ``start`` (Prim's algorithm)."""
    n = len(information)
    order, nearest = [start], information[start].copy()
    nearest[start] = -np.inf
    for _ in range(n - 1):
        best = int(nearest.argmax())
        order.append(best)
        nearest = np.maximum(nearest, information[best])
        nearest[order] = -np.inf
    return np.array(order)


class Network:
    """One network over the variables in an order."""

    def __init__(self, cpd: cbn.Tree | cbn.Boosted, order: npt.NDArray[np.intp], seed: int) -> None:
        self.cpd, self.order, self.seed = cpd, order, seed

    def fit(self, x: Bits) -> "Network":
        # the mean log-probability is all that is asked: two folds, which set a threshold, are the fewest
        self.model = cbn.ConvolutionalBayesianNetwork(
            "tree", cpd=self.cpd, threshold=0, full_scale=1, folds=2, outlier_score="log_probability", n_jobs=1,
            random_state=self.seed,
        ).fit(x[:, None, self.order])  # fmt: skip
        return self

    def log_likelihood(self, x: Bits) -> Reals:
        return np.asarray(self.model.score_samples(x[:, None, self.order]))


def figures(data: dict[str, Bits], n_orders: int) -> dict[str, float | str]:
    """Test log-likelihoods, nats a vector: of the best setting of each kind in one order, and of mixtures of orders."""
    train, valid, test = (data[name] for name in ("train", "valid", "test"))
    information = mutual_information(train)
    ranked = information.sum(axis=0).argsort()[::-1]  # the most informative variable first
    starts = ranked[np.linspace(0, len(ranked) - 1, n_orders).astype(int)]
    orders = [order_of(information, int(start)) for start in starts]
    found: dict[str, float | str] = {}
    for kind, settings in SETTINGS.items():
        networks = [Network(cpd, orders[0], 0).fit(train) for cpd in settings]
        scores = [network.log_likelihood(valid).mean() for network in networks]
        best = int(np.argmax(scores))
        others = [Network(settings[best], order, i + 1).fit(train) for i, order in enumerate(orders[1:])]
        columns = np.stack([network.log_likelihood(test) for network in (networks[best], *others)])
        found[kind] = float(columns[0].mean())
        found[f"{kind}, {n_orders} orders"] = float((logsumexp(columns, axis=0) - np.log(n_orders)).mean())
        found[f"{kind}: setting"] = str(settings[best])
    return found


def read(path: Path) -> dict[str, Bits]:
    with np.load(path) as archive:
        n = int(archive["n_vars"])
        return {name: np.unpackbits(archive[name], axis=1)[:, :n] for name in ("train", "valid", "test")}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="with NAME.npz and reference_ll.json")
    parser.add_argument("--sets", nargs="+", help="names (default: all)")
    parser.add_argument("--orders", type=int, default=3, help="networks of a mixture (default: 3)")
    parsed = parser.parse_args()
    reference = json.loads((parsed.folder / "reference_ll.json").read_text())
    for name in parsed.sets or sorted(path.stem for path in parsed.folder.glob("*.npz")):
        data, begin = read(parsed.folder / f"{name}.npz"), time.perf_counter()
        found = figures(data, parsed.orders)
        own = reference.get(name, {})
        print(
            f"{name} {data['train'].shape}: independent {own.get('indep')}, Chow-Liu {own.get('chowliu')}", flush=True
        )
        for key, value in found.items():
            print(f"    {key}: {value if isinstance(value, str) else f'{value:.2f}'}", flush=True)
        print(f"    {time.perf_counter() - begin:.0f} s", flush=True)


if __name__ == "__main__":
    main()
