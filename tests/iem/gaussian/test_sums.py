# SPDX-License-Identifier: BSD-3-Clause
"""Models that keep their sums: the same bytes for any batches, order, merges and threads; files; what is refused."""

import json

import numpy as np
import pytest

import cbn
from cbn.datasets import make_category, write_mvtec
from cbn.iem import Gaussian
from cbn.iem.gaussian import sums
from helpers import programs as cli
from helpers.modelfiles import assert_damaged_arrays_are_refused, members_of, refused, with_header, write

pytestmark = pytest.mark.filterwarnings("ignore::cbn.CalibrationWarning")  # of few pictures

KEPT = Gaussian(directions=24, keep_sums=True)


@pytest.fixture(scope="module")
def category():
    return make_category("texture", n_train=30, n_good=8, n_defects=3, size=48, random_state=3)


def model_of(gaussian=KEPT, **arguments):
    return cbn.IntrospectiveEnergyModel(gaussian=gaussian, false_alarm_rate=0.05, **arguments)


@pytest.fixture(scope="module")
def whole(category):
    return model_of().fit(category.train)


def saved(model, path):
    model.save(path)
    return path.read_bytes()


def test_sums_give_the_model_of_the_pictures(category, whole):
    """One pass over sums that are whitened later, against three passes with whitened features that are rounded."""
    one, other = (model_of(Gaussian(directions=5, keep_sums=keep)).fit(category.train) for keep in (True, False))
    np.testing.assert_allclose(one.score_samples(category.test), other.score_samples(category.test), rtol=4e-3)
    np.testing.assert_allclose(one.calibration_scores_, np.sort(other.calibration_scores_), rtol=6e-3)
    assert whole.n_images_ == 30 and whole.calibration_ == "leave-one-out"


@pytest.mark.parametrize("seed", range(4))
def test_random_batches_and_threads_give_the_same_bytes(category, whole, tmp_path, seed, monkeypatch):
    rng = np.random.default_rng(seed)
    order = rng.permutation(30)
    cuts = np.sort(rng.choice(np.arange(2, 30), 3, replace=False))
    monkeypatch.setenv("CBN_INSTRUCTION_SET", ("generic", "avx2", "avx512", "neon")[seed])
    model = model_of()
    for number, part in enumerate(np.split(order, cuts)):
        model.set_params(n_jobs=1 + (seed + number) % 3)
        model.partial_fit(category.train[part])
    assert saved(model, tmp_path / "a") == saved(whole, tmp_path / "b")


def test_merged_models_are_the_model_of_all(category, whole, tmp_path):
    first, second, third = (
        model_of().fit(category.train[part]) for part in (slice(20, 30), slice(0, 20, 2), slice(1, 20, 2))
    )
    before = saved(third, tmp_path / "third")
    second.merge(third).merge(first)
    assert saved(second, tmp_path / "a") == saved(whole, tmp_path / "b")
    assert saved(third, tmp_path / "third") == before


def test_kept_pictures_are_those_of_the_smallest_digests(category, monkeypatch):
    monkeypatch.setattr(sums, "MOST_KEPT", 21)
    one = model_of().fit(category.train).fitted_
    other = model_of()
    for begin in (12, 0, 24):
        other.partial_fit(category.train[begin : begin + 12])
    assert len(one.calibration.scores) == 21
    np.testing.assert_array_equal(one.sums.features, other.fitted_.sums.features)
    expected = np.sort(sums.digests_of(category.train[..., None] if category.train.ndim == 3 else category.train))[:21]
    np.testing.assert_array_equal(one.sums.digests, expected)
    np.testing.assert_array_equal(one.calibration.scores, other.calibration_scores_)


def test_files_and_going_on_from_them(category, whole, tmp_path):
    saved(model_of().fit(category.train[:10]), tmp_path / "a.cbn")
    again = cbn.load(tmp_path / "a.cbn")
    again.partial_fit(category.train[10:])
    assert saved(again, tmp_path / "b.cbn") == saved(whole, tmp_path / "c.cbn")
    light = saved(model_of(Gaussian(directions=24)).fit(category.train), tmp_path / "light.cbn")
    assert len(light) < (tmp_path / "c.cbn").stat().st_size / 4


