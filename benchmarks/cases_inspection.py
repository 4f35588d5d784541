# SPDX-License-Identifier: BSD-3-Clause
"""Defects in pictures, found by the Gaussian energy model and by peers on the same features, and what it costs."""

import math
import os
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from arrays import Bits, Facts, Images, Reals, Rounded, Singles
from context import SEED, Context
from measure import goal, summary
from peers_inspection import TOGETHER, Padim, PatchCore, enlarged
from threadpoolctl import threadpool_limits

from cbn import IntrospectiveEnergyModel
from cbn.datasets import InspectionSet, load_mvtec, make_category
from cbn.iem import Training
from cbn.iem.gaussian.features import PretrainedFeatures, in_batches
from cbn.iem.gaussian.fitted import prepared
from cbn.iem.gaussian.maps import picture_energies
from cbn.iem.pretrained.efficientnet import EfficientNetLite0
from cbn.metrics.bootstrap import Interval, bootstrap_auroc
from cbn.metrics.localization import bootstrap_localization

# As for the tests: the folder that holds magnetic_tile/, mvtec/ and piped/, each set in the layout of MVTec AD.
DATA = Path(os.environ.get("CBN_DATA", Path(__file__).parents[2] / "shared" / "data"))
SIDE = 224
TOP = 0.01  # share of the positions whose mean is the score of a picture
RESAMPLES = 1000
TIMED = 20  # pictures that are scored one by one
OURS = "cbn"
# Sets on which the thesis's own models are trained as well, from scratch, so many steps a level at least, which is what
# cbn-iem-train --quick does; and their energies.
NEURAL_SETS, NEURAL_STEPS, NEURAL_ENERGIES = ("mvtec/grid", "magnetic_tile"), 40, ("relative", "pattern")
FIGURES = ("image AUROC", "pixel AUROC", "AUPRO")
BY_TOP = "image AUROC by top 1 %"


def peers() -> list[Any]:
    return [Padim(100), Padim(256), PatchCore(whitened=False), PatchCore(whitened=True)]


@dataclass(frozen=True)
class Task:
    """A set of pictures, and what is done with their brightness."""

    name: str
    load: Callable[[], InspectionSet]
    brightness: Literal["median"] | None = None

    @property
    def title(self) -> str:
        return self.name if self.brightness is None else f"{self.name}, brightness {self.brightness}"


def tasks(context: Context) -> list[Task]:
    """All sets that are asked for and there."""
    known = [("magnetic_tile", None), ("mvtec/screw", "median"), ("mvtec/grid", None), ("mvtec/grid", "median")]
    known += [(f"piped/{folder.name}", None) for folder in sorted(DATA.glob("piped/PA_*"))]
    found = [
        Task(name, lambda name=name: load_mvtec(DATA / name, SIDE), brightness)
        for name, brightness in known
        if (DATA / name).is_dir() and not context.quick
    ]
    found += [Task(f"synthetic {kind}", lambda kind=kind: made(kind)) for kind in ("texture", "object")]
    return [task for task in found if not context.sets or task.name in context.sets]


def made(kind: Literal["texture", "object"]) -> InspectionSet:
    return make_category(kind, n_train=60, n_good=40, n_defects=15, size=SIDE, random_state=SEED)


@dataclass
class Found:
    """What one method gave on one set: scores of pictures, lower for less normal ones, and its maps' figures."""

    name: str
    fitting: float
    n_bytes: int
    scores: dict[str, Reals]  # by the name of the figure
    figures: dict[str, Interval]
    look: Callable[[Images], Reals]  # scores of pictures, as they are judged one by one
    per_picture: float = 0.0


