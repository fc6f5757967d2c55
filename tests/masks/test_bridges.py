"""Rings joined by lines there and back enclose what they enclosed."""

import numpy as np

from keras_maskrcnn.masks.bridges import bridged
from keras_maskrcnn.masks.outlines import draws, mask_parts
from keras_maskrcnn.masks.rle import mask_to_rle, segmentation_to_rle

SQUARE = np.array([[0, 0], [4, 0], [4, 4], [0, 4]], float)


def test_one_ring_stays_as_it_is():
    assert bridged([SQUARE]).tolist() == SQUARE.tolist()


def test_the_nearest_corners_are_joined_there_and_back():
    other = SQUARE + [10, 0]
    assert bridged([SQUARE, other]).tolist() == [
        *([0, 0], [4, 0]),
        *([10, 0], [14, 0], [14, 4], [10, 4], [10, 0]),
        *([4, 0], [4, 4], [0, 4]),
    ]


def test_a_ring_is_joined_to_the_nearest_of_all_before():
    ring = bridged([SQUARE, SQUARE + [20, 0], SQUARE + [10, 0]])
    lines = np.abs(np.diff(ring, axis=0)).sum(axis=1)
    assert sorted(lines[lines > 4]) == [6, 6, 6, 6]  # each gap twice


def test_masks_with_parts_and_holes_are_drawn_by_pycocotools_as_they_are():
    rng = np.random.default_rng(0)
    for density in (0.3, 0.6, 0.9):
        for _ in range(20):
            mask = rng.random((14, 17)) < density
            rle = segmentation_to_rle(mask_to_rle(mask), *mask.shape)
            rings = [ring for part in mask_parts(rle) for ring in (part.outer, *part.holes)]
            assert draws([bridged(rings).ravel().tolist()], rle)
