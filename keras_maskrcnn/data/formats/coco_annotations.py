"""The annotations of a COCO file: each becomes an object of its image, a problem, or is left out."""

import dataclasses
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pycocotools.mask as coco_mask

from keras_maskrcnn.data.checks import (
    EDGE_TOLERANCE,
    check_keypoints,
    check_mask_meets_box,
    clipped_box,
    error_prefix,
    has_area,
    mask_extent,
)
from keras_maskrcnn.data.extents import segmentation_extent
from keras_maskrcnn.data.formats.coco_areas import AreaReader
from keras_maskrcnn.data.formats.coco_categories import Categories
from keras_maskrcnn.data.formats.coco_flags import flag, is_ignored
from keras_maskrcnn.data.formats.coco_images import ImageRow
from keras_maskrcnn.data.formats.coco_objects import ObjectRow, Objects
from keras_maskrcnn.data.formats.coco_packing import as_in_file
from keras_maskrcnn.data.formats.coco_plain import CLEARLY_WRONG, PlainReader
from keras_maskrcnn.data.records import Record
from keras_maskrcnn.data.report import listed_ids
from keras_maskrcnn.masks.rle import segmentation_to_rle
from keras_maskrcnn.utils.counted import counted
from keras_maskrcnn.utils.ids import find_id

_BATCH = 512
"""Annotations that are looked at together."""


@dataclasses.dataclass(frozen=True)
class Wanted:
    """What records should have."""

    masks: bool
    keypoints: int
    """Number of keypoints of an object."""
    class_names: tuple[str, ...]
    keypoint_names: tuple[str, ...]


class UnusableError(Exception):
    """A well-formed annotation that no detector can learn from; says why."""


class Annotations:
    """Sorts annotations to their images, and collects what is broken or unusable on the way."""

    def __init__(
        self, images: dict[Any, ImageRow], categories: Categories, wanted: Wanted, noun: str
    ) -> None:
        self.images = images
        self.categories = categories
        self.wanted = wanted
        self.noun = noun
        self.problems: list[str] = []
        self.unusable: dict[str, list[Any]] = {}
        self._seen: set[int | str] = set()
        self._repeated: list[Any] = []
        self._ignored: list[Any] = []
        self._areas = AreaReader()
        self._positions = {image_id: position for position, image_id in enumerate(images)}
        self._objects = Objects(wanted.keypoints)
        self._plain = PlainReader(images, categories, wanted.masks)

    def read(self, annotations: list[dict[str, Any]]) -> None:
        for start in range(0, len(annotations), _BATCH):
            batch = annotations[start : start + _BATCH]
            plain = self._plain.read(batch)
            self._objects.add_plain(plain, start)
            places = set(plain.places.tolist())
            for place, annotation in enumerate(batch):
                if place in places:
                    self._note_id(annotation["id"])
                else:
                    self._read_one(as_in_file(annotation), start + place)

    def _read_one(self, annotation: dict[str, Any], position: int) -> None:
        annotation_id = annotation.get("id", f"number {position}")
        name = annotation_id if isinstance(annotation_id, (int, str)) else f"number {position}"
        try:
            with error_prefix(f"{self.noun}{name}"):
                self._add(annotation, annotation_id, position)
        except UnusableError as reason:
            self.unusable.setdefault(str(reason), []).append(annotation_id)
        except ValueError as problem:
            self.problems.append(str(problem))

    def _note_id(self, annotation_id: int | str) -> None:
        if annotation_id in self._seen:
            self._repeated.append(annotation_id)
        self._seen.add(annotation_id)

    def notes(self) -> list[str]:
        """What the report should say of annotations that were read."""
        notes = self._areas.notes()
        if self._repeated:
            notes.append(f"ids that occur more than once ({listed_ids(self._repeated)})")
        if self._ignored:
            what = f"{counted(len(self._ignored), 'object')} marked to be ignored or difficult"
            notes.append(f"{what}, read as crowds ({listed_ids(self._ignored)})")
        return notes

    def _add(self, annotation: dict[str, Any], annotation_id: Any, position: int) -> None:
        image_id = find_id(self.images, annotation.get("image_id"))
        image = self.images.get(image_id)
        if image is None:
            raise ValueError(f"no image has its image_id {annotation.get('image_id')!r}")
        with error_prefix(f"image {image.path}"):
            if not isinstance(annotation_id, (int, str)):
                raise ValueError(f'its "id" must be a whole number or a string; got {annotation_id!r}')
            row = self._object(annotation, annotation_id, image)
            self._objects.add(row, self._positions[image_id], position)
            self._note_id(annotation_id)

    def _object(self, annotation: dict[str, Any], annotation_id: Any, image: ImageRow) -> ObjectRow:
        class_id = self._class_id(annotation.get("category_id"))
        crowd = flag(annotation, "iscrowd")
        ignored = is_ignored(annotation)
        corners = _corners(annotation, image)
        keypoints = _keypoints(annotation.get("keypoints"), self.wanted.keypoints)
        rle = _rle(annotation, image) if self.wanted.masks else None
        _refuse_corners_as_bbox(corners, image, rle)
        box = clipped_box(corners, image.height, image.width)
        if rle is not None and coco_mask.area(rle) == 0:
            raise UnusableError("an empty mask")
        if not has_area(box):
            raise UnusableError("a box without area inside the image")
        if rle is not None:
            check_mask_meets_box(rle, box)
        elif self.wanted.masks:
            raise UnusableError("no segmentation")
        area = self._areas.read(annotation, annotation_id, rle, box)
        if ignored:
            self._ignored.append(annotation_id)
        return ObjectRow(box, class_id, _kept(annotation, rle), crowd or ignored, area, keypoints)

    def _class_id(self, category_id: Any) -> int:
        known = find_id(self.categories.reserved, category_id)
        if known is not None:
            raise UnusableError(f"the category {self.categories.reserved[known]}, which is no class")
        known = find_id(self.categories.classes, category_id)
        if known is None:
            raise ValueError(f"no category has its category_id {category_id!r}")
        return self.categories.classes[known]

    def records(self) -> Iterator[Record]:
        """Yield the record of each image, in their order."""
        found = self._objects.of_images(len(self.images))
        for image, objects in zip(self.images.values(), found, strict=True):
            yield Record(
                image=image.path,
                height=image.height,
                width=image.width,
                boxes=objects.boxes,
                class_ids=objects.class_ids,
                masks=objects.masks if self.wanted.masks else None,
                crowd=objects.crowd,
                areas=objects.areas,
                keypoints=objects.keypoints if self.wanted.keypoints else None,
                image_id=image.image_id,
                class_names=self.wanted.class_names,
                keypoint_names=self.wanted.keypoint_names,
            )


