"""Annotations in which nothing is doubtful, checked many at once; the others are read one by one, which says why.

Whatever is taken here, `coco_annotations.py` takes as well, and the same comes of it.
"""

import contextlib
import dataclasses
import itertools
from collections.abc import Callable
from typing import Any

import numpy as np

from keras_maskrcnn.data.checks import EDGE_TOLERANCE, SMALLEST_SIDE
from keras_maskrcnn.data.formats.coco_areas import impossible_area, plausible_range
from keras_maskrcnn.data.formats.coco_categories import Categories
from keras_maskrcnn.data.formats.coco_flags import is_ignored
from keras_maskrcnn.data.formats.coco_images import ImageRow
from keras_maskrcnn.masks.mask_bounds import MaskBounds, mask_bounds
from keras_maskrcnn.masks.packed_polygons import is_packed
from keras_maskrcnn.masks.segmentation_checks import FARTHEST

CLEARLY_WRONG = 10.0
"""Pixels of misfit that no rounding explains; near the origin both readings of a bbox fit about as well."""
_MARGIN = 0.5
"""Pixels by which something is clear."""
_COLUMNS = 12, 48
"""Of a mask, that are looked at first, and of those that are doubtful then."""
_CORNER = 16
"""Bytes of x and y."""
_KEYS = frozenset({int, str})
_NUMBERS = frozenset({float, int})


@dataclasses.dataclass(frozen=True)
class PlainObjects:
    """The M annotations of a batch without doubt."""

    places: np.ndarray
    """[M]: which of the batch they are."""
    images: np.ndarray
    """[M]: the position of the image of each."""
    boxes: np.ndarray
    """[M, 4] float64 x1, y1, x2, y2 in pixels, clipped."""
    class_ids: np.ndarray
    crowd: np.ndarray
    areas: np.ndarray
    masks: list[Any]
    """Packed polygons; None where they are not wanted."""

    def chosen(self, good: np.ndarray) -> "PlainObjects":
        """Return those that are good, [M] bool."""
        if good.all():
            return self
        return PlainObjects(
            places=self.places[good],
            images=self.images[good],
            boxes=self.boxes[good],
            class_ids=self.class_ids[good],
            crowd=self.crowd[good],
            areas=self.areas[good],
            masks=list(itertools.compress(self.masks, good.tolist())),
        )


class PlainReader:
    """Finds the annotations without doubt.

    Args:
        images: by their ids.
        categories: what their category_id may be.
        masks: whether they need polygons.
    """

    def __init__(self, images: dict[Any, ImageRow], categories: Categories, masks: bool) -> None:
        self._images = {image_id: position for position, image_id in enumerate(images)}
        sizes = [(image.width, image.height) for image in images.values()]
        self._sizes = np.array(sizes, np.float64).reshape(-1, 2)
        self._classes = {
            key: value for key, value in categories.classes.items() if key not in categories.reserved
        }
        self._masks = masks

    def read(self, annotations: list[dict[str, Any]]) -> PlainObjects:
        """Return what is plain of a batch of annotations."""
        found = [(place, *values) for place, row in enumerate(annotations) if (values := self._values(row))]
        found, bbox = _with_numbers(found)
        columns = list(zip(*found, strict=True)) or [()] * 7
        corners = np.concatenate([bbox[:, :2], bbox[:, :2] + bbox[:, 2:]], axis=1)
        images = np.array(columns[1], np.int64)
        limits = np.tile(self._sizes[images], 2)
        boxes = np.where(corners < 0, 0, np.minimum(corners, limits))
        sides = boxes[:, 2:] - boxes[:, :2]
        areas = np.array(columns[5], np.float64)  # None becomes NaN
        areas = np.where(np.isnan(areas), sides.prod(axis=1), areas)
        objects = PlainObjects(
            places=np.array(columns[0], np.int64),
            images=images,
            boxes=boxes,
            class_ids=np.array(columns[2], np.int32),
            crowd=np.array(columns[3], bool),
            areas=areas,
            masks=list(columns[6]),
        )
        good = (corners[:, :2] >= -EDGE_TOLERANCE).all(axis=1) & (sides >= SMALLEST_SIDE).all(axis=1)
        good &= (corners[:, 2:] <= limits[:, 2:] + EDGE_TOLERANCE).all(axis=1)
        good &= ~impossible_area(areas, boxes.T)
        if self._masks:
            good = self._with_fitting_masks(objects, bbox, good)
        return objects.chosen(good)

    def _with_fitting_masks(self, objects: PlainObjects, bbox: np.ndarray, good: np.ndarray) -> np.ndarray:
        """Return which of the good objects, [M] bool, have masks that fit; few need a closer look to be told."""
        left, fitting = good, np.zeros_like(good)
        for columns in _COLUMNS:
            if left.any():
                fitting[left] = _fits(objects.chosen(left), bbox[left], self._sizes, columns)
                left = left & ~fitting
        return fitting

    def _values(self, row: dict[str, Any]) -> tuple[Any, ...] | None:
        """Image, class, crowd, bbox, area and polygons of an annotation, if all are of the usual form."""
        get: Callable[..., Any] = row.get
        image_id, category_id, bbox, area = get("image_id"), get("category_id"), get("bbox"), get("area")
        if type(image_id) not in _KEYS or type(category_id) not in _KEYS or type(get("id")) not in _KEYS:
            return None
        image, class_id, crowd = self._images.get(image_id), self._classes.get(category_id), get("iscrowd", 0)
        if image is None or class_id is None or type(crowd) is not int or not 0 <= crowd <= 1:
            return None
        may_be_marked = "attributes" in row or "ignore" in row or "difficult" in row
        if get("keypoints") or (may_be_marked and not _is_unmarked(row)):
            return None
        if type(bbox) is not list or len(bbox) != 4:
            return None
        if area is None and not self._masks:  # measured of the box; of a mask it must be drawn for that
            return image, class_id, crowd, bbox, area, None
        if type(area) not in _NUMBERS or not 0 <= area < FARTHEST**2:
            return None
        polygons = get("segmentation") if self._masks else None
        if self._masks and not is_packed(polygons):
            return None
        return image, class_id, crowd, bbox, area, polygons


