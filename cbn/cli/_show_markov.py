# SPDX-License-Identifier: BSD-3-Clause
"""cbn-show --markov: on which images the local Markov property is measured, and what was found."""

from ..exceptions import DataError
from . import _images as images_of

MEANING = {
    "two_apart": "pixel ; earlier pixel two away | parents",
    "window": "node ; node below in its window | parents",
    "same_place": "kernel k' ; k at one place | parents of k'",
    "relation": "node ; parent (allowed for)",
}


def markov_images(arguments, fitted):
    """The images to measure on, as the model reads them, and the ImageSet that they are from."""
    if any(getattr(arguments, name) is not None for name in ("data", "labels", "split", "digit")):
        chosen, _ = images_of.choose_images(arguments)
        option = "--data"
    else:
        chosen, option = training_images(fitted), "--markov"
    return images_of.images_for(arguments, fitted, chosen, option)[: arguments.n], chosen


def training_images(fitted):
    """The embedded images that the model was trained on, by what it recorded of them."""
    from ..datasets.mnist import EmbeddedMnist

    source, label = fitted.provenance.get("source"), fitted.provenance.get("label")
    if not isinstance(source, str) or not source.startswith("MNIST train (embedded)"):
        raise DataError(
            f"--markov: the model's training images ({source or 'not recorded'}) are not embedded; name them, "
            "as in --data PATH --split train --digit LABEL"
        )
    return EmbeddedMnist().part("train", label)


def print_markov(report, source):
    from ..explain.markov import FALSE_DISCOVERY_RATE

    print(
        f"local Markov     mutual information in nats on {report.n_images:,} images ({source}); "
        "0 where the model is right"
    )
    if not report.groups:
        print("                 no two nodes of which the model says that they are independent")
        return
    print(f"  {'':44}     pairs    mean  largest  dependent   if independent: mean, largest")
    for group in report.groups:
        facts = group.to_dict(1)
        print(
            f"  {group.layer}: {MEANING[group.kind]:44}{facts['n_pairs']:8,} {facts['mean']:z8.4f} "
            f"{facts['largest'][0]['nats']:8.4f} {facts['share_dependent']:9.1%}   "
            f"{facts['shuffled_mean']:z16.4f} {facts['shuffled_largest']:8.4f}"
        )
    print(
        f"  dependent: independence rejected at a false-discovery rate of {FALSE_DISCOVERY_RATE:.0%} "
        "(chi-square by table row; Benjamini-Yekutieli)"
    )
    for group in report.groups:
        node, other, nats = group.largest(1)[0]
        print(f"  largest        {node_name(node)} ; {node_name(other)}: {nats:.4f}")
    for total in report.totals:
        print(
            f"  layer {total.layer} adds {total.repeated:.1f} nats per image of -log p for nodes that pixels decide; "
            f"at least {total.same_place:.1f} repeat another kernel at the same place"
        )


def node_name(node):
    layer, channel, row, column = node
    if layer == 0:
        return f"pixel ({row}, {column})" + (f" threshold {channel}" if channel else "")
    return f"layer {layer} kernel {channel} at ({row}, {column})"
