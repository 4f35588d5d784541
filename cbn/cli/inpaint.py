# SPDX-License-Identifier: BSD-3-Clause
"""cbn-inpaint: fill the missing pixels of an image with posterior samples."""

import contextlib
import functools
import warnings

from ..exceptions import DataError, MixingWarning
from . import _chains as chains
from . import _common as common
from . import _images as images_of
from . import _models as models

NAMED_HOLES = ("top", "bottom", "left", "right", "centre")


def build_parser():
    parser = common.make_parser(
        "cbn-inpaint",
        "Fill missing pixels of one image: samples of the posterior given the known pixels, and its mean. Of a\n"
        "classifier the network of the class --digit fills in.",
        [
            "cbn-inpaint --digit 2 --index 5                # lower half of the sixth test 2 -> inpainted.png",
            "cbn-inpaint --hole 10:20,0:28 --n 8 --sweeps 5000",
            "cbn-inpaint --data photo/ --mask mask.npy --npz filled.npz",
            "cbn-inpaint --model digits.cbn --digit 3       # by the network of that class",
        ],
    )
    common.add_model(parser)
    group = images_of.add_data(parser, "where the image is")
    images_of.add_choice(group, "; of a classifier the class whose network fills in, too")
    group.add_argument(
        "--index", type=common.integer(0, 2**40), default=0, metavar="I", help="which image (default: 0)"
    )
    hole = parser.add_mutually_exclusive_group()
    hole.add_argument(
        "--hole",
        default="bottom",
        metavar="HOLE",
        help=f"missing part: {', '.join(NAMED_HOLES)} or ROWS,COLUMNS as in 10:20,0:28 (default: bottom)",
    )
    hole.add_argument(
        "--mask", metavar="PATH", help="picture, .npy or IDX file of the image's size: bright pixels are missing"
    )
    parser.add_argument(
        "--n", type=common.integer(1, 10**5), default=16, metavar="N", help="samples to draw (default: 16)"
    )
    parser.add_argument(
        "--sweeps", type=common.integer(8, 2**40), metavar="N",
        help="Gibbs proposals per missing pixel and chain, of which the samples are then the ends (default: no chains, but "
        "with hidden layers: as many as take some seconds)",
    )  # fmt: skip
    parser.add_argument(
        "--particles", type=common.integer(64, 2**40), metavar="N",
        help="most particles where no chains run (default: some seconds' worth; they end as soon as they are enough)",
    )  # fmt: skip
    chains.add_temperature(parser)
    parser.add_argument(
        "--out", default="inpainted.png", metavar="FILE", help="picture to write (default: inpainted.png)"
    )
    parser.add_argument(
        "--npz", metavar="FILE", help="raw samples: arrays 'samples' (n, h, w), 'mean' (h, w) and 'mask' (h, w)"
    )
    common.add_seed(parser)
    return parser


def main(argv=None):
    return common.run("cbn-inpaint", build_parser, inpaint, argv)


def read_mask(arguments, shape):
    """The boolean (height, width) mask of --mask or --hole."""
    import numpy as np

    height, width = shape
    if arguments.mask is not None:
        from ..datasets import load_mask

        with common.naming("--mask"):
            return load_mask(arguments.mask, shape)
    mask = np.zeros(shape, bool)
    named = {
        "top": (slice(0, (height + 1) // 2), slice(None)),
        "bottom": (slice(height // 2, None), slice(None)),
        "left": (slice(None), slice(0, (width + 1) // 2)),
        "right": (slice(None), slice(width // 2, None)),
        "centre": (slice(height // 4, height - height // 4), slice(width // 4, width - width // 4)),
    }
    mask[named[arguments.hole] if arguments.hole in named else parse_hole(arguments.hole, shape)] = True
    return mask


def parse_hole(text, shape):
    """'10:20,0:28' -> (slice(10, 20), slice(0, 28))."""
    try:
        ranges = [tuple(int(end) for end in part.split(":")) for part in text.split(",")]
        (top, bottom), (left, right) = ranges
    except ValueError:
        raise common.UsageError(
            f"--hole {text!r}: give {', '.join(NAMED_HOLES)} or ROWS,COLUMNS such as 10:20,0:28"
        ) from None
    if not (0 <= top < bottom <= shape[0] and 0 <= left < right <= shape[1]):
        raise common.UsageError(f"--hole {text!r}: not inside an image of {shape[0]} x {shape[1]} pixels")
    return slice(top, bottom), slice(left, right)


def inpaint(arguments):
    common.check_outputs(arguments, "--out", "--npz")
    models.with_model(arguments, network=inpaint_by, classifier=inpaint_by_class)


def inpaint_by_class(arguments, classifier):
    """By the network of the class --digit."""
    inpaint_by(arguments, models.of_class(arguments, classifier, "fills in")[0])


def show(bar, done, most):
    """Progress on a bar; more than was said to be the most is not shown."""
    bar.total = most
    bar.update(done - bar.n)


def inpaint_by(arguments, fitted):
    """Fills in, writes and reports."""
    chosen, index = images_of.choose_images(arguments)
    if arguments.index >= len(chosen):
        raise DataError(f"--index {arguments.index}: there are {len(chosen)} images, 0 to {len(chosen) - 1}")
    image = images_of.images_for(arguments, fitted, chosen)[arguments.index]
    mask = read_mask(arguments, fitted.image_shape)
    temperature = 1 if arguments.temperature is None else arguments.temperature
    clock = common.Clock()
    names = common.renaming(n_sweeps="--sweeps", n_particles="--particles", temperature="--temperature", mask="--mask")
    bar = common.progress(None, arguments, None, "", "inpaint")
    with clock.part("inpaint"), warnings.catch_warnings(), names, contextlib.closing(bar):
        warnings.simplefilter("ignore", MixingWarning)  # said below with the names of this program's options
        result = fitted.inpaint(
            image, mask, arguments.n,
            n_sweeps=arguments.sweeps, n_particles=arguments.particles, temperature=temperature,
            random_state=arguments.seed, progress=functools.partial(show, bar),
        )  # fmt: skip
    common.assume(
        arguments, None if arguments.mask or arguments.hole != "bottom" else "the lower half is missing (--hole)"
    )
    common.tell_assumed(arguments)
    from ..inference.inpainting import ParticleReport
    from ..plots import pictures

    full_scale = fitted.binarization.full_scale
    shown = fitted.binarized_pictures(image[None])[0]
    picture = pictures.inpainting(shown, mask, result.samples, full_scale * result.mean, full_scale)
    pictures.save_png(picture, arguments.out)
    if arguments.npz:
        import numpy as np

        from ..io.files import atomic_write

        with atomic_write(arguments.npz) as file:
            np.savez_compressed(file, samples=result.samples, mean=result.mean, mask=mask)
    if arguments.json:
        common.print_json(
            {
                "image": chosen.names[arguments.index] if chosen.names else int(index[arguments.index]),
                "n_missing": int(mask.sum()),
                "n": arguments.n,
                "layers": len(fitted.network),
                "temperature": temperature,
                "seed": arguments.seed,
                "binarization": fitted.rule,
                "mixing": result.mixing.to_dict(),
                "picture": arguments.out,
                "npz": arguments.npz,
                "reading": chosen.report.to_dict(),
                "seconds": clock.seconds,
            }
        )
    else:
        print(f"{mask.sum()} missing pixels, {arguments.n} samples: {arguments.out}")
        if arguments.npz:
            print(f"also written: {arguments.npz}")
    by_particles = isinstance(result.mixing, ParticleReport)
    chains.say_mixing(arguments, result.mixing, "--particles" if by_particles else "--sweeps or --n")
