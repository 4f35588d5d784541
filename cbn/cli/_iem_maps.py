# SPDX-License-Identifier: BSD-3-Clause
"""Maps of cbn-iem-score: drawn ones, raw values, masks and boxes of regions above a threshold."""

import argparse
import json
import os
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import numpy.typing as npt

from ..exceptions import DataError, ModelFileError
from ..io.files import atomic_write, make_folder
from . import _common as common
from ._iem_options import SCALE_KEY
from ._iem_record import Record

if TYPE_CHECKING:
    from ..iem.fitted import FittedEnergyModel

# Top of the colour scale of maps, in standard deviations, for models that cbn-iem-train has not measured one for.
DEFAULT_SCALE = 4.0
# --map-threshold auto, as a share of the colour scale, which ends at twice the energy that 99.9 % of the pixels of training
# pictures stay below: 1.2 times that energy.
AUTO = 0.6
# Grey levels of png16 for one standard deviation.
LEVELS_PER_UNIT = 1000
# Longest side of a picture under a drawn map; a file of 12 megapixels would make a drawing of 36.
DRAWN_SIDE = 640
BOX_COLUMNS = ("file", "left", "top", "width", "height", "area", "peak")


def scale_of(fitted: "FittedEnergyModel", path: str) -> float:
    """The top of the colour scale that a model file holds."""
    scale = fitted.provenance.get(SCALE_KEY, DEFAULT_SCALE)
    if not isinstance(scale, float) or not 0 < scale < float("inf"):
        raise ModelFileError(f"{path!r}: damaged: a colour scale of {scale!r:.40}; give one by --scale")
    return scale


