"""The objects of a COCO file while they are read: columns, of which each image gets its rows in the end."""

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from keras_maskrcnn.data.formats.coco_plain import PlainObjects
from keras_maskrcnn.masks.packed_polygons import Segmentations, is_packed

_ROW = np.dtype(
    [
        ("image", np.int64),
        ("place", np.int64),
        ("box", np.float32, 4),
        ("class_id", np.int32),
        ("crowd", bool),
        ("area", np.float32),
    ]
)


@dataclasses.dataclass
class ObjectRow:
    box: list[float]
    class_id: int
    mask: Any
    crowd: bool
    area: float
    keypoints: np.ndarray | None


@dataclasses.dataclass(frozen=True)
class ImageObjects:
    """The N objects of one image, of the types of a `Record`."""

    boxes: np.ndarray
    class_ids: np.ndarray
    crowd: np.ndarray
    areas: np.ndarray
    masks: Sequence[Any]
    keypoints: np.ndarray


class Objects:
    """Collects objects, in any order.

    Args:
        keypoints: number of keypoints of an object.
    """

    def __init__(self, keypoints: int) -> None:
        self._keypoints = keypoints
        self._rows: list[np.ndarray] = []
        self._masks: list[Any] = []
        self._points: dict[int, np.ndarray] = {}

    def add(self, row: ObjectRow, image: int, place: int) -> None:
        """Add one object: the position of its image, and its own in the file."""
        if row.keypoints is not None:
            self._points[len(self._masks)] = row.keypoints
        values = (image, place, row.box, row.class_id, row.crowd, row.area)
        self._rows.append(np.array([values], _ROW))
        self._masks.append(row.mask)

    def add_plain(self, found: PlainObjects, start: int) -> None:
        """Add objects of a batch that starts at a place of the file."""
        rows = np.zeros(len(found.places), _ROW)
        rows["image"], rows["place"] = found.images, start + found.places
        rows["box"], rows["class_id"] = found.boxes, found.class_ids
        rows["crowd"], rows["area"] = found.crowd, found.areas
        self._rows.append(rows)
        self._masks += found.masks

    def of_images(self, count: int) -> Iterator[ImageObjects]:
        """Yield the objects of each of `count` images, in the file's order."""
        rows = np.concatenate([np.zeros(0, _ROW), *self._rows])
        order = np.lexsort((rows["place"], rows["image"]))
        columns = [rows[name][order] for name in ("box", "class_id", "crowd", "area")]
        points = np.zeros((len(rows), self._keypoints, 3), np.float32)
        for number, values in self._points.items():
            points[number] = values
        points = points[order]
        masks = [self._masks[number] for number in order.tolist()]
        ends = np.searchsorted(rows["image"][order], np.arange(count), side="right").tolist()
        for start, end in zip([0, *ends], ends, strict=False):
            own = slice(start, end)
            boxes, class_ids, crowd, areas = (column[own] for column in columns)
            yield ImageObjects(boxes, class_ids, crowd, areas, _held(masks[own]), points[own])


def _held(masks: list[Any]) -> Sequence[Any]:
    return Segmentations(masks) if any(map(is_packed, masks)) else tuple(masks)
