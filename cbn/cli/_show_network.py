# SPDX-License-Identifier: BSD-3-Clause
"""cbn-show for a network: its facts, its picture, the responses of its kernels, and what else it is asked for."""

from ..exceptions import CbnError, DataError
from ..fit.facts import describe
from ..plots import figures, pictures
from ..plots import model as summary
from . import _common as common
from . import _images as images_of
from ._fields import as_option
from ._show_command import print_command, told_of_command
from ._show_markov import markov_images, print_markov
from ._too_few import threshold_line

# Relations of a layer that are named without --relations.
FEW_RELATIONS = 3
# Images over which the mean pixels of --responses are taken.
PATCH_IMAGES = 2000


def show_fitted(arguments, fitted):
    """Everything that the options ask for."""
    for option, value in (("--responses", arguments.responses), ("--save-kernels", arguments.save_kernels)):
        if value is not None and not fitted.hidden_layers:
            raise CbnError(f"{option}: {arguments.model!r} has no hidden layers; train with cbn-train --preset hidden")
    pixels = fitted.network.pixels
    description = describe(fitted) | {"kind": "network", "model": arguments.model, "picture": arguments.out}
    description |= told_of_command(arguments, fitted)
    report = None
    if arguments.markov:
        if pixels.tied_relations is None:
            raise CbnError(
                f"--markov: measured where parents are the same everywhere, as for tables; {arguments.model!r} has "
                f"{pixels.nouns}"
            )
        images, measured = markov_images(arguments, fitted)
        report, source = fitted.markov_report(images), measured.source
        description["markov"] = {"source": source, **report.to_dict()}
        description["reading"] = measured.report.to_dict()
    if arguments.responses is not None:
        found, shown = draw_responses(arguments, fitted)
        description["responses"] = {"picture": arguments.responses, **found}
        description["reading"] = shown.report.to_dict()
    if arguments.save_kernels is not None:
        fitted.save_kernels(arguments.save_kernels)
        description["kernels"] = arguments.save_kernels
    if arguments.export is not None:
        with common.renaming(layer="--export-layer", path="--export", export="--export"):
            fitted.export(arguments.export, layer=arguments.export_layer)
        description["export"] = arguments.export
    figures.model_summary_figure(summary.panels(fitted, report), arguments.out)
    if arguments.json:
        common.print_json(description)
        return
    print_network(description, fitted)
    for layer, network in zip(description["hidden_layers"], fitted.network.networks[1:]):
        print_hidden(layer, arguments.relations, network.tied_relations is not None)
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
    print_command(description)
    print(f"picture          {arguments.out}")


def draw_responses(arguments, fitted):
    """Writes the picture of --responses; what --json says of it, and the ImageSet that was read."""
    from ..plots import responses

    chosen, index = images_of.choose_images(arguments)
    every = images_of.images_for(arguments, fitted, chosen)
    names = list(chosen.names or (str(i) for i in index))
    shown = slice(0, arguments.n or images_of.RESPONSES)
    if arguments.index is not None:
        if arguments.index >= len(every):
            raise DataError(f"--index {arguments.index}: there are {len(every)} images; give 0 to {len(every) - 1}")
        shown = slice(arguments.index, arguments.index + 1)
    images = every[shown]
    picture = responses.response_picture(
        fitted.binarized_pictures(images), names[shown], fitted.hidden_states(images),
        fitted.mean_patches(every[:PATCH_IMAGES]), fitted.layer_geometries()[1:], fitted.binarization.full_scale,
    )  # fmt: skip
    pictures.save_png(picture, arguments.responses)
    return {"images": names[shown], "source": chosen.source, "n_mean": len(every[:PATCH_IMAGES])}, chosen


