"""Bounds on masks hold for whatever pycocotools draws, and are close where columns are many."""

import numpy as np
import pycocotools.mask as coco_mask
import pytest

from keras_maskrcnn.masks.mask_bounds import mask_bounds

HEIGHT, WIDTH = 90, 130


def scribble(random):
    """Corners anywhere, so that the outline crosses itself."""
    return random.uniform(0, (WIDTH, HEIGHT), (random.integers(3, 30), 2))


def blob(random):
    count = random.integers(3, 60)
    angles = np.sort(random.uniform(0, 2 * np.pi, count))
    radius = random.uniform(0.3, 1, (count, 1)) * random.uniform(0.3, 40)
    points = np.stack([np.cos(angles), np.sin(angles)], axis=1) * radius + random.uniform(0, (WIDTH, HEIGHT))
    return points.clip(0, (WIDTH, HEIGHT))


def twice_around(random):
    """By turns of inside and outside, nothing is inside."""
    return np.tile(blob(random), (2, 1))


def sliver(random):
    start, along = random.uniform(0, (WIDTH, HEIGHT)), random.normal(0, 30, 2)
    points = np.stack([start, start + along, start + along + random.normal(0, 0.5, 2), start])
    return points.clip(0, (WIDTH, HEIGHT))


def on_the_grid(random):
    """Corners on edges, middles and fifths of pixels, where rounding decides."""
    return np.round(blob(random) * random.choice([1, 2, 5, 10])) / random.choice([1, 2, 5, 10]).clip(1)


def comb(random):
    x = np.sort(random.uniform(0, WIDTH, 24))
    return np.stack([x, np.where(np.arange(24) % 2, *random.uniform(0, HEIGHT, 2))], axis=1)


KINDS = (scribble, blob, twice_around, sliver, on_the_grid, comb)


def polygons(kind, count=150):
    random = np.random.default_rng(KINDS.index(kind))
    made = (kind(random) for _ in range(count))
    return [points.clip(0, (WIDTH, HEIGHT)) for points in made]


def bounds_of(shapes, columns):
    return mask_bounds(np.concatenate(shapes), np.array([len(points) for points in shapes]), columns)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("columns", [1, 2, 7, 12, 48, 1000])
def test_masks_are_within_their_bounds(kind, columns):
    shapes = polygons(kind)
    bounds = bounds_of(shapes, columns)
    for index, points in enumerate(shapes):
        rle = coco_mask.frPyObjects([points.ravel().tolist()], HEIGHT, WIDTH)[0]
        area, (x, y, width, height) = int(coco_mask.area(rle)), coco_mask.toBbox(rle)
        extent = np.array([x, y, x + width, y + height])
        inner, outer, (least, most) = bounds.inner[index], bounds.outer[index], bounds.area[index]
        assert least <= area <= most
        np.testing.assert_array_equal(bounds.extent[index], [*points.min(axis=0), *points.max(axis=0)])
        if area:
            assert (outer[:2] <= extent[:2]).all() and (outer[2:] >= extent[2:]).all()
        if inner[0] < inner[2]:  # some pixels are certain
            assert area and (inner[:2] >= extent[:2]).all() and (inner[2:] <= extent[2:]).all()


def test_bounds_are_close_where_each_column_is_looked_at():
    shapes = [points for points in polygons(blob) if np.ptp(points, axis=0).min() > 10]
    bounds = bounds_of(shapes, 1000)
    for points, inner, (least, most) in zip(shapes, bounds.inner, bounds.area, strict=True):
        way = np.abs(np.diff(points[:, 0], append=points[0, 0])).sum()
        assert most - least <= 1.25 * way + 2.5 * len(
            points
        )  # each crossing of a column is known to 0.61 pixels
        assert inner[0] < inner[2]


def test_each_polygon_is_bounded_as_if_it_were_alone():
    shapes = [points for kind in KINDS for points in polygons(kind, 20)]
    together = bounds_of(shapes, 12)
    for index, points in enumerate(shapes):
        alone = bounds_of([points], 12)
        for name in ("extent", "outer", "inner", "area"):
            np.testing.assert_allclose(getattr(together, name)[index], getattr(alone, name)[0], atol=1e-6)
