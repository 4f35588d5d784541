# SPDX-License-Identifier: BSD-3-Clause
"""cbn-show: what a model looks like, what its kernels respond to, and how far its assumptions hold."""

from .. import datasets
from ..exceptions import CbnError, DataError
from ..fit.facts import describe
from ..plots import figures, pictures
from ..plots import model as summary
from . import _common as common

# Relations of a layer that are named without --relations.
FEW_RELATIONS = 3
RESPONSES = 8  # images of --responses
# Images over which the mean pixels of --responses are taken.
PATCH_IMAGES = 2000
MEANING = {
    "two_apart": "pixel ; earlier pixel two away | parents",
    "window": "node ; node below in its window | parents",
    "same_place": "kernel k' ; k at one place | parents of k'",
    "relation": "node ; parent (allowed for)",
}


def build_parser():
    parser = common.make_parser(
        "cbn-show",
        "Describe a model: sizes, layers, relations, learning curves, calibration, provenance; and draw it.",
        [
            "cbn-show                                         # model.cbn -> show.png",
            "cbn-show --model two.cbn --relations --json",
            "cbn-show --responses responses.png --digit 2 --n 12",
            "cbn-show --markov                                # measure the independence that the model assumes",
            "cbn-show --save-kernels kernels.npz",
            "cbn-show --export pixels.bif                     # the pixel layer for pyAgrum, bnlearn, ...",
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
    parser.add_argument("--save-kernels", metavar="FILE", help=".npz file to write with the kernels alone")
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
    group = common.add_data(parser, "images for --responses and --markov")
    common.add_choice(group)
    group.add_argument(
        "--n", type=common.integer(1, 2**40), metavar="N",
        help=f"only the first N images (default: {RESPONSES} for --responses, all for --markov)",
    )  # fmt: skip
    group.add_argument("--index", type=common.integer(0, 2**40), metavar="I", help="only this image, for --responses")
    return parser


def main(argv=None):
    return common.run("cbn-show", build_parser, show, argv)


def show(arguments):
    check_usage(arguments)
    common.check_outputs(arguments, "--out", "--responses", "--save-kernels", "--export")
    model = common.load_model(arguments.model).set_params(n_jobs=arguments.threads)
    for option, value in (("--responses", arguments.responses), ("--save-kernels", arguments.save_kernels)):
        if value is not None and not model.hidden_layers_:
            raise CbnError(f"{option}: {arguments.model!r} has no hidden layers; train with cbn-train --preset hidden")
    description = describe(model) | {"model": arguments.model, "picture": arguments.out}
    report = None
    if arguments.markov and description["cpd"] != "table":
        raise CbnError(f"--markov: measured for tables; {arguments.model!r} has trees")
    if arguments.markov:
        images, source = markov_images(arguments, model)
        report = model.markov_report(images)
        description["markov"] = {"source": source, **report.to_dict()}
    if arguments.responses is not None:
        description["responses"] = {"picture": arguments.responses, **draw_responses(arguments, model)}
    if arguments.save_kernels is not None:
        model.save_kernels(arguments.save_kernels)
        description["kernels"] = arguments.save_kernels
    if arguments.export is not None:
        model.export(arguments.export, layer=arguments.export_layer)
        description["export"] = arguments.export
    figures.model_summary_figure(summary.panels(model, report), arguments.out)
    if arguments.json:
        common.print_json(description)
        return
    print_model(description, model)
    for layer in description["hidden_layers"]:
        print_hidden(layer, arguments.relations, description["cpd"])
    if report is not None:
        print_markov(report, source)
    if arguments.responses is not None:
        found = description["responses"]
        n_shown = summary.count(len(found["images"]), "image")
        print(
            f"responses        {arguments.responses}: {n_shown} of {found['source']}, "
            f"mean pixels over {found['n_mean']:,} of them"
        )
    if arguments.save_kernels is not None:
        print(f"kernels          {arguments.save_kernels}")
    if arguments.export is not None:
        print(f"export           {arguments.export}: layer {arguments.export_layer}")
    print(f"picture          {arguments.out}")


def check_usage(arguments):
    """Options that choose images need something that reads them."""
    if arguments.index is not None and arguments.responses is None:
        raise common.UsageError("--index goes with --responses FILE")
    if arguments.responses is None and not arguments.markov:
        for name in ("data", "labels", "split", "digit", "n"):
            if getattr(arguments, name) is not None:
                raise common.UsageError(f"--{name} goes with --responses FILE or --markov")


def markov_images(arguments, model):
    """The images to measure on, as the model reads them, and what they are called."""
    if any(getattr(arguments, name) is not None for name in ("data", "labels", "split", "digit")):
        chosen, _ = common.choose_images(arguments)
        option = "--data"
    else:
        chosen, option = training_images(model), "--markov"
    return common.images_for(arguments, model, chosen, option)[: arguments.n], chosen.source


def training_images(model):
    """The embedded images that the model was trained on, by what it recorded of them."""
    source, label = model.provenance_.get("source"), model.provenance_.get("label")
    train, _ = datasets.load_mnist()
    if not isinstance(source, str) or not source.startswith(train.source):
        raise DataError(
            f"--markov: the model's training images ({source or 'not recorded'}) are not embedded; name them, "
            "as in --data PATH --split train --digit LABEL"
        )
    return train if label is None else train.select(label)


def draw_responses(arguments, model):
    """Writes the picture of --responses; what --json says of it."""
    from ..plots import responses

    chosen, index = common.choose_images(arguments)
    every = common.images_for(arguments, model, chosen)
    names = list(chosen.names or (str(i) for i in index))
    shown = slice(0, arguments.n or RESPONSES)
    if arguments.index is not None:
        if arguments.index >= len(every):
            raise DataError(f"--index {arguments.index}: there are {len(every)} images; give 0 to {len(every) - 1}")
        shown = slice(arguments.index, arguments.index + 1)
    images = every[shown]
    picture = responses.response_picture(
        model.binarized_pictures(images), names[shown], model.hidden_states(images),
        model.mean_patches(every[:PATCH_IMAGES]), model.layer_geometries()[1:], model.binarizer_.full_scale,
    )  # fmt: skip
    pictures.save_png(picture, arguments.responses)
    return {"images": names[shown], "source": chosen.source, "n_mean": len(every[:PATCH_IMAGES])}


def print_model(facts, model):
    height, width = model.image_shape_
    channels, n_hidden = model.layer_.channels, len(model.hidden_layers_)
    nodes = f"{height} x {width} pixels" + (f" x {channels} thresholds" if channels > 1 else "")
    hidden = f", {summary.count(n_hidden, 'hidden layer')}" if n_hidden else ""
    parents = " ".join(f"({dy},{dx})" for child, _, dy, dx in facts["relations"] if child == 0)
    pixels = "pixels alone: " if n_hidden else ""
    print(f"model            {facts['model']}, preset {model.preset}, {nodes}{hidden}")
    print(f"density          {pixels}{facts['density']['pixels']} ({model.binarization_})")
    if n_hidden:
        print(f"                 all layers together: {facts['density']['all_layers']}")
    print(f"trained on       {model.n_images_:,} images ({model.provenance_.get('source', 'source not recorded')})")
    lower = " and the lower threshold" if channels > 1 else ""
    if facts["cpd"] == "table":
        print(f"parents (dy,dx)  {parents or 'none'}{lower}")
    for number, trees in enumerate(facts["trees"]):
        kind = "trees" if facts["cpd"] == "tree" else "boosted trees"
        where = "pixels" if number == 0 else f"layer {number}"
        print(f"{kind:16} {where}: {trees_in_words(trees, facts['cpd'])}{lower if number == 0 else ''}")
    if facts["growth"]:
        print(f"grown with       {setting_in_words(facts['growth'])}")
    everywhere = " in all layers" if n_hidden else ""
    print(
        f"parameters       {facts['n_parameters']:,}{everywhere}, "
        + ("" if facts["pseudocount"] is None else f"pseudo-count {facts['pseudocount']:g}, ")
        + f"BIC {facts['bic']:,.0f}"
    )
    if n_hidden:
        weights = " ".join(f"{weight:g}" for weight in facts["layer_weights"])
        scales = " ".join(f"{scale:.3g}" for scale in facts["scales"][model.score_])
        print(f"layer weights    {weights}; factors of {model.score_}: {scales} (pixels first)")
    print(
        f"threshold        {model.score_} {model.offset_:.6g} at false-alarm rate {model.false_alarm_rate:g}, "
        f"from {len(model.calibration_scores_):,} {model.calibration_} scores"
    )
    print(f"heat maps        0 to {facts['heat_map_scale']:.3g} nats per pixel")


def trees_in_words(trees, cpd):
    """Sizes of the trees of a layer, and how far they look."""
    far = ""
    if trees["splits"]:
        far = f"; splits look {trees['mean_distance']:.1f} places far on average, {trees['largest_distance']} at most"
    several = f"{trees['trees_per_node']:.1f} trees and " if cpd == "boosted" else ""
    return (
        f"{several}{trees['leaves_per_node']:.1f} leaves a node, {trees['most_leaves']:,} at most; "
        f"{trees['largest_depth']} splits deep at most{far}"
    )


def setting_in_words(growth):
    """The arguments of growth, those of boosting one by one."""
    flat = {**growth, **growth.get("boosting", {})}
    return ", ".join(f"{name} {value:g}" for name, value in flat.items() if name != "boosting")


def print_hidden(layer, all_relations, cpd):
    channels, height, width = layer["shape"]
    below, size, field = layer["in_channels"], layer["kernel_size"], layer["receptive_field"]
    print(
        f"hidden layer {layer['layer']}   {channels} x {height} x {width} nodes: "
        f"{summary.count(channels, 'kernel')} of {below} x {size} x {size}, pooling {layer['pool']}"
    )
    print(
        f"  sees           {field} x {field} pixels, {layer['stride']} further for each place; "
        f"{'relations between' if cpd == 'table' else 'trees ask'} nodes {layer['distance']} places apart"
        f"{'' if cpd == 'table' else ' or more'}"
    )
    if cpd == "table":
        print_relations(layer["relations"], all_relations)
    if layer["n_iterations"] == 0 and cpd != "table":
        print("  training       none: kernels as they were drawn or given")
    else:
        print(
            f"  training       iteration {layer['kept_iteration']} of {layer['n_iterations']} kept: gain "
            f"{layer['gain_at_start']:.2f} -> {layer['gain']:.2f} nats per image (thesis eq. 8), "
            f"BIC {layer['bic_at_start']:,.0f} -> {layer['bic']:,.0f}{'' if cpd == 'table' else ' with tables'}"
        )
    print(f"  active nodes   {' '.join(f'{share:.0%}' for share in layer['activation'])}")


def print_relations(relations, all_relations):
    shown = relations if all_relations else relations[:FEW_RELATIONS]
    named = [f"kernel {child} <- {parent} at ({dy},{dx}) {change:,.0f}" for child, parent, dy, dx, change in shown]
    if all_relations:
        print(f"  relations      {len(relations)}, with their change of the BIC:")
        for line in named:
            print(f"                 {line}")
    else:
        few = f"; of most BIC: {'; '.join(named)}" if named else ""
        print(f"  relations      {len(relations)}{few}")


def print_markov(report, source):
    from ..explain.markov import FALSE_DISCOVERY_RATE

    print(
        f"local Markov     mutual information in nats on {report.n_images:,} images ({source}); "
        "0 where the model is right"
    )
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
