import numpy as np
import pytest

from keras_maskrcnn.masks.rle import mask_to_rle, regions_to_masks, rle_areas


def test_areas_of_any_number_of_masks_are_their_pixels():
    masks = np.random.default_rng(0).random((600, 9, 11)) < np.linspace(0, 1, 600)[:, None, None]
    areas = rle_areas([mask_to_rle(mask) for mask in masks])
    np.testing.assert_array_equal(areas, masks.sum(axis=(1, 2)))
    assert areas.dtype == np.float64 and rle_areas([]).shape == (0,)


def test_masks_that_do_not_fit_into_memory_are_refused_with_what_takes_less():
    with pytest.raises(
        MemoryError, match=r'100000 masks of 100000 x 100000 pixels take 931322.6 GiB; .*masks="rle"'
    ):
        regions_to_masks([], 100_000, 100_000, 100_000)
