# SPDX-License-Identifier: BSD-3-Clause
"""cbn-sample: draw new images from a model."""

from . import _arrays as arrays
from . import _chains as chains
from . import _common as common
from . import _models as models

# Frames of an animation; the last one is the result.
GIF_FRAMES = 60


def build_parser():
    parser = common.make_parser(
        "cbn-sample",
        "Draw images from a model and write them as one picture, or as arrays. A classifier draws from the mixture of its classes:\n"
        "how many of each is drawn by their shares, and they stand in the order of classes; --digit draws from one.",
        [
            "cbn-sample --n 64                                   # model.cbn -> samples.png",
            "cbn-sample --method gibbs --steps 1000000 --gif chain.gif",
            "cbn-sample --method gibbs --temperature 4,0.25      # annealing towards the most probable images",
            "cbn-sample --n 1000 --out samples.npy --seed 7       # the images themselves, for NumPy",
            "cbn-sample --model digits.cbn --digit 3             # of one class of a classifier",
        ],
    )
    common.add_model(parser)
    parser.add_argument(
        "--n", type=common.integer(1, 10**6), default=64, metavar="N", help="images to draw (default: 64)"
    )
    parser.add_argument(
        "--digit", "--label", metavar="LABEL", help="of a classifier: the class to draw from ('all': every class)"
    )
    parser.add_argument(
        "--method",
        choices=("ancestral", "gibbs"),
        help="ancestral: exact and independent, from the pixel layer alone (default); gibbs: chains from random images "
        "through all layers (default with --gif)",
    )
    parser.add_argument(
        "--steps", type=common.integer(8, 2**62), metavar="N", help="Gibbs proposals per chain (default: 100000)"
    )
    chains.add_temperature(parser)
    parser.add_argument(
        "--out", default="samples.png", metavar="FILE",
        help="file to write, which its ending tells: .png: a picture; .npy: the array of images (n, height, width) uint8; .npz: "
        "that as 'images', of a classifier 'labels' too (default: samples.png)",
    )  # fmt: skip
    parser.add_argument("--gif", metavar="FILE", help="animation of the Gibbs chains")
    parser.add_argument(
        "--npz",
        metavar="FILE",
        help="write these arrays as well, beside a picture",
    )
    common.add_seed(parser)
    return parser


def main(argv=None):
    return common.run("cbn-sample", build_parser, sample, argv)


def sample(arguments):
    named = arguments.method
    arguments.method = named or ("gibbs" if arguments.gif else "ancestral")
    if arguments.method == "ancestral":
        if arguments.gif:
            raise common.UsageError("--gif shows a Gibbs chain: use --method gibbs, or leave --method out")
        for option, value in (("--steps", arguments.steps), ("--temperature", arguments.temperature)):
            if value is not None:
                raise common.UsageError(f"{option} is for --method gibbs")
    common.check_outputs(arguments, "--out", "--gif", "--npz", endings=arrays.ENDINGS)
    arrays.check_arrays(arguments)
    if not named:
        common.assume(arguments, f"{arguments.method} samples (--method)")
    models.with_model(arguments, network=sample_network, classifier=sample_classifier)


def sample_network(arguments, fitted):
    """Images of a network."""
    models.refuse_class(arguments)
    draw(arguments, fitted)


def sample_classifier(arguments, classifier):
    """Images of one class, or of all of them by their shares."""
    if arguments.digit not in (None, "all"):
        fitted, label = models.of_class(arguments, classifier, "to draw from")
        draw(arguments, fitted, label)
        return
    if arguments.method == "gibbs":
        models.of_class(arguments, classifier, "the chains are of")  # which refuses
    import numpy as np

    clock = common.Clock()
    sequence = np.random.SeedSequence(arguments.seed)
    seeds = sequence.generate_state(len(classifier.classes), np.uint64).tolist()
    counts = np.random.default_rng(sequence).multinomial(arguments.n, np.exp(classifier.log_prior)).tolist()
    with clock.part("sample"):
        drawn = [
            classifier.network(number).sample(n, random_state=seed)
            for number, (n, seed) in enumerate(zip(counts, seeds)) if n
        ]  # fmt: skip
    labels = np.repeat(classifier.classes, counts)
    write(arguments, classifier.network(0), np.concatenate(drawn), clock, labels=labels)


