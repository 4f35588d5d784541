# SPDX-License-Identifier: BSD-3-Clause
"""cbn-sample: draw new images from a model."""

import numpy as np

from ..io.files import atomic_write
from ..plots import pictures
from . import _chains as chains
from . import _common as common

# Frames of an animation; the last one is the result.
GIF_FRAMES = 60


def build_parser():
    parser = common.make_parser(
        "cbn-sample",
        "Draw images from a model and write them as one picture.",
        [
            "cbn-sample --n 64                                   # model.cbn -> samples.png",
            "cbn-sample --method gibbs --steps 1000000 --gif chain.gif",
            "cbn-sample --method gibbs --temperature 4,0.25      # annealing towards the most probable images",
            "cbn-sample --n 1000 --npz samples.npz --seed 7",
        ],
    )
    common.add_model(parser)
    parser.add_argument("--n", type=common.integer(1, 10**6), default=64, metavar="N", help="images (default: 64)")
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
    parser.add_argument("--out", default="samples.png", metavar="FILE", help="picture to write (default: samples.png)")
    parser.add_argument("--gif", metavar="FILE", help="animation of the Gibbs chains")
    parser.add_argument("--npz", metavar="FILE", help="raw samples: array 'images' (n, height, width) uint8")
    common.add_seed(parser)
    return parser


def main(argv=None):
    return common.run("cbn-sample", build_parser, sample, argv)


def sample(arguments):
    method = arguments.method or ("gibbs" if arguments.gif else "ancestral")
    if method == "ancestral" and arguments.gif:
        raise common.UsageError("--gif shows a Gibbs chain: use --method gibbs, or leave --method out")
    if method == "ancestral" and arguments.steps is not None:
        raise common.UsageError("--steps is for --method gibbs")
    if method == "ancestral" and arguments.temperature is not None:
        raise common.UsageError("--temperature is for --method gibbs")
    common.check_outputs(arguments, "--out", "--gif", "--npz")
    model = common.load_model(arguments.model).set_params(n_jobs=arguments.threads)
    n_layers = 1 + len(model.hidden_layers_)
    clock = common.Clock()
    mixing, frames = None, []
    with clock.part("sample"):
        if method == "ancestral":
            images = model.sample(arguments.n, random_state=arguments.seed)
        else:
            images, mixing, frames = run_chains(arguments, model)
    full_scale = model.binarizer_.full_scale
    pictures.save_png(pictures.grid(images, full_scale), arguments.out)
    if arguments.gif:
        pictures.save_gif([pictures.grid(frame, full_scale) for frame in frames], arguments.gif)
    if arguments.npz:
        with atomic_write(arguments.npz) as file:
            np.savez_compressed(file, images=images)
    if arguments.json:
        common.print_json(
            {
                "n": arguments.n,
                "method": method,
                "layers": 1 if method == "ancestral" else n_layers,
                "temperature": 1.0 if arguments.temperature is None else arguments.temperature,
                "seed": arguments.seed,
                "image_shape": list(images.shape[1:]),
                "full_scale": full_scale,
                "binarization": model.binarization_,
                "picture": arguments.out,
                "gif": arguments.gif,
                "npz": arguments.npz,
                "mixing": None if mixing is None else mixing.to_dict(),
                "seconds": clock.seconds,
            }
        )
    else:
        source = ""
        if n_layers > 1 and method == "ancestral":
            source = " of the pixel layer alone (--method gibbs goes through the hidden layers too)"
        elif n_layers > 1:
            source = f" through all {n_layers} layers"
        print(f"{arguments.n} {method} samples{source}: {arguments.out}")
        for path in (arguments.gif, arguments.npz):
            if path:
                print(f"also written: {path}")
    if mixing is not None:
        chains.say_mixing(arguments, mixing, "--steps")


def run_chains(arguments, model):
    """Gibbs chains with a progress bar: (final images, MixingReport, frames for the animation)."""
    from ..estimators.drawing import draws_of
    from ..inference.chains import Recorder

    n_steps = arguments.steps or 100_000
    n_draws = draws_of(arguments.n, n_steps)
    recorder = Recorder(n_draws)
    temperature = 1 if arguments.temperature is None else arguments.temperature
    gibbs = model.gibbs_chains(arguments.n, arguments.seed, temperature=temperature, n_steps=n_steps)
    frames = [gibbs.pictures()]
    every = max(1, n_draws // GIF_FRAMES)
    for draw, images in enumerate(common.progress(gibbs.run(n_steps, n_draws), arguments, n_draws, "draw", "Gibbs"), 1):
        recorder.add(images)
        if arguments.gif and (draw % every == 0 or draw == n_draws):
            frames.append(images)
    return images, recorder.report(), frames
