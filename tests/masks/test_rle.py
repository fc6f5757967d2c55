import numpy as np

from keras_maskrcnn.masks.rle import mask_to_rle, rle_areas


def test_areas_of_any_number_of_masks_are_their_pixels():
    masks = np.random.default_rng(0).random((600, 9, 11)) < np.linspace(0, 1, 600)[:, None, None]
    areas = rle_areas([mask_to_rle(mask) for mask in masks])
    np.testing.assert_array_equal(areas, masks.sum(axis=(1, 2)))
    assert areas.dtype == np.float64 and rle_areas([]).shape == (0,)
