"""Windows, against the pixels that they are."""

import numpy as np
import pytest

from keras_maskrcnn.data.augment.window import Window, around


def drawn(window, side=24):
    mask = np.zeros((side, side), bool)
    mask[window.slices] = True
    return mask


@pytest.mark.parametrize("seed", range(8))
def test_windows_are_what_their_pixels_say(seed):
    corners = np.sort(np.random.default_rng(seed).integers(0, 25, (2, 2, 2)), axis=1)
    one, other = (Window(*corner.ravel().tolist()) for corner in corners)
    assert one.area == drawn(one).sum()
    common = one.within(other)
    assert common.area == (drawn(one) & drawn(other)).sum()
    for cells in (1, 2, 3, 4):
        pixels = drawn(one).reshape(24 // cells, cells, 24 // cells, cells).any(axis=(1, 3))
        if one.area:
            np.testing.assert_array_equal(drawn(one.coarser(cells), 24 // cells), pixels)
    if one.area and other.area:
        rows, columns = np.nonzero(drawn(one) | drawn(other))
        expected = columns.min(), rows.min(), columns.max() + 1, rows.max() + 1
        assert around([one, other]) == expected


def test_around_nothing_there_is_nothing():
    assert around([]).area == 0