def inspect(task: Task, context: Context) -> tuple[list[Found], Bits]:
    """(what every method gave, which test pictures are normal)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # missing masks; fewer good pictures than the threshold asks for
        data = task.load()
        found = [ours(task, data, context)]
    extractor = PretrainedFeatures(EfficientNetLite0())

    def features_of(pictures: Images, threads: int) -> Rounded:
        values = pictures if pictures.ndim == 4 else pictures[..., None]
        batches = in_batches(len(values), 32)
        ready = (prepared(values[part], task.brightness) for part in batches)
        return np.concatenate([extractor.features(own, threads) for own in ready])

    begin = time.perf_counter()
    train = features_of(data.train, context.threads)
    seconds = time.perf_counter() - begin
    test = features_of(data.test, context.threads)
    for peer in peers():
        begin = time.perf_counter()
        peer.fit(train)
        fitting = seconds + time.perf_counter() - begin
        batches = in_batches(len(test), TOGETHER)
        distances = np.concatenate([peer.distances(test[part]) for part in batches])
        scores = {"image AUROC": -distances.max(axis=(1, 2)).astype(float), BY_TOP: -picture_energies(distances, TOP)}
        figures = figures_of(data, scores, enlarged(distances[data.has_mask], SIDE, SIDE))
        look = lambda pictures, peer=peer: -peer.distances(features_of(pictures, 1)).max(axis=(1, 2))
        found.append(Found(peer.name, fitting, peer.n_bytes, scores, figures, look))
    if task.name in NEURAL_SETS and task.brightness is None:
        found += [neural(energy, data, context) for energy in NEURAL_ENERGIES]
    for own, seconds in zip(found, one_by_one([own.look for own in found], data.test)):
        own.per_picture = seconds
    return found, data.labels == 0


def ours(task: Task, data: InspectionSet, context: Context) -> Found:
    model = IntrospectiveEnergyModel(brightness=task.brightness, n_jobs=context.threads)
    return found_by(OURS, model, data)


def neural(energy: str, data: InspectionSet, context: Context) -> Found:
    """The thesis's own models: kernels and sidewards models are learned, level by level."""
    training = Training()
    training.epochs = math.ceil(NEURAL_STEPS / math.ceil(len(data.train) / training.batch_size))
    model = IntrospectiveEnergyModel(
        sidewards="neural", energy=energy, training=training, random_state=SEED, n_jobs=context.threads
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # fewer held-out pictures than the threshold asks for
        return found_by(f"{OURS}, neural, {energy}", model, data)


def found_by(name: str, model: IntrospectiveEnergyModel, data: InspectionSet) -> Found:
    """What a model of the package gives."""
    begin = time.perf_counter()
    model.fit(data.train)
    fitting = time.perf_counter() - begin
    with tempfile.TemporaryDirectory() as folder:
        model.save(path := Path(folder) / "model.cbn")
        n_bytes = path.stat().st_size
    scores = {"image AUROC": model.score_samples(data.test)}
    figures = figures_of(data, scores, model.energy_map(data.test[data.has_mask]))
    return Found(name, fitting, n_bytes, scores, figures, model.set_params(n_jobs=1).score_samples)


def figures_of(data: InspectionSet, scores: dict[str, Reals], maps: Singles) -> dict[str, Interval]:
    """Image AUROC by every score; pixel AUROC and AUPRO of the pictures whose masks are known."""
    settings = {"n_resamples": RESAMPLES, "random_state": SEED}
    figures = {name: bootstrap_auroc(data.labels == 0, own, **settings) for name, own in scores.items()}
    places = bootstrap_localization(data.masks[data.has_mask], maps, **settings)
    return figures | {"pixel AUROC": places.pixel_auroc, "AUPRO": places.aupro}


def one_by_one(looks: Sequence[Callable[[Images], Reals]], pictures: Images) -> Iterator[float]:
    """Median seconds of every method to score a picture on one thread, network included; they take turns."""
    seconds = np.empty((TIMED + 1, len(looks)))
    with threadpool_limits(1):
        for number, row in enumerate(seconds):
            own = number % len(pictures)
            for method, look in enumerate(looks):
                begin = time.perf_counter()
                look(pictures[own : own + 1])
                row[method] = time.perf_counter() - begin
    return iter(np.median(seconds[1:], axis=0).tolist())  # the first call pays for caches


def difference(normal: Bits, first: Reals, second: Reals) -> Interval:
    """AUROC by the first scores less that by the second ones; both are resampled by the same pictures."""
    order = []
    for scores in (first, second):
        good, other = scores[normal][:, None], scores[~normal]
        order.append((good > other) + 0.5 * (good == other))
    pairs, rng = order[0] - order[1], np.random.default_rng(SEED)
    drawn = [rng.multinomial(n, np.full(n, 1 / n), RESAMPLES) / n for n in pairs.shape]
    resampled = np.einsum("rg,rg->r", drawn[0], drawn[1] @ pairs.T)
    return Interval(float(pairs.mean()), *np.quantile(resampled, (0.025, 0.975)).tolist())


def best_peer(found: Sequence[Found]) -> tuple[Found, str]:
    """The peer of the highest image AUROC, by whichever of its scores."""
    return max(
        ((own, name) for own in found if not own.name.startswith(OURS) for name in own.scores),
        key=lambda pair: pair[0].figures[pair[1]].value,
    )


def percent(interval: Interval) -> str:
    value, low, high = (100 * part for part in interval)
    return f"{value:.1f} ({low:.1f} to {high:.1f})"


def inspection(context: Context) -> Facts:
    table, details, below, every = [], {}, [], []
    with threadpool_limits(context.threads):
        for task in tasks(context):
            found, normal = inspect(task, context)
            peer, score = best_peer(found)
            against = difference(normal, found[0].scores["image AUROC"], peer.scores[score])
            if against.high < 0:
                below.append(f"{task.title} ({percent(against)})")
            rows = [row(f"{task.title}: {own.name}", [own]) for own in found]
            rows[0]["accuracy"]["above the best peer"] = (
                f"{percent(against)}: {peer.name}{score.removeprefix(FIGURES[0])}"
            )
            table += rows
            every.append(found)
            details[task.title] = {own.name: {name: list(part) for name, part in own.figures.items()} for own in found}
            details[task.title]["above the best peer"] = list(against)
    if not every:
        raise SystemExit(
            f"inspection: none of the sets {', '.join(context.sets)} is there; CBN_DATA names their folder"
        )
    means = {methods[0].name: methods for methods in zip(*every)}
    if len(every) > 1:
        table += [row(f"mean of {len(every)} sets: {name}", methods) for name, methods in means.items()]
    return {
        "title": f"Inspection: defects in pictures of {SIDE} x {SIDE} pixels",
        "about": "All methods see the same 256 features of the embedded EfficientNet-Lite0 on positions eight pixels apart. "
        "The time is that of one fit, the network included; beside it the median time on one thread from a decoded picture "
        "to its score, one at a time, and the size of the model without the network. AUROC and AUPRO x 100, 95 % intervals "
        f"of {RESAMPLES:,} bootstrap resamples of test pictures; pixel AUROC and AUPRO (up to 0.3) leave out defective "
        "pictures without a usable mask. `cbn` is `IntrospectiveEnergyModel` with its defaults; its score is the mean of the "
        "top 1 % of the positions. `cbn, neural` are the thesis's own models from scratch, trained as `cbn-iem-train --quick` does, "
        "with two of their energies, on two sets alone. PaDiM: full covariances + 0.01 I at every position, of 100 features drawn at random or "
        "of all. PatchCore: means over 3 x 3 positions (0 beyond the border), 1 % of the patches by greedy k-center in 128 "
        "random directions, distance to the nearest, not reweighted; `whitened` whitens the features first, which the paper "
        "does not. The score of the papers is the largest distance; the mean of the top 1 % is beside it. Maps of the peers "
        "are linear between positions and smoothed by 4 pixels. `above the best peer` is the difference of image AUROC to "
        "whichever peer and score has the highest one on the set, which favours the peers; its resamples draw the same "
        "pictures for both. "
        "Sets: see `CBN_DATA` in README.md; the synthetic ones have 60 pictures to learn from.",
        "rows": table,
        "details": details,
        "goals": goals_of(means, below, len(every)),
    }


def row(name: str, methods: Sequence[Found]) -> Facts:
    """A row of one method on one set, or of its means over several."""
    accuracy = {}
    for figure in (FIGURES[0], BY_TOP, *FIGURES[1:]):
        if figure in methods[0].figures:
            parts = [own.figures[figure] for own in methods]
            accuracy[figure] = (
                percent(parts[0]) if len(parts) == 1 else f"{100 * np.mean([p.value for p in parts]):.1f}"
            )
    accuracy["ms a picture"] = 1e3 * float(np.mean([own.per_picture for own in methods]))
    accuracy["model, MB"] = 1e-6 * float(np.mean([own.n_bytes for own in methods]))
    return {"engine": name, **summary([own.fitting for own in methods]), "ratio": None, "accuracy": accuracy}


def goals_of(means: dict[str, Sequence[Found]], below: Sequence[str], n_sets: int) -> list[Facts]:
    """Goals of all sets together."""
    goals = [
        goal(
            "image AUROC: on no set below the best peer by more than chance",
            f"below on {len(below)} of {n_sets} sets" + (f": {'; '.join(below)}" if below else ""),
            not below,
        )
    ]
    for figure in FIGURES:
        value = {
            (name, key): 100 * float(np.mean([own.figures[key].value for own in methods]))
            for name, methods in means.items()
            if name == OURS or not name.startswith(OURS)
            for key in ((figure, BY_TOP) if figure == FIGURES[0] else (figure,))
            if key in methods[0].figures
        }
        mean = value.pop((OURS, figure))
        peer, key = max(value, key=value.get)
        score = key.removeprefix(figure)
        found = f"{mean:.1f} against {value[peer, key]:.1f} of {peer}{score}"
        goals.append(goal(f"mean {figure} of all sets at least every peer's", found, mean >= value[peer, key]))
    return goals
