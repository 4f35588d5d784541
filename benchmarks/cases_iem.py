# SPDX-License-Identifier: BSD-3-Clause
"""The introspective energy model beside the same model in PyTorch: steps, scoring, memory, and what both find."""

import json
import subprocess
import sys
import time
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

import numpy as np
from arrays import Facts, Images, Reals, Singles
from context import SEED, Context
from measure import goal, summary

from cbn import IntrospectiveEnergyModel
from cbn.datasets import InspectionSet, make_category
from cbn.iem import TABLE_4, Architecture, Training
from cbn.iem.energy import ErrorStatistics, combined, image_energies, level_scales, position_energies
from cbn.iem.training.levelwise import LevelwiseTraining, TrainingOptions
from cbn.metrics.bootstrap import Interval, bootstrap_auroc

SIDE, BATCH = 300, 8  # of the thesis
PICTURES = 24  # of an epoch that is timed: three steps
MEMORY_PICTURES = {"quick": 40, "full": 320}  # 320: the training pictures of the largest category of MVTec AD
GIB = 2**30
RESAMPLES = 1000


def pictures_of(n: int, side: int = SIDE) -> Images:
    """(n, side, side) uint8: a small synthetic category, enlarged and repeated."""
    small = make_category("texture", n_train=min(n, 12), n_good=1, n_defects=1, size=100, random_state=SEED).train
    large = np.kron(small, np.ones((1, 3, 3), np.uint8))[:, :side, :side]
    return np.ascontiguousarray(np.resize(large, (n, side, side)))


def prepare(pictures: Images) -> Singles:
    return (pictures.astype(np.float32) / 255)[..., None]


def training(pictures: Images, epochs: int, threads: int) -> LevelwiseTraining:
    levels = len(TABLE_4.levels)
    options = TrainingOptions(epochs=(epochs,) * levels, batch_size=BATCH, seed=SEED)
    return LevelwiseTraining(TABLE_4, pictures, prepare, np.arange(len(pictures)), options, num_threads=threads)


def level_inputs(levels: Sequence[Any], pictures: Images) -> list[Singles]:
    """What every level reads from the one below, for all pictures; level 0 the pictures themselves."""
    below = [prepare(pictures)]
    for level in levels[:-1]:
        below.append(level.standardized(level.activations(below[-1])[0]))
    return below


def timed_epochs(
    context: Context, pictures: Images, rounds: int
) -> tuple[dict[int, list[float]], dict[int, list[float]], dict[int, Any]]:
    """({level: seconds per step of cbn}, {level: of PyTorch}, {level: both mean squared errors})."""
    own, peer, errors = {}, {}, {}
    begin = time.perf_counter()
    for state in training(pictures, 2 + rounds, context.threads).run():
        seconds = time.perf_counter() - begin
        if state.epoch > 2:  # the first epoch of a level also draws and measures
            own.setdefault(state.level, []).append(seconds * BATCH / len(pictures))
        if state.epoch == 2 and find_spec("torch"):
            peer[state.level], errors[state.level] = torch_epochs(state.levels, pictures, rounds, context.threads)
        if state.epoch == 3 and state.level in errors:
            errors[state.level] = (state.loss, errors[state.level])
        begin = time.perf_counter()
    return own, peer, errors


def torch_epochs(
    levels: Sequence[Any], pictures: Images, rounds: int, threads: int
) -> tuple[list[float], float | None]:
    """Seconds per step of PyTorch in the last of some levels, and its error in the first epoch from there."""
    import torch
    from peer_torch import TorchLevel, channels_first

    torch.set_num_threads(threads)
    below, level = channels_first(level_inputs(levels, pictures)[-1]), TorchLevel(levels[-1])
    order, seconds, first = torch.randperm(len(pictures), generator=torch.Generator().manual_seed(SEED)), [], None
    for _ in range(rounds):
        begin = time.perf_counter()
        error = level.epoch(below, order, BATCH)
        seconds.append((time.perf_counter() - begin) * BATCH / len(pictures))
        first = error if first is None else first
    return seconds, first


def scoring(context: Context, pictures: Images, rounds: int) -> tuple[list[float], list[float]]:
    """Seconds to score one picture, of cbn and of PyTorch (None without it)."""
    model = IntrospectiveEnergyModel(
        training=Training(epochs=1), n_jobs=context.threads, random_state=SEED, false_alarm_rate=0.2
    )
    model.fit(pictures)
    networks, own, peer = None, [], []
    if find_spec("torch"):
        import torch
        from peer_torch import TorchLevel, channels_first

        networks, x = [TorchLevel(level) for level in model.levels_], channels_first(prepare(pictures[:1]))
        torch.set_num_threads(context.threads)
    for _ in range(rounds + 1):  # the first call pays for caches
        begin = time.perf_counter()
        model.score_samples(pictures[:1])
        own.append(time.perf_counter() - begin)
        if networks:
            begin, values = time.perf_counter(), x
            for network in networks:
                values, errors = network.look(values)
                errors.square().mean(dim=1).max()
            peer.append(time.perf_counter() - begin)
    return own[1:], peer[1:]


def peak(engine: str, context: Context) -> int:
    """Bytes by which memory rises in a whole fit, in a process of its own."""
    n = MEMORY_PICTURES["quick" if context.quick else "full"]
    command = [sys.executable, str(Path(__file__).with_name("iem_child.py")), engine, str(n), str(context.threads)]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)["bytes"]


