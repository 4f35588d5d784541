# SPDX-License-Identifier: BSD-3-Clause
"""The reader that makes bits of the images of --data as it goes, and keeps nothing else of them."""

import numpy as np

from .._validation import check_threads
from ..bits import stream as bits
from ..datasets import iter_images
from ..datasets.imageset import check_label
from . import _common as common
from . import _images as images_of
from ._apart import hashes_of
from ._packed import PackedSet, PackedSets, PackedTest, PixelHash
from ._reading import naming_reader, reading, tell
from ._train_images import no_labels

TRAIN, TEST = "train", "test"
EVERY = None  # the key of images that are not told apart by their labels


class PackingReader:
    """The images of --data, by the labels that --digit names.

    Attributes
    ----------
    shape : (height, width)
    binarization : str or None
        As of an ImageSet.
    has_names : bool
        Whether images are files of pictures.
    expected : dict
        By label, or EVERY: how many training images there are to be. Of pictures there may be more or fewer.
    found : set
        Labels of the training images that have been read.
    """

    def __init__(self, parsed, by_label=False):
        """``by_label``: images of each label for themselves. Raises DataError, of --digit too."""
        self.parsed, self.found = parsed, set()
        self._stream = stream = self._opened()
        self.shape, self.binarization, self.has_names = stream.image_shape, stream.binarization, stream.has_names
        counts, label = stream.label_counts(TRAIN), images_of.label_of(parsed)
        if by_label:
            if counts is None:
                raise no_labels(parsed)
            self.expected = counts
        elif label is None:
            self.expected = {EVERY: stream.counts[TRAIN]}
        else:
            found = self._checked(counts)
            self.expected = {found: counts[found]}

    def _opened(self):
        parsed = self.parsed
        with naming_reader("--data"):
            return iter_images(
                parsed.data, parsed.labels, split=None, size=parsed.size, color=parsed.color, **reading(parsed)
            )

    def _checked(self, labels):
        """The one among labels that --digit names."""
        with common.renaming(label="--digit"):
            present = None if labels is None else np.array(sorted(labels))
            return check_label(present, images_of.label_of(self.parsed), self._stream.source)

    def read(self, rule, *, hashed=False, apart=False, convert=None, tests=True):
        """The bits of all images.

        Parameters
        ----------
        rule : Binarization, or callable from images to one
            Callables choose one for the images of each label, by the first of these.
        hashed : bool
            Whether the ``sha256`` of sets is asked for.
        apart : bool
            Whether their ``hashes`` are.
        convert : callable, optional
            From images (n, height, width) to those that the rule is for.
        tests : bool
            Whether test images are wanted.

        Returns
        -------
        training : dict of PackedSet
            By label, those of which images could be read, in order.
        test : PackedTest or None

        Raises
        ------
        KeyboardInterrupt
            With a message that says what was written: nothing.
        """
        try:
            has_test = tests and TEST in self._stream.counts
            return self._read(rule, hashed, apart, convert or (lambda images: images), has_test)
        except KeyboardInterrupt:
            raise KeyboardInterrupt("interrupted; no model has been written") from None

    def _read(self, rule, hashed, apart, convert, has_test):
        threads = check_threads(self.parsed.threads)
        size = bits.BATCH_BYTES // len(self.expected)
        packers = {key: bits.Packer(rule, threads, batch_bytes=size) for key in self.expected}
        hashes = self._hashes(self.expected) if hashed else {}
        each = {key: [] for key in self.expected} if apart else {}
        streamed = test = None
        for own in self._sets(self._stream, sum(self._stream.counts.values()), "reading"):
            if own.split == TRAIN:
                self.found.update(() if own.labels is None else np.unique(own.labels).tolist())
                for key, images in self._parts(own):
                    packers[key].add(convert(images))
                    if hashed:
                        hashes[key].update(images)
                    if apart:
                        each[key] += hashes_of(images)
                continue
            if streamed is None:  # training images come first
                streamed = self._done(packers)
            if own.split == TEST and has_test:
                test = test or _TestPackers({one.binarization for one in streamed.values()}, threads)
                test.add(convert(own.images), own.labels)
        streamed = self._done(packers) if streamed is None else streamed
        tell(self.parsed, self._stream.report)
        if not streamed:  # no picture of the label could be read
            self._checked(self.found)
        sums = self._sums(hashes, {key: one.planes.n_images for key, one in streamed.items()})
        training = {key: self._set(key, one, sums.get(key), each.get(key)) for key, one in streamed.items()}
        return training, None if test is None else test.done()

    def _done(self, packers):
        """What is kept of the training images."""
        return {key: packers.pop(key).done() for key in sorted(packers) if packers[key].n_images}

    def _set(self, key, streamed, sha256, hashes):
        source = self._stream.source if key is EVERY else f"{self._stream.source}, label {key}"
        return PackedSet(streamed, key, source, self.binarization, self._stream.report, sha256, hashes)

    def whole(self, training):
        """The sets of all labels as one object."""
        return PackedSets(training, self._stream.source, self.binarization, self._stream.report)

    def _parts(self, own):
        """(key, images) of an ImageSet of training images."""
        if EVERY in self.expected:
            yield EVERY, own.images
            return
        for label in np.unique(own.labels).tolist():
            if label in self.expected:
                yield label, own.images[own.labels == label]

    def _hashes(self, counts):
        return {key: PixelHash((n, *self.shape)) for key, n in counts.items()}

    def _sums(self, hashes, counts):
        """Hashes by key. They begin with the number of images: where that was another, the images are read once more."""
        if not all(hashes[key].is_complete for key in counts if key in hashes):
            hashes = self._hashes(counts)
            stream = self._opened()
            for own in self._sets(stream, stream.counts[TRAIN], "reading again"):
                if own.split != TRAIN:
                    break
                for key, images in self._parts(own):
                    if key in hashes:
                        hashes[key].update(images)
        return {key: own.hexdigest() for key, own in hashes.items()}

    def _sets(self, stream, total, description):
        """All ImageSets of a stream, with a bar."""
        sets, bar = stream.sets(), common.progress(None, self.parsed, total, "image", description)
        try:
            while True:
                with naming_reader("--data"):
                    own = next(sets, None)
                bar.update(min(stream.n_done, total) - bar.n)
                if own is None:
                    return
                yield own
        finally:
            bar.close()


class _TestPackers:
    """Test images as bits by several rules, with their labels."""

    def __init__(self, rules, num_threads):
        size = bits.BATCH_BYTES // max(1, len(rules))
        self._packers = {rule: bits.Packer(rule, num_threads, batch_bytes=size) for rule in rules}
        self._labels = []

    def add(self, images, labels):
        self._labels.append(labels)
        for packer in self._packers.values():
            packer.add(images)

    def done(self):
        """The PackedTest of all."""
        labels = None if self._labels[0] is None else np.concatenate(self._labels)
        return PackedTest({rule: packer.done().planes for rule, packer in self._packers.items()}, labels)
