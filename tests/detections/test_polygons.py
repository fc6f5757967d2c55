"""Detections as polygons: parts and holes along pixel edges, from which the masks come back."""

import numpy as np
import pytest
from skimage.measure import points_in_poly

from keras_maskrcnn.detections.detections import Detections
from keras_maskrcnn.masks.rle import mask_to_rle


def detections(masks, as_rle=False):
    count, height, width = masks.shape
    return Detections(
        boxes=np.tile([0, 0, width, height], (count, 1)),
        scores=np.full(count, 0.5),
        class_ids=np.ones(count, int),
        class_names=["a"] * count,
        height=height,
        width=width,
        masks=[mask_to_rle(mask) for mask in masks] if as_rle else masks,
    )


def painted(parts, height, width):
    """The pixels whose centres are inside the parts, by scikit-image."""
    y, x = np.mgrid[:height, :width] + 0.5
    centres = np.stack([x.ravel(), y.ravel()], axis=1)
    mask = np.zeros(height * width, bool)
    for part in parts:
        inside = points_in_poly(centres, part.outer)
        for hole in part.holes:
            inside &= ~points_in_poly(centres, hole)
        assert not (mask & inside).any()  # parts do not overlap
        mask |= inside
    return mask.reshape(height, width)


@pytest.mark.parametrize("as_rle", [False, True])
def test_a_part_has_its_own_holes(as_rle):
    masks = np.zeros((2, 40, 60), bool)
    masks[0, 5:35, 10:30] = True
    masks[0, 10:20, 15:25] = False
    masks[0, 13:16, 18:21] = True  # an island in the hole
    found = detections(masks, as_rle).to_polygons()
    outer, island = found[0]
    assert outer.outer.tolist() == [[10, 5], [30, 5], [30, 35], [10, 35]] and outer.outer.dtype == np.float64
    assert [sorted(hole.tolist()) for hole in outer.holes] == [[[15, 10], [15, 20], [25, 10], [25, 20]]]
    assert island.outer.tolist() == [[18, 13], [21, 13], [21, 16], [18, 16]] and island.holes == []
    assert found[1] == []  # without pixels


def test_pixels_that_touch_at_corners_are_parts_and_such_holes_are_one():
    diagonal = np.array([[1, 0], [0, 1]], bool)
    holes = np.ones((4, 4), bool)
    holes[1, 1] = holes[2, 2] = False
    assert len(detections(diagonal[None]).to_polygons()[0]) == 2
    (part,) = detections(holes[None]).to_polygons()[0]
    assert len(part.holes) == 1


def test_any_mask_is_painted_again_from_its_parts():
    rng = np.random.default_rng(0)
    for density in (0.2, 0.5, 0.8, 0.95):
        masks = rng.random((15, 11, 13)) < density
        for mask, parts in zip(masks, detections(masks).to_polygons(), strict=True):
            np.testing.assert_array_equal(painted(parts, 11, 13), mask)


def test_without_masks_there_are_no_polygons():
    found = Detections([[0, 0, 4, 4]], [0.5], [1], ["a"], height=9, width=9)
    with pytest.raises(ValueError, match="made of masks, which these Detections lack"):
        found.to_polygons()
