# SPDX-License-Identifier: BSD-3-Clause
"""Options of cbn-train that name constructor arguments of the network, and the network that they make."""

import dataclasses
import inspect
import re

from ..cpd.boostedlayer import Boosting
from ..cpd.grid import MAX_SEARCH_PARENTS
from ..cpd.treelayer import MAX_LEAVES
from ..fit.presets import COMMON, CPDS, OF_CPD, PRESETS
from ..layers.kernels import INITIALIZATIONS, load_kernels
from . import _common as common

# Options without which there is nothing for them to act on: hidden layers.
_NEED_HIDDEN_LAYERS = {
    "iterations": "--iterations",
    "learning_rate": "--learning-rate",
    "momentum": "--momentum",
    "max_parents": "--max-parents",
    "initialization": "--initialization",
    "activation": "--activation",
    "replace_worst": "--replace-worst",
    "normalize_kernels": "--no-normalize-kernels",
    "keep_activation": "--no-keep-activation",
    "kernels": "--kernels",
    "layer_weights": "--layer-weights",
    "forced_relations": "--force-relation",
    "forbidden_relations": "--forbid-relation",
    "save_kernels": "--save-kernels",
    "resume": "--resume",
}
# Options whose value may begin with a dash and a digit, which argparse takes for an option.
_SIGNED = ("--threshold", "--offsets", "--hidden", "--layer-weights", "--activation", "--force-relation",
           "--forbid-relation")  # fmt: skip


def add_model_options(parser):
    """The groups "model" and "hidden layers"."""
    parser.default_text = default_text
    model = parser.add_argument_group("model")
    model.add_argument(
        "--preset",
        default="pixel",
        help=f"{' or '.join(PRESETS)}: names the defaults of the options below (default: pixel)",
    )
    model.add_argument(
        "--threshold",
        metavar="T[,T...]",
        help="binarization: 1 where value > T x full scale; auto: by the images (default: {default})",
    )
    model.add_argument(
        "--cpd",
        choices=CPDS,
        help="how a node depends on others: a table, a tree, or a sum of trees (default: {default})",
    )
    model.add_argument(
        "--offsets", metavar="DY,DX;...", help="tables: parents of a pixel (default: -1,-1;-1,0;-1,1;0,-1)"
    )
    model.add_argument("--pseudocount", type=float, metavar="X", help="added to every count (default: 1)")
    model.add_argument("--score", help="log_probability, surprise, standardized or normalized (default: {default})")
    model.add_argument("--false-alarm-rate", type=common.rate, default=0.01, metavar="P", help="default: 0.01")
    model.add_argument(
        "--shift",
        type=common.integer(0, 8),
        metavar="N",
        help="train also on copies moved by up to N pixels, (2N+1)^2 images in place of one (default: {default})",
    )
    _add_tree_options(parser.add_argument_group("trees", "For --preset tree, boosted or best, or with --cpd."))
    hidden = parser.add_argument_group("hidden layers", "For --preset hidden or best, or with --hidden.")
    hidden.add_argument(
        "--hidden",
        metavar="KERNELS,SIZE,POOL;...",
        help="kernels, their side and the pooling of every layer, the lowest first (default: {default})",
    )
    hidden.add_argument(
        "--iterations",
        type=common.integer(0, 10**6),
        metavar="N",
        help="training steps of every layer (default: {default}); 0 keeps the kernels that it begins with",
    )
    hidden.add_argument("--learning-rate", type=float, metavar="X", help="of the kernel steps (default: {default})")
    hidden.add_argument("--momentum", type=float, metavar="X", help="of the kernel steps, below 1 (default: {default})")
    hidden.add_argument(
        "--max-parents",
        type=common.integer(0, MAX_SEARCH_PARENTS),
        metavar="N",
        help="relations that are searched for a kernel, at most (default: {default})",
    )
    hidden.add_argument(
        "--initialization", choices=INITIALIZATIONS, help="how kernels are drawn at the start (default: {default})"
    )
    hidden.add_argument(
        "--activation",
        metavar="LOW,HIGH",
        help="range of the share of active nodes of a drawn kernel (default: {default})",
    )
    hidden.add_argument(
        "--replace-worst",
        type=common.integer(0, 10**6),
        metavar="N",
        help="how many times the kernel that gains least is replaced by a new one (default: {default})",
    )
    hidden.add_argument(
        "--no-normalize-kernels", dest="normalize_kernels", action="store_const", const=False,
        help="let the norm of kernels grow",
    )  # fmt: skip
    hidden.add_argument(
        "--no-keep-activation", dest="keep_activation", action="store_const", const=False,
        help="let the share of active nodes of a kernel drift",
    )  # fmt: skip
    hidden.add_argument(
        "--kernels",
        metavar="FILE",
        help="kernels to start from, written by --save-kernels; with --iterations 0 they stay",
    )
    hidden.add_argument(
        "--save-kernels",
        metavar="FILE",
        help="write the kernels alone as well (.npz; with --digit all, one file for each label)",
    )
    hidden.add_argument(
        "--layer-weights",
        metavar="W,W,...",
        help="weight of every layer in the scores, the pixels' first (default: 1 each)",
    )
    relation = {"metavar": "LAYER,CHILD,PARENT,DY,DX", "action": "append"}
    hidden.add_argument(
        "--force-relation", dest="forced_relations", **relation,
        help="kernel PARENT at offset DY,DX positions is a parent of kernel CHILD in hidden layer LAYER (1 is the "
        "first); may be repeated",
    )  # fmt: skip
    hidden.add_argument(
        "--forbid-relation", dest="forbidden_relations", **relation,
        help="a relation that is never taken; may be repeated",
    )  # fmt: skip