def found(kind: Literal["texture", "object"], context: Context) -> tuple[Interval, Interval | None]:
    """Interval of cbn and of PyTorch on a synthetic category, after the same schedule."""
    category = make_category(kind, n_train=60, n_good=40, n_defects=15, size=64, random_state=SEED)
    epochs, architecture = 5, Architecture(TABLE_4.levels[:4])
    model = IntrospectiveEnergyModel(architecture, training=Training(epochs=epochs), n_jobs=context.threads, random_state=SEED,
                                     false_alarm_rate=0.05).fit(category.train)  # fmt: skip
    own = interval(category, model.score_samples(category.test))
    return own, interval(category, torch_scores(category, architecture, epochs)) if find_spec("torch") else None


def interval(category: InspectionSet, scores: Reals) -> Interval:
    return bootstrap_auroc(category.labels == 0, scores, n_resamples=RESAMPLES, random_state=SEED)


def torch_scores(category: InspectionSet, architecture: Architecture, epochs: int) -> Reals:
    """Scores of the test pictures after training in PyTorch from cbn's start, each level on the one below."""
    import torch
    from peer_torch import TorchLevel, channels_first, channels_last

    n = len(category.train)
    order = torch.Generator().manual_seed(SEED)
    options = TrainingOptions(epochs=(1,) * len(architecture.levels), batch_size=n, learning_rate=1e-12, seed=SEED)
    start = LevelwiseTraining(architecture, category.train, prepare, np.arange(n), options)
    *_, state = start.run()  # one step of no length: the levels as they are drawn
    train, test = channels_first(prepare(category.train)), channels_first(prepare(category.test))
    energies = {"train": [], "test": []}
    for model in state.levels:
        level = TorchLevel(model)
        for _ in range(epochs):
            level.epoch(train, torch.randperm(n, generator=order), BATCH)
        (train, train_errors), (test, test_errors) = level.look(train), level.look(test)
        statistics = ErrorStatistics(model.shape)
        statistics.add(channels_last(train_errors))
        scale = statistics.scale(0.25)
        own, typical = scale.energies_without(channels_last(train_errors), "relative")
        energies["train"].append(own)
        positions = position_energies(scale.normalized(channels_last(test_errors)), "relative", typical.max())
        energies["test"].append(image_energies(positions, "relative"))
    scales = level_scales(np.stack(energies["train"], axis=1), "relative")
    return -combined(np.stack(energies["test"], axis=1), scales, np.ones(len(state.levels)), "relative")


def row(engine: str, seconds: list[float], reference: list[float], **accuracy: object) -> Facts:
    ratio = float(np.median(seconds) / np.median(reference))
    return {"engine": engine, **summary(seconds), "ratio": ratio, "accuracy": accuracy}


def percent(auroc: Interval) -> str:
    value, low, high = (100 * part for part in auroc)
    return f"{value:.1f} ({low:.1f} to {high:.1f})"


def iem(context: Context) -> Facts:
    rounds = 3 if context.quick else 7
    pictures = pictures_of(PICTURES)
    with_torch = find_spec("torch") is not None
    own, peer, errors = timed_epochs(context, pictures, rounds)
    table, goals = [], []
    for level, seconds in own.items():
        others = peer[level] if with_torch else None
        reference = others or seconds
        ours, theirs = errors[level] if with_torch else (None, None)
        table.append(row(f"cbn, training step of level {level}", seconds, reference, **{"mean squared error": ours}))
        if with_torch:
            table.append(row(f"PyTorch, level {level}", others, reference, **{"mean squared error": theirs}))
            ratio = np.median(seconds) / np.median(others)
            goals.append(goal(f"step of level {level}: at most 0.8 of PyTorch's", f"{ratio:.2f}", ratio <= 0.8))
            goals.append(goal(f"step of level {level}: at most 0.4", f"{ratio:.2f}", ratio <= 0.4, stretch=True))
    one, other = scoring(context, pictures, rounds)
    table.append(row("cbn, scoring one picture", one, other or one))
    if other:
        table.append(row("PyTorch, scoring one picture", other, other))
    median = float(np.median(one))
    goals.append(goal("one picture in at most 60 ms", f"{1e3 * median:.1f} ms", median <= 0.06))
    goals.append(goal("one picture in at most 25 ms", f"{1e3 * median:.1f} ms", median <= 0.025, stretch=True))
    for kind in ("texture", "object"):
        begin = time.perf_counter()
        ours, theirs = found(kind, context)
        seconds = [time.perf_counter() - begin]
        table.append(row(f"both, synthetic {kind}", seconds, seconds,
                         **{"AUROC of cbn": percent(ours), "of PyTorch": percent(theirs) if theirs else ""}))  # fmt: skip
    for engine in ("cbn", "torch") if with_torch else ("cbn",):
        begin = time.perf_counter()
        size = peak(engine, context)
        n = MEMORY_PICTURES["quick" if context.quick else "full"]
        seconds = [time.perf_counter() - begin]
        table.append(row(f"{engine}, peak memory", seconds, seconds, **{"pictures": n, "peak, GiB": size / GIB}))
        if engine == "cbn":
            goals.append(goal("whole run in at most 1.5 GiB", f"{size / GIB:.2f} GiB, {n} pictures", size <= 1.5 * GIB))
    note = "" if with_torch else " PyTorch is not installed (`pip install torch`), so its rows are missing."
    return {
        "title": f"Introspective energy model: {SIDE} x {SIDE} grey pictures, batches of {BATCH}",
        "about": "Table 4, sharing b, Adam. A training step is an epoch of three batches, divided by three, with all that "
        "training does between; PyTorch starts from the same parameters and is given the level below ready-made. Mean "
        "squared errors are of the same epoch, in another order of pictures. Scoring: all levels of one picture. "
        "Synthetic categories: 60 pictures of 64 x 64, four levels, 5 epochs (the default are 100), 95 % intervals. "
        "Memory: VmHWM of a process that fits one epoch a level." + note,
        "rows": table,
        "goals": goals,
    }
