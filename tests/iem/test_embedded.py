# SPDX-License-Identifier: BSD-3-Clause
"""Neural sidewards models on the embedded network: levels, sharings, energies, files, checkpoints, threads."""

import json
import zipfile

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.metrics import roc_auc_score

import cbn
from cbn.datasets import make_category
from cbn.iem import Level
from cbn.iem.names import ENERGIES, SHARINGS
from cbn.iem.parameters import Arguments, sidewards_of
from cbn.iem.pretrained.efficientnet import EfficientNetLite0
from cbn.iem.pretrained.embedded import EmbeddedBackbone
from helpers.inspection import energy_model

SMALL = EmbeddedBackbone(directions=6, level=Level((), 1, (8, 6)))


@pytest.fixture(scope="module")
def category():
    return make_category("texture", 24, 12, 3, size=(48, 40), random_state=0)


def model_of(backbone=SMALL, **arguments):
    usual = {"sidewards": "neural", "epochs": 2, "random_state": 0, "n_jobs": 1, "false_alarm_rate": 0.2}
    return energy_model(**usual | {"backbone": backbone} | arguments)


def test_one_level_of_whitened_features(category):
    model = model_of().fit(category.train)
    (level,) = model.levels_
    assert level.shape == (6, 5, 6) and level.level.steps == () and model.picture_shape_ == (48, 40, 1)
    backbone, settings = model.backbone_, model.fitted_.settings
    assert backbone.whitening.basis.shape == (256, 6) and SMALL.whitening is None
    features = settings.prepare(category.train[..., None])
    assert features.shape == (24, 6, 5, 6) and features.dtype == np.float32
    flat = features.reshape(-1, 6)
    np.testing.assert_allclose(np.cov(flat.T), np.eye(6), atol=0.3)  # of the pictures trained on exactly
    size = settings.sizes(model.picture_shape_)[0]
    assert (size.receptive_field, size.stride) == (339, 8) and settings.centres() == [(3.5, 8)]


def test_finds_defects(category):
    model = model_of("efficientnet_lite0", epochs=30, held_out=0).fit(category.train)
    assert model.levels_[0].shape == (6, 5, 128) and model.levels_[0].level.hidden == (128, 64)
    assert roc_auc_score(category.labels, -model.score_samples(category.test)) > 0.8
    maps = model.energy_map(category.test)
    assert maps.shape == category.test.shape
    inside = [own[mask].mean() for own, mask in zip(maps, category.masks) if mask.any()]
    assert np.mean(inside) > maps[~category.labels.astype(bool)].mean()


@pytest.mark.parametrize("sharing", SHARINGS)
def test_every_sharing_in_files_and_with_threads(sharing, category, tmp_path):
    model = model_of(sharing=sharing).fit(category.train[:12])
    assert model.levels_[0].curve[-1] < model.levels_[0].curve[0]
    model.save(tmp_path / "a.cbn")
    model_of(sharing=sharing, n_jobs=2).fit(category.train[:12]).save(tmp_path / "b.cbn")
    loaded = cbn.load(tmp_path / "a.cbn")
    loaded.save(tmp_path / "c.cbn")
    contents = [(tmp_path / name).read_bytes() for name in ("a.cbn", "b.cbn", "c.cbn")]
    assert contents[0] == contents[1] == contents[2]
    np.testing.assert_array_equal(loaded.score_samples(category.test), model.score_samples(category.test))
    np.testing.assert_array_equal(loaded.energy_map(category.test), model.energy_map(category.test))
    again = clone(loaded).fit(category.train[:12])
    np.testing.assert_array_equal(again.score_samples(category.test), model.score_samples(category.test))


@pytest.mark.parametrize("energy", ENERGIES)
def test_every_energy(energy, category):
    model = model_of(energy=energy, brightness="median").fit(category.train)
    scores = model.score_samples(category.test)
    assert np.isfinite(scores).all() and np.ptp(scores) > 0
    assert model.fitted_.settings.level_weights == (1.0,)


def test_resumes_to_the_same_bytes(category, tmp_path):
    class Stop(Exception):
        pass

    def stop(state):
        raise Stop

    path = tmp_path / "checkpoint"
    with pytest.raises(Stop):
        model_of().fit(category.train, checkpoint=path, progress=stop)
    resumed = model_of().fit(category.train, checkpoint=path, resume=True)
    whole = model_of().fit(category.train)
    np.testing.assert_array_equal(resumed.score_samples(category.test), whole.score_samples(category.test))
    other = EmbeddedBackbone(directions=5, level=SMALL.level)
    with pytest.raises(cbn.ModelFileError, match="of other images, arguments"):
        model_of(other).fit(category.train, checkpoint=path, resume=True)


def test_weights_of_ones_own_are_in_the_file(category, tmp_path):
    packed = EfficientNetLite0().packed * np.float32(0.9)
    own = EmbeddedBackbone(EfficientNetLite0.of_packed(packed), 6, SMALL.level)
    model = model_of(own).fit(category.train[:20])
    model.save(tmp_path / "own.cbn")
    loaded = cbn.load(tmp_path / "own.cbn")
    assert loaded.backbone_.digest() == own.digest() != SMALL.digest()
    np.testing.assert_array_equal(loaded.score_samples(category.test), model.score_samples(category.test))


def test_damaged_files(category, tmp_path):
    model_of().fit(category.train[:20]).save(tmp_path / "a.cbn")
    with zipfile.ZipFile(tmp_path / "a.cbn") as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    header = next(name for name in parts if name.endswith(".json"))
    described = json.loads(parts[header])
    assert described["version"] == 8 and described["backbone"]["directions"] == 6
    for changes in ({"network": "0" * 64}, {"directions": 7}, {"directions": 0}, {"architecture": {"levels": []}}):
        changed = described | {"backbone": described["backbone"] | changes}
        with zipfile.ZipFile(tmp_path / "b.cbn", "w") as archive:
            for name, content in (parts | {header: json.dumps(changed).encode()}).items():
                archive.writestr(name, content)
        with pytest.raises(cbn.ModelFileError):
            cbn.load(tmp_path / "b.cbn")


def test_arguments():
    assert sidewards_of(Arguments(sidewards="neural", backbone="efficientnet_lite0")) == "neural"
    assert sidewards_of(Arguments(sharing="a", backbone="efficientnet_lite0")) == "neural"
    assert sidewards_of(Arguments(backbone="efficientnet_lite0")) == "gaussian"
    assert sidewards_of(Arguments(backbone=SMALL)) == "neural"
    for wrong, message in (({"directions": 0}, "directions: 0"), ({"directions": 257}, "directions: 257")):
        with pytest.raises(ValueError, match=message):
            EmbeddedBackbone(**wrong)
    with pytest.raises(ValueError, match="level: "):
        EmbeddedBackbone(level=3)
    with pytest.raises(ValueError, match="level 0: 1 x 1 positions"):
        model_of().fit(np.zeros((4, 8, 8), np.uint8))
