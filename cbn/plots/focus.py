# SPDX-License-Identifier: BSD-3-Clause
"""Maps as they are drawn, where the method that made them blurs.

A Gaussian model of positions averages features over neighbours, and each feature sees far around: a spot of a few
pixels raises the energy of all positions near it, as a lamp lights its surroundings. Squared energies above the usual
add up about as light does, so that the deconvolution of W. H. Richardson (JOSA 62, 1972, eq. 15) and L. B. Lucy (AJ 79,
1974) tells lamps from what they light: where the sources it finds are weaker than what is measured, the measured energy
is explained by stronger neighbours, and drawn lower by as much.

No value is ever drawn higher than it is, peaks keep theirs, and what is usual stays as it is. Only drawings are focused:
raw maps, masks, boxes and all figures are of the maps themselves.
"""

import math

import numpy as np
import numpy.typing as npt

ITERATIONS = 15  # more make speckles of large defects
_SAMPLES = 2.5  # to a standard deviation of the blur: a blur needs no more, and a map of fewer points is done sooner
# Added to squared energies above the usual: differences below a standard deviation are noise, which deconvolution would
# make speckles of. With 0.001 the AUPRO of what is drawn fell by 0.09 on MVTec's grid, with 1 it does not fall.
_NOISE = 1.0


def focused(energy: npt.NDArray[np.floating], blur: float) -> npt.NDArray[np.float64]:
    """A map without what the blur of its peaks explains.

    Parameters
    ----------
    energy : (height, width) float array
        Without NaN.
    blur : float
        Standard deviation of what a point of the picture becomes in the map of *squared* energies, in pixels; positive.

    Returns
    -------
    focused : (height, width) float64 array
        Between the median of the map and the map where that is above its median, elsewhere the map.
    """
    from scipy.ndimage import gaussian_filter, zoom

    energy = np.asarray(energy, np.float64)
    step = max(1, math.floor(blur / _SAMPLES))
    usual = float(np.median(energy))
    above = np.maximum(energy - usual, 0)
    measured = _means(np.minimum(above, 1e6) ** 2, step) + _NOISE  # of infinite energies too
    width = blur / step
    sources = measured.copy()
    for _ in range(ITERATIONS):
        explained = gaussian_filter(sources, width, mode="nearest")
        sources *= gaussian_filter(measured / explained, width, mode="nearest")
    kept = np.minimum(1, sources / measured) ** 2
    kept = zoom(kept, step, order=1, mode="nearest", grid_mode=True)[: energy.shape[0], : energy.shape[1]]
    return np.where(np.isfinite(energy), np.minimum(energy, usual + np.where(above > 0, above * kept, np.inf)), energy)


def _means(values: npt.NDArray[np.float64], step: int) -> npt.NDArray[np.float64]:
    """Means of step x step pixels; what lacks at the edges is as the last rows and columns are."""
    padded = np.pad(values, [(0, -side % step) for side in values.shape], mode="edge")
    rows, columns = (side // step for side in padded.shape)
    found: npt.NDArray[np.float64] = padded.reshape(rows, step, columns, step).mean(axis=(1, 3))
    return found
