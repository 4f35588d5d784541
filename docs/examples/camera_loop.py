# SPDX-License-Identifier: BSD-3-Clause
"""Score the frames of a camera as they come: one model, one thread, one buffer.

    python camera_loop.py model.cbn --data frames/       # pictures of a folder
    python camera_loop.py model.cbn --synthetic texture  # a camera that needs no camera

In a program of your own the camera is any iterator of (height, width) or (height, width, 3) uint8 arrays, and the act is
what the line does with a verdict::

    scorer = Scorer("model.cbn")
    latencies = run(scorer, camera, act=lambda i, verdict: gate.open() if verdict.verdict == "outlier" else None)
"""

import argparse
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageOps

import cbn


class Verdict(NamedTuple):
    """What the model says of a frame; a higher score is more normal."""

    score: float
    verdict: str  # "normal", "outlier" or "undecided"
    p_value: float | None
    seconds: float


class Scorer:
    """A model that is loaded once, and the buffer that every frame is copied into.

    Parameters
    ----------
    path : str or path-like
        A model file of cbn-train or cbn-iem-train.
    threads : int
        Of the engine. One is fastest for single small pictures, and leaves the other cores to other cameras.

    Attributes
    ----------
    shape : tuple
        (height, width) or (height, width, 3) of frames.
    model
        What cbn.load gives.
    """

    def __init__(self, path, threads: int = 1) -> None:
        self.model = cbn.load(path, n_jobs=threads)
        fitted = self.model.fitted_
        if hasattr(self.model, "classes_"):
            raise ValueError(f"{path}: a classifier, which has no verdicts; give the model of one class")
        self.inspects = hasattr(fitted, "picture_shape")
        if self.inspects:
            height, width, channels = fitted.picture_shape
            self.shape = (height, width) if channels == 1 else (height, width, channels)
        else:
            self.shape = tuple(fitted.image_shape)
        self._level = None if self.inspects else level_of_white(fitted)
        self._frame = np.empty((1, *self.shape), np.uint8 if self._level is None else np.bool_)

    def _taken(self, frame: np.ndarray) -> np.ndarray:
        """The buffer with a frame in it, as the model reads it."""
        if frame.shape != self.shape or frame.dtype != np.uint8:
            raise ValueError(f"frame: {frame.dtype} {frame.shape}; the model reads uint8 {self.shape}")
        if self._level is None:
            np.copyto(self._frame[0], frame)
        else:
            np.greater(frame, self._level, out=self._frame[0])
        return self._frame

    def __call__(self, frame: np.ndarray) -> Verdict:
        """Score a frame. Raises ValueError where its shape or type is not the model's."""
        start = time.perf_counter()
        scores = self.model.fitted_.judged_scores(self._taken(frame))
        found = self.model.fitted_.calibration.verdicts(scores)
        p_value = float(found.p_values[0])
        seconds = time.perf_counter() - start
        return Verdict(float(scores[0]), str(found.verdicts[0]), None if np.isnan(p_value) else p_value, seconds)

    def map_of(self, frame: np.ndarray) -> np.ndarray:
        """(height, width) float: energy in standard deviations, or surprise in nats, of every pixel."""
        taken = self._taken(frame)
        return (self.model.energy_map(taken) if self.inspects else self.model.surprise_map(taken))[0]


def level_of_white(fitted) -> int | None:
    """The grey value above which pixels are 1, of networks that were trained on images that had been binarized before."""
    if fitted.binarization.full_scale > 1:
        return None
    words = fitted.rule.split()  # value > 0.3 x 255
    if len(words) != 5 or words[:2] != ["value", ">"] or words[3:] != ["x", "255"]:
        raise ValueError(f"the model reads images that were made binary by a rule of their own ({fitted.rule})")
    return int(np.floor(float(words[2]) * 255))


