# SPDX-License-Identifier: BSD-3-Clause
"""The contrast: two networks of tied trees, their log-ratio at pixels, and the score that is made of it."""

import json
import pickle

import numpy as np
import pytest
from analysis.false_alarm_rates import digits, shots
from PIL import Image

import cbn
from cbn import ConvolutionalBayesianNetwork as Network
from cbn import _engine
from cbn.bits.planes import BitPlanes
from cbn.bits.shards import LocalShards, Part, Shard
from cbn.cli.score import main as main_score
from cbn.cpd.grid import Grid
from cbn.exceptions import ModelFileError
from cbn.layers.contrast import FLOOR, LogRatio, excess, lowest, smoothed, transformed
from cbn.layers.contrast_shards import learned_from
from cbn.plots.pictures import heat_map
from helpers.modelfiles import members_of, save, version_of, with_header

QUICK = {"pairs": 4000, "rounds": 6, "background_pairs": 2000, "background_rounds": 3}
FEATURES = cbn.Features(layers=((4, 2, 2),), iterations=0, activation=(0.5, 0.9))
GRID = Grid(1, 14, 14)
CUTS = (3, 700, 1100, 1150, 1919)


def small(n, digit, seed=0):
    """(n, 14, 14) uint8 images of a digit: 0 and 1."""
    images = digits(np.random.default_rng(seed), n, digit)
    return np.ascontiguousarray(images[:, ::2, ::2])


def network(preset="best", **changed):
    given = {"contrast": cbn.Contrast(**QUICK), "features": FEATURES, "random_state": 0, "n_jobs": 1}
    return Network(preset, **given | {"false_alarm_rate": 0.05} | changed)


@pytest.fixture(scope="module")
def images():
    return small(240, 3), small(100, 3, 1), small(100, 1, 1)


@pytest.fixture(scope="module")
def model(images):
    """Not to be changed."""
    return network().fit(images[0])


# ---- images of the background ----


@pytest.mark.parametrize("shape", [(5, 5), (4, 7), (1, 1), (1, 6)])
def test_each_image_is_one_of_its_turned_and_moved_copies(shape):
    grid, random = Grid(1, *shape), np.random.default_rng(0)
    states = random.integers(0, 2, (40, grid.n_nodes), dtype=np.uint8)
    seen = transformed(states, grid, 2, 7)
    np.testing.assert_array_equal(seen, transformed(states, grid, 2, 7))
    moves = [(y, x) for y in range(-2, 3) for x in range(-2, 3)]
    for own, found in zip(states.reshape(-1, *shape), seen.reshape(-1, *shape), strict=True):
        kinds = [own, own[::-1], own[:, ::-1], own[::-1, ::-1]]
        kinds += [kind.T for kind in kinds] if shape[0] == shape[1] else []
        assert any((np.roll(kind, move, (0, 1)) == found).all() for kind in kinds for move in moves)
    if shape == (5, 5):
        assert (transformed(states, grid, 2, 8) != seen).any() and (transformed(states, grid, 0, 7) != seen).any()


# ---- maps ----


@pytest.mark.parametrize("deviation", [0.0, 1e-300, 0.7, 2.0, 100.0])
def test_smoothing(deviation):
    maps = np.random.default_rng(0).normal(size=(3, 6, 9))
    found = smoothed(maps, deviation)
    if deviation < 0.1:
        np.testing.assert_allclose(found, maps, rtol=1e-5)
        return
    reach = int(np.ceil(3 * deviation))
    weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) / deviation) ** 2)
    weights /= weights.sum()
    wanted = maps
    for axis in (1, 2):
        wanted = np.apply_along_axis(lambda row: np.convolve(row, weights)[reach : reach + len(row)], axis, wanted)
    np.testing.assert_allclose(found, wanted, atol=1e-4)


def test_smoothing_does_not_depend_on_the_other_images():
    maps = np.random.default_rng(0).normal(size=(700, 14, 14))
    np.testing.assert_array_equal(smoothed(maps, 2.0)[300:310], smoothed(maps[300:310], 2.0))