def _is_unmarked(row: dict[str, Any]) -> bool:
    with contextlib.suppress(ValueError):
        return not is_ignored(row)
    return False


def _with_numbers(found: list[tuple[Any, ...]]) -> tuple[list[tuple[Any, ...]], np.ndarray]:
    """Return the rows whose bboxes are numbers that float64 holds, and these [M, 4]."""
    numbers = list(itertools.chain.from_iterable(row[4] for row in found))
    with contextlib.suppress(OverflowError):  # whole numbers in JSON have no limit
        if _NUMBERS.issuperset(map(type, numbers)):
            return found, np.array(numbers, np.float64).reshape(-1, 4)
    found = [row for row in found if all(type(one) in _NUMBERS and abs(one) < FARTHEST for one in row[4])]
    return found, np.array([row[4] for row in found], np.float64).reshape(-1, 4)


def _fits(objects: PlainObjects, bbox: np.ndarray, sizes: np.ndarray, columns: int) -> np.ndarray:
    """Tell [M] which masks are certain to be not empty and to meet their boxes, bboxes and areas.

    Args:
        objects: M objects with polygons.
        bbox: [M, 4] x, y, width, height as annotated.
        sizes: [I, 2] width and height of the images.
        columns: how many of each mask's are looked at.
    """
    polygons = list(itertools.chain.from_iterable(objects.masks))
    counts = np.fromiter(map(len, polygons), np.int64, len(polygons)) // _CORNER
    parts = np.fromiter(map(len, objects.masks), np.int64, len(objects.masks))
    bounds = mask_bounds(np.frombuffer(b"".join(polygons)).reshape(-1, 2), counts, columns)
    bounds = _joined(bounds, np.cumsum(parts) - parts)
    good = (bounds.extent[:, :2] >= 0).all(axis=1) & (bounds.extent[:, 2:] <= sizes[objects.images]).all(
        axis=1
    )
    low, high = plausible_range(objects.areas)
    good &= (bounds.area[:, 0] >= low) & (bounds.area[:, 1] <= high)
    inner, box = bounds.inner, objects.boxes
    good &= (inner[:, :2] < inner[:, 2:]).all(axis=1)
    good &= (inner[:, :2] < box[:, 2:]).all(axis=1) & (inner[:, 2:] > box[:, :2]).all(axis=1)
    return good & _fits_bbox(bounds, bbox)


def _joined(bounds: MaskBounds, starts: np.ndarray) -> MaskBounds:
    """Bound the masks of objects by those of their polygons, of which the first ones are at `starts`."""
    if len(starts) == len(bounds.area):
        return bounds

    def around(boxes: np.ndarray) -> np.ndarray:
        return np.hstack(
            [np.minimum.reduceat(boxes[:, :2], starts), np.maximum.reduceat(boxes[:, 2:], starts)]
        )

    least, most = bounds.area.clip(0).T
    apart = np.add.reduceat(least, starts) - _overlaps(bounds.outer, starts)
    least = np.maximum(np.maximum.reduceat(least, starts), apart)
    areas = np.stack([least, np.add.reduceat(most, starts)], axis=1)
    return MaskBounds(around(bounds.extent), around(bounds.outer), around(bounds.inner), areas)


def _overlaps(boxes: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """Return by how much the boxes of each object's parts overlap each other, two by two, in sum."""
    parts = np.diff(starts, append=len(boxes))
    before = np.arange(len(boxes)) - np.repeat(starts, parts)  # parts of the same object
    one = np.repeat(np.arange(len(boxes)), before)
    other = one - 1 - (np.arange(len(one)) - np.repeat(np.cumsum(before) - before, before))
    low, high = np.maximum(boxes[one, :2], boxes[other, :2]), np.minimum(boxes[one, 2:], boxes[other, 2:])
    owner = np.repeat(np.arange(len(starts)), parts)[one]
    return np.bincount(owner, (high - low).clip(0).prod(axis=1), minlength=len(starts))


def _fits_bbox(bounds: MaskBounds, bbox: np.ndarray) -> np.ndarray:
    """Tell [M] which bboxes surely do not fit their mask as two corners alone.

    They fit as what they are, or not as corners, or so near to the origin that there is little between the two.
    """
    corners = np.concatenate([bbox[:, :2], bbox[:, :2] + bbox[:, 2:]], axis=1)
    low, high = np.minimum(bounds.outer, bounds.inner), np.maximum(bounds.outer, bounds.inner)
    near, far = CLEARLY_WRONG - _MARGIN, EDGE_TOLERANCE + _MARGIN
    fits = ((low >= corners - near) & (high <= corners + near)).all(axis=1)
    fits_no_corners = ((low > bbox + far) | (high < bbox - far)).any(axis=1)
    return fits | fits_no_corners | (bbox[:, :2] <= near - EDGE_TOLERANCE).all(axis=1)
