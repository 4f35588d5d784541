# SPDX-License-Identifier: BSD-3-Clause
"""Pretrained networks: known geometries, names and layouts of files, and the truth on real weights."""

import os
from pathlib import Path

import numpy as np
import pytest

from cbn.exceptions import DataError
from cbn.iem.nn import layers
from cbn.iem.nn.steps import Conv, LocalResponseNorm, Relu
from cbn.iem.pretrained.backbone import CAFFE, GEOMETRIES, TORCHVISION, load_backbone, make_backbone
from helpers.weight_files import Tensor, zip_file

ROOT = Path(__file__).resolve().parents[3]
DATA = Path(os.environ.get("CBN_DATA", ROOT.parent / "shared" / "data"))


@pytest.fixture(scope="module")
def caffe_file():
    return real_file("caffe_alexnet_conv1_conv2.npz")


@pytest.fixture(scope="module")
def squeezenet_file():
    return real_file("squeezenet1_1.npz")


def real_file(name):
    path = DATA / "weights" / name
    if not path.exists():
        pytest.skip(f"no file {path}; set CBN_DATA to the folder that holds weights/{name}")
    return path


def random_weights(geometry, naming, levels=9):
    """Arrays of a geometry as a file holds them: (out, in / groups, height, width) and (out,)."""
    known, rng = GEOMETRIES[geometry], np.random.default_rng(0)
    names, weights, channels = known.namings[naming], {}, 3
    for level, convolutions in list(zip(known.architecture.levels[1:], names.convolutions))[:levels]:
        convolutions = iter(convolutions)
        for step in level.steps:
            shapes = step.parameter_shapes(channels).values()
            for kernel, bias in zip(*[iter(shapes)] * 2):
                name, side = next(convolutions), int(kernel[0] ** 0.5)
                weights[name + names.weight] = rng.normal(size=(kernel[2], kernel[1], side, side)).astype(np.float32)
                weights[name + names.bias] = rng.normal(size=bias).astype(np.float32)
            channels = step.channels(channels)
    return weights


def test_caffe_alexnet_gives_the_golden_activations(caffe_file):
    backbone, golden = load_backbone("caffe_alexnet", caffe_file), np.load(caffe_file)
    assert len(backbone.architecture.levels) == 3  # the image and what the file holds
    x, found = np.ascontiguousarray(golden["input_image"].transpose(1, 2, 0)[None]), {}
    for index, (level, parameters) in enumerate(zip(backbone.architecture.levels, backbone.parameters)):
        for step, inner in zip(level.steps, parameters):
            x, _ = layers.forward(step, inner, x, 2)
            found[index, type(step)] = x[0].transpose(2, 0, 1)
    for name, key in (
        ("out_conv1", (1, Conv)),
        ("out_pool1", (1, Relu)),
        ("out_norm1", (1, LocalResponseNorm)),
        ("out_conv2", (2, Conv)),
    ):
        value = np.maximum(found[key], 0)  # the golden ones are behind ReLU, which here comes after pooling
        assert value.shape == golden[name].shape
        assert np.abs(value - golden[name]).max() <= 1e-5 * np.abs(golden[name]).max(), name


def test_squeezenet_knows_a_cat(squeezenet_file, caffe_file):
    """The picture beside Caffe's weights is its example, a cat; the whole network with its classifier says so."""
    golden, weights = np.load(caffe_file)["input_image"].transpose(1, 2, 0)[None], np.load(squeezenet_file)
    image = (golden + np.array(CAFFE.mean, np.float32))[..., ::-1] / 255
    activations = load_backbone("squeezenet1_1", squeezenet_file).activations(image, 2)
    shapes = [(56, 56, 64), (27, 27, 128), (13, 13, 256), (13, 13, 384), (13, 13, 512)]
    assert [a.shape[1:] for a in activations] == shapes
    for a in activations:
        assert np.isfinite(a).all() and a.min() == 0 and 1 < a.std() < 1000
        assert (a > 0).any(axis=(0, 1, 2)).mean() > 0.7
    kernels = np.ascontiguousarray(weights["conv10_w"].transpose(2, 3, 1, 0).reshape(1, 512, 1000))
    scores, _ = layers.forward(Conv(1000, 1), {"weights": kernels, "bias": weights["conv10_b"]}, activations[-1])
    best = np.argsort(np.maximum(scores, 0).mean(axis=(0, 1, 2)))[:-5:-1]
    assert set(best) == {277, 278, 281, 282}  # red fox, kit fox, tabby, tiger cat


def test_table_6():
    sizes = GEOMETRIES["alexnet"].architecture.sizes(224, 224, 3)
    assert [(s.height, s.width, s.channels) for s in sizes] == [
        (224, 224, 3), (27, 27, 64), (13, 13, 192), (13, 13, 384), (13, 13, 256)
    ]  # fmt: skip
    assert [s.receptive_field for s in sizes] == [1, 19, 67, 99, 131]  # printed: 83, 114, 147
    assert [s.inputs for s in sizes] == [32, 8 * 65, 8 * 193, 24 * 385, 8 * 257]
    assert [s.hidden for s in sizes] == [(32, 16), (32, 16), (54, 64, 32), (64, 64, 16), (64, 64, 32)]


