# SPDX-License-Identifier: BSD-3-Clause
"""Regions of maps: corners touch, small ones are left out, boxes hold their pixels."""

import numpy as np

from cbn.metrics.regions import Region, regions_above


def test_corners_touch_and_boxes_hold_their_pixels():
    values = np.zeros((5, 6), np.float32)
    values[0, 0], values[1, 1], values[4, 3:6] = 2, 3, 9
    mask, regions = regions_above(values, 1.0)
    assert regions == [Region(3, 4, 3, 1, 3, 9.0), Region(0, 0, 2, 2, 2, 3.0)]
    np.testing.assert_array_equal(mask, values > 1)
    mask, regions = regions_above(values, 1.0, min_area=3)
    assert [own.area for own in regions] == [3] and mask.sum() == 3


def test_nothing_above_and_everything_above():
    values = np.full((3, 4), 2.0)
    assert regions_above(values, 2.0)[1] == []  # above, not at
    mask, regions = regions_above(values, 1.0)
    assert mask.all() and regions == [Region(0, 0, 4, 3, 12, 2.0)]
    mask, regions = regions_above(values, 1.0, min_area=13)
    assert not mask.any() and regions == []
