# SPDX-License-Identifier: BSD-3-Clause
"""Energy models of versions 7 to 9 load for ever, answer as they did, and are still made alike."""

import json
from pathlib import Path

import numpy as np
import pytest

import cbn
from helpers.modelfiles import members_of, script_of, version_of

DATA = Path(__file__).parents[2] / "data"
VERSIONS = {
    ("format_v8", "gaussian.cbn"): 7,
    ("format_v8", "scratch.cbn"): 7,
    ("format_v8", "embedded.cbn"): 8,
    ("format_v8", "pattern.cbn"): 8,
    ("format_v9", "blocks.cbn"): 9,
    ("format_v12", "gaussian.cbn"): 12,
    ("format_v12", "scratch.cbn"): 12,
    ("format_v13", "gaussian.cbn"): 13,
}


def arrays_of(path):
    """What a fit determines: all but the header, of which the version of the package is a part."""
    return {name: content for name, content in members_of(path).items() if name != "header.json"}


@pytest.mark.parametrize(("folder", "name"), VERSIONS)
def test_files_load_for_ever(folder, name, tmp_path):
    path, make = DATA / folder / name, script_of(DATA / folder / "make.py")
    expected = json.loads((path.parent / "expected.json").read_text())[name]
    assert version_of(path) == VERSIONS[folder, name]
    model = cbn.load(path)
    for _ in range(2):  # as it is, and saved in the newest version
        np.testing.assert_allclose(model.score_samples(make.pictures(6, 100)), expected["scores"], rtol=1e-6)
        heat = model.energy_map(make.pictures(1, 100))[0, ::5, ::5]
        np.testing.assert_allclose(heat, expected["map"], rtol=1e-5)
        assert model.offset_ == pytest.approx(expected["offset"], rel=1e-9)
        assert model.verdicts(255 - make.pictures(6, 100)).verdicts.tolist() == expected["verdicts"]
        model.save(tmp_path / name)
        model = cbn.load(tmp_path / name)


@pytest.mark.parametrize(("folder", "name"), VERSIONS)
def test_the_newest_are_still_made_alike(folder, name, tmp_path):
    make = script_of(DATA / folder / "make.py")
    make.models()[name].fit(make.pictures(40)).save(tmp_path / name)
    found, wanted = arrays_of(tmp_path / name), arrays_of(DATA / folder / name)
    assert found.keys() == wanted.keys()
    # since version 12, scores of normal pictures that are few or small are those of models without a part of them
    changed = ["calibration.npy"] if VERSIONS[folder, name] in (7, 9) else []
    assert [own for own in found if found[own] != wanted[own]] == changed
