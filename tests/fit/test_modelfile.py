# SPDX-License-Identifier: BSD-3-Clause
"""Model files: nothing is lost, old files load for ever, and whatever else a file holds is one ModelFileError."""

import io
import json
import os
import pickle
import zipfile
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

import cbn
from cbn import CbnError, ModelFileError
from helpers.modelfiles import (
    SCORES,
    assert_same_arguments,
    members_of,
    npy,
    refused,
    save,
    use,
    version_of,
    with_header,
    write,
)  # fmt: skip
from helpers.networks import Classifier, Network

FORMAT_V1 = Path(__file__).parents[1] / "data" / "format_v1"
X = (np.random.default_rng(0).normal(90, 60, (200, 1, 1)) + np.random.default_rng(1).normal(0, 60, (200, 5, 4))).clip(
    0, 255
)
X = X.astype(np.uint8)
LABELS = np.arange(200) % 3


@pytest.fixture(scope="module", params=["new", "version 1"])
def saved(request, tmp_path_factory):
    """A saved network of 200 images, to be changed: of 5 x 4 pixels with two thresholds, and one that is stored."""
    if request.param == "version 1":
        return FORMAT_V1 / "pixel.cbn"
    model = Network(threshold=(0.3, 0.6), score="surprise", random_state=1).fit(X)
    return save(model, tmp_path_factory.mktemp("models") / "model.cbn")


# ---- nothing is lost ----

NETWORKS = [
    {}, {"threshold": (0.2, 0.5, 0.8), "score": "normalized"}, {"offsets": (), "pseudocount": 0.25},
    {"threshold": [0.4]}, {"offsets": np.array([[-1, 0], [-2, 3]]), "score": "standardized"},
    {"random_state": 5, "image_shape": [5, 4]},
    {"full_scale": 255, "false_alarm_rate": 0.07}, {"threshold": np.float32(0.25), "pseudocount": np.int64(2)},
    {"full_scale": np.int64(255), "random_state": np.uint64(2**64 - 1)}, {"full_scale": 255.0},
    {"false_alarm_rate": Fraction(1, 8)}, {"threshold": np.array([0.2, 0.7]), "score": np.str_("surprise")},
]  # fmt: skip


@pytest.mark.parametrize("arguments", NETWORKS, ids=repr)
def test_a_network_comes_back_as_it_was(arguments, tmp_path):
    model = Network(**arguments).fit(X[:150])
    model.provenance_["note"] = {"words": 'żółw \n\0"', "numbers": [1, 2.5, None, True]}
    for step in ("fit", "calibrate", "partial_fit"):
        if step != "fit":
            getattr(model, step)(X[50:])
        loaded = cbn.load(save(model, tmp_path / "a.cbn"))
        for score in (None, *SCORES):
            np.testing.assert_array_equal(loaded.score_samples(X, score), model.score_samples(X, score))
        for name in ("counts_", "n_images_", "image_shape_", "layer_", "binarization_", "calibration_scores_",
                     "calibration_", "offset_", "provenance_", "n_features_in_"):  # fmt: skip
            np.testing.assert_equal(getattr(loaded, name), getattr(model, name))
        assert vars(loaded).keys() == vars(model).keys()
        np.testing.assert_array_equal(loaded.sample(9, random_state=3), model.sample(9, random_state=3))
        np.testing.assert_array_equal(loaded.p_values(X), model.p_values(X))
        assert loaded.bic() == model.bic() and loaded.heat_map_scale() == model.heat_map_scale()
    assert_same_arguments(loaded, model)
    more, other = loaded.partial_fit(X), model.partial_fit(X)
    np.testing.assert_array_equal(more.counts_, other.counts_)
    assert more.provenance_ == other.provenance_
    np.testing.assert_array_equal(loaded.fit(X[:120]).counts_, model.fit(X[:120]).counts_)


KINDS = [["b", "ą", "c"], [7, -1, 3], [0.0, 2.0, 1.0], [True, False, True], np.array([3, 1, 2], np.int8)]


