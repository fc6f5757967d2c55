"""The annotations of a COCO file: each becomes an object of its image, a problem, or is left out."""

import dataclasses
import math
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
from keras_maskrcnn.data.records import Record
from keras_maskrcnn.masks.rle import segmentation_to_rle

_CLEARLY_WRONG = 10.0
"""Pixels of misfit that no rounding explains; near the origin both readings of a bbox fit about as well."""


@dataclasses.dataclass
class ImageRow:
    image_id: Any
    path: str
    height: int
    width: int
    objects: list["ObjectRow"] = dataclasses.field(default_factory=list)


@dataclasses.dataclass
class ObjectRow:
    box: list[float]
    class_id: int
    mask: Any
    crowd: bool
    area: float
    keypoints: np.ndarray | None


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
        self, images: dict[Any, ImageRow], classes: dict[Any, int], wanted: Wanted, noun: str
    ) -> None:
        self.images = images
        self.classes = classes
        self.wanted = wanted
        self.noun = noun
        self.seen: set[int | str] = set()
        self.problems: list[str] = []
        self.unusable: dict[str, list[Any]] = {}

    def read(self, annotations: list[dict[str, Any]]) -> None:
        for position, annotation in enumerate(annotations):
            annotation_id = annotation.get("id", f"number {position}")
            name = annotation_id if isinstance(annotation_id, (int, str)) else f"number {position}"
            try:
                with error_prefix(f"{self.noun}{name}"):
                    self._add(annotation, annotation_id)
            except UnusableError as reason:
                self.unusable.setdefault(str(reason), []).append(annotation_id)
            except ValueError as problem:
                self.problems.append(str(problem))

    def _add(self, annotation: dict[str, Any], annotation_id: Any) -> None:
        image_id = annotation.get("image_id")
        image = self.images.get(image_id) if isinstance(image_id, (int, str)) else None
        if image is None:
            raise ValueError(f"no image has its image_id {image_id!r}")
        with error_prefix(f"image {image.path}"):
            if not isinstance(annotation_id, (int, str)):
                raise ValueError(f'its "id" must be a whole number or a string; got {annotation_id!r}')
            if annotation_id in self.seen:
                raise ValueError("its id occurs twice")
            self.seen.add(annotation_id)
            image.objects.append(self._object(annotation, image))

    def _object(self, annotation: dict[str, Any], image: ImageRow) -> ObjectRow:
        category_id = annotation.get("category_id")
        if not isinstance(category_id, (int, float)) or category_id not in self.classes:
            raise ValueError(f"no category has its category_id {category_id!r}")
        if annotation.get("iscrowd", 0) not in (0, 1):
            raise ValueError(f'"iscrowd" must be 0 or 1; got {annotation["iscrowd"]!r}')
        corners = _corners(annotation.get("bbox"))
        keypoints = _keypoints(annotation.get("keypoints"), self.wanted.keypoints)
        rle = _rle(annotation, image) if self.wanted.masks else None
        _refuse_corners_as_bbox(annotation["bbox"], image, rle)
        box = clipped_box(corners, image.height, image.width)
        if not has_area(box):
            raise UnusableError("a box without area inside the image")
        if rle is not None and coco_mask.area(rle) == 0:
            raise UnusableError("an empty mask")
        if rle is not None:
            check_mask_meets_box(rle, box)
        elif self.wanted.masks:
            raise UnusableError("no segmentation")
        return ObjectRow(
            box=box,
            class_id=self.classes[category_id],
            mask=_kept(annotation, rle),
            crowd=bool(annotation.get("iscrowd", 0)),
            area=_area(annotation, rle, box),
            keypoints=keypoints,
        )

    def record(self, image: ImageRow) -> Record:
        objects = image.objects
        count = self.wanted.keypoints
        points = [np.zeros((count, 3)) if o.keypoints is None else o.keypoints for o in objects]
        return Record(
            image=image.path,
            height=image.height,
            width=image.width,
            boxes=np.array([o.box for o in objects], np.float32).reshape(-1, 4),
            class_ids=np.array([o.class_id for o in objects], np.int32),
            masks=tuple(o.mask for o in objects) if self.wanted.masks else None,
            crowd=np.array([o.crowd for o in objects], bool),
            areas=np.array([o.area for o in objects], np.float32),
            keypoints=np.array(points, np.float32).reshape(-1, self.wanted.keypoints, 3)
            if self.wanted.keypoints
            else None,
            image_id=image.image_id,
            class_names=self.wanted.class_names,
            keypoint_names=self.wanted.keypoint_names,
        )


def _corners(bbox: Any) -> list[float]:
    """Turn COCO's x, y, width, height into x1, y1, x2, y2."""
    if not isinstance(bbox, list) or len(bbox) != 4 or not all(is_number(value) for value in bbox):
        raise ValueError(f'"bbox" must be four finite numbers x, y, width, height; got {bbox!r}')
    x, y, width, height = bbox
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
    points = np.reshape(values, (count, 3))
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


def _area(annotation: dict[str, Any], rle: dict[str, Any] | None, box: list[float]) -> float:
    area = annotation.get("area")
    if area is None:
        return float(coco_mask.area(rle)) if rle else (box[2] - box[0]) * (box[3] - box[1])
    if not is_number(area) or area < 0:
        raise ValueError(f'"area" must be a number from 0; got {area!r}')
    return area


def _refuse_corners_as_bbox(bbox: list[float], image: ImageRow, rle: dict[str, Any] | None) -> None:
    """Refuse a bbox that makes sense only as two corners: its mask, or else its image, tells."""
    x, y, width, height = bbox
    if rle is None:
        misread = max(x + width - image.width, y + height - image.height)
        meant = max(width - image.width, height - image.height) if width > x and height > y else math.inf
    else:
        extent = np.array(mask_extent(rle))
        misread = abs(extent - [x, y, x + width, y + height]).max()
        meant = abs(extent - [x, y, width, height]).max()
    if meant <= EDGE_TOLERANCE and misread > _CLEARLY_WRONG:
        what = "image" if rle is None else "mask"
        raise ValueError(
            f'"bbox" {bbox} fits its {what} only as x1, y1, x2, y2; COCO needs x, y, width, height'
        )
