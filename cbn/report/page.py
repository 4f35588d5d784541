# SPDX-License-Identifier: BSD-3-Clause
"""The page: one HTML file with everything in it, made by templates in this folder."""

import base64
import hashlib
import json
import os
from dataclasses import asdict
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any

import numpy as np

from ..exceptions import CbnError
from ..io.files import atomic_write
from . import imagery, numbers
from .content import NO_KIND, Content, Floats, Scored, Words

if TYPE_CHECKING:
    from jinja2 import Environment

# Kinds that are offered as filters, and named in the table, at most; figures are of all.
MOST_KINDS = 60
# Calibration scores that stand in the page, for the rate that a threshold promises.
MOST_REFERENCE = 20_000
_INSTALL = "pip install jinja2"  # fits a checkout as well as an index


def check_engine() -> None:
    """Raises CbnError with one line that says what to install, where the template engine is missing."""
    try:
        import jinja2  # noqa: F401
    except ImportError:
        raise CbnError(f"reports need the package jinja2, which is not installed; {_INSTALL}") from None


def write_page(content: Content, path: str | os.PathLike[str]) -> int:
    """Write a report; complete or not at all.

    Returns
    -------
    int
        Bytes of the file.

    Raises
    ------
    CbnError
        jinja2 is not installed, or the file cannot be written; an earlier file of that name is then unchanged.
    """
    data = page(content).encode()
    with atomic_write(path) as file:
        file.write(data)
    return len(data)


def page(content: Content) -> str:
    """The HTML of a report."""
    check_engine()
    environment = _environment()
    scored, shown = content.scored, {}
    if scored is not None:
        shown = _of_scores(content, scored)
    script, style = _text("script.js"), _text("style.css")
    return environment.get_template("report.html").render(
        content=content, style=style, script=script, script_hash=_hash(script), map_stops=_map_stops(), **shown
    )


def plain(text: object) -> str:
    """Text of any origin as it is shown: what cannot be printed is escaped, surrogates of file names too."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in str(text))


def short(value: float) -> str:
    """A number in up to four digits."""
    return f"{value:.4g}".replace("-", "\N{MINUS SIGN}")


def percent(share: float) -> str:
    """A share in percent, with a digit after the point where it is small."""
    return f"{100 * share:.1f} %" if share < 0.0995 or 0.9005 < share < 1 else f"{100 * share:.0f} %"


def round_percent(share: float) -> str:
    """A share that somebody chose, in percent, with no more digits than it has."""
    return f"{100 * share:.4g} %"


def _of_scores(content: Content, scored: Scored) -> dict[str, Any]:
    """Everything about scores that the template shows, and what its script computes with."""
    bars = numbers.histogram(scored)
    reference = content.reference
    found = numbers.by_kind(scored)
    names = [kind.name for kind in found]
    numbered = {name: number for number, name in enumerate(names)}
    indices = [shot.index for shot in content.shots]
    data = {
        "scores": scored.scores.tolist(),
        "normal": None if scored.normal is None else scored.normal.astype(int).tolist(),
        "kinds": [numbered[kind] for kind in scored.kinds],
        "shots": indices,
        "threshold": scored.threshold if np.isfinite(scored.threshold) else None,
        "low": bars.low,
        "high": bars.high,
        "reference": _json_scores(reference.scores)
        if reference is not None and len(reference.scores) <= MOST_REFERENCE
        else None,
        "words": asdict(content.words),
    }
    images = imagery.encode(content.shots, content.map_top, taken=len(json.dumps(data, allow_nan=False)))
    return {
        "scored": scored,
        "data": data,
        "counts": counts(scored),
        "sentence": in_a_sentence(scored, content.words),
        "bars": bars,
        "peaks": (max(bars.normal.max(), 1e-9), max(bars.others.max(), 1e-9)),
        "score_ticks": numbers.nice_ticks(bars.low, bars.high, 6),
        "roc": numbers.roc(scored),
        "kept": None if reference is None else numbers.kept(scored, reference),
        "kinds": found[:MOST_KINDS],
        "n_kinds": len(found),
        "has_areas": any(kind.auroc is not None for kind in found),
        "has_kinds": names != [NO_KIND],
        "shots": list(zip(content.shots, images, strict=True)),
        "n": len(scored.scores),
    }


def _json_scores(scores: Floats) -> list[float | None]:
    """Scores as JSON has them: None is below every threshold (-inf and NaN), inf is the largest number there is."""
    largest = np.finfo(np.float64).max
    return [None if not score > -np.inf else min(score, largest) for score in scores.tolist()]


def counts(scored: Scored) -> dict[str, int]:
    """How many pictures are what at the threshold; without known normal pictures only ``alarms`` and ``n``."""
    alarms = scored.alarms
    own = {"n": len(alarms), "alarms": int(alarms.sum())}
    if scored.normal is None:
        return own
    return own | {
        "n_normal": int(scored.normal.sum()),
        "n_others": int((~scored.normal).sum()),
        "false_alarms": int((alarms & scored.normal).sum()),
        "found": int((alarms & ~scored.normal).sum()),
        "missed": int((~alarms & ~scored.normal).sum()),
    }


def in_a_sentence(scored: Scored, words: Words) -> str | None:
    """What came of pictures whose labels are known, for somebody who reads no further.

    None where they are not known, there is no threshold, or words are not those of alarms (classifiers).
    """
    if scored.normal is None or not np.isfinite(scored.threshold) or words.alarms != Words.alarms:
        return None
    found = counts(scored)
    parts = []
    if n := found["n_others"]:
        parts.append(f"of {_several(n, words.others)} {found['found']:,} {_were(found['found'])} found")
    if n := found["n_normal"]:
        wrong = found["false_alarms"]
        parts.append(f"{wrong:,} of {_several(n, words.normal)} {_were(wrong)} rejected")
    return "; ".join(parts)


def _several(n: int, what: str) -> str:
    return f"{n:,} {what} picture{'' if n == 1 else 's'}"


def _were(n: int) -> str:
    return "was" if n == 1 else "were"


def _map_stops() -> str:
    """The colours of maps over black, as stops of a CSS gradient."""
    dark = np.array(imagery.SCALE[0][1:4])
    stops = []
    for place, *rgb, opacity in imagery.SCALE:
        own = (np.array(rgb) * opacity + dark * (1 - opacity)).round().astype(int)
        stops.append(f"rgb({own[0]} {own[1]} {own[2]}) {100 * place:g}%")
    return ", ".join(stops)


def _hash(text: str) -> str:
    """What a content security policy calls a script."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


@cache
def _text(name: str) -> str:
    return (resources.files(__package__) / "templates" / name).read_text(encoding="utf-8")


@cache
def _environment() -> "Environment":
    import jinja2

    def load(name: str) -> str:
        return _text(name)

    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(load), autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    environment.filters |= {"plain": plain, "short": short, "percent": percent, "round_percent": round_percent}
    environment.policies["json.dumps_kwargs"] = {"sort_keys": True, "allow_nan": False}  # browsers read no NaN
    environment.globals |= {"ticks": numbers.nice_ticks}
    return environment