def _corners(annotation: dict[str, Any], image: ImageRow) -> list[float]:
    """Turn COCO's x, y, width, height into x1, y1, x2, y2; without them the segmentation tells."""
    bbox, segmentation = annotation.get("bbox"), annotation.get("segmentation")
    if bbox in (None, []) and segmentation and isinstance(segmentation, (list, dict)):
        return segmentation_extent(segmentation, image.height, image.width)
    if not isinstance(bbox, list) or len(bbox) != 4 or not all(is_number(value) for value in bbox):
        raise ValueError(f'"bbox" must be four finite numbers x, y, width, height; got {bbox!r}')
    x, y, width, height = map(float, bbox)
    if width < 0 or height < 0:
        raise ValueError(f'"bbox" must be x, y, width, height; width and height of {bbox} are negative')
    return [x, y, x + width, y + height]


def is_number(value: Any) -> bool:
    # Whole numbers in JSON have no limit, and those that no float holds fail with errors of their own.
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 1e300


def _keypoints(values: Any, count: int) -> np.ndarray | None:
    if not values:
        return None
    if not isinstance(values, list) or len(values) != 3 * count or not all(map(is_number, values)):
        raise ValueError(f'"keypoints" must be {count} times x, y, visibility, like most; got {values!r}')
    points = np.array(values, np.float64).reshape(count, 3)  # whole numbers in JSON may be beyond 64 bits
    check_keypoints(points)
    return points


def _rle(annotation: dict[str, Any], image: ImageRow) -> dict[str, Any] | None:
    segmentation = annotation.get("segmentation")
    if not segmentation:
        return None
    if not isinstance(segmentation, (list, dict)):
        raise ValueError(f'"segmentation" must be a list of polygons or an RLE; got {segmentation!r}')
    return segmentation_to_rle(segmentation, image.height, image.width)


def _kept(annotation: dict[str, Any], rle: dict[str, Any] | None) -> Any:
    """Polygons stay, since parts of the image can be drawn from them; RLEs are kept compressed."""
    segmentation = annotation.get("segmentation")
    return segmentation if rle is not None and isinstance(segmentation, list) else rle


def _refuse_corners_as_bbox(corners: list[float], image: ImageRow, rle: dict[str, Any] | None) -> None:
    """Refuse a bbox that makes sense only as two corners: its mask, or else its image, tells."""
    x, y, x2, y2 = corners
    width, height = x2 - x, y2 - y
    if rle is None:
        misread = max(x2 - image.width, y2 - image.height)
        meant = max(width - image.width, height - image.height) if width > x and height > y else math.inf
    else:
        extent = np.array(mask_extent(rle))
        misread = abs(extent - corners).max()
        meant = abs(extent - [x, y, width, height]).max()
    if meant <= EDGE_TOLERANCE and misread > CLEARLY_WRONG:
        what = "image" if rle is None else "mask"
        raise ValueError(
            f'"bbox" {[x, y, width, height]} fits its {what} only as x1, y1, x2, y2; COCO needs x, y, width, height'
        )
