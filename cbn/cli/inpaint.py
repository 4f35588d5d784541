# SPDX-License-Identifier: BSD-3-Clause
"""cbn-inpaint: fill the missing pixels of images with posterior samples."""

import contextlib
import functools
import warnings

from ..exceptions import MixingWarning
from . import _arrays as arrays
from . import _chains as chains
from . import _common as common
from . import _images as images_of
from . import _models as models
from ._chosen import Index

NAMED_HOLES = ("top", "bottom", "left", "right", "centre")
# Images of a picture; arrays hold those that follow, too.
MOST_SHOWN = 50


def build_parser():
    parser = common.make_parser(
        "cbn-inpaint",
        "Fill missing pixels of one image or several: samples of the posterior given the known pixels, and its mean.\n"
        "What is filled into an image does not depend on the others. Of a classifier the network of the class --digit\n"
        "fills in.",
        [
            "cbn-inpaint --digit 2 --index 5                # lower half of the sixth test 2 -> inpainted.png",
            "cbn-inpaint --digit 2 --index 0:8              # of the first eight, one below the other",
            "cbn-inpaint --hole 10:20,0:28 --n 8 --sweeps 5000",
            "cbn-inpaint --data photos/ --index all --mask mask.npy --out filled.npy",
            "cbn-inpaint --model digits.cbn --digit 3       # by the network of that class",
        ],
    )
    common.add_model(parser)
    group = images_of.add_data(parser, "where the images are")
    images_of.add_choice(group, "; of a classifier the class whose network fills in, too")
    group.add_argument(
        "--index", type=Index, metavar="I",
        help="which image, by its number, or which images: 0:8 (the first eight), 0:8,12 or all (default: 0)",
    )  # fmt: skip
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
        "--n",
        type=common.integer(1, 10**5),
        default=16,
        metavar="N",
        help="samples to draw of each image (default: 16)",
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
        "--out", default="inpainted.png", metavar="FILE",
        help=f"file to write, which its ending tells: .png: a picture, of the first {MOST_SHOWN} images where there are more; "
        ".npy: the array of samples (n, h, w) uint8; .npz: that as 'samples', 'mean' (h, w) from 0 to 1, and 'mask' (h, w); "
        "samples and means of several images have these as their first axis (default: inpainted.png)",
    )  # fmt: skip
    parser.add_argument("--npz", metavar="FILE", help="write these arrays as well, beside a picture")
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
    common.check_outputs(arguments, "--out", "--npz", endings=arrays.ENDINGS)
    arrays.check_arrays(arguments)
    models.with_model(arguments, network=inpaint_by, classifier=inpaint_by_class)


def inpaint_by_class(arguments, classifier):
    """By the network of the class --digit."""
    inpaint_by(arguments, models.of_class(arguments, classifier, "fills in")[0])


def inpaint_by(arguments, fitted):
    """Fills in, writes and reports."""
    chosen, index = images_of.choose_images(arguments)
    which = arguments.index or Index("0")
    places = which.places(len(chosen))
    if arguments.index is None and len(chosen) > 1:
        common.assume(arguments, f"the first of {len(chosen):,} images (--index)")
    images = images_of.images_for(arguments, fitted, chosen)[places]
    names = [chosen.names[i] if chosen.names else int(index[i]) for i in places]
    mask = read_mask(arguments, fitted.image_shape)
    clock = common.Clock()
    with clock.part("inpaint"):
        results = fill(arguments, fitted, images, mask)
    common.assume(
        arguments, None if arguments.mask or arguments.hole != "bottom" else "the lower half is missing (--hole)"
    )
    common.tell_assumed(arguments)
    write(arguments, fitted, images, mask, results, which.is_one)
    if arguments.json:
        rows = [{"image": name, "mixing": result.mixing.to_dict()} for name, result in zip(names, results)]
        common.print_json(
            {
                **(rows[0] if which.is_one else {"images": rows}),
                "n_missing": int(mask.sum()),
                "n": arguments.n,
                "layers": len(fitted.network),
                "temperature": temperature_of(arguments),
                "seed": arguments.seed,
                "binarization": fitted.rule,
                **arrays.files_of(arguments),
                "reading": chosen.report.to_dict(),
                "seconds": clock.seconds,
            }
        )
    else:
        of = "" if which.is_one else f" of each of {len(images):,} images"
        print(f"{mask.sum()} missing pixels, {arguments.n} samples{of}: {arguments.out}")
        if arguments.npz:
            print(f"also written: {arguments.npz}")
    from ..inference.inpainting import ParticleReport

    by_particles = isinstance(results[0].mixing, ParticleReport)
    option = "--particles" if by_particles else "--sweeps or --n"
    chains.say_mixings(arguments, names, [result.mixing for result in results], option)


def temperature_of(arguments):
    return 1 if arguments.temperature is None else arguments.temperature


def show(bar, done, most):
    """Progress on a bar; more than was said to be the most is not shown."""
    bar.total = most
    bar.update(done - bar.n)


def fill(arguments, fitted, images, mask):
    """The Inpainting of every image; a bar shows the work for one, or how many of several are done."""
    names = common.renaming(n_sweeps="--sweeps", n_particles="--particles", temperature="--temperature", mask="--mask")
    is_one = len(images) == 1
    bar = common.progress(None, arguments, None if is_one else len(images), "" if is_one else "image", "inpaint")
    results = []
    with warnings.catch_warnings(), names, contextlib.closing(bar):
        warnings.simplefilter("ignore", MixingWarning)  # said later with the names of this program's options
        for image in images:
            results.append(
                fitted.inpaint(
                    image,
                    mask,
                    arguments.n,
                    n_sweeps=arguments.sweeps,
                    n_particles=arguments.particles,
                    temperature=temperature_of(arguments),
                    random_state=arguments.seed,
                    progress=functools.partial(show, bar) if is_one else None,
                )
            )
            if not is_one:
                bar.update(1)
    return results


def write(arguments, fitted, images, mask, results, is_one):
    """The files; of one image the arrays have no axis of images."""
    import numpy as np

    samples, means = [result.samples for result in results], [result.mean for result in results]
    filled = {
        "samples": samples[0] if is_one else np.stack(samples),
        "mean": means[0] if is_one else np.stack(means),
        "mask": mask,
    }
    for path in (arguments.out, arguments.npz):
        if path is not None and arrays.is_array_file(path):
            arrays.write_arrays(path, **filled)
    if not arrays.is_array_file(arguments.out):
        from ..plots.filled import inpaintings
        from ..plots.pictures import inpainting, save_png

        full_scale = fitted.binarization.full_scale
        shown = fitted.binarized_pictures(images[:MOST_SHOWN])
        drawn = [full_scale * mean for mean in means[:MOST_SHOWN]]
        if len(images) == 1:
            picture = inpainting(shown[0], mask, samples[0], drawn[0], full_scale)
        else:
            picture = inpaintings(shown, mask, samples[:MOST_SHOWN], drawn, full_scale)
        save_png(picture, arguments.out)
        if len(images) > MOST_SHOWN:
            common.say(
                arguments, f"{arguments.out} shows the first {MOST_SHOWN} images; --out filled.npz has all of them"
            )
