# SPDX-License-Identifier: BSD-3-Clause
"""Reports of made scores and pictures, and a browser to look at them."""

import os
import shutil

import numpy as np
import pytest

from cbn.report.content import Content, Facts, Figure, Reference, Scored, Shot, chosen_shots

HOSTILE = "<script>document.title='owned'</script>"
# Set where a missing browser is a failure rather than a reason to skip.
REQUIRED = "CBN_BROWSER_TESTS"


def made_scored(n=90, *, labels=True, threshold=0.0):
    """Scores of n pictures, a third of them anomalous; some scores are equal, one to the threshold."""
    random = np.random.default_rng(5)
    normal = np.arange(n) % 3 > 0
    scores = np.round(np.where(normal, random.normal(1.0, 0.6, n), random.normal(-0.8, 0.8, n)), 1)
    scores[1] = threshold
    kinds = [("good" if own else ("dent" if i % 2 else HOSTILE)) if labels else "" for i, own in enumerate(normal)]
    names = [f"{kinds[i] or 'all'}/{i:03d}{HOSTILE if i < 3 else ''}.png" for i in range(n)]
    return Scored(
        names=tuple(names), scores=scores, kinds=tuple(kinds), normal=normal if labels else None, threshold=threshold
    )


def made_shots(scored, n=200, *, side=96, channels=None):
    """Shots of the pictures that a gallery shows."""
    random = np.random.default_rng(6)
    shape = (side, side) if channels is None else (side, side, channels)
    shots = []
    for i in chosen_shots(scored, n).tolist():
        picture = random.integers(0, 256, shape, dtype=np.uint8) if side > 64 else random.integers(0, 2, shape) * 255
        shots.append(
            Shot(index=i, picture=picture.astype(np.uint8), map=random.random((side, side)), note=f"note {HOSTILE}")
        )
    return tuple(shots)


def made_content(scored=None, **changes):
    """A whole report with hostile text wherever text comes from files."""
    scored = made_scored() if scored is None else scored
    random = np.random.default_rng(7)
    settings = {
        "title": f"Model {HOSTILE}",
        "subtitle": f"of pictures {HOSTILE}",
        "facts": (Facts(title="Model", rows=(("source", HOSTILE), ("seed", "0"))),),
        "scored": scored,
        "reference": Reference(
            scores=np.sort(random.normal(1.0, 0.6, 199)), source="leave-one-out", false_alarm_rate=0.05
        ),
        "shots": made_shots(scored),
        "map_unit": "nats",
        "figures": (Figure(title="Parents", text="Where they are.", parents=((-1, 0), (0, -1))),),
        "notes": (f"A note {HOSTILE}",),
    }
    return Content(**settings | changes)


def browser():
    """A headless chromium without a network; skips where there is none, or fails where one is required."""
    binary, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if binary is None or driver is None:
        reason = "no chromium with chromedriver; on Debian: apt-get install chromium chromium-driver"
        if os.environ.get(REQUIRED) == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = binary
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
                     "--disable-background-networking", "--disable-component-update"):  # fmt: skip
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    return webdriver.Chrome(options=options, service=Service(driver))
