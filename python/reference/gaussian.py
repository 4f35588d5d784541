# SPDX-License-Identifier: BSD-3-Clause
"""Gaussian models of positions: sums of products, factors of covariances, energies with and without the image itself."""

import numpy as np
import numpy.typing as npt

from .arguments import Floats

Counts = npt.NDArray[np.int64]
Rounded = npt.NDArray[np.int16]
Law = tuple[int, float, float, float, float]  # n, unit, strength, ridge, prior

PANEL = 16
MAX_ROUNDED = 2047  # 12 bits and a sign less: products and their sums stay exact


def triangle(size: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Rows and columns of a lower triangle in the order in which it is stored."""
    rows, columns = np.tril_indices(size)
    return rows, columns


def factor_floats(size: int) -> int:
    """Floats of the factor of one position: panels of 16 rows, each as wide as its last row's part of the triangle."""
    panels = -(-size // PANEL)
    return PANEL * PANEL * panels * (panels + 1) // 2


def eigenvectors(matrix: Floats, values: Floats, vectors: Floats) -> None:
    """Eigenvalues in no order, and eigenvectors in rows, of a symmetric matrix of which the lower triangle is read.

    Parameters
    ----------
    matrix : (size, size) array of float64
    values : (size,) array of float64
        Filled.
    vectors : (size, size) array of float64
        Filled.
    """
    if not np.isfinite(np.tril(matrix)).all():
        raise ValueError("a scalar argument outside its range")
    values[:], columns = np.linalg.eigh(matrix, UPLO="L")
    vectors[:] = columns.T


def moments_add(x: Rounded, sums: Counts, products: Counts, num_threads: int = 1) -> None:
    """Add to sums and to sums of products over images, for every position.

    Parameters
    ----------
    x : (n, positions, size) array of int16, at most MAX_ROUNDED in magnitude
    sums : (positions, size) array of int64
        Added to.
    products : (positions, size * (size + 1) / 2) array of int64
        Lower triangles row by row. Added to.
    """
    if (np.abs(x.astype(np.int32)) > MAX_ROUNDED).any():
        raise ValueError("a scalar argument outside its range")
    rows, columns = triangle(x.shape[2])
    values = x.astype(np.int64)
    sums += values.sum(axis=0)
    for position in range(x.shape[1]):
        own = values[:, position]
        products[position] += (own.T @ own)[rows, columns]


def gaussian_factors(
    sums: Counts,
    products: Counts,
    law: Law,
    mean: Floats,
    factors: Floats,
    num_threads: int = 1,
    basis: Floats | None = None,
    offset: Floats | None = None,
) -> None:
    """Mean and inverse Cholesky factor of the covariance at every position.

    With S_p the covariance at a position over n images and S the mean of all S_p, the covariance is
    (n S_p + strength S) / (n + strength) + ridge I.

    Parameters
    ----------
    sums, products : as of :func:`moments_add`
    law : (n, unit, strength, ridge, prior)
        n images were added; 1 of the rounded values stands for ``unit``. ``prior`` is not read.
    mean : (positions, size) array of float32
        Filled.
    factors : (positions, factor_floats(size)) array of float32
        Filled: the inverse of L, where L L^T is the covariance; panels of 16 rows, in each column by column.
    basis, offset : (features, size), (size,) arrays of float64, optional
        The sums are of features that are not whitened yet; the Gaussians are of offset + basis^T (unit times features).

    Raises
    ------
    ValueError
        A covariance is not positive definite.
    """
    n, unit, strength, ridge, _ = law
    positions, size = sums.shape
    rows, columns = triangle(size)
    scatter = np.empty((positions, size, size))
    for position in range(positions):
        own = sums[position].astype(np.float64)
        lower = products[position].astype(np.float64) - own[rows] * own[columns] / n
        scatter[position][rows, columns] = scatter[position][columns, rows] = lower * (unit * unit)
    mean[...] = sums * (unit / n) if basis is None or offset is None else offset + sums * (unit / n) @ basis
    if basis is not None:
        scatter, size = basis.T @ scatter @ basis, basis.shape[1]
    pooled = scatter.sum(axis=0) * (1 / (n * positions))
    factors[...] = 0
    for position in range(positions):
        covariance = (scatter[position] + strength * pooled) / (n + strength) + ridge * np.eye(size)
        try:
            inverse = np.linalg.inv(np.linalg.cholesky(covariance))
        except np.linalg.LinAlgError:
            raise ValueError("a covariance is not positive definite: give a larger ridge") from None
        panels, begin = factors[position], 0
        for first in range(0, size, PANEL):
            width = first + PANEL
            panel = np.zeros((width, PANEL))
            own = inverse[first:width, :width]
            panel[: own.shape[1], : len(own)] = np.tril(own, first).T
            panels[begin : begin + panel.size] = panel.reshape(-1)
            begin += panel.size


def unpacked(factors: Floats, size: int) -> Floats:
    """(positions, size, size) lower triangles of packed factors."""
    whole = np.zeros((len(factors), size + PANEL, size + PANEL))
    begin = 0
    for first in range(0, size, PANEL):
        width = first + PANEL
        panel = factors[:, begin : begin + width * PANEL].reshape(-1, width, PANEL)
        whole[:, first:width, :width] = panel.transpose(0, 2, 1)
        begin += width * PANEL
    return whole[:, :size, :size]


def gaussian_energies(
    x: Rounded,
    mean: Floats,
    factors: Floats,
    law: Law,
    reach: int,
    without_own: bool,
    energies: Floats,
    num_threads: int = 1,
) -> None:
    """Mahalanobis distance of every position from the nearest of the Gaussians around it.

    The mean of a position is n / (n + prior) times that of the images. With ``without_own`` the images are among those
    n, and each is measured by the Gaussians without it: with d its deviation from the mean at the Gaussian's place, the
    scatter loses n / (n - 1) d d^T (Sherman & Morrison 1950). The shared covariance stays as it is.

    Parameters
    ----------
    x : (n_images, height, width, size) array of int16
    mean : (height * width, size) array of float32
    factors : (height * width, factor_floats(size)) array of float32
    law : as of :func:`gaussian_factors`
        ``ridge`` is not read.
    reach : int
        0: the position's own Gaussian; 1: the least energy over the 3 x 3 around, as far as they exist.
    energies : (n_images, height, width) array of float32
        Filled.
    """
    n, unit, strength, _, prior = law
    n_images, height, width, size = x.shape
    inverse = unpacked(factors, size).reshape(height, width, size, size)
    means = mean.astype(np.float64).reshape(height, width, size)
    values = x.astype(np.float64) * unit
    seen = n - 1 if without_own else n
    least = np.full(energies.shape, np.inf)
    gain = n / (n - 1) / (n + strength) if without_own else 0.0
    share = (n - 1 + strength) / (n + strength) if without_own else 1.0
    for i in range(n_images):
        for row in range(height):
            for column in range(width):
                own = values[i, row, column] - means[row, column]
                centre = means[row, column] - own / (n - 1) if without_own else means[row, column]
                deviation = inverse[row, column] @ own
                for r in range(max(row - reach, 0), min(row + reach + 1, height)):
                    for c in range(max(column - reach, 0), min(column + reach + 1, width)):
                        y = inverse[row, column] @ (values[i, r, c] - seen / (seen + prior) * centre)
                        square = y @ y
                        if without_own:
                            square += gain * (y @ deviation) ** 2 / max(1 - gain * (deviation @ deviation), 1e-6)
                        least[i, r, c] = min(least[i, r, c], share * square)
    energies[...] = np.sqrt(least)