def test_maps_are_the_log_ratio_of_two_densities(model, images):
    contrast = model.fitted_.network.contrast
    maps = model.contrast_map(images[1])
    planes = model.fitted_.pixel_planes(images[1])
    nats = [own.sums(planes, _engine.LOG_PROBABILITY, False, 1) for own in (contrast.background, contrast.own)]
    np.testing.assert_allclose(maps.sum(axis=(1, 2)), nats[0] - nats[1])
    columns = model.layer_scores(images[1], "contrast")
    np.testing.assert_allclose(-columns[:, -2], maps.sum(axis=(1, 2)))
    apart = smoothed(maps, contrast.smoothing) - contrast.mean
    above = np.maximum(apart / (contrast.deviation + FLOOR), 0)
    np.testing.assert_allclose(-columns[:, -1], np.sqrt((above**2).mean(axis=(1, 2))))
    np.testing.assert_array_equal(columns[:, :-2], model.layer_scores(images[1], "standardized"))


def test_smoothed_maps_have_one_scale_that_normal_images_hardly_reach(model, images):
    contrast = model.fitted_.network.contrast
    maps = model.contrast_map(images[1], smooth=True)
    np.testing.assert_array_equal(maps, smoothed(model.contrast_map(images[1]), contrast.smoothing))
    scale = model.contrast_map_scale()
    assert scale == pytest.approx((contrast.mean + 4 * contrast.deviation).max())
    assert (model.contrast_map(images[0], smooth=True) < scale).mean() > 0.999


