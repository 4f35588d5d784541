# SPDX-License-Identifier: BSD-3-Clause
"""cbn-show: what a model looks like, what its kernels respond to, and how far its assumptions hold."""

from . import _common as common
from . import _images as images_of
from . import _models as models

# Options that ask for what networks alone have, and those that choose images for some of them.
OF_NETWORKS = ("relations", "responses", "markov", "save_kernels", "export")
OF_IMAGES = ("data", "labels", "split", "n", "index")


def build_parser():
    parser = common.make_parser(
        "cbn-show",
        "Describe a model of any kind: sizes, layers, relations, learning curves, calibration, provenance; and draw\n"
        "it. Of a classifier --digit shows the network of one class.",
        [
            "cbn-show                                         # model.cbn -> show.png",
            "cbn-show --model two.cbn --relations --json",
            "cbn-show --responses responses.png --digit 2 --n 12",
            "cbn-show --markov                                # measure the independence that the model assumes",
            "cbn-show --save-kernels kernels.npz",
            "cbn-show --save-config train.toml                # and cbn-train --config train.toml makes the same model",
            "cbn-show --export pixels.bif                     # the pixel layer for pyAgrum, bnlearn, ...",
            "cbn-show digits.cbn --digit 3                    # one class of a classifier",
            "cbn-show iem.cbn                                 # an introspective energy model",
        ],
    )
    common.add_model(parser)
    parser.add_argument("--out", default="show.png", metavar="FILE", help="picture to write (default: show.png)")
    parser.add_argument(
        "--relations", action="store_true", help="list all relations of hidden layers, with their BIC change"
    )
    parser.add_argument(
        "--responses", metavar="FILE", help="picture to write: states of all hidden nodes for the images named below"
    )
    parser.add_argument(
        "--markov",
        action="store_true",
        help="measure how far nodes are from independent of what the model says they are independent of, on the images "
        "named below (default: the embedded training images of the model)",
    )
    parser.add_argument("--save-kernels", metavar="FILE", help="write the kernels alone (.npz)")
    parser.add_argument(
        "--save-config", metavar="FILE",
        help="write the options of the command that made the model (.toml), as --config of that program reads them",
    )  # fmt: skip
    parser.add_argument(
        "--export", metavar="FILE", help="write a layer's network for other programs: .bif, .xmlbif or .uai"
    )
    parser.add_argument(
        "--export-layer",
        type=common.integer(0, 64),
        default=0,
        metavar="N",
        help="layer of --export (default: 0, pixels)",
    )
    group = images_of.add_data(parser, "images for --responses and --markov")
    images_of.add_choice(group, "; of a classifier the class to show")
    group.add_argument(
        "--n", type=common.integer(1, 2**40), metavar="N",
        help=f"only the first N images (default: {images_of.RESPONSES} for --responses, all for --markov)",
    )  # fmt: skip
    group.add_argument("--index", type=common.integer(0, 2**40), metavar="I", help="only this image, for --responses")
    return parser


def main(argv=None):
    return common.run("cbn-show", build_parser, show, argv)


def show(arguments):
    check_usage(arguments)
    common.check_outputs(arguments, "--out", "--responses", "--save-kernels", "--save-config", "--export")
    models.with_model(
        arguments, network=show_network, classifier=show_classifier, energy=show_energy, gaussian=show_gaussian
    )


def check_usage(arguments):
    """Options that choose images need something that reads them."""
    if arguments.index is not None and arguments.responses is None:
        raise common.UsageError("--index goes with --responses FILE")
    if arguments.responses is None and not arguments.markov:
        for name in OF_IMAGES:
            if getattr(arguments, name) is not None:
                raise common.UsageError(f"--{name} goes with --responses FILE or --markov")


def show_network(arguments, fitted):
    if arguments.responses is None and not arguments.markov and arguments.digit is not None:
        raise common.UsageError("--digit goes with --responses FILE or --markov, or with a classifier")
    from ._show_network import show_fitted

    show_fitted(arguments, fitted)


def show_classifier(arguments, classifier):
    """All classes, or the network of one."""
    if arguments.digit not in (None, images_of.ALL):
        from ._show_network import show_fitted

        show_fitted(arguments, models.of_class(arguments, classifier, "is shown")[0])
        return
    refuse(arguments, "a classifier; give --digit LABEL for the network of one class, or leave it out")
    from ._show_classifier import show_classes

    show_classes(arguments, classifier)


def show_energy(arguments, fitted):
    refuse_what_networks_have(arguments)
    from ._show_energy import show_fitted

    show_fitted(arguments, fitted)


def show_gaussian(arguments, fitted):
    refuse_what_networks_have(arguments)
    from ._show_gaussian import show_fitted

    show_fitted(arguments, fitted)


def refuse_what_networks_have(arguments):
    refuse(arguments, "an introspective energy model; leave it out")
    if arguments.digit is not None:
        raise common.UsageError(f"--digit: {arguments.model!r} is an introspective energy model; leave it out")


def refuse(arguments, what):
    """Refuses options that are for networks."""
    for name in OF_NETWORKS:
        if getattr(arguments, name):
            raise common.UsageError(f"--{name.replace('_', '-')}: is for a network; {arguments.model!r} is {what}")
