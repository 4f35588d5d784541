# SPDX-License-Identifier: BSD-3-Clause
"""Damaged and hostile checkpoints: training goes on to a usable model, or a one-line ModelFileError, soon."""

import contextlib
import json
import tempfile
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from fuzz.test_fuzz_modelfile import FUZZ, VALUES, at, bomb, damaged, places, soon
from hypothesis import given
from hypothesis import strategies as st

from cbn import ModelFileError
from helpers.modelfiles import members_of, write
from helpers.networks import Network

pytestmark = pytest.mark.slow

IMAGES = np.random.default_rng(1).integers(0, 256, (110, 7, 6), dtype=np.uint8)


def hidden_network():
    return Network(
        "hidden", hidden=((2, 2, 1), (1, 2, 1)), iterations=1, random_state=0, n_jobs=1, false_alarm_rate=0.1
    )


def interrupt_in_the_second_layer(state):
    if state.finished and state.best:
        raise KeyboardInterrupt


with tempfile.TemporaryDirectory() as temporary, contextlib.suppress(KeyboardInterrupt):
    source = Path(temporary) / "checkpoint"
    try:
        hidden_network().fit(IMAGES, checkpoint=source, progress=interrupt_in_the_second_layer)
    finally:
        CHECKPOINT = {"bytes": source.read_bytes(), "members": members_of(source)}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("fuzz")


def resume(path):
    """Training goes on from the file to a usable model, or refuses it in one line; True if it went on."""
    model = hidden_network()
    with soon():
        try:
            model.fit(IMAGES, checkpoint=path, resume=True)
        except ModelFileError as error:
            text = str(error)
            assert text.isprintable() and text.startswith(repr(str(path))) and len(text) < 1000 + len(str(path)), text
            return False
        except ValueError as error:  # a momentum that only just can be
            assert str(error).startswith("learning_rate: ")
            return False
    assert np.isfinite(model.score_samples(IMAGES)).all() and len(model.hidden_layers_) == 2
    return True


@FUZZ
@given(data=st.data())
def test_damaged_checkpoints(data, folder):
    path, members = folder / "a.checkpoint", dict(CHECKPOINT["members"])
    how = data.draw(st.sampled_from(["bytes", "member", "header"]))
    if how == "bytes":
        path.write_bytes(data.draw(damaged(CHECKPOINT["bytes"])))
    elif how == "member":
        name = data.draw(st.sampled_from(sorted(members)))
        write(path, members | {name: data.draw(damaged(members[name]))})
    else:
        header = json.loads(members["header.json"])
        container, key = at(header, data.draw(st.sampled_from(sorted(places(header)))))
        container[key] = data.draw(VALUES)
        write(path, members | {"header.json": json.dumps(header)})
    resume(path)


def test_checkpoint_bombs_are_not_unpacked(folder):
    for name in ("header.json", "next_weights.npy", "layer_1_curve.npy"):
        source = write(folder / "good.checkpoint", CHECKPOINT["members"])
        path = bomb(source, folder / "b.checkpoint", name, 100 * 2**20, filler=b" ")
        tracemalloc.start()
        assert not resume(path)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 25 * 2**20


def test_the_fuzzer_reaches_usable_checkpoints(folder):
    assert resume(write(folder / "good.checkpoint", CHECKPOINT["members"]))
    (folder / "good.checkpoint").write_bytes(CHECKPOINT["bytes"])
    assert resume(folder / "good.checkpoint")
