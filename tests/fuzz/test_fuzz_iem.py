# SPDX-License-Identifier: BSD-3-Clause
"""Damaged and hostile files of introspective energy models: a usable model, or a one-line ModelFileError, soon."""

import json
import tempfile
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import cbn
from cbn import ModelFileError
from cbn.iem import Architecture
from helpers.fuzzing import FUZZ, VALUES, at, bomb, damaged, places, soon
from helpers.inspection import SMALL, energy_model, textures
from helpers.modelfiles import members_of
from helpers.modelfiles import write_stored as write

pytestmark = pytest.mark.slow

PICTURES = textures(12)
ARCHITECTURE = Architecture(SMALL.levels[:2])


def new_model():
    return energy_model(architecture=ARCHITECTURE, epochs=1, random_state=0, n_jobs=1, false_alarm_rate=0.2)


class Stop(Exception):
    pass


def stop(state):
    raise Stop


with tempfile.TemporaryDirectory() as temporary:
    source = Path(temporary) / "file"
    new_model().fit(PICTURES).save(source)
    MODEL = {"bytes": source.read_bytes(), "members": members_of(source)}
    try:
        new_model().fit(PICTURES, checkpoint=source, progress=stop)
    except Stop:
        CHECKPOINT = {"bytes": source.read_bytes(), "members": members_of(source)}


def load(path):
    model = cbn.load(path)
    pictures = PICTURES if model.picture_shape_ == (16, 16, 1) else np.zeros((1, *model.picture_shape_), np.uint8)
    assert len(model.score_samples(pictures)) == len(pictures)


def resume(path):
    new_model().fit(PICTURES, checkpoint=path, resume=True)


def attempt(use, path):
    """True if the file can be used; numbers that no training makes may overflow, but nothing else may happen."""
    with soon(), np.errstate(all="ignore"):
        try:
            use(path)
        except ModelFileError as error:
            text = str(error)
            assert text.isprintable() and text.startswith(repr(str(path))) and len(text) < 1000 + len(str(path)), text
            return False
    return True


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("fuzz")


@FUZZ
@pytest.mark.filterwarnings("ignore::cbn.CalibrationWarning")
@given(data=st.data())
def test_damaged_files(data, folder):
    use, file = data.draw(st.sampled_from([(load, MODEL), (resume, CHECKPOINT)]))
    path, members = folder / "odd.cbn", dict(file["members"])
    how = data.draw(st.sampled_from(["bytes", "member", "header", "header"]))
    if how == "bytes":
        path.write_bytes(data.draw(damaged(file["bytes"])))
    elif how == "member":
        name = data.draw(st.sampled_from(sorted(members)))
        write(path, members | {name: data.draw(damaged(members[name]))})
    else:
        header = json.loads(members["header.json"])
        container, key = at(header, data.draw(st.sampled_from(sorted(places(header)))))
        container[key] = data.draw(VALUES)
        write(path, members | {"header.json": json.dumps(header)})
    attempt(use, path)


@pytest.mark.parametrize("use, file, name", [
    (load, MODEL, "header.json"), (load, MODEL, "level1_last.npy"), (load, MODEL, "calibration.npy"),
    (resume, CHECKPOINT, "moment_first_mean.npy"),
])  # fmt: skip
def test_bombs_are_not_unpacked(use, file, name, folder):
    source = write(folder / "good.cbn", file["members"])
    path = bomb(source, folder / "bomb.cbn", name, 100 * 2**20, filler=b" ")
    tracemalloc.start()
    assert not attempt(use, path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 25 * 2**20


def test_the_fuzzer_reaches_usable_files(folder):
    for use, file in ((load, MODEL), (resume, CHECKPOINT)):
        assert attempt(use, write(folder / "good.cbn", file["members"]))
        (folder / "good.cbn").write_bytes(file["bytes"])
        assert attempt(use, folder / "good.cbn")
