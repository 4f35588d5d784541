# SPDX-License-Identifier: BSD-3-Clause
"""cbn-train of more images than memory holds: they become bits as they are read."""

import time
from itertools import chain

from .._validation import check_threads
from ..bits.binarization import Binarization, check_thresholds
from ..bits.stream import pack_chunks
from ..datasets import iter_images
from . import _common as common
from . import _train_fit as fitting
from . import _train_report as report
from ._apart import check_apart, hashes_of
from ._reading import naming_reader, reading, tell
from ._train_arguments import with_scale
from ._train_assumed import tell_of_training
from ._train_images import check_rule, layer_geometries, load_calibration


def train_streamed(parsed, arguments, clock):
    """One network of all training images of --data, and the report."""
    with clock.part("load"):
        images = StreamedImages(parsed)
        calibration = load_calibration(parsed, images.shape)
    arguments = with_scale(arguments, images)
    check_rule(parsed, images)
    layer_geometries(parsed, arguments, images.shape)
    settings = arguments.resolve()
    images.rule = Binarization(check_thresholds(settings.threshold, settings.full_scale), settings.full_scale)
    fitting.check_checkpoints(parsed, [parsed.out])

    def told():
        n_test = None if images.test is None else images.test.n_images
        tell_of_training(parsed, settings, images, images.found, n_test, calibration, settings.threshold)
        if calibration is not None:
            check_apart(parsed, images.hashes, calibration.images)

    images.when_read, images.hashes = told, None if calibration is None else []
    with fitting.Progress(parsed, settings, 1, images.shape) as progress:
        fitted = fitting.train_network(
            parsed, arguments, images, calibration, parsed.out, parsed.save_kernels, clock, progress
        )
    for part, sign in (("load", 1), ("fit", -1)):
        clock.seconds[part] += sign * images.seconds
    result, _ = report.describe(parsed, fitted, images, images.test, clock, parsed.out)
    common.print_json(result) if parsed.json else report.print_one(result, images)


class StreamedImages:
    """The images of --data as they are read, with what a training asks of an ImageSet.

    Attributes
    ----------
    shape : (height, width)
    rule : Binarization
        By which test images become bits; to be set before any is read.
    seconds : float
        Spent on reading.
    test : BitPlanes or None
        The test images, once ``images`` are at their end.
    found : set
        Labels of training images.
    hashes : list or None
        Those of training images, where they are asked for.
    when_read : callable
        To be called when all images have been read.
    """

    labels = None
    rule = None
    when_read = None
    hashes = None

    def __init__(self, parsed):
        self.parsed, self.seconds, self.n_train, self.test = parsed, 0.0, 0, None
        self.found = set()
        with naming_reader("--data"):
            self.stream = iter_images(
                parsed.data, parsed.labels, split=None, size=parsed.size, color=parsed.color, **reading(parsed)
            )
        self.shape, self.binarization = self.stream.image_shape, self.stream.binarization
        self.source = self.stream.source
        self.images = self._training_chunks()

    def __len__(self):
        return self.n_train

    @property
    def report(self):
        return self.stream.report

    def _training_chunks(self):
        """Arrays (n, height, width) of the training images; before the end the others are read too."""
        sets, first = self._sets(), []
        for own in sets:
            if own.split != "train":
                first = [own]
                break
            self.n_train += len(own)
            if own.labels is not None:
                self.found.update(own.labels.tolist())
            if self.hashes is not None:
                self.hashes += hashes_of(own.images)
            yield own.images
        others = (own.images for own in chain(first, sets) if own.split == "test")
        if "test" in self.stream.counts:
            self.test = pack_chunks(others, self.rule, check_threads(self.parsed.threads))
        else:
            for _ in others:
                pass
        tell(self.parsed, self.report)
        self.when_read()

    def _sets(self):
        """All ImageSets of the source, with a bar."""
        sets, total = self.stream.sets(), sum(self.stream.counts.values())
        bar = common.progress(None, self.parsed, total, "image", "reading")
        try:
            while True:
                start = time.perf_counter()
                with naming_reader("--data"):
                    own = next(sets, None)
                self.seconds += time.perf_counter() - start
                bar.update(self.stream.n_done - bar.n)
                if own is None:
                    return
                yield own
        finally:
            bar.close()
