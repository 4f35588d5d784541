# SPDX-License-Identifier: BSD-3-Clause
"""The obstruction task: a part of test images is hidden and inpainted; how far is the posterior mean from the truth?

Error: mean of |posterior mean - truth| over the missing pixels, and the share of missing pixels that are wrong after
rounding. The baseline fills in the mean of the training images at each pixel, whatever is known of the image. Hidden layers
take part in the Gibbs sampling.

    python python/analysis/obstruction.py
    python python/analysis/obstruction.py --digit 8 --hole bottom --n 50 --sweeps 2000 --hidden-weight 0.1
"""

import argparse
import warnings

import numpy as np
import numpy.typing as npt

import cbn
from cbn.fit.presets import PRESETS
from cbn.plots import pictures

HOLES = {
    "square": np.s_[9:19, 9:19],
    "top": np.s_[:14, :],
    "bottom": np.s_[14:, :],
    "left": np.s_[:, :14],
    "right": np.s_[:, 14:],
}
SHOWN = 10  # test images in the picture
GREY = 128  # a missing pixel in the picture


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--digit", type=int, choices=range(10), default=2, help="digit (default: 2)")
    parser.add_argument(
        "--hole", choices=HOLES, default="square", help="missing part (default: square of 10 x 10 pixels)"
    )
    parser.add_argument(
        "--preset", choices=PRESETS, nargs="+", default=list(PRESETS), help="models to compare (default: all)"
    )
    parser.add_argument("--iterations", type=int, default=50, help="training steps of each hidden layer (default: 50)")
    parser.add_argument("--hidden-weight", type=float, default=1.0, help="weight of every hidden layer (default: 1)")
    parser.add_argument("--n", type=int, default=30, help="test images (default: 30)")
    parser.add_argument("--chains", type=int, default=16, help="Gibbs chains an image (default: 16)")
    parser.add_argument("--sweeps", type=int, default=400, help="proposals per missing pixel and chain (default: 400)")
    parser.add_argument("--seed", type=int, default=0, help="of kernels and chains (default: 0)")
    parser.add_argument("--out", default="obstruction.png", help="picture to write (default: obstruction.png)")
    arguments = parser.parse_args()
    for name, low in (("n", 1), ("chains", 1), ("sweeps", 8), ("hidden_weight", 0)):
        if getattr(arguments, name) < low:
            parser.error(f"--{name.replace('_', '-')} {getattr(arguments, name)}: give at least {low}")
    return arguments


def inpainted_means(
    model: "cbn.ConvolutionalBayesianNetwork",
    images: npt.NDArray[np.uint8],
    mask: npt.NDArray[np.bool_],
    arguments: argparse.Namespace,
) -> tuple[npt.NDArray[np.float64], float]:
    """(n, height, width) posterior means, and the share of images whose chains had mixed."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", cbn.MixingWarning)  # reported in the table
        results = [
            model.inpaint(image, mask, arguments.chains, n_sweeps=arguments.sweeps, random_state=arguments.seed)
            for image in images
        ]
    return np.stack([r.mean for r in results]), np.mean([r.mixing.mixed for r in results])


def main() -> None:
    arguments = parse_arguments()
    train, test = cbn.datasets.load_mnist()
    own = train.select(arguments.digit).images
    images = test.select(arguments.digit).images[: arguments.n]
    mask = np.zeros(images.shape[1:], bool)
    mask[HOLES[arguments.hole]] = True
    means, mixed = {"baseline": np.broadcast_to(own.mean(axis=0), images.shape)}, {}
    for preset in arguments.preset:
        features = PRESETS[preset].features.replaced(iterations=arguments.iterations)
        features.set_params(layer_weights=(1.0, *len(features.layers) * (arguments.hidden_weight,)))
        model = cbn.ConvolutionalBayesianNetwork(preset, features=features, random_state=arguments.seed).fit(own)
        means[preset], mixed[preset] = inpainted_means(model, images, mask, arguments)
    print(
        f"digit {arguments.digit}, {arguments.hole}: {mask.sum()} missing pixels in each of {len(images)} test images"
    )
    print(f"{'':10}{'|mean - truth|':>16}{'% wrong pixels':>16}{'% mixed':>10}")
    for name, mean in means.items():
        error = np.abs(mean - images)[:, mask]
        share = f"{100 * mixed[name]:10.0f}" if name in mixed else ""
        print(f"{name:10}{error.mean():16.4f}{100 * (error > 0.5).mean():16.2f}{share}")
    columns = [np.where(mask, GREY, 255 * images), 255 * images]
    columns += [np.where(mask, np.rint(255 * mean), 255 * images) for mean in means.values()]
    tiles = np.stack([column[:SHOWN] for column in columns], axis=1).astype(np.uint8)
    picture = pictures.grid(tiles.reshape(-1, *mask.shape), 255, columns=len(columns))
    pictures.save_png(picture, arguments.out)
    print(f"{arguments.out}: hole, truth, {', '.join(means)}")


if __name__ == "__main__":
    main()