def test_heat_maps_show_what_speaks_against_the_class(model, images, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model.save("model.cbn")
    np.save("odd.npy", images[2][:1])
    assert main_score(["--data", "odd.npy", "--heatmap", "maps", "--quiet"]) == 0
    with Image.open("maps/0.png") as picture:
        wide = picture.width
    alone = heat_map(images[2][0], model.surprise_map(images[2][:1])[0], model.heat_map_scale())
    assert wide > alone.width * 1.25  # a fourth panel


def test_held_out_images_are_measured_by_the_others(images):
    """As if each were left out of the mean and the deviation of the maps."""
    planes = [BitPlanes.of_states(own.reshape(len(own), -1), 1) for own in (images[0], images[1])]
    contrast = cbn.Contrast(**QUICK)
    ratio, columns = LogRatio.learned(contrast, GRID, *planes, 0, 1)
    smooth = smoothed(ratio.maps(planes[1], 1), ratio.smoothing)
    np.testing.assert_allclose(ratio.mean, smooth.mean(axis=0))
    np.testing.assert_allclose(ratio.deviation, smooth.std(axis=0))
    for i in (0, 17, 99):
        others = np.delete(smooth, i, axis=0)
        own = excess(smooth[i : i + 1] - others.mean(axis=0), others.std(axis=0))
        np.testing.assert_allclose(columns[i], [-ratio.maps(planes[1], 1)[i].sum(), -own[0]])


def test_maps_that_are_not_kept_give_the_same(images, monkeypatch):
    planes = [BitPlanes.of_states(own.reshape(len(own), -1), 1) for own in (images[0], images[0])]
    expected = LogRatio.learned(cbn.Contrast(**QUICK), GRID, *planes, 0, 1)
    monkeypatch.setattr("cbn.layers.contrast.KEPT_BYTES", 0)
    monkeypatch.setattr("cbn.layers.contrast.CHUNK_BYTES", 1)
    found = LogRatio.learned(cbn.Contrast(**QUICK), GRID, *planes, 0, 1)
    np.testing.assert_allclose(found[1], expected[1])
    np.testing.assert_allclose(found[0].mean, expected[0].mean, atol=1e-12)


@pytest.mark.parametrize("kept", [0, 2**28])
def test_images_in_several_places_give_the_same(kept, monkeypatch):
    """To the last bit, with means that are sums of several chunks of maps, and a background of the first images alone."""
    monkeypatch.setattr("cbn.layers.contrast.KEPT_BYTES", kept)
    monkeypatch.setattr("cbn.layers.contrast.CHUNK_BYTES", 1)  # the least is 512 images
    monkeypatch.setattr("cbn.layers.contrast.TURNED_BYTES", 64 * GRID.n_nodes * 5)  # 320 images
    images = np.random.default_rng(0).permutation(np.concatenate([small(240, d).reshape(240, -1) for d in range(8)]))
    whole = BitPlanes.of_states(images, 1)
    parts = [BitPlanes.of_states(own, 1) for own in np.split(images, CUTS)]
    shards = LocalShards([Shard((own,), first, (0, 1)) for own, first in zip(parts, (0, *CUTS))], 1, len(images))
    part, contrast = Part(len(images), 1, 3), cbn.Contrast(**QUICK)
    own = part.of(np.arange(len(images)))
    for counted, held_out, pieces in (
        (whole, whole, (shards, shards)),
        (whole.select(own, 1), whole.select(~own, 1), (shards.only(part), shards.only(part.others))),
    ):
        expected, columns = LogRatio.learned(contrast, GRID, counted, held_out, 0, 1)
        found, again = learned_from(contrast, GRID, *pieces, 0, 1)
        np.testing.assert_array_equal(again, columns)
        for name, array in found.arrays().items():
            np.testing.assert_array_equal(array, expected.arrays()[name], err_msg=name)


def test_one_held_out_image_in_several_places(images):
    planes = [BitPlanes.of_states(own.reshape(len(own), -1), 1) for own in (images[0], images[0][:1])]
    expected, columns = LogRatio.learned(cbn.Contrast(**QUICK), GRID, *planes, 0, 1)
    shards = [LocalShards([Shard((own,), 0, (0, 1))], 1, own.n_images) for own in planes]
    found, again = learned_from(cbn.Contrast(**QUICK), GRID, *shards, 0, 1)
    np.testing.assert_array_equal(again, columns)
    np.testing.assert_array_equal(found.mean, expected.mean)


# ---- the score ----


def test_it_is_the_score_of_best_and_a_sum_of_its_columns(model, images):
    fitted = model.fitted_
    assert model.score_ == "contrast" and fitted.score_names[-1] == "contrast"
    scales = fitted.network.scales["contrast"]
    columns = model.layer_scores(images[1], "contrast")
    assert columns.shape == (100, 4) and len(scales) == 4
    np.testing.assert_allclose(model.score_samples(images[1]), columns @ scales)
    # of normal images the contrast's part has deviation 1, and the layers' part the weight
    planes = fitted.planes(fitted.validated(images[1]))
    normal = fitted.judge.layer_scores(planes, "contrast", 1)
    assert (normal[:, 2:] @ scales[2:]).std() == pytest.approx(1, abs=0.3)
    assert (normal[:, :2] @ scales[:2]).std() == pytest.approx(1, abs=0.3)
    without = network(contrast=False).fit(images[0])
    assert without.score_ == "standardized"
    for score in ("log_probability", "surprise", "standardized", "normalized"):
        np.testing.assert_array_equal(without.score_samples(images[1], score), model.score_samples(images[1], score))


def test_other_digits_are_further_from_the_class(model, images):
    """Ones have little ink, and are likely under every model: the contrast finds them all the same."""
    ratio = [model.contrast_map(own).sum(axis=(1, 2)) for own in images[1:]]
    assert np.median(ratio[1]) > np.quantile(ratio[0], 0.9)
    assert (model.predict(images[2]) == -1).mean() > 0.9


def test_the_layers_weigh_nothing_at_weight_0(images):
    model = network(contrast=cbn.Contrast(weight=0, **QUICK)).fit(images[0])
    scales = model.fitted_.network.scales["contrast"]
    assert scales[:2] == (0, 0) and min(scales[2:]) > 0


@pytest.mark.parametrize("kind", [shots, lambda rng, n: digits(rng, n, 5)], ids=["shots", "digits"])
@pytest.mark.parametrize("n", [40, 300])
def test_the_rate_is_kept(kind, n):
    rate, shares = 0.05, []
    for seed in range(3):
        own = np.ascontiguousarray(kind(np.random.default_rng((seed, n)), n + 300)[:, ::2, ::2])
        model = network(random_state=seed, contrast=cbn.Contrast(weight=0, **QUICK)).fit(own[:n])
        shares.append((model.predict(own[n:]) == -1).mean())
    assert np.mean(shares) <= rate + 3 * np.sqrt(rate * (1 - rate) * (1 / 300 + 1 / n) / 3)


def test_grey_images_are_read_at_the_lowest_threshold(images):
    shade = (60 + np.arange(196).reshape(14, 14)).astype(np.uint8)
    grey = images[0] * shade
    model = network(threshold=(0.2, 0.5, 0.8)).fit(grey)
    contrast = model.fitted_.network.contrast
    assert contrast.own.layer.channels == contrast.background.layer.channels == 1
    planes = model.fitted_.pixel_planes(model.fitted_.validated(grey[:50]))
    np.testing.assert_array_equal(lowest(planes, GRID).states(1), (grey[:50] > 0.2 * 255).reshape(50, -1))
    assert "above 0.2" in str(model.explain(grey[0], 1, by="contrast")[0])
    assert np.isfinite(model.score_samples(grey)).all() and model.repair(grey[0], 3).score <= 1e300


@pytest.mark.parametrize("cpd", ["tree", "boosted", "tied"])
def test_beside_trees_of_any_kind(cpd, images):
    of_kind = {
        "tree": cbn.Tree(), "boosted": cbn.Boosted(rounds=2, max_leaves=3, n_candidates=8),
        "tied": cbn.Tied(rounds=3, pairs=2000),
    }  # fmt: skip
    model = network("tree", cpd=of_kind[cpd], features=None).fit(images[0])
    assert model.score_ == "contrast" and model.layer_scores(images[1]).shape == (100, 3)
    assert np.isfinite(model.score_samples(images[1])).all()


@pytest.mark.parametrize("n", [1, 2, 3, 20])
def test_few_images(n, images):
    with pytest.warns(cbn.CalibrationWarning) if n < 19 else warnings_as_they_are():
        model = network().fit(images[0][:n])
    assert np.isfinite(model.score_samples(images[1])).all() and len(model.calibration_scores_) == n


def warnings_as_they_are():
    from contextlib import nullcontext

    return nullcontext()


@pytest.mark.parametrize("shape", [(4, 4), (5, 12), (40, 9)])
def test_images_of_any_shape(shape):
    pictures = np.random.default_rng(0).integers(0, 2, (30, *shape), dtype=np.uint8)
    model = network(features=cbn.Features(layers=((3, 2, 1),), iterations=0)).fit(pictures)
    assert model.contrast_map(pictures).shape == pictures.shape and np.isfinite(model.contrast_map(pictures)).all()


# ---- promises ----


def test_same_seed_same_bytes_for_any_number_of_threads(images, tmp_path):
    found = [network(n_jobs=n).fit(images[0]) for n in (1, 3)]
    first, second = (save(own, tmp_path / f"{i}.cbn").read_bytes() for i, own in enumerate(found))
    assert first == second
    assert found[0].score_samples(images[1]).tobytes() == found[1].score_samples(images[1]).tobytes()
    assert save(network(random_state=1).fit(images[0]), tmp_path / "2.cbn").read_bytes() != first


def test_judged_by_networks_without_the_first_fold(model, images):
    own = model.fitted_
    assert own.network.contrast is own.judge.contrast and own.judge.contrast.own.n_images == 120
    assert not own.network.contrast.mean.flags.writeable and not own.network.contrast.own.layer.split.flags.writeable
    np.testing.assert_array_equal(
        model.judged_scores(images[1]), own.judge.combine(own.judge.layer_scores(
            own.planes(own.validated(images[1])), "contrast", 1), "contrast"),
    )  # fmt: skip


def test_files_and_pickles(model, images, tmp_path):
    path = save(model, tmp_path / "a.cbn")
    assert version_of(path) == 11
    for other in (cbn.load(path), pickle.loads(pickle.dumps(model))):
        assert save(other, tmp_path / "b.cbn").read_bytes() == path.read_bytes()
        np.testing.assert_array_equal(other.score_samples(images[1]), model.score_samples(images[1]))
        np.testing.assert_array_equal(other.judged_scores(images[1]), model.judged_scores(images[1]))
        np.testing.assert_array_equal(other.contrast_map(images[1]), model.contrast_map(images[1]))
    assert cbn.load(path).contrast == model.contrast
    header = json.loads(members_of(path)["header.json"])
    assert header["settings"]["contrast"] == cbn.Contrast(**QUICK).get_params()
    off = save(network(contrast=False).fit(images[0]), tmp_path / "off.cbn")
    assert version_of(off) == 11 and cbn.load(off).contrast is False and cbn.load(off).score_ == "standardized"
    assert version_of(save(Network("tree", n_jobs=1).fit(images[0]), tmp_path / "tree.cbn")) == 6


def _contrast(header):
    return header["networks"][0]["contrast"]


DAMAGES = {
    "no contrast": lambda h: h["networks"][0].pop("contrast"),
    "no settings": lambda h: h["settings"].pop("contrast"),
    "an older version": lambda h: h.update(version=6),
    "no scales": lambda h: h["networks"][0]["scales"].pop("contrast"),
    "few scales": lambda h: h["networks"][0]["scales"]["contrast"].pop(),
    "smoothing": lambda h: _contrast(h).update(smoothing=-1),
    "images": lambda h: _contrast(h).update(n_images=3),
    "kind": lambda h: _contrast(h)["own"].update(cpd="boosted"),
    "no background": lambda h: _contrast(h).pop("background"),
    "side": lambda h: _contrast(h)["own"]["layer"].update(height=13),
    "weight": lambda h: h["settings"]["contrast"].update(weight=-1),
    "field": lambda h: h["settings"]["contrast"].update(nothing=1),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_files(damage, model, tmp_path):
    path = with_header(save(model, tmp_path / "a.cbn"), tmp_path / "b.cbn", DAMAGES[damage])
    with pytest.raises(ModelFileError, match="damaged"):
        cbn.load(path)


# ---- arguments ----


@pytest.mark.parametrize("arguments, words", [
    ({"preset": "pixel", "contrast": True}, ["contrast", "True", "tree"]),
    ({"preset": "best", "contrast": "yes"}, ["contrast", "'yes'", "cbn.Contrast()"]),
    ({"preset": "best", "contrast": cbn.Contrast(radius=0)}, ["radius", "0"]),
    ({"preset": "best", "contrast": cbn.Contrast(weight=-1)}, ["weight", "-1"]),
    ({"preset": "tree", "outlier_score": "contrast"}, ["score", "'contrast'", "preset='best'"]),
    ({"preset": "best", "contrast": False, "outlier_score": "contrast"}, ["score", "'contrast'", "contrast=True"]),
])  # fmt: skip
def test_refused(arguments, words, images):
    with pytest.raises(ValueError) as caught:
        Network(**arguments).fit(images[0])
    assert all(word in str(caught.value) for word in words) and str(caught.value).isprintable()


def test_without_a_contrast_there_is_no_such_score(images):
    model = network(contrast=False).fit(images[0])
    for call in (model.contrast_map, lambda X: model.explain(X[0], by="contrast")):
        with pytest.raises(ValueError, match=r"^contrast: the network has none; fit one with preset='best'"):
            call(images[1])
    with pytest.raises(ValueError, match="score"):
        model.score_samples(images[1], "contrast")


def test_a_field_is_set_where_the_preset_had_the_object():
    assert Network("best").set_params(contrast__radius=5).contrast == cbn.Contrast(radius=5)
    assert Network("tree").set_params(contrast__weight=2.0).contrast == cbn.Contrast(weight=2.0)
    assert Network("best", cpd="table").arguments().resolve().contrast is None


# ---- explanations ----


def test_explanations_are_the_largest_of_the_map_in_nats(model, images):
    odd = images[2][0]
    found, ratio = model.explain(odd, 5, by="contrast"), model.contrast_map(odd[None])[0]
    np.testing.assert_array_equal([own.contribution for own in found], np.sort(ratio.ravel())[::-1][:5])
    for own in found:
        assert own.contribution == ratio[own.row, own.column] and own.state == odd[own.row, own.column]
        assert np.log(own.background / own.probability) == pytest.approx(own.contribution, abs=1e-3)
        assert f"{own.contribution:.1f} nats against the class" in str(own)
        json.dumps(own.to_dict())
    with pytest.raises(ValueError, match="by"):
        model.explain(odd, 5, by="ratio")