def draw(arguments, fitted, label=None):
    """Images of one network, by either method."""
    clock = common.Clock()
    mixing, frames = None, []
    with clock.part("sample"):
        if arguments.method == "ancestral":
            images = fitted.sample(arguments.n, random_state=arguments.seed)
        else:
            with common.renaming(method="--method", temperature="--temperature", n_steps="--steps"):
                images, mixing, frames = run_chains(arguments, fitted)
    labels = None if label is None else [label] * arguments.n
    write(arguments, fitted, images, clock, mixing, frames, labels)


def write(arguments, fitted, images, clock, mixing=None, frames=(), labels=None):
    """The files, and what is said about them."""
    common.tell_assumed(arguments)
    from ..plots import pictures

    full_scale, n_layers = fitted.binarization.full_scale, len(fitted.network)
    drawn = {"images": images, **({} if labels is None else {"labels": labels})}
    if arrays.is_array_file(arguments.out):
        arrays.write_arrays(arguments.out, **drawn)
    else:
        pictures.save_png(pictures.grid(images, full_scale), arguments.out)
    if arguments.gif:
        pictures.save_gif([pictures.grid(frame, full_scale) for frame in frames], arguments.gif)
    if arguments.npz:
        arrays.write_arrays(arguments.npz, **drawn)
    of_classes = {} if labels is None else {"labels": list(labels)}
    if arguments.json:
        common.print_json(
            {
                "n": arguments.n,
                "method": arguments.method,
                "layers": 1 if arguments.method == "ancestral" else n_layers,
                "temperature": 1.0 if arguments.temperature is None else arguments.temperature,
                "seed": arguments.seed,
                "image_shape": list(images.shape[1:]),
                "full_scale": full_scale,
                "binarization": fitted.rule,
                **arrays.files_of(arguments),
                "gif": arguments.gif,
                "mixing": None if mixing is None else mixing.to_dict(),
                **of_classes,
                "seconds": clock.seconds,
            }
        )
    else:
        source = ""
        if n_layers > 1 and arguments.method == "ancestral":
            source = " of the pixel layer alone (--method gibbs goes through the hidden layers too)"
        elif n_layers > 1:
            source = f" through all {n_layers} layers"
        elif labels is not None:
            source = f" of {common.counted(labels)}"
        print(f"{arguments.n} {arguments.method} samples{source}: {arguments.out}")
        for path in (arguments.gif, arguments.npz):
            if path:
                print(f"also written: {path}")
    if mixing is not None:
        chains.say_mixing(arguments, mixing, "--steps")


def run_chains(arguments, fitted):
    """Gibbs chains with a progress bar: (final images, MixingReport, frames for the animation)."""
    from ..fit.drawing import draws_of
    from ..inference.chains import Recorder

    n_steps = arguments.steps or 100_000
    n_draws = draws_of(arguments.n, n_steps)
    recorder = Recorder(n_draws)
    temperature = 1 if arguments.temperature is None else arguments.temperature
    gibbs = fitted.gibbs_chains(arguments.n, arguments.seed, temperature=temperature, n_steps=n_steps)
    frames = [gibbs.pictures()]
    every = max(1, n_draws // GIF_FRAMES)
    for draw_number, images in enumerate(
        common.progress(gibbs.run(n_steps, n_draws), arguments, n_draws, "draw", "Gibbs"), 1
    ):
        recorder.add(images)
        if arguments.gif and (draw_number % every == 0 or draw_number == n_draws):
            frames.append(images)
    return images, recorder.report(), frames
