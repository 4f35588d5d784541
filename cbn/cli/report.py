# SPDX-License-Identifier: BSD-3-Clause
"""cbn-report: one HTML file that says what a model is, how it judges pictures, and which."""

import os

from . import _common as common
from . import _images as images_of
from . import _models as models

DEFAULT_REPORT = "report.html"
# Pictures of the gallery.
PICTURES = 200


def build_parser():
    from ._iem_data import add_synthetic

    parser = common.make_parser(
        "cbn-report",
        "Write a report as one HTML file that needs no network: what the model is and was trained on, scores of pictures\n"
        "with a threshold that can be moved, ROC curve, false alarms asked and found, a table by label or kind of defect,\n"
        "and a gallery with maps. For every kind of model. Needs jinja2 (pip install jinja2).",
        [
            "cbn-report model.cbn --out report.html              # after cbn-train --digit 2: the embedded test images",
            "cbn-report iem.cbn --data mvtec/screw               # a category: its test pictures, defects by folder",
            "cbn-report iem.cbn --data pictures/ --false-alarm-rate 0.01",
            "cbn-report model.cbn --data pictures/ --normal good,new",
            "cbn-report digits.cbn                               # a classifier: classes and errors",
        ],
    )
    common.add_model(parser)
    group = images_of.add_data(parser, "pictures to judge")
    images_of.add_choice(group)
    add_synthetic(group)
    group.add_argument("--n", type=common.integer(1, 2**40), metavar="N", help="only the first N pictures")
    group.add_argument(
        "--normal", metavar="LABEL,...",
        help="labels of normal pictures (default: the label that the model was trained on, or good)",
    )  # fmt: skip
    parser.add_argument(
        "--false-alarm-rate", type=common.rate, metavar="P",
        help="share of normal pictures that may be alarms (default: the model's)",
    )  # fmt: skip
    parser.add_argument(
        "--pictures", type=common.integer(0, 2000), default=PICTURES, metavar="N",
        help=f"pictures of the gallery at most; figures are of all (default: {PICTURES})",
    )  # fmt: skip
    parser.add_argument("--title", metavar="TEXT", help="title of the report (default: name of model and pictures)")
    parser.add_argument(
        "--out", default=DEFAULT_REPORT, metavar="FILE", help=f"HTML file to write (default: {DEFAULT_REPORT})"
    )
    parser.set_defaults(trained_on=False)
    return parser


def main(argv=None):
    return common.run("cbn-report", build_parser, report, argv)


def report(arguments):
    """Writes the report, and prints where it is."""
    result = write_report(arguments)
    if arguments.json:
        common.print_json(result)
        return
    n, n_shown = result["n"], result["n_shown"]
    judged = "no pictures judged" if n is None else f"{n:,} picture{'' if n == 1 else 's'} judged, {n_shown:,} shown"
    print(f"report           {result['report']}: {judged}, {result['bytes'] / 1e6:.2f} MB")


def write_report(arguments):
    """Writes the report; what --json says of it."""
    from ..report.page import check_engine, write_page

    check_engine()
    check_report(arguments, "--out")
    from . import _report_energy as of_energies
    from . import _report_network as of_networks

    clock = common.Clock()
    content = models.with_model(
        arguments, network=lambda *found: of_networks.network(*found, clock),
        classifier=lambda *found: of_networks.classifier(*found, clock),
        energy=lambda *found: of_energies.energy(*found, clock),
        gaussian=lambda *found: of_energies.energy(*found, clock),
    )  # fmt: skip
    common.tell_assumed(arguments)
    with clock.part("page"):
        n_bytes = write_page(content, arguments.out)
    scored = content.scored
    return {
        "report": arguments.out,
        "n": None if scored is None else len(scored.scores),
        "n_shown": len(content.shots),
        "n_alarms": None if scored is None else int(scored.alarms.sum()),
        "bytes": n_bytes,
        "seconds": clock.seconds,
        "model": arguments.model,
    }


def check_report(arguments, option, *others):
    """Refuses names of reports that cannot be, before any work is done; ``others`` are files that are written as well."""
    common.check_outputs(arguments, *others, option, picture=None)
    path = getattr(arguments, option.removeprefix("--"))
    if not path.lower().endswith((".html", ".htm")) and (os.path.isfile(path) or not os.path.exists(path)):
        raise common.UsageError(f"{option}: {path!r}; give a name that ends in .html")
