# SPDX-License-Identifier: BSD-3-Clause
"""Checkpoints: resuming gives the same bytes from everywhere; whatever else such a file holds is one line."""

import io
import json
import os
import pickle
import shutil
import zipfile

import numpy as np
import pytest

import cbn
from cbn import CbnError, DataError, ModelFileError
from helpers.images import blots
from helpers.modelfiles import members_of, npy, write
from helpers.networks import Network

X = blots(130)
ARGUMENTS = {
    "hidden": ((3, 3, 1), (2, 3, 1)), "iterations": 3, "replace_worst": 1, "initialization": "promising",
    "learning_rate": 0.2, "random_state": 11, "n_jobs": 1,
}  # fmt: skip
REPORTS = 8  # after each of three iterations of a layer, and after its last look


@pytest.fixture(scope="module", autouse=True)
def kernels_of_all_images():
    """Kernels of so few images would see a third of them; what is computed here is of all."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("cbn.fit.preparing.LEAST_FOR_KERNELS", 0)
        yield


def network(**changed):
    return Network("hidden", **(ARGUMENTS | changed))


def stop_after(n):
    """A progress callback that interrupts at its n-th report."""
    seen = []

    def progress(state):
        seen.append(state)
        if len(seen) == n:
            raise KeyboardInterrupt

    return progress


def interrupted(path, after, X=X, **changed):
    with pytest.raises(KeyboardInterrupt):
        network(**changed).fit(X, progress=stop_after(after), checkpoint=path)
    assert path.exists()
    return path


def saved(model, path):
    model.save(path)
    return path.read_bytes()


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The bytes of the model of an uninterrupted fit."""
    return saved(network().fit(X), tmp_path_factory.mktemp("whole") / "model.cbn")


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Checkpoints by number of reports: in the first layer, between the layers, in the second, at the end."""
    folder = tmp_path_factory.mktemp("checkpoints")
    return {after: interrupted(folder / f"{after}.checkpoint", after) for after in (1, 4, 6, 8)}


# ---- the same bytes ----


@pytest.mark.parametrize("after", range(1, REPORTS + 1))
def test_resuming_after_every_iteration_gives_the_same_bytes(after, whole, tmp_path):
    path = interrupted(tmp_path / "a.checkpoint", after)
    seen = []
    model = network(n_jobs=2).fit(X, checkpoint=path, resume=True, progress=seen.append)
    assert saved(model, tmp_path / "model.cbn") == whole
    assert len(seen) == REPORTS - after
    # the checkpoint is of use until the model is saved
    assert saved(network().fit(X, checkpoint=path, resume=True), tmp_path / "model.cbn") == whole
    assert sorted(os.listdir(tmp_path)) == ["a.checkpoint", "model.cbn"]


def test_resuming_again_and_again(whole, tmp_path):
    path = interrupted(tmp_path / "a.checkpoint", 1)
    for _ in range(REPORTS - 2):
        with pytest.raises(KeyboardInterrupt):
            network().fit(X, progress=stop_after(1), checkpoint=path, resume=True)
    assert saved(network().fit(X, checkpoint=path, resume=True), tmp_path / "model.cbn") == whole


def test_the_options_of_a_fit(whole, tmp_path):
    path = tmp_path / "a.checkpoint"
    assert (
        saved(network().fit(X, checkpoint=path, resume=True), tmp_path / "m") == whole
    )  # nothing there: from the start
    interrupted(path, 5)
    assert saved(network().fit(X, checkpoint=path), tmp_path / "m") == whole  # without resume
    path.write_bytes(b"anything")  # without resume an earlier file is overwritten, whatever it is
    assert saved(network().fit(X, checkpoint=path), tmp_path / "m") == whole
    interrupted(path, 3)
    assert saved(network().fit(X, resume=True), tmp_path / "m") == whole and path.exists()  # no checkpoint was named
    assert saved(network().fit(X, checkpoint=str(path), resume=True), tmp_path / "m") == whole


def test_a_seed_of_fresh_entropy_is_continued(tmp_path):
    for state in (None, np.random.default_rng(4)):
        path = tmp_path / "a.checkpoint"
        seen = []

        def progress(state, seen=seen):
            seen.append(state)
            if len(seen) == 2:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            network(random_state=state).fit(X, progress=progress, checkpoint=path)
        model = network(random_state=state).fit(X, checkpoint=path, resume=True)
        for point, before in zip(model.hidden_layers_[0].curve, seen[-1].best.curve, strict=False):
            assert point == before


def test_given_kernels_and_relations_survive(tmp_path):
    kernels = [layer.kernels for layer in network().fit(X).hidden_layers_]
    arguments = {
        "kernels": kernels, "forced_relations": [(1, 0, 1, -3, 0)], "forbidden_relations": [(2, 0, 0, -5, 0)],
        "momentum": 0.5, "keep_activation": False, "normalize_kernels": False, "learning_rate": 0.02, "shift": 1,
    }  # fmt: skip
    expected = saved(network(**arguments).fit(X), tmp_path / "m")
    for after in (2, 6):
        path = interrupted(tmp_path / "a.checkpoint", after, **arguments)
        assert saved(network(**arguments).fit(X, checkpoint=path, resume=True), tmp_path / "m") == expected


# ---- writing ----


def test_a_checkpoint_is_written_after_every_iteration_and_whole(tmp_path, monkeypatch):
    path, seen = tmp_path / "a.checkpoint", []

    def progress(state):
        with zipfile.ZipFile(path) as archive:
            assert archive.testzip() is None
            header = json.loads(archive.read("header.json"))
        seen.append((header["finished"], header["iteration"]))
        assert os.listdir(tmp_path) == ["a.checkpoint"]

    network().fit(X, checkpoint=path, progress=progress)
    assert seen == [(0, 1), (0, 2), (0, 3), (1, 0), (1, 1), (1, 2), (1, 3), (2, 0)]
    before = interrupted(path, 2).read_bytes()
    monkeypatch.setattr(os, "replace", lambda *names: (_ for _ in ()).throw(OSError(28, "full")))
    with pytest.raises(CbnError, match="disk is full"):
        network().fit(X, checkpoint=path, resume=True)
    assert path.read_bytes() == before and os.listdir(tmp_path) == ["a.checkpoint"]


def test_a_checkpoint_that_cannot_be_write(tmp_path):
    with pytest.raises(CbnError, match="cannot write .*folder does not exist"):
        network().fit(X, checkpoint=tmp_path / "none" / "a.checkpoint")


# ---- of another training ----

OTHERS = {
    "iterations": 4, "learning_rate": 0.1, "momentum": 0.5, "normalize_kernels": False, "keep_activation": False,
    "initialization": "random", "activation": (0.2, 0.6), "replace_worst": 0, "max_parents": 3, "pseudocount": 2.0,
    "hidden": ((3, 3, 1), (2, 2, 1)), "forced_relations": [(1, 0, 1, -3, 0)], "forbidden_relations": [(1, 0, 1, -3, 0)],
    "threshold": 0.6, "shift": 1,
}  # fmt: skip


def refused(model, X, path, *words):
    content = path.read_bytes()
    with pytest.raises(ModelFileError) as caught:
        model.fit(X, checkpoint=path, resume=True)
    text = str(caught.value)
    assert text.startswith(repr(str(path))) and text.isprintable() and len(text) < len(str(path)) + 400, text
    for word in words:
        assert word in text, text
    assert path.read_bytes() == content and not hasattr(model, "counts_")  # nothing is lost
    return True


@pytest.mark.parametrize("name", OTHERS)
def test_of_other_arguments(name, tmp_path):
    images = np.where(X == 1, 200, 50).astype(np.uint8)
    images[:, 0, 0] = 120
    path = interrupted(tmp_path / "a.checkpoint", 1, images, full_scale=255)
    refused(
        network(full_scale=255, **{name: OTHERS[name]}),
        images,
        path,
        "of other images, arguments or version",
        "delete it",
    )


def test_of_other_images_kernels_seed_or_version(files, tmp_path, monkeypatch):
    path = shutil.copy(files[1], tmp_path / "a.checkpoint")
    changed = X.copy()
    changed[5, 5, 5] ^= 1
    more = np.concatenate([X, np.zeros((3, 12, 12), np.uint8)])  # black images change no bit-plane of 130
    turned = np.concatenate([X, X], axis=2)
    for other in (changed, X[::-1], X[:129], more, turned, turned.transpose(0, 2, 1)):
        refused(network(), other, path, "of other images, arguments or version")
    refused(network(random_state=12), X, path, "of random_state 11, not 12", "delete it")
    kernels = [layer.kernels for layer in network().fit(X).hidden_layers_]
    refused(network(kernels=kernels), X, path, "of other images, arguments or version")
    monkeypatch.setattr("cbn.fit.features.__version__", "9.9")
    refused(network(), X, path, "of other images, arguments or version")
    monkeypatch.undo()
    refused(Network(), X, path, "of other images, arguments or version")  # no hidden layers at all
    for name, value in {
        "score": "normalized",
        "layer_weights": (1, 2, 3),
        "false_alarm_rate": 0.1,
        "offsets": (),
    }.items():
        content = path.read_bytes()
        network(**{name: value}).fit(X, checkpoint=path, resume=True)  # has no part in the training of kernels
        path.write_bytes(content)


# ---- foreign and damaged files ----

FOREIGN = {
    "nothing": b"", "text": b"hello", "PK": b"PK\3\4", "pickle": pickle.dumps([1]), "noise": bytes(range(256)) * 9,
}  # fmt: skip


@pytest.mark.parametrize("name", FOREIGN)
def test_foreign_files(name, tmp_path):
    path = tmp_path / "a.checkpoint"
    path.write_bytes(FOREIGN[name])
    refused(network(), X, path, "not a cbn checkpoint")


def test_model_files_newer_files_and_folders(files, tmp_path):
    path = tmp_path / "a.checkpoint"
    network(iterations=0, replace_worst=0).fit(X).save(path)
    refused(network(), X, path, "not a cbn checkpoint")
    for version, words in ((2, "newer than this version"), (0, "version"), ("1", "version"), (None, "version")):
        refused(network(), X, changed_header(files[6], path, lambda h, v=version: h.update(version=v)), words)
    with pytest.raises(ModelFileError, match="folder"):
        network().fit(X, checkpoint=tmp_path, resume=True)
    path.write_bytes(files[6].read_bytes())
    with pytest.raises(ModelFileError, match="not a cbn model"):
        cbn.load(path)


@pytest.mark.parametrize("after", [1, 4, 6, 8])
def test_truncated_files(after, files, tmp_path):
    content = files[after].read_bytes()
    for n in range(0, len(content), 97):
        (tmp_path / "a.checkpoint").write_bytes(content[:n])
        refused(network(), X, tmp_path / "a.checkpoint")


def changed_header(source, path, change):
    members = members_of(source)
    header = json.loads(members["header.json"])
    change(header)
    return write(path, members | {"header.json": json.dumps(header).replace("Infinity", "1e999")})


BAD_HEADERS = {
    "seed": [-1, 2**64, "11", None, 1.5, True], "fingerprint": ["", None, 3, []],
    "finished": [0, 2, -1, 7, "1", None, 1.0, True], "iteration": [0, 1, 3, -1, "2", None, 2.0, 10**9],
    "layers": [[], {}, None, 3, "x", [None], [{}], [{}, {}, {}]],
}  # fmt: skip


@pytest.mark.parametrize("name, value", [(name, value) for name, values in BAD_HEADERS.items() for value in values])
def test_bad_headers(name, value, files, tmp_path):
    """Of a checkpoint of one finished layer and two iterations in the second."""
    for change in (lambda h: h.update({name: value}), lambda h: h.pop(name)):
        refused(network(), X, changed_header(files[6], tmp_path / "a.checkpoint", change))


BAD_LAYERS = {
    "pool": [2, 0, -1, "1", None], "kernel_size": [2, 100, -3, None], "best": [-1, 5, None, "0", 0.5],
    "steps": [[], None, [[0, 0, 0, 0, 0.5]], [[0, 1, -3, 0, 1e999]], 3],
    "layer": [None, {}, {"channels": 3, "height": 10, "width": 9, "relations": []}],
}  # fmt: skip


@pytest.mark.parametrize("number", [0, 1])
@pytest.mark.parametrize("name, value", [(name, value) for name, values in BAD_LAYERS.items() for value in values])
def test_bad_layers(number, name, value, files, tmp_path):
    path = tmp_path / "a.checkpoint"
    refused(
        network(), X, changed_header(files[6], path, lambda h: h["layers"][number].update({name: value})), "damaged"
    )


def bad_arrays(array):
    yield None
    yield b""
    yield npy(array[:-1])
    yield npy(array.astype(np.float32))
    yield npy(np.full_like(array, np.nan))
    yield npy(np.full_like(array, np.inf))
    yield npy(np.full(array.shape, None), allow_pickle=True)


@pytest.mark.parametrize(
    "name",
    [f"layer_{n}_{part}" for n in (1, 2) for part in ("weights", "bias", "curve")]
    + [f"next_{part}" for part in ("weights", "bias", "velocity_weights", "velocity_bias", "target")],
)
def test_bad_arrays(name, files, tmp_path):
    members = members_of(files[6])
    array = np.load(io.BytesIO(members[f"{name}.npy"]))
    for content in bad_arrays(array):
        path = write(tmp_path / "a.checkpoint", members | {f"{name}.npy": content})
        refused(network(), X, path, "damaged")
    if "weights" in name and "velocity" not in name:
        refused(network(), X, write(path, members | {f"{name}.npy": npy(array * 1e5)}), "damaged")
    assert write(path, members) and network().fit(X, checkpoint=path, resume=True)


def test_errors_of_the_caller_come_first(files, tmp_path):
    path = shutil.copy(files[1], tmp_path / "a.checkpoint")
    with pytest.raises(DataError):
        network().fit(X * 2.0, checkpoint=path, resume=True)
    with pytest.raises(ValueError, match="^momentum"):
        network(momentum=2).fit(X, checkpoint=path, resume=True)
    assert path.read_bytes() == files[1].read_bytes()
