# SPDX-License-Identifier: BSD-3-Clause
"""The images of --data: their options, how they are loaded, and how a model reads them."""

from typing import TYPE_CHECKING

from ..exceptions import DataError
from ._assumed import assume, unless
from ._reading import add_reading, add_size_and_color, naming_reader, reading, tell
from ._running import UsageError, renaming, say, warn

if TYPE_CHECKING:
    from ..datasets.imageset import ImageSet

# What --digit says where no image is left out.
ALL = "all"
RESPONSES = 8  # images of cbn-show --responses, where none are asked for


def add_data(parser, what):
    """Options that name images."""
    group = parser.add_argument_group("images")
    group.add_argument(
        "--data", "--images",
        metavar="PATH",
        help=f"{what}: IDX file or folder, folder of pictures (sub-folders are labels; train/, val/ and test/ are "
        "splits), .npy or .npz, or one picture; 'openml' downloads the grey MNIST (default: the embedded binarized MNIST)",
    )  # fmt: skip
    group.add_argument("--labels", metavar="PATH", help="labels for a single IDX or .npy file of images")
    add_size_and_color(group)
    add_reading(group)
    return group


def add_choice(group, classes=""):
    """Options that choose among the images of --data, for programs that read some of them."""
    group.add_argument(
        "--split", choices=("train", "val", "test"), help="which part (default: test where there is one)"
    )
    group.add_argument(
        "--digit", "--label", metavar="LABEL", help=f"only images of this label ('all': every image){classes}"
    )


def label_of(arguments):
    """The label of --digit; None where all images are meant."""
    return None if arguments.digit == ALL else arguments.digit


class Halves:
    """Images by split, of which parts are asked for; cbn.datasets.mnist.EmbeddedMnist has the same face."""

    def __init__(self, sets: "dict[str, ImageSet]"):
        self._sets = sets

    @property
    def splits(self):
        return tuple(self._sets)

    def part(self, split, label=None):
        """The ImageSet of a half, or those of its images that have a label."""
        return self._sets[split] if label is None else self._sets[split].select(label)

    def indices(self, split, label=None):
        """The index of every image of :meth:`part` in its half."""
        import numpy as np

        own = self._sets[split]
        return np.arange(len(own)) if label is None else np.flatnonzero(own.labels == own.select(label).labels[0])


def load_halves(arguments):
    """The images of --data and --labels: Halves, or the embedded ones."""
    if arguments.data is None or arguments.data == "openml":
        if arguments.labels is not None:
            raise UsageError("--labels goes with --data FILE")
        from ..datasets import mnist

        if arguments.data is None:
            return mnist.EmbeddedMnist()
        return Halves(dict(zip(("train", "test"), mnist.fetch_mnist_grey())))
    return Halves(read_splits(arguments, "--data", arguments.data, arguments.labels))


def read_splits(arguments, option, path, labels=None):
    """The ImageSets of the path that an option gives, by split; says what was left out and what was assumed."""
    from ..datasets import load_splits

    with naming_reader(option):
        sets = load_splits(path, labels, size=arguments.size, color=arguments.color, **reading(arguments))
    tell(arguments, sets["train"].report, option)
    return sets


def choose_images(arguments):
    """The ImageSet that --data, --split and --digit name; and the index of each image in its half."""
    halves = load_halves(arguments)
    split = chosen_split(arguments, halves.splits)
    with renaming(label="--digit"):
        return halves.part(split, label_of(arguments)), halves.indices(split, label_of(arguments))


def chosen_split(arguments, splits):
    """The split that --split names, or the last one. Raises DataError."""
    split = arguments.split or splits[-1]
    of = "the embedded MNIST (--data)" if arguments.data is None else None
    which = unless(arguments.split is not None or len(splits) == 1, f"the {split} images (--split)")
    assume(arguments, f"{which} of {of}" if which and of else which or of)
    if split not in splits:
        held = " or ".join(f"--split {own}" for own in splits)
        raise DataError(f"--split {split}: {arguments.data or 'MNIST'} has no {split} images; use {held}")
    return split


def images_for(arguments, fitted, images, option="--data"):
    """Images of an ImageSet, given by an option, as a fitted network (or one of a classifier's) reads them."""
    shape, has_names = images.images.shape[1:], images.names is not None
    return conversion_for(arguments, fitted, shape, images.binarization, has_names, option)(images.images)


def conversion_for(arguments, fitted, shape, binarization, has_names, option="--data"):
    """A function from arrays of images of an option to what a fitted network (or one of a classifier's) reads.

    Sets that are binary count as such whatever the model's scale. Grey sets are binarized by the model's own rule, also
    where the model was trained on images that had been binarized by that rule before (the embedded MNIST). A model of
    pixels that were drawn gets the likelier state of each, and a warning. Of any other model of 0 and 1 the images must be
    black and white alone, which count as binary.
    """
    import numpy as np

    from ..bits.binarization import Binarization
    from ..datasets.stochastic import RULE

    if shape != tuple(fitted.image_shape):
        height, width = fitted.image_shape
        if option == "--data" and arguments.data is None:
            raise DataError(
                f"--data: none given, so the embedded MNIST is read, of {shape[0]} x {shape[1]} pixels, but the model needs "
                f"{height} x {width}; give images for it with --data"
            )
        raise DataError(
            f"{option}: images of {shape[0]} x {shape[1]} pixels, but the model needs {height} x {width}; resize them"
            f"{f', as --size {height}x{width} does with pictures' if has_names else ''}"
        )
    if binarization is not None:
        if binarization != fitted.rule:
            warn(
                arguments,
                f"{option}: binary images ({binarization}) for a model of another rule ({fitted.rule}): "
                "their scores compare only if both rules give the same bits",
            )
        return lambda images: images.astype(bool)
    own = fitted.binarization
    grey = Binarization(own.thresholds, 255)
    if own.full_scale == 1 and fitted.rule == grey.describe():
        level = int(np.floor(own.thresholds[0] * 255))
        return lambda images: images > level
    if fitted.rule.startswith(RULE):
        warn(
            arguments,
            f"{option}: grey images are binarized by value > 0.5 x 255, but the model is of another rule "
            f"({fitted.rule}): their scores do not compare with those that set its threshold",
        )
        return lambda images: images > 127
    if own.full_scale == 1:
        return _BlackAndWhite(arguments, option)
    return lambda images: images


class _BlackAndWhite:
    """Images of 0 and 255 alone as 0 and 1, for a model of images of 0 and 1; says so once."""

    def __init__(self, arguments, option):
        self.arguments, self.option, self.is_told = arguments, option, False

    def __call__(self, images):
        """Booleans (n, height, width) of grey images. Raises DataError where there are values between."""
        between = (images != 0) & (images != 255)
        if between.any():
            raise DataError(
                f"{self.option}: grey images (a value is {images[between][0]}), but the model was trained on images of 0 and "
                "1; give images of black and white alone (0 and 255), or an array of 0 and 1"
            )
        if not self.is_told:
            say(
                self.arguments,
                f"{self.option}: black and white alone (0 and 255), read as 0 and 1 as the model was trained",
            )
            self.is_told = True
        return images != 0