@pytest.mark.parametrize("labels", KINDS, ids=repr)
@pytest.mark.parametrize("prior", [None, 0.25])
def test_a_classifier_comes_back_as_it_was(labels, prior, tmp_path):
    y = np.array(labels)[LABELS]
    classes = np.unique(y)
    prior = None if prior is None else np.array([prior] + [0.75 / (len(classes) - 1)] * (len(classes) - 1))
    model = Classifier(class_prior=prior, threshold=(0.3, 0.5)).fit(X, y)
    loaded = cbn.load(save(model, tmp_path / "a.cbn"))  # 66 images of a class warn of no false-alarm rate
    np.testing.assert_array_equal(loaded.predict_proba(X), model.predict_proba(X))
    np.testing.assert_array_equal(loaded.predict(X), model.predict(X))
    assert loaded.classes_.dtype == model.classes_.dtype and loaded.n_features_in_ == 20
    np.testing.assert_array_equal(loaded.class_log_prior_, model.class_log_prior_)
    np.testing.assert_array_equal(
        loaded.partial_fit(X, y).joint_log_probability(X), model.partial_fit(X, y).joint_log_probability(X)
    )
    use(loaded, tmp_path / "b.cbn")


def test_a_model_of_few_images_loads_without_a_warning(tmp_path):
    with pytest.warns(cbn.CalibrationWarning):
        model = Network().fit(X[:20])
    assert cbn.load(save(model, tmp_path / "a.cbn")).offset_ == -np.inf


def test_same_model_same_bytes(tmp_path):
    model = Network(threshold=(0.3, 0.6)).fit(X)
    model.provenance_.update(b=1, a={"z": 1, "y": 2})
    first = save(model, tmp_path / "a.cbn").read_bytes()
    model.provenance_ = {name: model.provenance_[name] for name in reversed(model.provenance_)}
    assert save(model, tmp_path / "b.cbn").read_bytes() == first
    assert save(cbn.load(tmp_path / "a.cbn"), tmp_path / "c.cbn").read_bytes() == first
    for other in (pickle.loads(pickle.dumps(model)), Network(threshold=(0.3, 0.6), n_jobs=1).fit(X)):
        other.provenance_ = model.provenance_
        assert save(other, tmp_path / "d.cbn").read_bytes() == first
    generator = Network(random_state=np.random.default_rng(3)).fit(X)
    assert cbn.load(save(generator, tmp_path / "e.cbn")).random_state is None
    with zipfile.ZipFile(tmp_path / "a.cbn") as archive:  # plain: a zip of JSON and arrays that numpy reads
        assert archive.testzip() is None
        assert np.load(io.BytesIO(archive.read("counts_0.npy"))).dtype == np.int64


@pytest.mark.parametrize(
    "value",
    [object(), float("nan"), float("inf"), np.int64(3), {1, 2}, b"bytes"],
    ids=lambda value: type(value).__name__,
)
def test_provenance_that_json_cannot_hold_leaves_the_earlier_file(value, tmp_path):
    model = Network().fit(X)
    path = save(model, tmp_path / "a.cbn")
    before = path.read_bytes()
    model.provenance_["note"] = value
    try:
        model.save(path)
    except (CbnError, TypeError, ValueError) as error:
        assert path.read_bytes() == before and "\n" not in str(error)
    else:
        assert cbn.load(path).provenance_["note"] == value
    assert os.listdir(tmp_path) == ["a.cbn"]


def test_a_failed_save_leaves_the_earlier_file(tmp_path, monkeypatch):
    model = Network().fit(X)
    path = save(model, tmp_path / "a.cbn")
    before = path.read_bytes()
    written = []

    def fail(*arguments, **named):
        written.append(arguments)
        if len(written) > 1:
            raise OSError(28, "No space left on device")

    for target in ("writestr", "write", "open"):
        with monkeypatch.context() as patch:
            patch.setattr(zipfile.ZipFile, target, fail)
            try:
                model.partial_fit(X[:100]).save(path)
            except (CbnError, OSError):
                assert path.read_bytes() == before
            else:
                cbn.load(save(model, path))
                before = path.read_bytes()
    for bad in (tmp_path / "missing" / "a.cbn", tmp_path, path / "a.cbn"):
        with pytest.raises(CbnError, match=bad.name):
            model.save(bad)
    assert path.read_bytes() == before and os.listdir(tmp_path) == ["a.cbn"]


# ---- files that are no models ----

