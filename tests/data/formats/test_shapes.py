"""Round shapes as polygons, against their equations."""

import math

import numpy as np
import pytest

from keras_maskrcnn.data.formats.shapes import ellipse, rectangle, visible_extent
from keras_maskrcnn.masks.rle import segmentation_to_mask


def test_a_rectangle_goes_around_its_corners():
    assert rectangle(1, 2, 5, 4) == [1, 2, 5, 2, 5, 4, 1, 4]


@pytest.mark.parametrize("radius", [0.5, 3, 40, 900])
def test_the_polygon_of_a_circle_deviates_by_at_most_a_tenth_of_a_pixel(radius):
    points = np.reshape(ellipse(10, 20, radius, radius), (-1, 2)) - [10, 20]
    np.testing.assert_allclose(np.hypot(*points.T), radius)
    middles = (points + np.roll(points, 1, axis=0)) / 2
    assert radius - np.hypot(*middles.T).min() <= 0.1
    assert len(points) <= 8 + math.pi * math.sqrt(radius / 0.2) + 16


def test_an_ellipse_is_rotated_clockwise_as_displayed():
    """As the canvas of a browser rotates it: with y downwards, a positive angle takes the x axis towards y."""
    points = np.reshape(ellipse(0, 0, 10, 2, math.pi / 6), (-1, 2))
    far = points[np.hypot(*points.T).argmax()]
    np.testing.assert_allclose(abs(far), [10 * math.cos(math.pi / 6), 10 * math.sin(math.pi / 6)])
    assert far[0] * far[1] > 0
    half_width = math.hypot(10 * math.cos(math.pi / 6), 2 * math.sin(math.pi / 6))
    np.testing.assert_allclose(points[:, 0].max(), half_width, atol=0.1)


@pytest.mark.parametrize("radius", [-1, 1e9, math.nan])
def test_radii_that_no_image_has_are_refused(radius):
    with pytest.raises(ValueError, match="radius"):
        ellipse(0, 0, radius, 1)


def test_the_extent_of_a_shape_ends_at_the_image():
    assert visible_extent([-5, 3, 70, 3, 70, 50], height=40, width=60) == [0, 3, 60, 40]


@pytest.mark.parametrize(
    ("cx", "cy", "rx", "ry", "theta"),
    [
        (-9, 50, 10, 10, 0), (50, 106, 30, 8, 0), (103, -4, 12, 9, 0.5), (50, 50, 70, 60, 1), (-3, 60, 40, 5, 2),
        (40, 40, 20, 10, 0.3),
    ],
)  # fmt: skip
def test_the_extent_of_an_ellipse_is_that_of_what_is_drawn(cx, cy, rx, ry, theta):
    polygon = ellipse(cx, cy, rx, ry, theta)
    enlarged = [10 * value for value in polygon]
    drawn = np.argwhere(segmentation_to_mask([enlarged], 1000, 1000))[:, ::-1]
    expected = np.concatenate([drawn.min(axis=0), drawn.max(axis=0) + 1]) / 10
    np.testing.assert_allclose(visible_extent(polygon, 100, 100), expected, atol=0.3)


def test_a_circle_beside_the_image_has_no_extent():
    assert visible_extent(ellipse(-5, -5, 6, 6), 100, 100) == [0, 0, 0, 0]
