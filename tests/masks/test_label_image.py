import numpy as np
import pytest

from keras_maskrcnn.masks.label_image import first_pixels, paint_labels, renumbered
from keras_maskrcnn.masks.rle import mask_to_rle, runs_of_ones


def random_masks(seed, count=6, height=13, width=17):
    """Masks of noise, among them an empty and a full one, which begin and end in runs of any length."""
    masks = (
        np.random.default_rng(seed).random((count, height, width)) < np.linspace(0, 1, count)[:, None, None]
    )
    assert not masks[0].any() and masks[-1].all()
    return masks


@pytest.mark.parametrize("seed", range(3))
def test_runs_of_ones_are_the_pixels_down_the_columns(seed):
    for mask in random_masks(seed):
        flat = np.zeros(mask.size, bool)
        for start, stop in runs_of_ones(mask_to_rle(mask), *mask.shape):
            assert stop > start or mask.all()
            flat[start:stop] = True
        assert (flat.reshape(mask.shape, order="F") == mask).all()


def test_the_last_that_is_painted_has_the_pixel_be_it_an_array_an_rle_or_a_polygon():
    masks = random_masks(0)[[1, 2, 3]]
    expected = np.zeros((13, 17), int)
    for row in (2, 0):
        expected[masks[row]] = row + 1
    uncompressed = {"size": [13, 17], "counts": [4, 3, 13 * 17 - 7]}
    for given in (masks, masks.astype(np.uint8), [mask_to_rle(mask) for mask in masks]):
        labels = paint_labels(given, [2, 0], 13, 17)
        assert labels.dtype == np.uint32 and labels.flags.c_contiguous
        np.testing.assert_array_equal(labels, expected)
    labels = paint_labels([uncompressed, [[2, 1, 5, 1, 5, 3, 2, 3]]], [0, 1], 13, 17)
    assert labels[4:7, 0].tolist() == [1, 1, 1] and labels[1:3, 2:5].tolist() == [[2] * 3] * 2


def test_a_scan_meets_numbers_at_their_first_pixels():
    labels = np.array([[0, 0, 3], [1, 3, 0], [1, 0, 4]], np.uint32)
    assert first_pixels(labels, 5).tolist() == [9, 3, 9, 2, 8, 9]  # 9 pixels in all: no first one
    assert first_pixels(np.zeros((2, 3), np.uint32), 1).tolist() == [6, 6]


def test_the_type_is_the_least_that_holds_the_numbers_unless_one_is_asked_for():
    labels = np.array([[0, 1]], np.uint32)
    assert renumbered(labels, np.array([0, 65535]), None).dtype == np.uint16
    large = renumbered(labels, np.array([0, 65536]), None)
    assert large.dtype == np.uint32 and large.tolist() == [[0, 65536]]
    assert renumbered(labels, np.array([0, 1]), "uint32").dtype == np.uint32
    assert renumbered(labels, np.zeros(2, int), None).tolist() == [[0, 0]]
    with pytest.raises(
        ValueError, match="uint16 holds the numbers up to 65535; 65536 are needed: dtype=uint32"
    ):
        renumbered(labels, np.array([0, 65536]), np.uint16)
    for wrong in (np.uint8, "int16", "no type", 7):
        with pytest.raises(ValueError, match="must be uint16 or uint32; got"):
            renumbered(labels, np.array([0, 1]), wrong)
