# SPDX-License-Identifier: BSD-3-Clause
"""Which blocks of the pretrained network are features: brought to one grid, checked, stored, counted."""

import numpy as np
import pytest

import cbn
from cbn.datasets import make_category, write_mvtec
from cbn.iem import Gaussian
from cbn.iem.gaussian import fitting
from cbn.iem.gaussian.features import PretrainedFeatures
from cbn.iem.gaussian.writing import VERSION
from cbn.iem.names import N_BLOCKS, WANTED
from cbn.iem.pretrained.efficientnet import BLOCKS, EfficientNetLite0, _shapes
from helpers import programs as cli
from helpers.modelfiles import members_of, refused, save, version_of, with_header

pytestmark = pytest.mark.filterwarnings("ignore::cbn.CalibrationWarning")  # of few pictures
DEEP = (*WANTED, 14)


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A file with random weights of all blocks, whose outputs stay of size 1."""
    rng, arrays = np.random.default_rng(0), {}
    for block in range(N_BLOCKS):
        for part, shape in _shapes(block).items():
            scale = 0.1 if len(shape) == 1 else 1.5 / np.sqrt(shape[0])
            arrays[f"{block}.{part}"] = (rng.standard_normal(shape) * scale).astype(np.float32)
    path = tmp_path_factory.mktemp("weights") / "all.npz"
    np.savez(path, **arrays)
    return path


@pytest.fixture(scope="module")
def category():
    return make_category("texture", n_train=24, n_good=4, n_defects=2, size=48, random_state=3)


def model_of(blocks, weights=None, **gaussian):
    return cbn.IntrospectiveEnergyModel(
        gaussian=Gaussian(directions=24, blocks=blocks, **gaussian),
        backbone="efficientnet_lite0",
        backbone_weights=weights,
        false_alarm_rate=0.1,
    )


def test_the_names_are_those_of_the_network():
    assert len(BLOCKS) == N_BLOCKS and set(WANTED) < set(range(N_BLOCKS))


@pytest.mark.parametrize(("height", "width"), [(32, 32), (33, 70), (65, 17), (79, 96)])
def test_all_blocks_come_to_one_grid(weights, height, width):
    network = EfficientNetLite0(weights)
    values = np.random.default_rng(1).random((2, height, width, 3), np.float32)
    every = PretrainedFeatures(network, range(N_BLOCKS)).features(values)
    assert every.shape == (2, -(-height // 8), -(-width // 8), sum(own[1] for own in BLOCKS))
    ends = np.cumsum([own[1] for own in BLOCKS])
    for block, (maps, end) in enumerate(zip(network.activations(values, range(N_BLOCKS)), ends, strict=True)):
        own = every[..., end - maps.shape[3] : end]
        np.testing.assert_array_equal(PretrainedFeatures(network, (block,)).features(values), own)
        if maps.shape[1:3] == own.shape[1:3]:
            np.testing.assert_array_equal(own, np.clip(np.rint(maps * 32), -2047, 2047))
        assert own.max() <= np.rint(maps.max() * 32) and own.min() >= np.rint(maps.min() * 32)


def test_deep_maps_lie_where_they_belong():
    """A network whose outputs are the places of their centres: after doubling twice they are those of the grid."""

    class Places:
        n_blocks = N_BLOCKS

        def activations(self, values, blocks, num_threads):
            stride = 32
            centres = np.arange(-(-values.shape[2] // stride)) * stride + (stride - 1) / 2
            shape = (1, -(-values.shape[1] // stride), len(centres), BLOCKS[14][1])
            return [np.broadcast_to(centres[:, None] / 8, shape).astype(np.float32)]

    found = PretrainedFeatures(Places(), (14,)).features(np.zeros((1, 32, 160, 1), np.float32)) / 32
    centres = (np.arange(20) * 8 + 3.5) / 8
    np.testing.assert_allclose(found[0, 0, 3:-3, 0], centres[3:-3], atol=1 / 32)  # the border has nothing beyond it


def test_the_usual_blocks_by_name_are_the_default(category, tmp_path):
    plain, named = model_of(None).fit(category.train), model_of(WANTED).fit(category.train)
    first, second = members_of(save(plain, tmp_path / "a")), members_of(save(named, tmp_path / "b"))
    assert {n: c for n, c in first.items() if n != "header.json"} == {
        n: c for n, c in second.items() if n != "header.json"
    }
    assert version_of(tmp_path / "a") == version_of(tmp_path / "b") == VERSION


def test_a_deep_block_is_kept_in_the_file(category, weights, tmp_path):
    model = model_of(DEEP, weights, keep_sums=True).fit(category.train[:15])
    assert model.fitted_.whitening.basis.shape == (448, 24)
    save(model, tmp_path / "a.cbn")
    again = cbn.load(tmp_path / "a.cbn")
    assert tuple(again.gaussian.blocks) == DEEP and again.fitted_.extractor.blocks == DEEP
    np.testing.assert_array_equal(again.score_samples(category.test), model.score_samples(category.test))
    again.partial_fit(category.train[15:])
    whole = model_of(DEEP, weights, keep_sums=True).fit(category.train)
    np.testing.assert_array_equal(again.score_samples(category.test), whole.score_samples(category.test))
    other = model_of(WANTED, weights, keep_sums=True).fit(category.train)
    with pytest.raises(ValueError, match=r"^merge: .*blocks=\(2, 4, 7, 10\).* same settings"):
        whole.merge(other)


def test_blocks_that_are_not_there(category, tmp_path):
    with pytest.raises(ValueError, match=r"^blocks: block 14 is not among the 11 .*backbone_weights \(--weights\)$"):
        model_of(DEEP).fit(category.train)
    write_mvtec(tmp_path / "carpet", category)
    command = ("cbn-iem-train", "--data", tmp_path / "carpet", "--blocks", "2,14", "--out", tmp_path / "a.cbn")
    for more in ((), ("--dry-run",)):
        cli.assert_one_line_error(cli.call(*command, *more), 2, "block 14", "--weights")
    assert not (tmp_path / "a.cbn").exists()


@pytest.mark.parametrize(
    ("blocks", "match"),
    [
        ((2, 16), r"^blocks: 16; give a whole number from 0 to 15"),
        ((4, 2), r"^blocks: \(4, 2\); give each block once, in increasing order"),
        ((4, 4), r"^blocks: \(4, 4\); give each block once"),
        ((), r"^blocks: \(\); give numbers of blocks"),
        ("2,4", r"^blocks: '2,4'; give a whole number"),
    ],
)
def test_wrong_blocks(category, blocks, match):
    with pytest.raises(ValueError, match=match):
        model_of(blocks).fit(category.train)


def test_no_blocks_without_a_network(category):
    model = cbn.IntrospectiveEnergyModel(gaussian=Gaussian(blocks=(2,)), backbone="none")
    with pytest.raises(ValueError, match=r"^blocks: \(2,\); without a pretrained network there are none"):
        model.fit(category.train)


def test_the_program_counts_and_shows_them(category, weights, tmp_path):
    write_mvtec(tmp_path / "carpet", category)
    command = ("cbn-iem-train", "--data", tmp_path / "carpet", "--size", 48, "--out", tmp_path / "a.cbn", "--quiet")
    deep = (
        *command,
        "--backbone",
        "efficientnet_lite0",
        "--weights",
        weights,
        "--blocks",
        "2,4,7,10,14",
        "--directions",
        24,
    )
    usual = cli.done(*command, "--dry-run", "--json").json()["memory_bytes"]
    counted = cli.done(*deep, "--dry-run", "--json").json()["memory_bytes"]
    assert counted["features"] == usual["features"] * 448 // 256 and counted["model"] < usual["model"]
    gaussian = Gaussian(blocks=DEEP, keep_sums=True).resolved(True)
    kept = fitting.memory(24, (48, 48, 1), PretrainedFeatures, gaussian)
    assert kept["sums"] == 8 * 36 * (448 + 448 * 449 // 2)
    cli.done(*deep)
    shown = cli.done("cbn-show", tmp_path / "a.cbn", "--out", tmp_path / "a.png", "--json").json()
    assert shown["gaussian"]["blocks"] == list(DEEP) and shown["n_directions"] == 24
    rows = cli.done("cbn-iem-score", tmp_path / "a.cbn", "--data", tmp_path / "carpet", "--json").json()["images"]
    expected = -cbn.load(tmp_path / "a.cbn").score_samples(cbn.datasets.load_mvtec(tmp_path / "carpet").test)
    np.testing.assert_allclose([row["energy"] for row in rows], expected)


@pytest.mark.parametrize(
    "change",
    [
        {"version": 8},
        {"blocks": [2, 4, 7, 14]},
        {"blocks": [4, 2]},
        {"blocks": [2, 4]},
        {"blocks": "2"},
        {"blocks": {}},
        {"blocks": [2.5]},
    ],
)
def test_files_of_other_blocks_are_refused(category, tmp_path, change):
    save(model_of((2, 4, 5, 10)).fit(category.train), tmp_path / "a.cbn")

    def changed(header):
        if "version" in change:
            return header | change
        header["arguments"]["gaussian"]["blocks"] = change["blocks"]
        return header

    refused(with_header(tmp_path / "a.cbn", tmp_path / "b.cbn", changed), "damaged")
