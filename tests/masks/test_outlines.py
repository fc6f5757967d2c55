"""Masks as polygons are the same masks, or none."""

import numpy as np
import pytest

from keras_maskrcnn.masks.outlines import mask_outlines
from keras_maskrcnn.masks.rle import mask_to_rle, segmentation_to_mask, segmentation_to_rle


def outlines(mask):
    return mask_outlines(segmentation_to_rle(mask_to_rle(mask), *mask.shape))


def drawn(*rows):
    return np.array([[letter == "#" for letter in row] for row in rows])


def test_a_rectangle_is_its_corners():
    mask = np.zeros((40, 60), bool)
    mask[5:35, 10:30] = True
    assert outlines(mask) == [[10, 5, 30, 5, 30, 35, 10, 35]]


MASKS = {
    "one pixel": drawn("#"),
    "whole image": drawn("###", "###"),
    "two parts": drawn("#.#", "#.#"),
    "corner to corner": drawn("#..", ".#.", "..#"),
    "open ring": drawn("####", "#..#", "#.##", "#..."),
    "ring that closes at a corner": drawn("###.", "#.#.", "##.#", "..##"),
    "comb": drawn("#.#.#.#", "#######", "#.#.#.#"),
}


@pytest.mark.parametrize("name", MASKS)
def test_what_has_no_hole_comes_back_to_the_pixel(name):
    mask = MASKS[name]
    found = outlines(mask)
    assert found is None or np.array_equal(segmentation_to_mask(found, *mask.shape), mask)
    assert found is not None or name == "ring that closes at a corner"


@pytest.mark.parametrize("mask", [drawn("###", "#.#", "###"), drawn("...", "...")], ids=["hole", "empty"])
def test_what_polygons_cannot_say_is_none(mask):
    assert outlines(mask) is None


def test_random_blobs_come_back_or_have_holes():
    rng = np.random.default_rng(0)
    kept = 0
    for _ in range(50):
        mask = rng.random((12, 15)) < 0.3
        found = outlines(mask)
        if found is not None:
            kept += 1
            np.testing.assert_array_equal(segmentation_to_mask(found, 12, 15), mask)
    assert kept > 10
