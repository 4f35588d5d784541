# SPDX-License-Identifier: BSD-3-Clause
"""Scores over layers: against the twin's tables on bits made by the twin, recounts without an image, maps at pixels."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

import reference
from cbn import DataError
from cbn.bits.planes import BitPlanes
from helpers.engines import TWIN
from helpers.images import blots
from helpers.networks import Network
from reference.tables import LOG_PROBABILITY, NORMALIZED, SURPRISE, VARIANCE

SCORES = ("log_probability", "surprise", "standardized", "normalized")
ARGUMENTS = {"hidden": ((3, 3, 2), (2, 2, 1)), "iterations": 1, "random_state": 1, "n_jobs": 1, "false_alarm_rate": 0.5}
SHAPE = (14, 13)


@pytest.fixture(scope="module", autouse=True)
def kernels_of_all_images():
    """Kernels of so few images would see a third of them; what is computed here is of all."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("cbn.fit.preparing.LEAST_FOR_KERNELS", 0)
        yield


def images_of(n, seed=0):
    """(n, 14, 13) uint8 of grey values whose dark and bright parts depend on each other."""
    shade = np.random.default_rng(seed).integers(60, 256, (n, *SHAPE))
    return (blots(n, 14, seed, noise=0.1)[:, :, :13] * shade).astype(np.uint8)


TRAIN, NEW = images_of(24), images_of(9, seed=1)


@pytest.fixture(scope="module", params=[0.3, (0.3, 0.6)], ids=["one threshold", "two"])
def model(request):
    return Network("hidden", threshold=request.param, **ARGUMENTS).fit(TRAIN)


def all_bits(model, images):
    """Bit-planes of every layer by the twin, from thresholds and kernels."""
    bits = np.concatenate([(images > t * 255).reshape(len(images), -1) for t in model.binarizer_.thresholds], axis=1)
    planes = [TWIN.planes(bits.astype(np.uint8), [0])]
    geometries = model.fitted_.network.geometries
    for trained, below in zip(model.hidden_layers_, geometries):  # one more than there are transitions
        own = trained.layer
        out = np.empty((own.n_nodes, planes[0].shape[1]), np.uint64)
        reference.transition_forward(trained.kernels.transition(below), planes[-1], len(images), out)
        planes.append(out)
    return planes


def bit_planes(model, images):
    return [BitPlanes(words, len(images)) for words in all_bits(model, images)]


def layers_of(model):
    return [model.layer_, *(trained.layer for trained in model.hidden_layers_)]


def nodes_by_twin(model, images, kind, train=TRAIN, pseudocount=1.0):
    """For every layer (n, nodes) contributions, tables counted from the training images."""
    found = []
    for layer, known, own in zip(layers_of(model), all_bits(model, train), all_bits(model, images), strict=True):
        counts = TWIN.counts(layer, known, len(train))
        found.append(TWIN.contributions(layer, own, len(images), TWIN.values(layer, counts, kind, pseudocount)))
    return found


def layer_scores_by_twin(model, images, score, train=TRAIN, pseudocount=1.0):
    kind = {"log_probability": LOG_PROBABILITY, "normalized": NORMALIZED}.get(score, SURPRISE)
    sums = np.stack([nodes.sum(axis=1) for nodes in nodes_by_twin(model, images, kind, train, pseudocount)], axis=1)
    if score == "standardized":
        sums /= np.sqrt([nodes.sum(axis=1) for nodes in nodes_by_twin(model, images, VARIANCE, train, pseudocount)]).T
    return sums if score == "log_probability" else -sums


@pytest.mark.parametrize("score", SCORES)
def test_scores_of_layers_and_their_sum(model, score):
    found = model.layer_scores(NEW, score)
    assert found.shape == (9, 3) and found.dtype == np.float64
    np.testing.assert_allclose(found, layer_scores_by_twin(model, NEW, score), rtol=1e-9)
    scales = model.fitted_.network.scales[score]
    np.testing.assert_allclose(model.score_samples(NEW, score), found @ scales, rtol=1e-12)
    pixels = Network(threshold=model.binarizer_.thresholds, n_jobs=1, false_alarm_rate=0.5).fit(TRAIN)
    np.testing.assert_array_equal(found[:, 0], pixels.score_samples(NEW, score))
    np.testing.assert_array_equal(model.layer_scores(NEW), model.layer_scores(NEW, "surprise"))  # the preset's score
    assert pixels.layer_scores(NEW, score).shape == (9, 1)


