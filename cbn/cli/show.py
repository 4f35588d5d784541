# SPDX-License-Identifier: BSD-3-Clause
"""cbn-show: what a model looks like, in words and as a picture."""

from .. import figures
from . import _common as common


def build_parser():
    parser = common.make_parser(
        "cbn-show",
        "Describe a model: sizes, relations, calibration, provenance; and draw it.",
        ["cbn-show                       # model.cbn -> show.png", "cbn-show --model two.cbn --json"],
    )
    common.add_model(parser)
    parser.add_argument("--out", default="show.png", metavar="FILE", help="picture to write (default: show.png)")
    return parser


def main(argv=None):
    return common.run("cbn-show", build_parser, show, argv)


def show(arguments):
    common.check_outputs(arguments, "--out")
    model = common.load_model(arguments.model).set_params(n_jobs=arguments.threads)
    log_likelihood, n_parameters, bic = model.bic_terms()
    description = {
        "preset": model.preset,
        "image_shape": list(model.image_shape_),
        "binarization": model.binarization_,
        "n_images": model.n_images_,
        "pseudocount": model._network.pixels.pseudocount,
        "relations": [[r.child, r.parent, r.dy, r.dx] for r in model.layer_.relations],
        "n_parameters": n_parameters,
        "log_likelihood": log_likelihood,
        "bic": bic,
        "score": model.score_,
        "calibration": model.calibration_,
        "n_calibration": len(model.calibration_scores_),
        "threshold": model.offset_,
        "false_alarm_rate": model.false_alarm_rate,
        "heat_map_scale": model.heat_map_scale(),
        "provenance": model.provenance_,
        "model": arguments.model,
        "picture": arguments.out,
    }
    figures.model_summary_figure(panels(model), arguments.out)
    if arguments.json:
        common.print_json(description)
        return
    height, width = model.image_shape_
    channels = model.layer_.channels
    nodes = f"{height} x {width} pixels" + (f" x {channels} thresholds" if channels > 1 else "")
    parents = " ".join(f"({r.dy},{r.dx})" for r in model.layer_.parents(0))
    print(f"model            {arguments.model}, preset {model.preset}, {nodes}")
    print(f"density          normalized over the binarized images ({model.binarization_})")
    print(f"trained on       {model.n_images_:,} images ({model.provenance_.get('source', 'source not recorded')})")
    print(f"parents (dy,dx)  {parents or 'none'}{' and the lower threshold' if channels > 1 else ''}")
    print(f"parameters       {n_parameters:,}, pseudo-count {model._network.pixels.pseudocount:g}, BIC {bic:,.0f}")
    print(
        f"threshold        {model.score_} {model.offset_:.6g} at false-alarm rate {model.false_alarm_rate:g}, "
        f"from {len(model.calibration_scores_):,} {model.calibration_} scores"
    )
    print(f"heat maps        0 to {description['heat_map_scale']:.3g} nats per pixel")
    print(f"picture          {arguments.out}")


def panels(model):
    """Marginal probability and expected surprise per channel, and the relations."""
    probability, nats = model.node_statistics()
    drawn = []
    for c, threshold in enumerate(model.binarizer_.thresholds):
        name = "" if model.layer_.channels == 1 else f", threshold {threshold:g}"
        drawn.append((f"share of ones{name}", probability[c], "probability", 0.0, 1.0))
        drawn.append((f"unpredictability{name}", nats[c], "mean -log p in training, nats", 0.0, None))
    relations = [(r.child, r.parent, r.dy, r.dx) for r in model.layer_.relations]
    return [*drawn, figures.relation_panel(relations, "parents of a pixel")]
