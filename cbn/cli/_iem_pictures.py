# SPDX-License-Identifier: BSD-3-Clause
"""The pictures that cbn-iem-score scores, batch by batch: those in memory, or those that are read meanwhile."""

import argparse
import time
from collections.abc import Iterator
from itertools import chain
from typing import TYPE_CHECKING, Any

from . import _common as common
from ._iem_data import synthetic
from ._reading import naming_reader, reading, tell

if TYPE_CHECKING:
    from ..datasets import InspectionSet
    from ..datasets.picturestream import PictureChunks
    from ..iem.fitted import FittedEnergyModel

BATCH = 16  # pictures whose maps are in memory at a time


def pictures_of(arguments: argparse.Namespace, fitted: "FittedEnergyModel") -> "HeldPictures | StreamedPictures":
    """The pictures of --data or --synthetic as the model reads them; those need not all stay that have no maps."""
    from ..datasets import load_test
    from ..datasets.teststream import stream_test

    height, width, channels = fitted.picture_shape
    color: Any = "grey" if channels == 1 else "rgb"
    if arguments.synthetic is not None:
        return HeldPictures(arguments, synthetic(arguments, (height, width), color))
    with naming_reader("--data"):
        no_maps = arguments.maps is None and arguments.save_maps is None and arguments.map_threshold is None
        if no_maps or arguments.top is not None:  # few are kept for their maps
            chunks = stream_test(arguments.data, (height, width), color, **reading(arguments))
            if chunks is not None:
                return StreamedPictures(arguments, chunks)
        dataset = load_test(arguments.data, (height, width), color, **reading(arguments))
    tell(arguments, dataset.report)
    return HeldPictures(arguments, dataset)


class HeldPictures:
    """Pictures in memory: an InspectionSet, of which ``n`` are scored."""

    def __init__(self, arguments: argparse.Namespace, dataset: "InspectionSet") -> None:
        assert dataset.test is not None and dataset.test_names is not None
        self.arguments, self.dataset, self.report = arguments, dataset, dataset.report
        self.test, self.names = dataset.test[: arguments.n], dataset.test_names
        self.n = len(self.test)
        common.tell_assumed(arguments)

    def batches(self) -> Iterator[Any]:
        """Arrays of pictures."""
        for first in common.progress(range(0, self.n, BATCH), self.arguments, -(-self.n // BATCH), "batch", "scores"):
            yield self.test[first : first + BATCH]

    def about(self, i: int) -> tuple[str, str | None]:
        """(name, kind of defect or None) of a picture."""
        return self.names[i], None if self.dataset.defects is None else self.dataset.defects[i]

    def picture(self, i: int) -> Any:
        """A picture as the model reads it."""
        return self.test[i]

    def move_seconds(self, clock: common.Clock) -> None:
        """Nothing was read while pictures were scored."""


class StreamedPictures:
    """Pictures that are read as they are scored; their number is not known before the end."""

    dataset = n = None

    def __init__(self, arguments: argparse.Namespace, chunks: "PictureChunks") -> None:
        self.arguments, self.chunks, self.seconds = arguments, chunks, 0.0
        left = chunks.chunks(BATCH)
        self.left = chain(
            [next(left)], left
        )  # what is wrong with the first pictures is found before any file is written
        later = arguments.top is None and (arguments.json or arguments.sort)  # rows are made again at the end
        self.keeps = later or arguments.fdr is not None
        self.last: Any = ()  # pictures
        self.n_before = 0
        self.first, self.names, self.defects = 0, list[str](), list[str | None]()
        common.tell_assumed(arguments)

    @property
    def report(self) -> Any:
        return self.chunks.report

    def batches(self) -> Iterator[Any]:
        """Arrays of pictures."""
        left = self.arguments.n
        bar = common.progress(None, self.arguments, sum(self.chunks.counts.values()), "picture", "scores")
        try:
            while True:
                start = time.perf_counter()
                with naming_reader("--data"):
                    own = next(self.left, None)
                self.seconds += time.perf_counter() - start
                bar.update(self.chunks.n_done - bar.n)
                if own is None:
                    break
                n = len(own.names) if left is None else min(left, len(own.names))
                left = None if left is None else left - n
                if n:
                    self._note(own.names[:n], own.labels[:n])
                    self.n_before += len(self.last)
                    self.last = own.images[:n]
                    yield own.images[:n]
        finally:
            bar.close()
        tell(self.arguments, self.report)

    def _note(self, names: list[str], defects: list[str | None]) -> None:
        """What the next pictures are called; earlier names stay where they are asked for again."""
        if not self.keeps:
            self.first += len(self.names)
            self.names, self.defects = [], []
        self.names += names
        self.defects += defects

    def about(self, i: int) -> tuple[str, str | None]:
        """(name, kind of defect or None) of a picture."""
        return self.names[i - self.first], self.defects[i - self.first]

    def picture(self, i: int) -> Any:
        """A picture of the last batch, as the model reads it."""
        return self.last[i - self.n_before]

    def move_seconds(self, clock: common.Clock) -> None:
        """Those of reading are no part of scoring."""
        clock.seconds["load"] += self.seconds
        clock.seconds["score"] -= self.seconds