@pytest.mark.parametrize("name", ["sums", "products", "digests", "kept"])
def test_damaged_sums_are_refused(whole, tmp_path, name):
    saved(whole, tmp_path / "a.cbn")
    assert_damaged_arrays_are_refused(tmp_path / "a.cbn", tmp_path / "b.cbn", name)
    refused(with_header(tmp_path / "a.cbn", tmp_path / "b.cbn", lambda header: header | {"digest": -1}), "damaged")


@pytest.mark.parametrize(
    ("name", "last"),
    [("sums", 2**63 - 1), ("sums", -(2**63)), ("products", 2**63 - 1), ("products", -(2**63)), ("digests", 0)],
)
def test_sums_that_no_pictures_have_are_refused(whole, tmp_path, name, last):
    saved(whole, tmp_path / "a.cbn")
    members = members_of(tmp_path / "a.cbn")
    members[f"{name}.npy"] = members[f"{name}.npy"][:-8] + (last % 2**64).to_bytes(8, "little")
    refused(write(tmp_path / "b.cbn", members), "damaged")


def test_what_is_refused(category, whole, tmp_path):
    plain = model_of(Gaussian(directions=24)).fit(category.train)
    for model in (plain, model_of(None), cbn.IntrospectiveEnergyModel(sidewards="neural")):
        assert not hasattr(model, "partial_fit")
        with pytest.raises(AttributeError, match=r"^partial_fit: the model keeps no sums; give gaussian=Gaussian"):
            model.partial_fit(category.train)
    with pytest.raises(ValueError, match=r"^merge: the model keeps no sums"):
        plain.merge(whole)
    with pytest.raises(ValueError, match=r"^merge: the model keeps no sums"):
        whole.merge(plain)
    with pytest.raises(ValueError, match=r"^merge: .*same settings"):
        whole.merge(model_of(Gaussian(directions=12, keep_sums=True)).fit(category.train))
    with pytest.raises(ValueError, match=r"^merge: brightness median"):
        whole.merge(model_of(brightness="median").fit(category.train))
    with pytest.raises(ValueError, match=r"^merge: 3; give another IntrospectiveEnergyModel"):
        whole.merge(3)
    assert not hasattr(cbn.IntrospectiveEnergyModel(gaussian=7), "partial_fit")
    with pytest.raises(ValueError, match=r"^backbone: 'None'; choose one of .*none"):
        model_of(None, backbone="None").fit(category.train)
    with pytest.raises(ValueError, match=r"^keep_sums: True; not with backbone='none'"):
        model_of(backbone="none").fit(category.train)
    with pytest.raises(cbn.DataError, match="^X: "):
        cbn.load(_path_of(whole, tmp_path)).partial_fit(category.train[:, :40])


def _path_of(model, folder):
    model.save(folder / "model.cbn")
    return folder / "model.cbn"


def test_programs(category, tmp_path):
    write_mvtec(tmp_path / "carpet", category)
    options = (
        "--data",
        tmp_path / "carpet",
        "--size",
        48,
        "--directions",
        24,
        "--keep-sums",
        "--false-alarm-rate",
        0.05,
    )
    plan = cli.done("cbn-iem-train", *options, "--dry-run")
    assert "1 over the pictures; sums are kept" in plan.out
    cli.done("cbn-iem-train", *options, "--out", tmp_path / "m.cbn", "--quiet")
    model = cbn.load(tmp_path / "m.cbn")
    assert model.gaussian.keep_sums and model.fitted_.sums.moments.n == 30
    shown = json.loads(cli.done("cbn-show", tmp_path / "m.cbn", "--json", "--out", tmp_path / "m.png").out)
    assert shown["gaussian"]["keep_sums"] is True


def test_training_pictures_of_sums_are_known_in_any_order(category):
    pictures = category.train
    model = cbn.IntrospectiveEnergyModel(gaussian=KEPT, false_alarm_rate=0.2).fit(pictures)
    with pytest.raises(cbn.DataError, match="^X: are the images that the model was trained on"):
        model.calibrate(pictures[::-1])