def print_network(facts, fitted):
    height, width = fitted.image_shape
    pixel_network, settings, calibration = fitted.network.pixels, fitted.settings, fitted.calibration
    channels, n_hidden = pixel_network.layer.channels, len(fitted.hidden_layers)
    nodes = f"{height} x {width} pixels" + (f" x {channels} thresholds" if channels > 1 else "")
    hidden = f", {summary.count(n_hidden, 'hidden layer')}" if n_hidden else ""
    parents = " ".join(f"({dy},{dx})" for child, _, dy, dx in facts["relations"] if child == 0)
    pixels = "pixels alone: " if n_hidden else ""
    print(f"model            {facts['model']}, preset {settings.preset}, {nodes}{hidden}")
    print(f"density          {pixels}{facts['density']['pixels']} ({fitted.rule})")
    if n_hidden:
        print(f"                 all layers together: {facts['density']['all_layers']}")
    print(f"trained on       {fitted.n_images:,} images ({fitted.provenance.get('source', 'source not recorded')})")
    lower = " and the lower threshold" if channels > 1 else ""
    if pixel_network.tied_relations is not None:
        print(f"parents (dy,dx)  {parents or 'none'}{lower}")
    for number, trees in enumerate(facts["trees"]):
        where = "pixels" if number == 0 else f"layer {number}"
        print(f"{pixel_network.nouns:16} {where}: {trees_in_words(trees)}{lower if number == 0 else ''}")
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
        scales = " ".join(f"{scale:.3g}" for scale in facts["scales"][settings.score])
        print(
            f"layer weights    {weights}; factors of {settings.score}: {scales} (pixels first"
            + (", contrast last)" if settings.score == "contrast" else ")")
        )
    if facts["contrast"] is not None:
        print(f"contrast         {setting_in_words(facts['contrast'])}")
    shown, n = f"{settings.score} {calibration.offset:.6g} ({common.SCORE})", len(calibration.scores)
    print(threshold_line(shown, n, calibration.source, settings.false_alarm_rate, calibration.decides))
    print(f"heat maps        0 to {facts['heat_map_scale']:.3g} nats per pixel")


def trees_in_words(trees):
    """Sizes of the trees of a layer, and how far they look, or what they ask."""
    if "asked" in trees:
        asked, n = trees["asked"], max(1, sum(trees["asked"].values()))
        shares = ", ".join(f"{name} {100 * part / n:.0f} %" for name, part in asked.items() if part)
        own = trees["trees_of_single_pixels"]
        corrected = f"; and {own:,} that correct single pixels" if own else ""
        return f"{trees['trees']:,} that all pixels share, {trees['leaves']:,} leaves; they ask {shares}{corrected}"
    far = ""
    if trees["splits"]:
        far = f"; splits look {trees['mean_distance']:.1f} places far on average, {trees['largest_distance']} at most"
    several = f"{trees['trees_per_node']:.1f} trees and " if trees["trees_per_node"] != 1 else ""
    return (
        f"{several}{trees['leaves_per_node']:.1f} leaves a node, {trees['most_leaves']:,} at most; "
        f"{trees['largest_depth']} splits deep at most{far}"
    )


def setting_in_words(growth):
    """The parameters of growth, those of a part of it one by one."""
    flat = {}
    for name, value in growth.items():
        flat |= value if isinstance(value, dict) else {name: value}
    return ", ".join(f"{name} {as_option(value)}" for name, value in flat.items())


def print_hidden(layer, all_relations, related):
    """``related``: its nodes have the relations that a search found as parents."""
    channels, height, width = layer["shape"]
    below, size, field = layer["in_channels"], layer["kernel_size"], layer["receptive_field"]
    print(
        f"hidden layer {layer['layer']}   {channels} x {height} x {width} nodes: "
        f"{summary.count(channels, 'kernel')} of {below} x {size} x {size}, pooling {layer['pool']}"
    )
    print(
        f"  sees           {field} x {field} pixels, {layer['stride']} further for each place; "
        f"{'relations between' if related else 'trees ask'} nodes {layer['distance']} places apart"
        f"{'' if related else ' or more'}"
    )
    if related:
        print_relations(layer["relations"], all_relations)
    if layer["n_iterations"] == 0 and not related:
        print("  training       none: kernels as they were drawn or given")
    else:
        print(
            f"  training       iteration {layer['kept_iteration']} of {layer['n_iterations']} kept: gain "
            f"{layer['gain_at_start']:.2f} -> {layer['gain']:.2f} nats per image (thesis eq. 8), "
            f"BIC {layer['bic_at_start']:,.0f} -> {layer['bic']:,.0f}{'' if related else ' with tables'}"
        )
    print(f"  active nodes   {' '.join(f'{share:.0%}' for share in layer['activation'])}")


def print_relations(relations, all_relations):
    shown = relations if all_relations else relations[:FEW_RELATIONS]
    named = [f"kernel {child} <- {parent} at ({dy},{dx}) {change:,.0f}" for child, parent, dy, dx, change in shown]
    if all_relations and relations:
        print(f"  relations      {len(relations)}, with their change of the BIC:")
        for line in named:
            print(f"                 {line}")
    else:
        few = f"; of most BIC: {'; '.join(named)}" if named else ""
        print(f"  relations      {len(relations)}{few}")