def _add_tree_options(group):
    any_tree = "trees and boosted trees"
    group.add_argument(
        "--reach", type=int, metavar="N",
        help=f"{any_tree}: positions up to which a node looks at earlier ones (default: {{default}})",
    )  # fmt: skip
    group.add_argument(
        "--penalty", type=float, metavar="X",
        help="trees: a split must gain more than X ln(images) nats; 0.5 is the BIC (default: {default})",
    )  # fmt: skip
    group.add_argument(
        "--max-leaves", type=int, metavar="N",
        help=f"trees: at most so many leaves, to {MAX_LEAVES} (default: {{default}})",
    )  # fmt: skip
    group.add_argument("--min-leaf", type=int, metavar="N", help="trees: least images in a leaf (default: {default})")
    group.add_argument(
        "--shrinkage", type=float, metavar="X",
        help="trees: with the weight of X images a leaf leans on what is above it (default: {default})",
    )  # fmt: skip
    group.add_argument(
        "--boosting", metavar="NAME=VALUE,...",
        help=f"boosted trees: any of {', '.join(_boosting_names())} (default: {{default}})",
    )  # fmt: skip
    group.add_argument(
        "--folds", type=int, metavar="N",
        help=f"{any_tree}: networks without a part of the images, which set the threshold (default: {{default}})",
    )  # fmt: skip


def _boosting_names():
    return [field.name for field in dataclasses.fields(Boosting)]


def default_text(name):
    """The default of a constructor argument as an option would give it; "50 / 0 (best)" where presets differ."""
    from ..estimators.network import ConvolutionalBayesianNetwork

    default = inspect.signature(ConvolutionalBayesianNetwork).parameters[name].default
    if default is not None:
        return _as_option(default)
    presets = {}  # of every value, in order
    for preset, values in PRESETS.items():
        if values[name] != () and values["cpd"] in OF_CPD.get(name, CPDS):
            presets.setdefault(_as_option(values[name]), []).append(preset)
    common = _as_option(COMMON[name])
    return " / ".join(text if text == common else f"{text} ({', '.join(of)})" for text, of in presets.items())


def _as_option(value):
    if isinstance(value, Boosting):
        return ",".join(f"{name}={_as_option(getattr(value, name))}" for name in _boosting_names())
    if not isinstance(value, tuple):
        return f"{value:g}" if isinstance(value, float) else str(value)
    layers = [f"{layer.kernels},{layer.kernel_size},{layer.pool}" for layer in value if hasattr(layer, "pool")]
    return ";".join(layers) or ",".join(_as_option(v) for v in value)


def join_values(argv):
    """'--offsets' '-1,0' -> '--offsets=-1,0'."""
    joined = []
    for argument in argv:
        argument = str(argument)
        if joined and joined[-1] in _SIGNED and re.match(r"-[\d.]", argument):
            joined[-1] = f"{joined[-1]}={argument}"
        else:
            joined.append(argument)
    return joined