FOREIGN = {
    "nothing": b"", "text": b"hello", "PNG": b"\x89PNG\r\n\x1a\n" + bytes(100), "zeros": bytes(1000), "PK": b"PK\3\4",
    "pickle": pickle.dumps([1, 2]), "end record": b"PK\5\6" + bytes(18), "noise": np.random.default_rng(0).bytes(5000),
}  # fmt: skip


@pytest.mark.parametrize("name", FOREIGN)
def test_foreign_files(name, tmp_path):
    path = tmp_path / "a\nb.cbn" if os.name == "posix" else tmp_path / "a.cbn"
    path.write_bytes(FOREIGN[name])
    refused(path, "not a cbn model")


def test_no_file(tmp_path):
    refused(tmp_path / "none.cbn", "no such file")
    os.mkfifo(tmp_path / "pipe.cbn")
    refused(tmp_path / "pipe.cbn", "not a regular file; give a cbn model file on disk")
    refused("/dev/zero", "not a regular file; give a cbn model file on disk")
    refused(tmp_path, "folder")
    with pytest.raises((ModelFileError, ValueError)):
        cbn.load("a\0b")


HEADERS = [
    None, b"", b"{", b"[]", b"{}", b"3", b"null", b"\xff\xfe", b"[" * 100_000, b'{"format": "cbn-model"}', b'"format"',
    b'{"format": "other", "version": 1}', b'{"version": 1}', b'{"format": ["cbn-model"], "version": 1}',
    b'{"format": "cbn-model", "version": 1' + b"0" * 9999 + b"}",
]  # fmt: skip


@pytest.mark.parametrize("header", HEADERS, ids=lambda header: f"{header!r:.40}")
def test_zips_of_another_format(header, saved, tmp_path):
    refused(write(tmp_path / "a.cbn", members_of(saved) | {"header.json": header}), "not a cbn model")


@pytest.mark.parametrize(
    "version", [7, 8, 9, 12, 13, 14, 99, 10**300, 0, -1, "1", 1.0, 1.5, None, True, [], {}, "1\n2" * 1000]
)
def test_versions(version, saved, tmp_path):
    newer = type(version) is int and version > 13
    path = with_header(saved, tmp_path / "a.cbn", lambda header: header.update(version=version))
    refused(
        path,
        "newer than this version"
        if newer
        else f"damaged: version {version}"
        if version in (7, 8, 9, 12, 13)
        else "version",
    )


@pytest.mark.parametrize("version", [1, 2, 3, 4])
def test_a_new_file_that_claims_to_be_old(version, tmp_path):
    path = save(Network(threshold=(0.3, 0.6)).fit(X), tmp_path / "new.cbn")
    assert version_of(path) == 6
    refused(with_header(path, tmp_path / "a.cbn", lambda header: header.update(version=version)), "damaged")


@pytest.mark.parametrize("version", [2, 3, 4, 5, 6])
def test_an_old_file_that_claims_to_be_new(version, tmp_path):
    """Those of version 1 are files of versions 2 and 3 too, and are read as such; versions 5 and 6 have settings."""
    path = with_header(FORMAT_V1 / "pixel.cbn", tmp_path / "a.cbn", lambda header: header.update(version=version))
    if version >= 5:
        refused(path, "damaged")
    else:
        np.testing.assert_array_equal(cbn.load(path).counts_, cbn.load(FORMAT_V1 / "pixel.cbn").counts_)


def test_truncated_files(saved, tmp_path):
    content = saved.read_bytes()
    for n in range(0, len(content), 50):
        (tmp_path / "a.cbn").write_bytes(content[:n])
        refused(tmp_path / "a.cbn")


def test_missing_members(saved, tmp_path):
    members = members_of(saved)
    assert set(members) == {"header.json", "counts_0.npy", "calibration_0.npy"}
    for name in members:
        refused(write(tmp_path / "a.cbn", members | {name: None}), "not a cbn model" if "header" in name else name)
    use(cbn.load(write(tmp_path / "a.cbn", members, zipfile.ZIP_STORED)), tmp_path / "b.cbn")


# ---- old files ----


# ---- damage that no chance would make (more in fuzz/test_fuzz_modelfile.py) ----

