# SPDX-License-Identifier: BSD-3-Clause
"""Energy models of versions 7 and 8 load for ever, answer as they did, and are still made alike."""

import json
from pathlib import Path

import numpy as np
import pytest

import cbn
from helpers.modelfiles import members_of, script_of, version_of

FOLDER = Path(__file__).parents[2] / "data" / "format_v8"
VERSIONS = {"gaussian.cbn": 7, "scratch.cbn": 7, "embedded.cbn": 8, "pattern.cbn": 8}


@pytest.fixture(scope="module")
def make():
    return script_of(FOLDER / "make.py")


def arrays_of(path):
    """What a fit determines: all but the header, of which the version of the package is a part."""
    return {name: content for name, content in members_of(path).items() if name != "header.json"}


@pytest.mark.parametrize("name", VERSIONS)
def test_files_load_for_ever(name, make, tmp_path):
    expected = json.loads((FOLDER / "expected.json").read_text())[name]
    assert version_of(FOLDER / name) == VERSIONS[name]
    model = cbn.load(FOLDER / name)
    for _ in range(2):  # as it is, and saved in the newest version
        np.testing.assert_allclose(model.score_samples(make.pictures(6, 100)), expected["scores"], rtol=1e-6)
        heat = model.energy_map(make.pictures(1, 100))[0, ::5, ::5]
        np.testing.assert_allclose(heat, expected["map"], rtol=1e-5)
        assert model.offset_ == pytest.approx(expected["offset"], rel=1e-9)
        assert model.verdicts(255 - make.pictures(6, 100)).verdicts.tolist() == expected["verdicts"]
        model.save(tmp_path / name)
        model = cbn.load(tmp_path / name)


@pytest.mark.parametrize("name", VERSIONS)
def test_the_newest_are_still_made_alike(name, make, tmp_path):
    make.models()[name].fit(make.pictures(40)).save(tmp_path / name)
    found, wanted = arrays_of(tmp_path / name), arrays_of(FOLDER / name)
    assert found.keys() == wanted.keys()
    assert [own for own in found if found[own] != wanted[own]] == []