def make_model(arguments):
    """The network that the options describe, its arguments checked."""
    from ..estimators.network import ConvolutionalBayesianNetwork

    hidden = _tuples(arguments.hidden, "--hidden", "KERNELS,SIZE,POOL", "5,3,2;5,3,2")
    _need_cpd(arguments)
    _need_hidden_layers(arguments, hidden)
    same = ("cpd", "reach", "penalty", "max_leaves", "min_leaf", "shrinkage", "folds", "iterations", "learning_rate",
            "momentum", "max_parents", "initialization", "replace_worst", "shift", "normalize_kernels",
            "keep_activation", "pseudocount", "score")  # fmt: skip
    given = {name: getattr(arguments, name) for name in same}
    given |= {
        "hidden": hidden,
        "offsets": _tuples(arguments.offsets, "--offsets", "DY,DX", "-1,0;0,-1"),
        "threshold": parse_thresholds(arguments.threshold),
        "boosting": _boosting(arguments.boosting),
        "activation": _numbers(arguments.activation, "--activation", "0.3,0.6"),
        "layer_weights": _numbers(arguments.layer_weights, "--layer-weights", "1,1,0.5"),
    }
    for name, option in (("forced_relations", "--force-relation"), ("forbidden_relations", "--forbid-relation")):
        texts = getattr(arguments, name)
        if texts is not None:
            given[name] = tuple(_tuples(t, option, "LAYER,CHILD,PARENT,DY,DX", "1,0,2,-2,0", n=1)[0] for t in texts)
    if arguments.kernels is not None:
        with common.naming("--kernels"):
            given["kernels"] = load_kernels(arguments.kernels)
    model = ConvolutionalBayesianNetwork(
        preset=arguments.preset,
        false_alarm_rate=arguments.false_alarm_rate,
        n_jobs=arguments.threads,
        random_state=arguments.seed,
        **{name: value for name, value in given.items() if value is not None},
    )
    model.check_arguments()
    return model


def _need_cpd(arguments):
    """Refuses options of other conditional distributions."""
    if arguments.cpd is None and arguments.preset not in PRESETS:
        return  # the estimator says which there are
    cpd = arguments.cpd or PRESETS[arguments.preset]["cpd"]
    for name, kinds in OF_CPD.items():
        if getattr(arguments, name) is not None and cpd not in kinds:
            option = f"--{name.replace('_', '-')}"
            raise common.UsageError(
                f"{option}: is for --cpd {' or '.join(kinds)}, not {cpd}; choose one, or leave the option out"
            )


def _need_hidden_layers(arguments, hidden):
    """Refuses options that would do nothing."""
    if hidden is None and arguments.preset in PRESETS:
        hidden = PRESETS[arguments.preset]["hidden"]
    if hidden == ():
        for name, option in _NEED_HIDDEN_LAYERS.items():
            if getattr(arguments, name) is not None:
                raise common.UsageError(f"{option}: there is no hidden layer; add --preset hidden or --hidden")
    elif hidden and (arguments.cpd or PRESETS.get(arguments.preset, COMMON)["cpd"]) == "boosted":
        raise common.UsageError("--cpd boosted: is for pixels alone; take --cpd tree, or no hidden layers")


def parse_thresholds(text):
    """'0.3' -> 0.3; '0.1,0.3' -> (0.1, 0.3); 'auto' stays."""
    if text == "auto":
        return text
    values = _numbers(text, "--threshold", "0.3 or 0.1,0.3,0.6", "auto or numbers in [0, 1)")
    return values[0] if values is not None and len(values) == 1 else values


def _numbers(text, option, example, what="numbers"):
    """'0.3,0.6' -> (0.3, 0.6)."""
    if text is None:
        return None
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise common.UsageError(f"{option} {text!r}: give {what} such as {example}") from None


def _boosting(text):
    """'rounds=100,rate=0.05' -> Boosting."""
    if text is None:
        return None
    types = {field.name: type(field.default) for field in dataclasses.fields(Boosting)}
    given = {}
    for part in text.split(","):
        name, _, value = (word.strip() for word in part.partition("="))
        if name not in types or name in given:
            raise common.UsageError(
                f"--boosting {text!r}: give NAME=VALUE,... such as rounds=100,rate=0.1, each once; the names are "
                f"{', '.join(types)}"
            )
        try:
            given[name] = types[name](value)
        except ValueError:
            kind = "a whole number" if types[name] is int else "a number"
            raise common.UsageError(f"--boosting {text!r}: {name} is {kind}, not {value!r}") from None
    return Boosting(**given)


def _tuples(text, option, form, example, n=None):
    """'-1,0;0,-1' -> ((-1, 0), (0, -1)): whole numbers, as many in each as the form has, n tuples if n is given."""
    if text is None:
        return None
    try:
        found = tuple(tuple(int(number) for number in entry.split(",")) for entry in text.split(";"))
    except ValueError:
        found = ()
    if not found or any(len(entry) != form.count(",") + 1 for entry in found) or n not in (None, len(found)):
        several = "" if n == 1 else " separated by ;"
        raise common.UsageError(f"{option} {text!r}: give whole numbers {form}{several}, such as '{example}'")
    return found
