# SPDX-License-Identifier: BSD-3-Clause
"""docs/examples/camera_loop.py: verdicts of the model, one buffer, no memory that grows, a folder, Ctrl-C."""

import gc
import re
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import cbn
from helpers import programs

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"


@pytest.fixture(scope="module")
def example():
    sys.path.insert(0, str(EXAMPLES))
    try:
        import camera_loop

        yield camera_loop
    finally:
        sys.path.remove(str(EXAMPLES))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Models of every kind: an inspection model, a network of grey images, one of images that were binary."""
    path = tmp_path_factory.mktemp("models")
    made = cbn.datasets.make_category("texture", n_train=24, size=64)
    cbn.IntrospectiveEnergyModel(false_alarm_rate=0.05).fit(made.train).save(path / "texture.cbn")
    grey = np.random.default_rng(0).integers(0, 256, (40, 8, 9)).astype(np.uint8)
    cbn.ConvolutionalBayesianNetwork(false_alarm_rate=0.05).fit(grey).save(path / "grey.cbn")
    programs.done("cbn-train", "--digit", "2", "--out", path / "binary.cbn", "--quiet")
    return path


@pytest.mark.parametrize("name", ["texture.cbn", "grey.cbn"])
def test_verdicts_are_those_of_the_model(example, folder, name):
    scorer, model = example.Scorer(folder / name), cbn.load(folder / name)
    frames = np.random.default_rng(1).integers(0, 256, (4, *scorer.shape)).astype(np.uint8)
    expected, seen = model.verdicts(frames), []
    latencies = example.run(scorer, iter(frames), lambda number, verdict: seen.append((number, verdict)))
    assert [number for number, _ in seen] == [0, 1, 2, 3] and (latencies > 0).all()
    scores = model.score_samples(frames) if name == "texture.cbn" else model.fitted_.judged_scores(frames)
    for (_, verdict), score, word, p_value in zip(seen, scores, expected.verdicts, expected.p_values):
        assert verdict.score == score and verdict.verdict == word and verdict.p_value == p_value
    maps = model.energy_map(frames) if name == "texture.cbn" else model.surprise_map(frames)
    assert np.array_equal(scorer.map_of(frames[2]), maps[2])


def test_frames_of_another_kind_are_refused(example, folder):
    scorer = example.Scorer(folder / "texture.cbn")
    for frame in (np.zeros((64, 63), np.uint8), np.zeros((64, 64)), np.zeros((64, 64, 3), np.uint8)):
        with pytest.raises(ValueError, match=r"^frame: "):
            scorer(frame)


def test_memory_does_not_grow(example, folder):
    scorer = example.Scorer(folder / "texture.cbn")
    frame = np.random.default_rng(2).integers(0, 256, scorer.shape).astype(np.uint8)
    for _ in range(5):
        scorer(frame)
    tracemalloc.start()
    try:
        kept = []
        for _ in range(3):
            for _ in range(20):
                scorer(frame)
            gc.collect()
            kept.append(tracemalloc.get_traced_memory()[0])
        assert kept[-1] - kept[0] < 20_000  # a frame has 4,096 bytes, what is made of it a megabyte
    finally:
        tracemalloc.stop()


def test_ctrl_c_ends_the_loop_with_what_was_measured(example, folder):
    scorer = example.Scorer(folder / "grey.cbn")

    def camera():
        yield np.zeros(scorer.shape, np.uint8)
        yield np.zeros(scorer.shape, np.uint8)
        raise KeyboardInterrupt

    assert len(example.run(scorer, camera(), lambda *_: None)) == 2
    assert example.percentiles(np.array([])) == "no frames"
    assert example.percentiles(np.full(10, 0.002)).startswith("10 frames: median 2.0 ms")


def test_program(example, folder, tmp_path, capsys):
    (tmp_path / "frames").mkdir()
    for i in range(3):
        Image.fromarray(np.full((20, 30), 80 * i, np.uint8)).save(tmp_path / "frames" / f"{i}.png")
    (tmp_path / "frames" / "notes.txt").write_text("no picture")
    Image.fromarray(np.full((20, 30), 3000, np.uint16)).save(tmp_path / "frames" / "deep.png")
    assert example.main([str(folder / "texture.cbn"), "--data", str(tmp_path / "frames")]) == 0
    printed = capsys.readouterr()
    assert printed.out.splitlines()[-1].startswith("3 frames: median ") and "notes.txt: left out" in printed.err
    assert "deep.png: left out: mode I;16" in printed.err
    assert re.search(r"^frame 0 \(0\.png\): outlier, score \S+, p = 0\.\d{1,5}$", printed.out, re.MULTILINE)
    assert example.main([str(folder / "texture.cbn"), "--synthetic", "texture", "--n", "9"]) == 0
    assert "9 frames" in capsys.readouterr().out
    for arguments in (["nothing.cbn", "--synthetic", "texture"], [str(folder / "grey.cbn"), "--data", "nowhere"]):
        assert example.main(arguments) == 1
        error = capsys.readouterr().err
        assert error.startswith("camera_loop: ") and error.count("\n") == 1


def test_networks_of_binary_images_read_grey_frames(example, folder):
    """By the rule of the embedded digits: value > 0.3 x 255."""
    digits = cbn.datasets.load_mnist()[1].images[:3]
    scorer, model = example.Scorer(folder / "binary.cbn"), cbn.load(folder / "binary.cbn")
    grey = np.where(digits, 77, 76).astype(np.uint8)
    assert [scorer(frame).score for frame in grey] == model.fitted_.judged_scores(digits).tolist()


def test_networks_of_bits_of_unknown_origin_are_refused(example, folder):
    digits = cbn.datasets.load_mnist()[0].images[:60]
    cbn.ConvolutionalBayesianNetwork(false_alarm_rate=0.05).fit(digits).save(folder / "bits.cbn")
    with pytest.raises(ValueError, match="rule of their own"):
        example.Scorer(folder / "bits.cbn")
