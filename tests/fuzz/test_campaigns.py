# SPDX-License-Identifier: BSD-3-Clause
"""The campaigns of tests/campaigns start from usable files, tell findings, and find nothing in their first executions."""

import importlib
import signal
import sys
import warnings
from pathlib import Path

import pytest

from cbn import DataError

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]

CAMPAIGNS = Path(__file__).parents[1] / "campaigns"


@pytest.fixture(scope="module")
def campaign():
    """(module mutated_files, module readers)"""
    sys.path.insert(0, str(CAMPAIGNS))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of few images
        modules = importlib.import_module("mutated_files"), importlib.import_module("readers")
        modules[1].models(), modules[1].checkpoints()
    sys.path.remove(str(CAMPAIGNS))
    before = signal.signal(signal.SIGPROF, modules[0].late)
    yield modules
    signal.signal(signal.SIGPROF, before)


NAMES = [
    "model: tables", "model: trees", "model: boosted", "model: hidden", "model: classifier", "model: energy",
    "model: gaussian", "model: older versions", "checkpoint: layers", "checkpoint: energy", "idx", "idx, gzip", "npy", "npy, labels", "npz",
    "picture: png", "picture: jpg", "picture: tif", "picture: gif", "picture: bmp", "picture: tga", "picture: webp",
    "picture: others",
    "mask: npy", "mask: png", "folder of inspection, mask", "weights: npz", "weights: pth", "weights: legacy",
    "weights: safetensors", "kernels",
]  # fmt: skip


def test_every_reader_is_named(campaign):
    assert list(campaign[1].MAKERS) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_seeds_are_accepted_and_nothing_is_found(name, campaign, tmp_path):
    fuzz, readers = campaign
    own = readers.reader(name)
    path = tmp_path / own.file
    path.parent.mkdir(parents=True, exist_ok=True)
    own.prepare(tmp_path)
    for seed in own.seeds:
        assert fuzz.execute(own, path, seed)[0] == "accepted"
    outcomes = [fuzz.execute(own, path, fuzz.content_of(own, 0, i)) for i in range(60)]
    assert [what for outcome, what in outcomes if outcome == "finding"] == []
    assert {outcome for outcome, _ in outcomes} == {"accepted", "refused"}
    assert fuzz.content_of(own, 0, 7) == fuzz.content_of(own, 0, 7)


def failing(error):
    def read(path):
        raise error

    return read


@pytest.mark.parametrize("error, outcome", [
    (DataError("x: a reason"), "refused"), (DataError("another file"), "finding"), (DataError("x: two\nlines"), "finding"),
    (KeyError("x"), "finding"), (MemoryError(), "finding"),
])  # fmt: skip
def test_what_counts_as_a_finding(error, outcome, campaign, tmp_path):
    fuzz, readers = campaign
    own = readers.Reader("some", "x", [b""], failing(error), None, ())
    assert fuzz.execute(own, tmp_path / "x", b"")[0] == outcome