class Maps:
    """Everything that options ask to be made of the maps of pictures.

    Parameters
    ----------
    arguments : argparse.Namespace
        Of cbn-iem-score.
    fitted : FittedEnergyModel or FittedGaussianModel
    record : Record, optional
        Of --csv where it goes on from earlier runs: boxes of pictures that are not in it are removed, and names of files
        go on from it.

    Attributes
    ----------
    wanted : bool
        Whether maps are needed at all.
    scale : float or None
        Top of the colour scale of drawn maps.
    threshold : float or None
        Of regions.
    """

    def __init__(
        self, arguments: argparse.Namespace, fitted: "FittedEnergyModel", record: Record | None = None
    ) -> None:
        self.arguments, self.fitted, self._closing = arguments, fitted, ExitStack()
        self.scale = self.threshold = None
        self.n_clipped = 0
        self._level = () if arguments.level is None else (arguments.level,)
        _check_level(arguments, fitted)
        if arguments.maps is not None:
            self.scale = arguments.scale or scale_of(fitted, arguments.model)
        if arguments.map_threshold is not None:
            self.threshold = self._threshold()
        self.wanted = self.threshold is not None or arguments.maps is not None or arguments.save_maps is not None
        for folder in (arguments.maps, arguments.save_maps, arguments.save_masks):
            if folder is not None:
                make_folder(folder)
        if arguments.save_maps is not None and arguments.map_format == "png16":
            self._write_sidecar()
        self._name = common.Names()
        for file in () if record is None else record.files:
            self.name_of(file)
        self._boxes: Record | None = None
        if arguments.boxes is not None:
            boxes = Record("--boxes", arguments.boxes, BOX_COLUMNS, fresh=record is None)
            self._boxes = self._closing.enter_context(boxes)
            if record is not None:
                boxes.keep_while(set(record.files).__contains__)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._closing.close()

    def _threshold(self) -> float:
        given = self.arguments.map_threshold
        if given != "auto":
            return float(given)
        if SCALE_KEY not in self.fitted.provenance:
            raise DataError("--map-threshold auto: the model file holds no scale of maps; give a number, such as 2")
        return AUTO * scale_of(self.fitted, self.arguments.model)

    def name_of(self, file: str) -> str:
        """The name of the files of the next picture, which each picture in the list of results takes one of."""
        return self._name(os.path.splitext(file)[0])

    def of(self, pictures: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        """The maps of pictures."""
        return self.fitted.energy_map(pictures, *self._level)

    def write(
        self,
        picture: npt.NDArray[np.uint8],
        values: npt.NDArray[np.float32],
        row: dict[str, Any],
        mask: npt.NDArray[np.bool_] | None = None,
    ) -> None:
        """Files of one picture; their names and its boxes are added to its row."""
        name, arguments = self.name_of(row["image"]), self.arguments
        if arguments.maps is not None:
            row["map"] = self._draw(picture, values, row, mask, name)
        if arguments.save_maps is not None:
            row["raw_map"] = self._save(values, name)
        if self.threshold is None:
            return
        from ..metrics.regions import regions_above

        own, regions = regions_above(values, self.threshold, arguments.min_area or 1)
        row["boxes"] = [region.to_dict() for region in regions]
        if arguments.save_masks is not None:
            row["mask"] = os.path.join(arguments.save_masks, f"{name}.png")
            _save_png(own, row["mask"])
        if self._boxes is not None:
            self._boxes.append({"file": row["image"], **box} for box in row["boxes"])

    def _draw(self, picture: Any, values: Any, row: dict[str, Any], mask: Any, name: str) -> str:
        from ..plots import pictures

        path = os.path.join(self.arguments.maps, f"{name}.png")
        p_value = "" if row["p_value"] is None else f", p = {row['p_value']:.4g}"
        title = f"{row['image']}: {row['verdict']}{p_value}"
        assert self.scale is not None
        drawn = pictures.energy_map(
            picture, values, self.scale, title, mask, self.fitted.map_blur, self._original(picture, row["image"])
        )
        pictures.save_png(drawn, path)
        return path

    def _original(self, picture: npt.NDArray[np.uint8], name: str) -> npt.NDArray[np.uint8] | None:
        """The picture as its file has it, where that is larger than the model's."""
        from ..datasets.original import read_original

        root = self.arguments.watch if self.arguments.data is None else self.arguments.data
        if root is None or self.arguments.full_scale is not None:  # a made one, or of other greys
            return None
        original = read_original(root, name, DRAWN_SIDE, self.arguments.background)
        return None if original is None or max(original.shape) <= max(picture.shape) else original

    def _save(self, values: npt.NDArray[np.float32], name: str) -> str:
        if self.arguments.map_format != "png16":
            path = os.path.join(self.arguments.save_maps, f"{name}.npy")
            with atomic_write(path) as file:
                np.save(file, values, allow_pickle=False)
            return path
        path = os.path.join(self.arguments.save_maps, f"{name}.png")
        levels = np.rint(values.astype(np.float64) * LEVELS_PER_UNIT)
        self.n_clipped += bool(levels.max() > 65535)
        _save_png(np.clip(levels, 0, 65535).astype(np.uint16), path)
        return path

    def _write_sidecar(self) -> None:
        """What the grey levels of png16 mean."""
        content = {"format": "png16", "unit": "standard deviations", "scale": 1 / LEVELS_PER_UNIT,
                   "largest": 65535 / LEVELS_PER_UNIT, "picture_shape": list(self.fitted.picture_shape[:2])}  # fmt: skip
        with atomic_write(os.path.join(self.arguments.save_maps, "scale.json")) as file:
            file.write(json.dumps(content).encode() + b"\n")

    def summary(self) -> dict[str, Any]:
        """For --json: scales and the threshold, where there are such."""
        found: dict[str, Any] = {}
        if self.scale is not None:
            found["scale"] = self.scale
        if self.arguments.save_maps is not None:
            png = self.arguments.map_format == "png16"
            found["map_format"] = "png16" if png else "npy"
            found["map_scale"] = 1 / LEVELS_PER_UNIT if png else 1.0
        if self.threshold is not None:
            found["map_threshold"] = self.threshold
            found["min_area"] = self.arguments.min_area or 1
        if self.wanted:
            found["map_shape"] = list(self.fitted.picture_shape[:2])
        return found

    def tell(self) -> None:
        """Says what files cannot say."""
        if self.arguments.save_maps is not None and self.arguments.map_format == "png16":
            clipped = f"; {self.n_clipped:,} maps go beyond and are cut" if self.n_clipped else ""
            common.say(
                self.arguments,
                f"--map-format png16: standard deviations x {LEVELS_PER_UNIT:,}, up to {65535 / LEVELS_PER_UNIT:g}{clipped}",
            )
        if self.threshold is not None:
            height, width, _ = self.fitted.picture_shape
            common.say(
                self.arguments,
                f"--map-threshold: regions above {self.threshold:.6g} standard deviations, in pixels of {height} x {width}",
            )


def _check_level(arguments: argparse.Namespace, fitted: "FittedEnergyModel") -> None:
    if arguments.level is None:
        return
    if not hasattr(fitted, "levels"):
        raise DataError(f"--level {arguments.level}: Gaussian models have no levels; leave it out")
    if arguments.level >= len(fitted.levels):
        raise DataError(f"--level {arguments.level}: the model has levels 0 to {len(fitted.levels) - 1}; give one")


def _save_png(values: npt.NDArray[Any], path: str) -> None:
    """Booleans as 1 bit a pixel, others as they are."""
    from PIL import Image

    with atomic_write(path) as file:
        Image.fromarray(values).save(file, format="PNG")
