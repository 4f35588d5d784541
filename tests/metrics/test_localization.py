# SPDX-License-Identifier: BSD-3-Clause
"""Pixel AUROC and AUPRO: against brute force over every threshold, examples by hand, and laws they obey."""

from itertools import pairwise

import numpy as np
import pytest
from scipy import ndimage
from sklearn.metrics import roc_auc_score

from cbn.exceptions import DataError
from cbn.metrics.localization import aupro, bootstrap_localization, mean_pixel_auroc, pixel_auroc


def drawn(seed, n=6, shape=(9, 11), decimals=1):
    """Masks with several regions, some of them empty, and maps with many equal values."""
    generator = np.random.default_rng(seed)
    masks = ndimage.uniform_filter(generator.random((n, *shape)), (0, 3, 3)) > 0.6
    masks[0] = False
    maps = np.round(generator.normal(size=masks.shape) + masks, decimals).astype(np.float32)
    return masks, maps


def flood(mask):
    """Connected regions of one mask, naively."""
    left, regions = {tuple(place) for place in np.argwhere(mask)}, []
    while left:
        region, todo = [], [left.pop()]
        while todo:
            y, x = todo.pop()
            region.append((y, x))
            near = {(y + dy, x + dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)} & left
            left -= near
            todo += near
        regions.append(region)
    return regions


def naive_aupro(masks, maps, limit):
    """The curve point by point, every distinct value being a threshold, and its area by trapezia."""
    regions = [(i, region) for i, mask in enumerate(masks) for region in flood(mask)]
    points = [(0.0, 0.0)]
    for threshold in sorted(set(maps.ravel().tolist()), reverse=True):
        found = maps >= threshold
        rate = found[~masks].mean()
        points.append((rate, np.mean([np.mean([found[i][place] for place in region]) for i, region in regions])))
    area = 0.0
    for (x0, y0), (x1, y1) in pairwise(points):
        if x1 > limit:
            y1 = y0 + (y1 - y0) * (limit - x0) / (x1 - x0)
            x1 = limit
        area += (x1 - x0) * (y0 + y1) / 2
        if x1 >= limit:
            break
    return area / limit


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("decimals", [0, 1, 8])
def test_figures_are_those_of_brute_force(seed, decimals):
    masks, maps = drawn(seed, decimals=decimals)
    assert pixel_auroc(masks, maps) == pytest.approx(roc_auc_score(masks.ravel(), maps.ravel()), abs=1e-12)
    mixed = [i for i in range(len(masks)) if masks[i].any()]
    by_image = [roc_auc_score(masks[i].ravel(), maps[i].ravel()) for i in mixed]
    assert mean_pixel_auroc(masks, maps) == pytest.approx(np.mean(by_image), abs=1e-12)
    for limit in (0.05, 0.3, 1.0):
        assert aupro(masks, maps, limit) == pytest.approx(naive_aupro(masks, maps, limit), abs=1e-12)


def test_example_by_hand():
    """Two regions of 1 and 2 pixels, 5 normal pixels.

    The order of values, highest first: region A; a normal pixel (rate 0.2); one pixel of B; a normal pixel (rate 0.4);
    the rest. Overlap is 1/2 up to rate 0.2, and 3/4 from there to 0.3: (0.2 x 1/2 + 0.1 x 3/4) / 0.3.
    """
    masks = np.array([[[1, 0, 1, 1, 0, 0, 0, 0]]], dtype=bool)
    maps = np.array([[[9, 8, 7, 1, 6, 0, 0, 0]]])
    assert aupro(masks, maps) == pytest.approx(0.175 / 0.3, abs=1e-15)
    # 5 + 4 + 3 of 15 pairs in the right order
    assert pixel_auroc(masks, maps) == pytest.approx(12 / 15, abs=1e-15)


def test_a_tie_that_crosses_the_limit_counts_in_part():
    """All values equal: overlap and rate rise together; up to 0.3 the area is 0.3^2 / 2, divided by 0.3."""
    masks, _ = drawn(0)
    constant = np.ones(masks.shape)
    assert aupro(masks, constant) == pytest.approx(0.15, abs=1e-15)
    assert aupro(masks, constant, limit=1.0) == pytest.approx(0.5, abs=1e-15)
    assert pixel_auroc(masks, constant) == 0.5 == mean_pixel_auroc(masks, constant)


def test_perfect_and_inverted_maps():
    masks, _ = drawn(1)
    for perfect in (masks.astype(float), masks.astype(np.uint8)):
        assert aupro(masks, perfect) == 1 == pixel_auroc(masks, perfect)
    assert aupro(masks, -masks.astype(float)) == 0 == pixel_auroc(masks, -masks.astype(float))


def test_small_regions_count_as_much_as_large_ones():
    masks = np.zeros((1, 20, 20), dtype=bool)
    masks[0, 0, 0] = masks[0, 5:15, 5:15] = True
    only_small, only_large = np.zeros((2, 1, 20, 20))
    only_small[0, 0, 0] = 1
    only_large[0, 5:15, 5:15] = 1
    assert aupro(masks, only_small) == pytest.approx(aupro(masks, only_large), abs=1e-12)
    assert pixel_auroc(masks, only_large) > 0.95 > 0.6 > pixel_auroc(masks, only_small)


def test_regions_touch_at_corners_but_not_across_images():
    masks = np.zeros((2, 4, 4), dtype=bool)
    masks[0, 0, 0] = masks[0, 1, 1] = masks[1, 1, 1] = True
    maps = np.zeros(masks.shape)
    maps[0, 0, 0] = 1  # half of the first of two regions; the rest is tied with all normal pixels
    assert aupro(masks, maps) == pytest.approx(0.25 + 0.75 * 0.15, abs=1e-12)


