# SPDX-License-Identifier: BSD-3-Clause
"""Connected regions of a map above a threshold: where they lie, how large and how unusual they are."""

from dataclasses import asdict, dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class Region:
    """The box around a connected region, in pixels of the map.

    Attributes
    ----------
    left, top, width, height : int
    area : int
        Pixels of the region itself.
    peak : float
        The largest value in it.
    """

    left: int
    top: int
    width: int
    height: int
    area: int
    peak: float

    def to_dict(self) -> dict[str, int | float]:
        """For JSON."""
        return asdict(self)


def regions_above(
    values: npt.NDArray[np.floating], threshold: float, min_area: int = 1
) -> tuple[npt.NDArray[np.bool_], list[Region]]:
    """Regions of pixels above a threshold that touch by an edge or a corner.

    Parameters
    ----------
    values : ndarray, (height, width)
    threshold : float
    min_area : int
        Regions of fewer pixels are left out.

    Returns
    -------
    (height, width) bool, list of Region
        The pixels of the regions, and the regions, highest peak first.

    Examples
    --------
    >>> mask, regions = regions_above(np.array([[5.0, 0, 0, 9], [0, 6, 0, 0], [0, 0, 0, 0]]), 4, min_area=2)
    >>> regions
    [Region(left=0, top=0, width=2, height=2, area=2, peak=6.0)]
    >>> mask.sum()
    np.int64(2)
    """
    from scipy.ndimage import find_objects, label, maximum

    mask = values > threshold
    labels, count = label(mask, structure=np.ones((3, 3)))
    areas = np.bincount(labels.ravel(), minlength=count + 1)
    kept = [number for number in range(1, count + 1) if areas[number] >= min_area]
    if len(kept) < count:
        mask = np.isin(labels, kept)
    places = find_objects(labels)
    peaks = dict(zip(kept, np.atleast_1d(maximum(values, labels, kept)).tolist(), strict=True)) if kept else {}
    found = []
    for number in kept:
        rows, columns = places[number - 1]
        found.append(
            Region(
                left=columns.start,
                top=rows.start,
                width=columns.stop - columns.start,
                height=rows.stop - rows.start,
                area=int(areas[number]),
                peak=float(peaks[number]),
            )
        )
    return mask, sorted(found, key=lambda own: (-own.peak, own.top, own.left))
