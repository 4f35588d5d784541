# SPDX-License-Identifier: BSD-3-Clause
"""How pictures are read: size, colour, background, scale, threads."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from .. import _validation as validation
from .picturefile import Background

Color = Literal["auto", "grey", "rgb"]
Size = int | tuple[int, int]
BACKGROUNDS: tuple[Background, ...] = ("black", "white")


@dataclass(frozen=True)
class Options:
    """How pictures are read, checked; see :func:`cbn.datasets.load_images` and :func:`cbn.datasets.load_mvtec`.

    Attributes
    ----------
    size : (height, width) or None
    max_side : int or None
    color : {"auto", "grey", "rgb"} or None
        None refuses pictures that have colour.
    background : {"black", "white"}
    full_scale : float or None
    skip_bad : bool
    n_threads : int
        That decode pictures.
    """

    size: tuple[int, int] | None = None
    max_side: int | None = None
    color: Color | None = None
    background: Background = "black"
    full_scale: float | None = None
    skip_bad: bool = False
    n_threads: int = 1

    @classmethod
    def checked(
        cls,
        size: Size | None,
        color: Color | None,
        colors: Sequence[Color | None],
        background: Background,
        full_scale: float | None,
        skip_bad: bool,
        max_side: int | None = None,
        n_jobs: int | None = None,
    ) -> "Options":
        """Raises ValueError for what is none of these."""
        if size is not None:
            size = validation.check_shape((size, size) if np.ndim(size) == 0 else size, "size")
        if max_side is not None:
            max_side = validation.check_integer(max_side, "max_side", 1, 2**20)
        if color not in colors:
            raise ValueError(f"color: {color!r}; choose one of {', '.join(str(one) for one in colors)}")
        validation.check_choice(background, "background", BACKGROUNDS)
        if full_scale is not None:
            full_scale = validation.check_real(full_scale, "full_scale", 1e-30, validation.MAX_FULL_SCALE)
        n_threads = validation.check_threads(n_jobs)
        return cls(size, max_side, color, background, full_scale, bool(skip_bad), n_threads)

    def target(self, shape: tuple[int, int]) -> tuple[int, int]:
        """The size that a picture of (height, width) is brought to."""
        if self.size is not None:
            return self.size
        longer = max(shape)
        if self.max_side is None or longer <= self.max_side:
            return shape
        height, width = (max(1, round(n * self.max_side / longer)) for n in shape)
        return height, width
