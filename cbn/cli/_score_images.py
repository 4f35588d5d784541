# SPDX-License-Identifier: BSD-3-Clause
"""The images that cbn-score scores, batch by batch: those in memory, or those that are read meanwhile."""

import time
from dataclasses import replace
from itertools import chain

from . import _common as common
from . import _images as images_of
from ._reading import naming_reader, reading, tell

NAMING = "data", "digit", "split", "n"  # options that name images
# Images that are scored between two writes of rows; where they are large, so many bytes, but the images of a word at least.
BATCH, BATCH_BYTES, WORD = 512, 2**25, 64


def scored_images(arguments, fitted, keeps):
    """HeldImages, or StreamedImages where they need not stay.

    ``fitted`` is the network that is to read them, or one of a classifier's; ``keeps``: names and labels are asked for after
    the next images have come.
    """
    streams = (
        arguments.data not in (None, "openml")
        and arguments.digit in (None, images_of.ALL)
        and not (arguments.heatmap or arguments.repair)
        and arguments.explain is None
    )
    return StreamedImages(arguments, fitted, keeps) if streams else HeldImages(arguments, fitted)


class HeldImages:
    """Images in memory.

    Attributes
    ----------
    images : ndarray, (n, height, width)
        As the network reads them.
    n : int
    """

    def __init__(self, arguments, fitted):
        self.arguments = arguments
        chosen, index = images_of.choose_images(arguments)
        self.images = images_of.images_for(arguments, fitted, chosen)[: arguments.n]
        self.n, self.report, self._chosen = len(self.images), chosen.report, chosen
        self._names = chosen.names or [str(i) for i in index]
        self._labels = None if chosen.labels is None else chosen.labels.tolist()
        common.tell_assumed(arguments)

    def batches(self):
        """Arrays of images as the network reads them."""
        total = -(-self.n // BATCH)
        for first in common.progress(range(0, self.n, BATCH), self.arguments, total, "batch", "scores"):
            yield self.images[first : first + BATCH]

    def move_seconds(self, clock):
        """Nothing was read while images were scored."""

    def about(self, i):
        """(name, label or None) of an image."""
        return self._names[i], None if self._labels is None else self._labels[i]

    def picture(self, i):
        """An image as it was read, (height, width) uint8 from 0 to 255."""
        return _grey(self._chosen.images[i], self._chosen)


class StreamedImages:
    """Images that are read as they are scored.

    Attributes
    ----------
    n : None
        Their number is not known before the end.
    """

    n = images = None

    def __init__(self, arguments, fitted, keeps):
        self.arguments = arguments
        with naming_reader("--data"):
            height, width = fitted.image_shape
            size = max(WORD, min(BATCH, BATCH_BYTES // (height * width)))
            self.stream = images_of_data(arguments, size)
            self.split = images_of.chosen_split(arguments, tuple(self.stream.counts))
            sets = self.stream.sets()
            first = next(sets)  # what is wrong with the first images is found before any file is written
            self.sets = chain([first], sets)
        self.converted = images_of.conversion_for(
            arguments, fitted, self.stream.image_shape, self.stream.binarization, self.stream.has_names
        )
        self.first, self.n_noted, self.names, self.labels, self.has_labels = 0, 0, [], [], False
        self.last, self.n_before = None, 0
        self.keeps, self.seconds = keeps, 0.0
        common.tell_assumed(arguments)

    @property
    def report(self):
        return self.stream.report

    def batches(self):
        """Arrays of images as the network reads them."""
        counts = self.stream.counts
        bar = common.progress(None, self.arguments, sum(counts.values()), "image", "scores")
        left = self.arguments.n
        try:
            while True:
                start = time.perf_counter()
                with naming_reader("--data"):
                    own = next(self.sets, None)
                self.seconds += time.perf_counter() - start
                bar.update(self.stream.n_done - bar.n)
                if own is None:
                    break
                if own.split != self.split or left == 0:
                    continue
                n = len(own) if left is None else min(left, len(own))
                left = None if left is None else left - n
                self._note(own, n)
                yield self.converted(own.images[:n])
        finally:
            bar.close()
        tell(self.arguments, self.report)

    def move_seconds(self, clock):
        """Those of reading are no part of scoring."""
        clock.seconds["load"] += self.seconds
        clock.seconds["score"] -= self.seconds

    def _note(self, own, n):
        """Names and labels of n images more; those of earlier ones stay where they are asked for again."""
        if not self.keeps:
            self.first += self.n_noted
            self.n_noted, self.names, self.labels = 0, [], []
        self.n_before += 0 if self.last is None else len(self.last)
        self.last = replace(own, images=own.images[:n], labels=None, names=None)
        self.n_noted += n
        self.has_labels = own.labels is not None
        if self.has_labels:
            self.labels += own.labels[:n].tolist()
        if own.names is not None:
            self.names += own.names[:n]

    def about(self, i):
        """(name, label or None) of an image."""
        return (
            self.names[i - self.first] if self.stream.has_names else str(i),
            self.labels[i - self.first] if self.has_labels else None,
        )

    def picture(self, i):
        """An image of the last batch as it was read, (height, width) uint8 from 0 to 255."""
        return _grey(self.last.images[i - self.n_before], self.last)


def _grey(image, of):
    return image if of.binarization is None else image * 255


def images_of_data(arguments, chunk_size):
    """The ImageStream of all parts of --data."""
    from ..datasets import iter_images

    return iter_images(
        arguments.data, arguments.labels, split=None, chunk_size=chunk_size, size=arguments.size, color=arguments.color,
        **reading(arguments),
    )  # fmt: skip