@pytest.mark.parametrize("geometry", GEOMETRIES)
@pytest.mark.parametrize("size", [128, 224, 300])
def test_every_geometry_has_room_and_stays_within_memory(geometry, size):
    architecture = GEOMETRIES[geometry].architecture
    assert max(s.inputs for s in architecture.sizes(size, size, 3)) < 10_000
    if size == 224:
        assert architecture.memory(320, size, size, 3, 8).total < 1.5e9


@pytest.mark.parametrize("geometry", GEOMETRIES)
@pytest.mark.parametrize("naming", [0, 1])
def test_both_namings_and_any_number_of_levels(geometry, naming):
    if naming >= len(GEOMETRIES[geometry].namings):
        assert geometry == "alexnet"
        return
    weights = random_weights(geometry, naming)
    images = np.random.default_rng(1).random((1, 96, 96, 1), np.float32)
    whole = make_backbone(geometry, weights)
    assert whole.architecture == GEOMETRIES[geometry].architecture
    assert whole.preparation == GEOMETRIES[geometry].namings[naming].preparation
    for levels in (1, 3):
        cut = make_backbone(geometry, {f"state_dict.{name}": array for name, array in weights.items()}, levels)
        assert len(cut.architecture.levels) == len(cut.parameters) == levels + 1
        for one, other in zip(cut.activations(images), whole.activations(images)):
            np.testing.assert_array_equal(one, other)
    fewer = make_backbone(geometry, random_weights(geometry, naming, 2))
    assert len(fewer.architecture.levels) == 3


def test_kernels_reach_their_taps():
    weights = random_weights("alexnet", 0, 1)
    (_, level), kernels = make_backbone("alexnet", weights).parameters, weights["features.0.weight"]
    for o, c, dy, dx in ((0, 0, 0, 1), (63, 2, 10, 3), (7, 1, 4, 0)):
        assert level[0]["weights"][11 * dy + dx, c, o] == kernels[o, c, dy, dx]


def test_preparation_of_images():
    rgb = np.random.default_rng(0).random((2, 3, 4, 3))
    np.testing.assert_allclose(CAFFE(rgb)[..., 0], 255 * rgb[..., 2] - 104, rtol=1e-5, atol=1e-4)
    np.testing.assert_allclose(TORCHVISION(rgb)[..., 2], (rgb[..., 2] - 0.406) / 0.225, rtol=1e-5, atol=1e-5)
    grey = TORCHVISION(rgb[..., :1])
    assert grey.dtype == np.float32 and grey.shape == (2, 3, 4, 3)
    np.testing.assert_array_equal(grey, TORCHVISION(np.repeat(rgb[..., :1], 3, axis=3)))
    with pytest.raises(DataError, match=r"^images: shape \(2, 3, 4\); a pretrained network needs \(n, height, "):
        CAFFE(rgb[..., 0])


def test_weights_that_do_not_fit_are_named(tmp_path):
    weights, path = random_weights("alexnet", 0, 2), tmp_path / "some.npz"
    with pytest.raises(ValueError, match="^geometry: 'vgg'; choose one of alexnet, caffe_alexnet, squeezenet1_1$"):
        make_backbone("vgg", weights)
    with pytest.raises(ValueError, match="^levels: 5; give a whole number from 1 to 4$"):
        make_backbone("alexnet", weights, 5)
    with pytest.raises(DataError, match="^levels: 3, but the weights hold only 2 of alexnet: 'features.6.weight' "):
        make_backbone("alexnet", weights, 3)
    with pytest.raises(DataError, match=r"^features.0.weight: shape \(64, 3, 11, 11\), but squeezenet1_1 needs "):
        make_backbone("squeezenet1_1", weights)
    np.savez(path, **weights)
    with pytest.raises(DataError) as refused:
        load_backbone("caffe_alexnet", path)
    text = f"{str(path)!r}: no level of caffe_alexnet is there: 'conv1_w' is missing; give the geometry of the file"
    assert str(refused.value) == text
    weights["features.3.bias"][5] = np.nan
    with pytest.raises(DataError, match="^features.3.bias: weights are finite numbers of floating type"):
        make_backbone("alexnet", weights)


def test_a_state_dictionary_of_torch_is_a_backbone(tmp_path):
    weights, path = random_weights("alexnet", 0, 2), tmp_path / "alexnet.pth"
    path.write_bytes(zip_file({name: Tensor(array, str(i)) for i, (name, array) in enumerate(weights.items())}))
    images = np.random.default_rng(1).random((1, 80, 80, 3), np.float32)
    from_file, from_arrays = load_backbone("alexnet", path), make_backbone("alexnet", weights)
    for one, other in zip(from_file.activations(images), from_arrays.activations(images), strict=True):
        np.testing.assert_array_equal(one, other)