def without(model, i):
    """Leave-one-out scores of image i by recounting: {score: (layers,)}."""
    rest = np.delete(TRAIN, i, axis=0)
    share = len(rest) / len(TRAIN)  # of the pseudo-count of 1
    return {s: layer_scores_by_twin(model, TRAIN[i : i + 1], s, rest, share)[0] for s in SCORES}


@pytest.mark.slow
def test_leave_one_out_scores_scales_and_calibration(model):
    some = range(0, len(TRAIN), 5)
    recounted = [without(model, i) for i in some]
    network, planes = model.fitted_.network, bit_planes(model, TRAIN)
    for score in SCORES:
        expected = network.layer_scores(planes, score, 1, leave_one_out=True)
        np.testing.assert_allclose(expected[some], [scores[score] for scores in recounted], rtol=1e-9)
        deviation = expected.std(axis=0)
        np.testing.assert_allclose(network.scales[score], deviation[0] / deviation, rtol=1e-9)
        weighted = Network("hidden", threshold=model.threshold, layer_weights=(0.5, 0, 3), score=score, **ARGUMENTS)
        weighted.fit(TRAIN)
        scales = np.array([0.5, 0, 3]) * deviation[0] / deviation
        np.testing.assert_allclose(weighted.fitted_.network.scales[score], scales, rtol=1e-9)
        np.testing.assert_allclose(weighted.calibration_scores_, np.sort(expected @ scales), rtol=1e-9)
        np.testing.assert_allclose(weighted.score_samples(NEW), model.layer_scores(NEW, score) @ scales, rtol=1e-9)
        spread = expected * scales
        assert spread[:, 0].std() / 0.5 == pytest.approx(spread[:, 2].std() / 3)


def test_recounting_by_the_library_gives_the_same(model):
    """Recounted without an image, kernels and relations fixed, the network scores it as leave-one-out does."""
    kept = model.binarizer_.planes(TRAIN[1:], 1)
    network = model.fitted_.network.recounted(kept, 1)
    for own in network.networks:
        own.pseudocount *= (len(TRAIN) - 1) / len(TRAIN)
    one = network.planes(model.binarizer_.planes(TRAIN[:1], 1), 1)
    expected = model.fitted_.network.layer_scores(bit_planes(model, TRAIN), "surprise", 1, leave_one_out=True)
    np.testing.assert_allclose(network.layer_scores(one, "surprise", 1)[0], expected[0], rtol=1e-9)
    assert network.scales == model.fitted_.network.scales


@pytest.mark.parametrize("weights", [(1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 1, 0)])
def test_a_weight_of_0_removes_a_layer(weights):
    model = Network("hidden", layer_weights=weights, **ARGUMENTS).fit(TRAIN)
    for score in SCORES:
        scales = np.array(model.fitted_.network.scales[score])
        np.testing.assert_array_equal(scales > 0, np.array(weights) > 0)
        np.testing.assert_allclose(model.score_samples(NEW, score), model.layer_scores(NEW, score) @ scales, rtol=1e-12)
    if weights == (1, 0, 0):
        pixels = Network(score="surprise", n_jobs=1, false_alarm_rate=0.5).fit(TRAIN)
        np.testing.assert_array_equal(model.score_samples(NEW), pixels.score_samples(NEW))
        np.testing.assert_allclose(model.surprise_map(NEW), pixels.surprise_map(NEW), rtol=1e-12)
        assert model.offset_ == pixels.offset_


# ---- maps ----


def test_surprise_maps_sum_to_the_surprise_and_lie_in_receptive_fields(model):
    maps = model.surprise_map(NEW)
    assert maps.shape == (9, *SHAPE)
    np.testing.assert_allclose(maps.sum(axis=(1, 2)), -model.score_samples(NEW, "surprise"), rtol=0, atol=1e-9)
    expected = np.zeros_like(maps)
    scales, geometries = model.fitted_.network.scales["surprise"], model.fitted_.network.geometries
    for nodes, layer, scale, geometry in zip(
        nodes_by_twin(model, NEW, SURPRISE), layers_of(model), scales, geometries, strict=True
    ):
        nodes = nodes.reshape(9, layer.channels, layer.height, layer.width)
        size, stride = geometry.receptive_field, geometry.stride
        for c, y, x in np.ndindex(nodes.shape[1:]):
            field = (slice(None), slice(y * stride, y * stride + size), slice(x * stride, x * stride + size))
            assert expected[field].shape == (9, size, size)
            expected[field] += scale * nodes[:, c, y, x, None, None] / size**2
    np.testing.assert_allclose(maps, expected, rtol=0, atol=1e-9)