@pytest.mark.parametrize("change", [lambda v: 3 * v + 7, np.arctan, lambda v: v**3])
def test_monotone_changes_of_the_maps_change_nothing(change):
    masks, maps = drawn(2)
    maps = maps.astype(np.float64)
    for figure in (pixel_auroc, mean_pixel_auroc, aupro):
        assert figure(masks, change(maps)) == figure(masks, maps)


def test_order_of_images_and_copies_of_all_change_nothing():
    masks, maps = drawn(3)
    order = np.random.default_rng(0).permutation(len(masks))
    for figure in (pixel_auroc, mean_pixel_auroc, aupro):
        expected = pytest.approx(figure(masks, maps), abs=1e-12)
        assert figure(masks[order], maps[order]) == expected
        assert figure(np.concatenate([masks, masks]), np.concatenate([maps, maps])) == expected


def test_mean_of_images_does_not_see_their_scale():
    masks, maps = drawn(4)
    scaled = maps * np.array([1, 5, 9, 2, 30, 0.1])[:, None, None]
    assert mean_pixel_auroc(masks, scaled) == mean_pixel_auroc(masks, maps)
    assert pixel_auroc(masks, scaled) != pixel_auroc(masks, maps)


@pytest.mark.slow
def test_intervals_are_those_of_a_plain_loop():
    masks, maps = drawn(5, n=24, decimals=3)
    found = bootstrap_localization(masks, maps, level=0.9, n_resamples=1500)
    assert found.pixel_auroc.value == pixel_auroc(masks, maps)
    assert found.mean_pixel_auroc.value == mean_pixel_auroc(masks, maps)
    assert found.aupro.value == aupro(masks, maps)
    defective = masks.any(axis=(1, 2))
    generator, figures = np.random.default_rng(1), []
    for _ in range(1500):
        chosen = np.concatenate([generator.choice(np.flatnonzero(own), own.sum()) for own in (defective, ~defective)])
        figures.append([f(masks[chosen], maps[chosen]) for f in (pixel_auroc, mean_pixel_auroc, aupro)])
    bounds = np.quantile(figures, (0.05, 0.95), axis=0).T
    np.testing.assert_allclose([figure[1:] for figure in found], bounds, atol=0.006)


def test_a_resample_of_every_image_once_is_the_figure_itself():
    """One image of each kind can only be drawn once each; these maps have fewer values than bins."""
    masks, maps = drawn(6, n=2)
    for value, low, high in bootstrap_localization(masks, maps, n_resamples=3):
        assert low == pytest.approx(value, abs=1e-9) and high == pytest.approx(value, abs=1e-9)


def test_bins_of_resamples_move_figures_by_less_than_a_thousandth():
    generator = np.random.default_rng(7)
    masks = np.zeros((2, 200, 200), dtype=bool)
    masks[1, 20:30, 20:90] = masks[1, 150:155, 20:23] = True
    maps = generator.normal(size=masks.shape) + 2.0 * masks
    for value, low, high in bootstrap_localization(masks, maps, n_resamples=1):
        assert low == high == pytest.approx(value, abs=1e-3)


def test_same_seed_same_intervals():
    data = drawn(8)
    first = bootstrap_localization(*data, n_resamples=50, random_state=3)
    assert first == bootstrap_localization(*data, n_resamples=50, random_state=3)
    assert first != bootstrap_localization(*data, n_resamples=50, random_state=4)


FEW = np.array([[[True, False]]])


@pytest.mark.parametrize(
    ("masks", "maps", "message"),
    [
        (FEW.astype(int), FEW * 1.0, "masks: int64; give booleans"),
        (FEW, np.ones((1, 2)), r"maps: shape \(1, 2\) for masks of shape \(1, 1, 2\)"),
        (FEW[0], np.ones((1, 2)), r"maps: shape \(1, 2\)"),
        (FEW, np.array([[[1, np.nan]]]), "maps: not all values are numbers"),
        (FEW, np.array([[["a", "b"]]]), "maps: not all values are numbers"),
        (FEW & False, FEW * 1.0, "masks: 0 defective of 2 pixels"),
        (FEW | True, FEW * 1.0, "masks: 2 defective of 2 pixels"),
    ],
)
def test_data_that_cannot_be_used(masks, maps, message):
    for figure in (pixel_auroc, mean_pixel_auroc, aupro, bootstrap_localization):
        with pytest.raises(DataError, match=f"^{message}"):
            figure(masks, maps)


def test_full_masks_have_no_area_of_their_own():
    masks = np.array([[[True, True]], [[False, False]]])
    with pytest.raises(DataError, match="^masks: no image has both"):
        mean_pixel_auroc(masks, np.ones(masks.shape))


@pytest.mark.parametrize("limit", [0, -0.1, 1.1, "0.3", True])
def test_limits_outside_their_range(limit):
    with pytest.raises(ValueError, match="^limit: "):
        aupro(FEW, FEW * 1.0, limit)


def test_resamples_without_normal_pixels_are_left_out_silently():
    """A mask that covers its image and one that does not: some resamples hold only the first."""
    masks, maps = np.ones((2, 6, 6), bool), np.random.default_rng(0).random((2, 6, 6))
    masks[1, 3:] = False
    figures = bootstrap_localization(masks, maps, n_resamples=50, random_state=0)
    assert all(np.isfinite(interval).all() for interval in figures)
