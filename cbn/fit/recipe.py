# SPDX-License-Identifier: BSD-3-Clause
"""The fit as a recipe: prepare -> features -> grow -> calibrate.

What one step makes is what the next one takes; nothing else travels.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import _engine
from .. import _validation as validation
from ..bits.binarization import refuse_flat
from ..bits.digest import Digest
from ..bits.planes import BitPlanes
from ..bits.stream import Streamed, is_stream
from ..cpd.base import CPD, Task
from ..distributed import is_dask
from ..layers.contrast import LogRatio
from ..layers.stack import LayeredNetwork, planes_of_layers
from ..layers.training import TrainedLayer
from .assembling import Learned, Normal, assembled, score_names, scores_of
from .features import train_features
from .fitted import Fitted
from .folds import Folds
from .preparing import Prepared, check_labels, for_threshold, prepare, prepare_bits, prepare_stream
from .settings import Arguments, Settings, resolve, snapshot
from .sharded import fit_dask

Floats = npt.NDArray[np.float64]
Progress = Callable[..., None]

# Words of planes whose images are scored together where a network is grown of members of all images: a quarter of a million.
PART_WORDS = 2**12


class FitInterrupted(KeyboardInterrupt):
    """Ctrl-C while hidden layers were trained: ``fitted`` has the best ones so far."""

    def __init__(self, fitted: Fitted) -> None:
        super().__init__()
        self.fitted = fitted


def fit(
    arguments: Arguments,
    X: Any,
    y: Any = None,
    *,
    progress: Progress | None = None,
    checkpoint: Any = None,
    resume: bool = False,
    held_out: bool = True,
) -> Fitted:
    """Learn from normal images, and calibrate the threshold on them; see ConvolutionalBayesianNetwork.fit.

    ``X`` may also be Streamed: images that came in chunks before, and became bits by the rule of the arguments.
    ``held_out`` False leaves the threshold to the scores of the training images themselves, where no image can be left
    out of the counts. That grows no network but the one, for those who want the density alone.
    """
    arguments = snapshot(arguments)
    settings = resolve(arguments)
    threads = validation.check_threads(arguments.n_jobs)
    if is_dask(X):
        return fit_dask(arguments, settings, X, y, num_threads=threads, held_out=held_out, checkpoint=checkpoint)
    values: npt.NDArray[Any]
    if isinstance(X, Streamed):
        prepared, values = prepare_bits(settings, X), X.extremes
    elif is_stream(X):
        prepared, values = prepare_stream(settings, X, threads)
    else:
        values = validation.as_images(X, image_shape=settings.image_shape, full_scale=settings.full_scale)
        check_labels(y, len(values))
        prepared = prepare(settings, values, threads)
    if held_out:
        refuse_flat(prepared.images, prepared.binarization, values)
    kept = prepared.kept_from_kernels(settings)
    seen = prepared.without(kept, threads) if kept.any() else prepared.counted
    trained, interrupted = train_features(
        settings, prepared.kernels, prepared.geometries, seen, threads,
        progress=progress, checkpoint=checkpoint, resume=resume,
    )  # fmt: skip
    # a contrast knows what is normal from images that its networks have not seen
    held_out = held_out or settings.contrast is not None
    growing = Growing(settings, prepared, trained, threads, progress, held_out)
    fitted = calibrated(arguments, growing, growing.grow(prepared.counted))
    if interrupted:
        raise FitInterrupted(fitted)
    fitted.calibration.threshold_at(settings.false_alarm_rate, stacklevel=3)  # warns of too few images
    return fitted


class Growing:
    """Grows the network of images under the same kernels: once for all images, and once without each fold that is used."""

    def __init__(
        self,
        settings: Settings,
        prepared: Prepared,
        trained: tuple[TrainedLayer, ...],
        num_threads: int,
        progress: Progress | None,
        held_out: bool,
    ) -> None:
        self.settings, self.prepared, self.trained = settings, prepared, trained
        self.num_threads, self.progress = num_threads, progress
        self.geometries = prepared.geometries[: 1 + len(trained)]  # fewer where training was interrupted
        self.transitions = [t.kernels.transition(below) for t, below in zip(trained, self.geometries)]
        self._engine_transitions = [_engine.Transition(t) for t in self.transitions]
        self.seed = settings.seed() if settings.kind.draws_at_random or settings.contrast else 0
        self.folds = Folds.of(settings, prepared.images.n_images, held_out)
        self._n_grown = self._n_contrasts = self._n_nodes = 0

    def grow(self, pixels: BitPlanes, members: npt.NDArray[np.bool_] | None = None) -> LayeredNetwork:
        """The network of the images of pixel bit-planes, or of some of them, its scales still 1."""
        networks: list[CPD] = []
        planes = planes_of_layers(self._engine_transitions, pixels, self.num_threads)
        for number, (own, bits) in enumerate(zip(self.geometries, planes)):
            relations = self.trained[number - 1].layer.relations if number else ()
            task = Task(
                own.grid(), own.distance, bits, number == 0, relations, self.seed, self.num_threads,
                progress=self._report(), members=members,
            )  # fmt: skip
            networks.append(self.settings.kind.learn(self.settings.cpd, task))
        self._n_grown += 1
        return LayeredNetwork(networks, self.transitions, self.geometries)

    def _report(self) -> Callable[[int, int], None] | None:
        """What a network that is grown reports to."""
        if self.progress is None:
            return None

        def report(n_done: int, n_nodes: int) -> None:
            self._n_nodes = n_nodes
            self._tell(n_done)

        return report

    def _tell(self, n_done: int) -> None:
        """Nodes and trees of contrasts that are done, of all that there will be; ``n_done`` of those that are grown now."""
        assert self.progress is not None
        trees = self.settings.contrast.n_steps() if self.settings.contrast else 0
        before = self._n_grown * self._n_nodes + self._n_contrasts * trees
        n_held_out = self.folds.used
        self.progress(before + n_done, (1 + n_held_out) * self._n_nodes + max(1, n_held_out) * trees)

    def normal_scores(self, network: LayeredNetwork, planes: Sequence[BitPlanes]) -> "Normal":
        """Scores of the training images, each by a network that has not seen it where that can be had."""
        names = score_names(self.settings, network)
        kept = for_threshold(self.settings, self.prepared.images.n_images)
        if network.pixels.leaves_one_out:
            normal = Normal("leave-one-out", scores_of(network, planes, names, self.num_threads, leave_one_out=True))
        elif self.folds:
            normal = self._cross_validated(names)
            kept &= self.folds.scored()
        else:
            return self._of_training(network, planes, names)
        if not kept.all():
            normal = replace(normal, scores={name: scores[kept] for name, scores in normal.scores.items()})
        return normal

    def _of_training(self, network: LayeredNetwork, planes: Sequence[BitPlanes], names: Sequence[str]) -> "Normal":
        ratio = self._contrast(self.prepared.counted, planes[0])
        network = network.with_contrast(ratio[0] if ratio else None)
        found = scores_of(network, planes, names, self.num_threads)
        return Normal("training images", found, contrast=network.contrast)

    def _contrast(self, counted: BitPlanes, held_out: BitPlanes) -> tuple[LogRatio, Floats] | None:
        """The contrast of pixels and the columns of held-out images, if there is to be one."""
        contrast = self.settings.contrast
        if contrast is None:
            return None
        learned = LogRatio.learned(
            contrast, self.geometries[0].grid(), counted, held_out, self.seed, self.num_threads,
            progress=None if self.progress is None else self._tell,
        )  # fmt: skip
        self._n_contrasts += 1
        return learned

    def _cross_validated(self, names: Sequence[str]) -> "Normal":
        """Scores of every image of a fold by a network grown without it; new images are judged by the first of these.

        Under the network of all images their scores would not be distributed as these are, least of all where pixels
        hardly ever change.
        """
        judge = None
        found: dict[str, Floats] = {}
        for fold in range(self.folds.used):
            network = self._score_held_out(self.folds.part(fold), names, found)
            judge = judge or network
        return Normal("cross-validation", found, judge, judge.contrast if judge else None)

    def _score_held_out(
        self, own: npt.NDArray[np.bool_], names: Sequence[str], found: dict[str, Floats]
    ) -> LayeredNetwork:
        """The network grown without some images (n,); their rows of every name in `found` become their scores by it."""
        images = self.prepared.images

        def fill(first: int, keep: npt.NDArray[np.bool_], scores: dict[str, Floats]) -> None:
            for name, columns in scores.items():
                if name not in found:
                    found[name] = np.zeros((len(own), columns.shape[1]))
                found[name][first : first + len(keep)][keep] = columns

        if self.settings.kind.takes_members and not self.trained and self.settings.contrast is None:
            network = self.grow(self.prepared.counted, self.prepared.members(own))
            for word in range(0, images.words.shape[1], PART_WORDS):  # of a million images never all planes again
                keep = own[64 * word : 64 * (word + PART_WORDS)]
                if keep.any():
                    planes = network.planes(
                        images.part(word, PART_WORDS).select(keep, self.num_threads), self.num_threads
                    )
                    fill(64 * word, keep, scores_of(network, planes, names, self.num_threads))
            return network
        others = self.prepared.without(own, self.num_threads)
        network = self.grow(others)
        planes = network.planes(images.select(own, self.num_threads), self.num_threads)
        columns = None
        if (ratio := self._contrast(others, planes[0])) is not None:
            network, columns = network.with_contrast(ratio[0]), ratio[1]
        fill(0, own, scores_of(network, planes, names, self.num_threads, columns=columns))
        return network


def calibrated(arguments: Arguments, growing: Growing, network: LayeredNetwork) -> Fitted:
    """The fitted network: scales of its layers, threshold and heat-map scale from the training images."""
    prepared = growing.prepared
    planes = network.planes(prepared.images, growing.num_threads)
    normal = growing.normal_scores(network, planes)
    digest = Digest.of(prepared.counted, growing.num_threads)
    learned = Learned(network, growing.trained, prepared.binarization, prepared.counted.n_images, digest)
    return assembled(arguments, growing.settings, learned, planes, normal)