def test_maps_of_hidden_layers_alone():
    """A pixel outside every receptive field has no surprise; the fields of 12 x 12 positions leave out an edge."""
    model = Network("hidden", layer_weights=(0, 1, 1), **ARGUMENTS).fit(TRAIN)
    last = model.fitted_.network.geometries[1]
    seen = (last.height - 1) * last.stride + last.receptive_field, (last.width - 1) * last.stride + last.receptive_field
    assert seen == (14, 12)
    maps = model.surprise_map(NEW)
    assert (maps[:, :, 12:] == 0).all() and (maps[:, :, :12] != 0).all()
    np.testing.assert_allclose(maps.sum(axis=(1, 2)), -model.score_samples(NEW, "surprise"), rtol=0, atol=1e-9)


def test_the_scale_of_heat_maps(model):
    maps = model.surprise_map(TRAIN)
    assert model.heat_map_scale() == pytest.approx(np.quantile(maps, 0.999), rel=1e-9)
    many = images_of(1300)
    larger = Network("hidden", **ARGUMENTS).fit(many)
    assert larger.heat_map_scale() == pytest.approx(np.quantile(larger.surprise_map(many[:960]), 0.999), rel=1e-9)


# ---- what an estimator with layers tells ----


def test_figures_of_every_layer(model):
    planes = all_bits(model, TRAIN)
    terms = np.zeros(3)
    for number, (layer, own) in enumerate(zip(layers_of(model), planes, strict=True)):
        counts = TWIN.counts(layer, own, len(TRAIN))
        terms += reference.bic(layer, counts)
        ones, nats = model.node_statistics(number)
        shape = layer.channels, layer.height, layer.width
        np.testing.assert_allclose(ones, TWIN.states(own, len(TRAIN)).mean(axis=0).reshape(shape), rtol=1e-12)
        mean = -nodes_by_twin(model, TRAIN, LOG_PROBABILITY)[number].mean(axis=0).reshape(shape)
        np.testing.assert_allclose(nats, mean, rtol=1e-9)
    np.testing.assert_allclose(model.bic_terms(), terms, rtol=1e-9)
    assert model.bic() == model.bic_terms()[2] and model.bic(TRAIN) == pytest.approx(model.bic())
    with pytest.raises(ValueError, match="^layer: 3"):
        model.node_statistics(3)


def test_images_that_do_not_fit_are_refused(model):
    for bad in (NEW[:, 1:], NEW[0], NEW.astype(float), NEW[:0]):
        for method in (model.score_samples, model.layer_scores, model.surprise_map, model.predict, model.bic):
            with pytest.raises(DataError, match="^X: "):
                method(bad)
    with pytest.raises(ValueError, match="^score: 'best'"):
        model.layer_scores(NEW, "best")


def test_detection_over_layers():
    """Noise among structure is found; p-values and predictions agree."""
    train, normal = images_of(300), images_of(60, seed=2)
    strange = np.random.default_rng(3).integers(0, 256, (60, *SHAPE), dtype=np.uint8)
    model = Network("hidden", **(ARGUMENTS | {"false_alarm_rate": 0.05})).fit(train)
    scores = model.score_samples(np.concatenate([normal, strange]))
    assert roc_auc_score(np.repeat([1, 0], 60), scores) > 0.9
    np.testing.assert_array_equal(model.predict(normal) == -1, model.p_values(normal) <= 0.05)
    assert (model.predict(strange) == -1).mean() > 0.5 > 0.2 > (model.predict(normal) == -1).mean()
    calibrated = model.calibrate(images_of(200, seed=4))
    np.testing.assert_array_equal(calibrated.calibration_scores_, np.sort(model.score_samples(images_of(200, seed=4))))
    assert calibrated.calibration_ == "separate images"


@pytest.mark.parametrize("n", [1, 60])
def test_training_on_equal_images_still_finds_others(n):
    same = np.repeat(TRAIN[:1], n, axis=0)
    model = Network("hidden", **ARGUMENTS).fit(same)
    scores = model.score_samples(np.concatenate([same[:1], NEW]))
    assert (scores[1:] < scores[0] - 1).all()
    maps = model.surprise_map(NEW)
    np.testing.assert_allclose(maps.sum(axis=(1, 2)), -scores[1:], rtol=0, atol=1e-9)


def test_threads_do_not_matter(model):
    results = []
    for threads in (1, 2, 3):
        model.set_params(n_jobs=threads)
        results.append(
            [model.score_samples(NEW, score).tobytes() for score in SCORES] + [model.surprise_map(NEW).tobytes()]
        )
    model.set_params(n_jobs=1)
    assert results[0] == results[1] == results[2]