BAD_CALIBRATION = {
    "NaN": [-1.0, np.nan, 2.0], "NaN at the end": [1, np.nan], "infinity": [1.0, np.inf], "-infinity": [-np.inf, 1],
    "decreasing": [2.0, 1.0], "empty": np.zeros(0), "2-d": np.zeros((3, 1)), "float32": np.zeros(3, "f4"),
    "ints": np.zeros(3, int), "big endian": np.zeros(3, ">f8"), "a number": np.float64(1),
    "complex": np.zeros(3, complex), "objects": np.full(3, 1.0, object),
    "more than images that were left out": np.arange(201.0),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD_CALIBRATION)
def test_bad_calibration(name, saved, tmp_path):
    content = npy(np.asarray(BAD_CALIBRATION[name]), allow_pickle=True)
    refused(write(tmp_path / "a.cbn", members_of(saved) | {"calibration_0.npy": content}), "damaged")


@pytest.fixture
def classifier(tmp_path):
    return save(Classifier(class_prior=(0.2, 0.3, 0.5)).fit(X, LABELS), tmp_path / "classifier.cbn")


CLASSES = {
    "twice": [0, 0, 1], "not sorted": [2, 1, 0], "mixed": [0, "a", 2], "lists": [[0], [1], [2]], "none": [None, 0, 1],
    "dicts": [{}, {}, {}], "missing": [],
}  # fmt: skip


@pytest.mark.parametrize("name", CLASSES)
def test_bad_classes(name, classifier, tmp_path):
    def change(header):
        for i, network in enumerate(header["networks"]):
            del network["class"]
            network.update({"class": CLASSES[name][i]} if CLASSES[name] else {})

    refused(with_header(classifier, tmp_path / "a.cbn", change), "damaged")


def test_networks_of_different_shapes_are_no_classifier(classifier, tmp_path):
    other = Network(false_alarm_rate=0.1).fit(X.transpose(0, 2, 1))
    other.save(tmp_path / "other")
    members = members_of(classifier)
    for own, foreign in (("counts_1.npy", "counts_0.npy"), ("calibration_1.npy", "calibration_0.npy")):
        members[own] = members_of(tmp_path / "other")[foreign]
    header = json.loads(members["header.json"])
    header["networks"][1] |= json.loads(members_of(tmp_path / "other")["header.json"])["networks"][0]
    members["header.json"] = json.dumps(header)
    refused(write(tmp_path / "a.cbn", members), "damaged")


@pytest.mark.parametrize("prior", [None, [0.2, 0.3, 0.5], []])
def test_a_classifier_without_networks(prior, classifier, tmp_path):
    def change(header):
        header["networks"] = []
        header["arguments"]["class_prior"] = prior

    refused(with_header(classifier, tmp_path / "a.cbn", change), "damaged")


@pytest.mark.parametrize("prior", [[0.5, 0.5], [1, 1, 1], [1, 0, 0], "x", [None] * 3, {}, 3])
def test_bad_priors_of_a_classifier(prior, classifier, tmp_path):
    refused(with_header(classifier, tmp_path / "a.cbn", lambda h: h["arguments"].update(class_prior=prior)), "damaged")


@pytest.mark.parametrize("text", ["\x1b[31mred", "a\nb", "\x07", "\u202e", "x" * 5000], ids=ascii)
def test_messages_show_no_control_characters_of_the_file(text, saved, tmp_path):
    for change in (
        lambda h: h["arguments"].update({text: 1}), lambda h: h.update(kind=text), lambda h: h.update(version=text),
        lambda h: h.get("settings", h["networks"][0]).update(score=text),
        lambda h: h["networks"][0].update(thresholds=[text]),
    ):  # fmt: skip
        refused(with_header(saved, tmp_path / "a.cbn", change))


def test_a_file_that_was_cut_short_is_told_from_a_foreign_one(saved, tmp_path):
    whole = saved.read_bytes()
    for kept in (100, len(whole) // 2, len(whole) - 1):
        (tmp_path / "cut.cbn").write_bytes(whole[:kept])
        refused(tmp_path / "cut.cbn", "damaged: its end is missing")
    np.savez(tmp_path / "other.npz", a=np.zeros(3))
    (tmp_path / "cut.npz").write_bytes((tmp_path / "other.npz").read_bytes()[:100])
    refused(tmp_path / "cut.npz", "not a cbn model")
