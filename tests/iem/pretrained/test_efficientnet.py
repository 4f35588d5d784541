# SPDX-License-Identifier: BSD-3-Clause
"""EfficientNet-Lite0: the reference's activations, any picture, files that are damaged or of another network."""

import hashlib
import importlib.util
import pickle
from pathlib import Path

import numpy as np
import pytest

from cbn import DataError
from cbn.iem.pretrained import efficientnet
from cbn.iem.pretrained.efficientnet import BLOCKS, EfficientNetLite0, folded
from helpers.engines import PATHS
from helpers.weight_files import Tensor, zip_file

DATA = Path(__file__).resolve().parents[2] / "data" / "efficientnet"
EMBEDDED = Path(efficientnet.__file__).with_name("data") / "efficientnet_lite0.npz"


@pytest.fixture(scope="module")
def make():
    spec = importlib.util.spec_from_file_location("make_golden", DATA / "make.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def state(n_blocks, prefix=""):
    """Arrays as the package's file has them, with random numbers."""
    rng = np.random.default_rng(0)
    arrays = {}

    def add(convolution, norm, shape):
        arrays[f"{prefix}{convolution}.weight"] = rng.normal(size=shape) / np.sqrt(np.prod(shape[1:]))
        for name in ("weight", "bias", "running_mean"):
            arrays[f"{prefix}{norm}.{name}"] = rng.normal(size=shape[0]) + (name == "weight")
        arrays[f"{prefix}{norm}.running_var"] = rng.random(shape[0]) + 0.5
        arrays[f"{prefix}{norm}.num_batches_tracked"] = np.array(7)

    add("_conv_stem", "_bn0", (32, 3, 3, 3))
    for b, (expanded, channels, size, _) in enumerate(BLOCKS[:n_blocks]):
        if b:
            add(f"_blocks.{b}._expand_conv", f"_blocks.{b}._bn0", (expanded, BLOCKS[b - 1][1], 1, 1))
        add(f"_blocks.{b}._depthwise_conv", f"_blocks.{b}._bn1", (expanded, 1, size, size))
        add(f"_blocks.{b}._project_conv", f"_blocks.{b}._bn2", (channels, expanded, 1, 1))
    return {name: array.astype(np.float32 if array.ndim else np.int64) for name, array in arrays.items()}


def textbook(arrays, x):
    """The outputs of all blocks, with batch norms as they are in the file; x (height, width, 3)."""

    def convolve(x, name, stride=1):
        kernels = arrays[f"{name}.weight"].astype(float)  # (out, in / groups, size, size)
        size, own = kernels.shape[2], kernels.shape[1] == 1 < x.shape[2]
        total = [max((-(-n // stride) - 1) * stride + size - n, 0) for n in x.shape[:2]]
        around = np.pad(x, [*((t // 2, t - t // 2) for t in total), (0, 0)])
        out = np.zeros((-(-x.shape[0] // stride), -(-x.shape[1] // stride), len(kernels)))
        for row, column in np.ndindex(out.shape[:2]):
            top, left = row * stride, column * stride
            seen = around[top : top + size, left : left + size]
            out[row, column] = np.einsum(
                "yxc,cyx->c" if own else "yxi,ciyx->c", seen, kernels[:, 0] if own else kernels
            )
        return out

    def normed(x, name):
        weight, bias, mean, var = (arrays[f"{name}.{n}"] for n in ("weight", "bias", "running_mean", "running_var"))
        return (x - mean) / np.sqrt(var.astype(float) + 1e-3) * weight + bias

    outputs = []
    x = np.clip(normed(convolve(x, "_conv_stem", 2), "_bn0"), 0, 6)
    for b in range(sum(name.endswith("_project_conv.weight") for name in arrays)):
        inner, y = f"_blocks.{b}.", x
        if b:
            y = np.clip(normed(convolve(y, f"{inner}_expand_conv"), f"{inner}_bn0"), 0, 6)
        y = np.clip(normed(convolve(y, f"{inner}_depthwise_conv", BLOCKS[b][3]), f"{inner}_bn1"), 0, 6)
        y = normed(convolve(y, f"{inner}_project_conv"), f"{inner}_bn2")
        x = x + y if x.shape == y.shape else y
        outputs.append(x)
    return outputs


def saved(path, arrays):
    if path.suffix == ".npz":
        np.savez(path, **arrays)
    else:
        path.write_bytes(zip_file({name: Tensor(a, str(i)) for i, (name, a) in enumerate(arrays.items())}))
    return path


@pytest.mark.parametrize("name", ["rgb", "grey", "flat"])
def test_the_activations_are_the_reference_s(make, name):
    golden, picture = np.load(DATA / "golden.npz"), make.picture(name)
    found = EfficientNetLite0().features(picture[None], make.BLOCKS, num_threads=2)
    for block, maps in zip(make.BLOCKS, found):
        wanted = golden[f"{name}.{block}"]
        np.testing.assert_allclose(maps[0], wanted, rtol=0, atol=1e-5 * np.abs(wanted).max())


@pytest.mark.parametrize("path", PATHS, ids=repr)
def test_the_same_bytes_as_ever(make, path):
    pictures = make.picture("rgb")[None].repeat(3, axis=0)
    digest = hashlib.sha256()
    with path._path():
        for maps in EfficientNetLite0().features(pictures, make.BLOCKS, num_threads=2):
            digest.update(maps.tobytes())
    assert digest.hexdigest()[:16] == "68b69aff1c03724d"


@pytest.mark.parametrize("suffix", [".pth", ".npz"])
@pytest.mark.parametrize("prefix", ["", "state_dict."])
def test_a_file_of_the_whole_network(tmp_path, suffix, prefix):
    network = EfficientNetLite0(saved(tmp_path / f"weights{suffix}", state(16, prefix)))
    assert network.n_blocks == 16 and repr(network) == "<EfficientNetLite0: 16 blocks>"
    picture = np.random.default_rng(1).integers(0, 256, (35, 20, 3), dtype=np.uint8)
    wanted = textbook(state(16), (picture - 127.0) / 128)
    for block, maps in enumerate(network.features(picture[None], range(16))):
        scale = np.abs(wanted[block]).max()
        np.testing.assert_allclose(maps[0], wanted[block], rtol=0, atol=2e-5 * scale)


def test_pictures_of_all_kinds():
    network, rng = EfficientNetLite0(), np.random.default_rng(2)
    grey = rng.integers(0, 256, (3, 40, 50), dtype=np.uint8)
    found = network.features(grey)
    assert [maps.shape for maps in found] == [(3, 10, 13, 24), (3, 5, 7, 40), (3, 3, 4, 80), (3, 3, 4, 112)]
    assert all(maps.dtype == np.float32 and maps.flags.c_contiguous for maps in found)
    for same in (grey[..., None], np.repeat(grey[..., None], 3, axis=3)):
        assert all((a == b).all() for a, b in zip(found, network.features(same)))
    for near in (grey / 255, (grey / 255).astype(np.float32)[..., None]):
        for a, b in zip(found, network.features(near)):
            np.testing.assert_allclose(a, b, atol=1e-4)
    white = network.features(np.ones((1, 40, 50), bool), [2])[0]
    np.testing.assert_allclose(white, network.features(np.full((1, 40, 50), 255, np.uint8), [2])[0], atol=1e-4)


def test_the_same_bytes_for_any_batch_threads_and_choice_of_blocks(monkeypatch):
    network = EfficientNetLite0()
    pictures = np.random.default_rng(3).integers(0, 256, (5, 33, 47, 3), dtype=np.uint8)
    found = network.features(pictures, range(11), num_threads=3)
    monkeypatch.setattr(efficientnet, "PICTURES_TOGETHER", 2)
    order = [7, 2, 10, 2]
    for block, maps in zip(order, network.features(pictures[1:], order, num_threads=None)):
        np.testing.assert_array_equal(maps, found[block][1:])
    copy = pickle.loads(pickle.dumps(network))
    np.testing.assert_array_equal(copy.features(pictures, [5])[0], found[5])
    assert copy.digest() == network.digest() and len(network.digest()) == 64


@pytest.mark.parametrize(
    "pictures, blocks, match",
    [
        (np.zeros((2, 8, 8, 2), np.uint8), [2], "^pictures: "),
        (np.zeros((8, 8, 3), np.uint8), [2], "^pictures: "),
        (np.zeros((0, 8, 8), np.uint8), [2], "^pictures: "),
        (np.full((1, 8, 8), np.nan), [2], "^pictures: "),
        (np.full((1, 8, 8), 7.0), [2], "^pictures: "),
        (np.zeros((1, 1, 2**20 + 1), np.uint8), [2], "^pictures: "),
        (np.zeros((1, 8, 8)), [], "^blocks: "),
        (np.zeros((1, 8, 8)), [16], "^blocks: "),
        (np.zeros((1, 8, 8)), [-1], "^blocks: "),
        (np.zeros((1, 8, 8)), [2, 11], "^blocks: 11, but only 11 are there"),
    ],
)
def test_what_cannot_be_used_is_refused(pictures, blocks, match):
    with pytest.raises(ValueError, match=match) as error:
        EfficientNetLite0().features(pictures, blocks)
    assert "\n" not in str(error.value)


def without(name):
    return {key: array for key, array in state(3).items() if key != name}


@pytest.mark.parametrize(
    "arrays, match",
    [
        ({"features.0.weight": np.zeros((64, 3, 3, 3), np.float32)}, "_conv_stem.weight"),
        (state(0), "_blocks.0._depthwise_conv.weight"),
        (without("_blocks.1._bn2.running_var"), "_blocks.1._bn2.running_var"),
        ({**state(2), "_blocks.1._expand_conv.weight": np.zeros((144, 24, 1, 1), np.float32)}, "shape"),
        ({**state(2), "_conv_stem.weight": np.full((32, 3, 3, 3), np.inf, np.float32)}, "finite"),
        ({**state(2), "_conv_stem.weight": np.zeros((32, 3, 3, 3), np.int32)}, "floating"),
        ({**state(2), "_bn0.running_var": np.full(32, -1.0, np.float32)}, "negative"),
        ({**state(2), "_bn0.weight": np.full(32, 3e38, np.float32)}, "large"),
        ({"0.expansion": np.zeros((27, 32), np.float32)}, "0.expansion_bias"),
    ],
)
def test_foreign_files_are_named(tmp_path, arrays, match):
    path = saved(tmp_path / "weights.npz", arrays)
    with pytest.raises(DataError, match=match) as error:
        EfficientNetLite0(path)
    assert "weights.npz" in str(error.value) and "\n" not in str(error.value)


def test_a_damaged_or_missing_embedded_file_is_named(tmp_path, monkeypatch):
    path = tmp_path / "efficientnet_lite0.npz"
    content = bytearray(EMBEDDED.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    few = saved(tmp_path / "few.npz", {name: a for name, a in np.load(EMBEDDED).items() if int(name.split(".")[0]) < 5})
    for file in (path, few, tmp_path / "none.npz"):
        monkeypatch.setattr(efficientnet, "_FILE", file)
        efficientnet._embedded.cache_clear()
        with pytest.raises(DataError, match=file.name) as error:
            EfficientNetLite0()
        assert "\n" not in str(error.value)


def test_folding_gives_what_the_package_embeds():
    """Names, order and shapes; the numbers are the business of the activations above."""
    arrays = np.load(EMBEDDED)
    blocks = folded(state(11))
    assert list(arrays) == [f"{number}.{name}" for number, block in enumerate(blocks) for name in block]
    for number, block in enumerate(blocks):
        for name, array in block.items():
            stored = arrays[f"{number}.{name}"]
            assert stored.shape == array.shape and stored.dtype == array.dtype == np.float32