def run(scorer: Scorer, frames: Iterable[np.ndarray], act: Callable[[int, Verdict], object]) -> np.ndarray:
    """Score frames until there are no more, or until Ctrl-C.

    Parameters
    ----------
    scorer : Scorer
    frames : iterable of arrays
    act : callable(number, Verdict)
        Called with every verdict before the next frame is taken.

    Returns
    -------
    latencies : (n,) float64 array
        Seconds from a frame to its verdict.
    """
    seconds: list[float] = []
    try:
        for number, frame in enumerate(frames):
            verdict = scorer(frame)
            seconds.append(verdict.seconds)
            act(number, verdict)
    except KeyboardInterrupt:
        pass
    return np.array(seconds)


def percentiles(seconds: np.ndarray) -> str:
    """Latencies in words."""
    if not len(seconds):
        return "no frames"
    median, most, nearly_all = 1e3 * np.percentile(seconds, [50, 90, 99])
    return (
        f"{len(seconds)} frames: median {median:.1f} ms, 90 % within {most:.1f} ms, 99 % within {nearly_all:.1f} ms, "
        f"longest {1e3 * seconds.max():.1f} ms"
    )


def frames_of_folder(path: str, shape: tuple[int, ...], names: list[str]) -> Iterator[np.ndarray]:
    """Pictures of a folder in the order of their names, one in memory at a time, as 8 bits and of the model's size.

    The name of each is added to ``names`` before it is given.
    """
    for file in sorted(Path(path).iterdir()):
        try:
            with Image.open(file) as picture:
                frame = _read(picture, shape)
        except Exception as error:  # noqa: BLE001 - decoders raise OSError, SyntaxError, ValueError and others
            print(f"camera_loop: {file}: left out: {' '.join(str(error).split())}", file=sys.stderr)
            continue
        names.append(file.name)
        yield frame


def _read(picture: Image.Image, shape: tuple[int, ...]) -> np.ndarray:
    """8 bits of the model's size; pictures that would have to be changed beyond that are refused."""
    if picture.mode not in ("1", "L", "P", "RGB") or "transparency" in picture.info:
        raise ValueError(f"mode {picture.mode}, or transparent parts; give 8 bits, grey or RGB")
    own = ImageOps.exif_transpose(picture).convert("RGB" if len(shape) == 3 else "L")
    return np.asarray(own.resize(shape[1::-1], Image.Resampling.BILINEAR))


def made_frames(kind: str, shape: tuple[int, ...], n: int) -> Iterator[np.ndarray]:
    """Good and defective pictures by turns."""
    color = "rgb" if len(shape) == 3 else "grey"
    made = cbn.datasets.make_category(kind, n_train=1, n_good=8, n_defects=2, size=shape[:2], color=color)
    for number in range(n):
        yield made.test[number % len(made.test)]


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model")
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--data", metavar="DIR", help="a folder of pictures")
    source.add_argument("--synthetic", choices=("texture", "object"), help="made pictures")
    parser.add_argument("--n", type=int, default=32, help="frames of --synthetic (32)")
    arguments = parser.parse_args(argv)
    if arguments.n < 1:
        parser.error(f"--n {arguments.n}: give a number from 1")
    try:
        scorer = Scorer(arguments.model)
        names: list[str] = []
        frames = (
            made_frames(arguments.synthetic, scorer.shape, arguments.n)
            if arguments.synthetic
            else frames_of_folder(arguments.data, scorer.shape, names)
        )

        def act(number: int, verdict: Verdict) -> None:
            if verdict.verdict != "normal":  # where a line would open its gate
                frame = f"frame {number}{f' ({names[number]})' if names else ''}"
                p_value = "" if verdict.p_value is None else f", p = {verdict.p_value:.3g}"
                print(f"{frame}: {verdict.verdict}, score {verdict.score:.4g}{p_value}", flush=True)

        latencies = run(scorer, frames, act)
    except (cbn.CbnError, ValueError, OSError) as error:
        print(f"camera_loop: {error}", file=sys.stderr)
        return 1
    print(percentiles(latencies))
    return 0


if __name__ == "__main__":
    sys.exit(main())
