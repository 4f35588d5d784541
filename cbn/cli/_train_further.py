# SPDX-License-Identifier: BSD-3-Clause
"""cbn-train --add and --merge: networks that count learn from more images, and become one."""

import contextlib
from dataclasses import replace

from ..bits.digest import Digest
from ..exceptions import DataError
from ..fit.adding import added, check_adds
from ..fit.merging import check_mergeable, merged
from ..io.provenance import COMMAND
from . import _common as common
from . import _images as images_of
from ._apart import check_apart
from ._given import record_of
from ._merge import check_paths, refuse_others
from ._models import load_network
from ._packed import image_hashes
from ._too_few import threshold_line

# What the two go with; all other options are of settings, which a model has already.
_QUIET = ("out", "threads", "json", "quiet", "program", "config", "given", "kept")
_WITH_MERGE = ("merge", *_QUIET)
_WITH_ADD = (
    "add", "data", "labels", "digit", "size", "color", "background", "full_scale", "skip_bad", "calibration", "report", *_QUIET,
)  # fmt: skip
_AND = " and "  # between sources in the record


def merge(parsed, defaults):
    """--merge A B [C ...]: one model of the images of all, saved as --out. ``defaults``: arguments of an empty line."""
    refuse_others(parsed, defaults, _WITH_MERGE, "--merge", "which needs models alone")
    common.check_outputs(parsed, "--out", picture=None, models=("--out",))
    paths = parsed.merge
    check_paths(paths, "images")
    clock = common.Clock()
    with clock.part("load"):
        models = [_load("--merge", path, parsed) for path in paths]
    for path, other in zip(paths[1:], models[1:]):
        try:
            check_mergeable(models[0], other)
        except ValueError as error:
            rest = str(error).removeprefix("merge: ")
            raise common.UsageError(f"--merge: {path!r} beside {paths[0]!r}: {rest}") from None
    repeated = [Digest.recorded(model.provenance) for model in models]
    if len(set(repeated)) < len(repeated):
        common.warn(parsed, "models of the same images are among those of --merge, and these count twice")
    with clock.part("merge"):
        fitted = merged(models[0], models[1:])
    sources = [str(model.provenance.get("source", "images")) for model in models]
    _save_and_print(parsed, fitted, sources, clock, {"merged": paths}, f"{len(models)} models")


def add(parsed, defaults):
    """--add MODEL: the images of --data are counted in, saved as --out."""
    refuse_others(parsed, defaults, _WITH_ADD, "--add", "which takes the model's")
    common.check_outputs(parsed, "--out", picture=None, models=("--out",))
    clock = common.Clock()
    with clock.part("load"):
        base = _load("--add", parsed.add, parsed)
        with _naming_model(parsed):
            check_adds(base.network.pixels)
        # copies that are shifted are made of all images
        streams = parsed.data not in (None, "openml") and not base.settings.shift
        images, chosen = (_streamed if streams else _held)(parsed, base)
    with clock.part("fit"), _naming_model(parsed):
        fitted = replace(added(base, images), rule=base.rule)
    if parsed.calibration is not None:
        from ._train_images import load_calibration

        calibration = load_calibration(parsed, base.image_shape)
        check_apart(parsed, image_hashes(chosen), calibration.images)
        with common.renaming(X="--calibration"):
            fitted = fitted.calibrated(images_of.images_for(parsed, fitted, calibration, "--calibration"))
    sources = [str(base.provenance.get("source", "images")), chosen.source]
    _save_and_print(parsed, fitted, sources, clock, {"added": parsed.add}, f"{parsed.add} and {len(chosen):,} more")


@contextlib.contextmanager
def _naming_model(parsed):
    """Errors about a model that cannot learn from more images name it."""
    try:
        yield
    except DataError:
        raise
    except ValueError as error:
        rest = str(error).removeprefix("partial_fit: ")
        raise common.UsageError(f"--add: {parsed.add!r}: {rest}") from None


def _held(parsed, base):
    """The images to be added as the model takes them, and their ImageSet."""
    halves = images_of.load_halves(parsed)
    with common.renaming(label="--digit"):
        chosen = halves.part("train", images_of.label_of(parsed))
    return images_of.images_for(parsed, base, chosen), chosen


def _streamed(parsed, base):
    """The same as bits, which they become as they are read, and a PackedSet."""
    from ._packing import PackingReader

    reader = PackingReader(parsed)
    convert = images_of.conversion_for(parsed, base, reader.shape, reader.binarization, reader.has_names)
    training, _ = reader.read(base.binarization, apart=parsed.calibration is not None, convert=convert, tests=False)
    (chosen,) = training.values()
    return chosen.images, chosen


def _load(option, path, parsed):
    with common.naming(option):
        return load_network(path, parsed.threads)


def _save_and_print(parsed, fitted, sources, clock, record, of):
    kept = {name: value for name, value in fitted.provenance.items() if name not in ("training_sha256", "label")}
    told = {"source": _AND.join(dict.fromkeys(sources)), COMMAND: record_of(parsed, fitted.calibration)}
    fitted = replace(fitted, provenance=kept | told)
    fitted.save(parsed.out)
    own = fitted.calibration
    if parsed.json:
        common.print_json(
            {"model": parsed.out, **record, "n_images": fitted.n_images, "binarization": fitted.rule,
             "calibration": own.source, "n_calibration": len(own.scores), "threshold": own.offset,
             "false_alarm_rate": own.false_alarm_rate, "judged_by_a_part": fitted.judge is not None,
             "seconds": clock.seconds}
        )  # fmt: skip
        return
    print(f"images           {fitted.n_images:,} of {of}")
    print(f"binarization     {fitted.rule}")
    judge = (
        ""
        if fitted.judge is None
        else f", of the model of {fitted.judge.pixels.n_images:,} images, which judges new ones"
    )
    shown = f"{fitted.settings.score} {own.offset:.6g}"
    print(threshold_line(shown, len(own.scores), own.source, own.false_alarm_rate, own.decides, judge))
    print(f"model            {parsed.out}")
