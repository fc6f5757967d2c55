"""The dataset contract: one `Record` per image, and the checks that make one trustworthy."""

import dataclasses
import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from keras_maskrcnn.data.checks import check_mask_meets_box, check_order, check_same_names, error_prefix
from keras_maskrcnn.data.record_values import (
    areas_of,
    checked_areas,
    checked_boxes,
    checked_class_ids,
    checked_crowd,
    checked_keypoints,
    encoded_masks,
    mask_extents,
    segmentations_of,
)
from keras_maskrcnn.images.io import image_size
from keras_maskrcnn.masks.label_image import paint_labels, renumbered
from keras_maskrcnn.utils.ids import plain_id


@dataclasses.dataclass(frozen=True, eq=False)
class Record:
    """One image and its N annotated objects; `make_record` builds one and checks it.

    `records` is anywhere a sequence of these: only its length and `records[i]` are used, so a class that
    draws or loads its images when asked serves as well as a list. `make_dataset` asks it from several threads
    at once, unless told `parallel_calls=1`.

    Example:
        ```python
        import keras_maskrcnn as km
        import numpy as np

        class Squares:  # generates its records when they are asked for
            def __len__(self):
                return 3

            def __getitem__(self, index):
                image = np.full((64, 64, 3), 80 * index, np.uint8)
                return km.make_record(image, boxes=[[8, 8, 40, 40]], class_ids=[1], image_id=index)

        config = km.Config(class_names=("square",), min_size=64, max_size=64, mask_head="none")
        dataset = km.make_dataset(Squares(), config, batch_size=3)
        print(next(iter(dataset))["gt_boxes"].shape)  # (3, 1, 4)
        ```
    """

    image: str | np.ndarray
    """A file path, or an array [H, W] or [H, W, C] of raw pixels 0..255."""
    height: int
    """In pixels, of the image as displayed, that is after its EXIF orientation."""
    width: int
    boxes: np.ndarray
    """[N, 4] float32: x1, y1, x2, y2 in pixels of the image, continuous (0..width, 0..height)."""
    class_ids: np.ndarray
    """[N] int32: 1..K; class k is class_names[k - 1]."""
    masks: Sequence[Any] | None
    """N COCO segmentations, each a list of polygons (flat lists x1, y1, x2, y2, ...) or an RLE dict; None
    where there are boxes only. A tuple, or `Segmentations` that are like one but held in less memory."""
    crowd: np.ndarray
    """[N] bool: regions of many objects, neither positive nor negative in training."""
    areas: np.ndarray
    """[N] float32: square pixels as annotated; evaluation sorts objects into small, medium, large by it."""
    keypoints: np.ndarray | None
    """[N, J, 3] float32: x, y in pixels and visibility (0 not labelled, 1 hidden, 2 visible)."""
    image_id: int | str
    class_names: tuple[str, ...] = ()
    """[K]: the names that class_ids stand for; empty where nobody said them. Records with names are compared with a
    model's before they train or evaluate it."""
    keypoint_names: tuple[str, ...] = ()
    """[J]: the names of keypoints, likewise."""

    @property
    def name(self) -> str:
        """What error messages call the image: its file, or its id for an array."""
        return self.image if isinstance(self.image, str) else f"image {self.image_id!r}"

    @functools.cached_property
    def extents(self) -> np.ndarray:
        """[N, 4] float32: x1, y1, x2, y2 in pixels around the masks, or the boxes where there are none.

        Raises:
            ValueError: a mask is malformed.
        """
        return self.boxes if self.masks is None else mask_extents(self.masks, self.height, self.width)

    def to_label_image(self, dtype: DTypeLike | None = None) -> np.ndarray:
        """Return the masks as one image of numbers: row r is r + 1, and 0 is background.

        Crowds are background. A pixel of several objects belongs to the one with the smallest of `areas`, the last of
        equals; an object wholly under smaller ones has no pixel.

        Args:
            dtype: uint16 or uint32; None is uint16 unless there are more than 65535 objects.

        Returns:
            [height, width] of that type.

        Raises:
            ValueError: there are no masks, or uint16 does not hold the numbers; the message names the image.
        """
        with error_prefix(self.name):
            if self.masks is None and len(self.boxes):
                raise ValueError("a label image is made of masks; its objects have boxes only")
            order = np.argsort(-self.areas, kind="stable")
            rows = order[~self.crowd[order]]
            labels = paint_labels(self.masks or (), rows.tolist(), self.height, self.width)
            return renumbered(labels, np.arange(len(self.boxes) + 1), dtype)


def make_record(
    image: str | Path | np.ndarray,
    boxes: Any = None,
    class_ids: Any = (),
    masks: Any = None,
    crowd: Any = None,
    areas: Any = None,
    keypoints: Any = None,
    image_id: int | str | None = None,
    class_names: Sequence[str] | None = None,
    keypoint_names: Sequence[str] | None = None,
) -> Record:
    """Build a checked record; what is left out is computed.

    Args:
        image: a file path (its header is read for the size), or an array [H, W] or [H, W, C] of pixels 0..255.
        boxes: [N, 4] x1, y1, x2, y2 in pixels; left out: the extents of the masks. Boxes that reach outside
            the image by at most 2 pixels are clipped.
        class_ids: [N] integers from 1.
        masks: bool array [N, H, W], or N COCO segmentations (lists of polygons, RLE dicts). None: boxes only.
        crowd: [N] bool, or 0 and 1; left out: none is a crowd.
        areas: [N] square pixels, 0 to those of the image; left out: of the masks, or of the boxes where there are no
            masks.
        keypoints: [N, J, 3] x, y in pixels, and visibility: 0 not labelled, 1 hidden, 2 visible.
        image_id: unique id, a whole number (numpy's too) or text; left out: the path. An image given as an array needs
            one.
        class_names: K names, class k being class_names[k - 1]; `make_dataset`, `evaluate_coco` and `check_dataset`
            refuse a record whose names are not those of the config; drawing, scoring and writing refuse one whose
            names are in another order.
        keypoint_names: J names, likewise.

    Returns:
        The record, with arrays of the types that `Record` says.

    Raises:
        FileNotFoundError: there is no such image file.
        ValueError: anything does not fit; the message names the image, the object's position and the reason.

    Example:
        ```python
        import keras_maskrcnn as km
        import numpy as np

        image = np.zeros((40, 60, 3), np.uint8)
        masks = np.zeros((1, 40, 60), bool)
        masks[0, 5:35, 10:30] = True
        record = km.make_record(image, masks=masks, class_ids=[1], image_id="a", class_names=["nut"])
        print(record.boxes, record.areas)  # [[10. 5. 30. 35.]] [600.]
        ```
    """
    if isinstance(image, np.ndarray) and image_id is None:
        raise ValueError(
            "make_record needs image_id= for an image that is an array: evaluation tells images by it"
        )
    height, width = image_size(image)
    source = image if isinstance(image, np.ndarray) else str(image)
    with error_prefix(source if isinstance(source, str) else f"image {image_id!r}"):
        segmentations = None if masks is None else segmentations_of(masks, height, width)
        encoded = encoded_masks(segmentations or (), height, width)
        if boxes is None:
            boxes = mask_extents(segmentations or (), height, width)
        boxes = checked_boxes(boxes, height, width)
        record = Record(
            image=source,
            height=height,
            width=width,
            boxes=boxes,
            class_ids=checked_class_ids(class_ids),
            masks=segmentations,
            crowd=checked_crowd(crowd, len(boxes)),
            areas=areas_of(encoded, boxes) if areas is None else checked_areas(areas, height, width),
            keypoints=None if keypoints is None else checked_keypoints(keypoints),
            image_id=str(image) if image_id is None else plain_id(image_id),
            class_names=tuple(class_names or ()),
            keypoint_names=tuple(keypoint_names or ()),
        )
        _check_fields(record)
        _check_own_names(record)
        _check_masks_meet_boxes(encoded, boxes)
    return record


def check_record(record: Record, num_classes: int | None, needs_masks: bool, num_keypoints: int = 0) -> None:
    """Check that a record can be trained on with `num_classes` classes, None being any number; reads no image.

    Raises:
        ValueError: a class id outside 1..num_classes, missing masks, missing or other than `num_keypoints` keypoints
            (0 needs none), or fields whose counts, shapes or types differ; names the image.
    """
    with error_prefix(record.name):
        _check_fields(record)
        most = np.inf if num_classes is None else num_classes
        outside = record.class_ids[(record.class_ids < 1) | (record.class_ids > most)]
        if len(outside) and num_classes is None:
            raise ValueError(f"class id {outside[0]} is below 1, the first class")
        if len(outside):
            raise ValueError(
                f"class id {outside[0]} is outside 1..{num_classes}: the config names {num_classes} classes"
            )
        if needs_masks and record.masks is None and len(record.boxes):
            raise ValueError('its objects have no masks; Config(mask_head="none") trains on boxes alone')
        if num_keypoints and len(record.boxes):
            found = 0 if record.keypoints is None else record.keypoints.shape[1]
            if found != num_keypoints:
                raise ValueError(
                    f"its objects have {found or 'no'} keypoints; Config.keypoint_names names {num_keypoints}"
                )


def check_names(record: Record, class_names: Sequence[str], keypoint_names: Sequence[str] = ()) -> None:
    """Check that the names a record knows for its classes and keypoints are those of a config, if both have any.

    Raises:
        ValueError: there are other names, or another order; says which differ, and names the image.
    """
    with error_prefix(record.name):
        check_same_names("class", record.class_names, class_names)
        check_same_names("keypoint", record.keypoint_names, keypoint_names)


def check_named(record: Record, class_names: Sequence[str]) -> None:
    """Check that no class of a record is another one of class_names, by which it is to be drawn, written or scored.

    Raises:
        ValueError: the names that both know are in another order; names the image.
    """
    with error_prefix(record.name):
        check_order("class", record.class_names, class_names)


def _check_masks_meet_boxes(encoded: list[dict[str, Any]], boxes: np.ndarray) -> None:
    for index, (rle, box) in enumerate(zip(encoded, boxes, strict=bool(encoded))):
        with error_prefix(f"object {index}"):
            check_mask_meets_box(rle, box)


def _check_own_names(record: Record) -> None:
    for what, names in (("class", record.class_names), ("keypoint", record.keypoint_names)):
        if len(set(names)) < len(names):
            raise ValueError(f"{what}_names has a name twice: {names}")
    if record.class_names and record.class_ids.max(initial=0) > len(record.class_names):
        raise ValueError(
            f"class id {record.class_ids.max()} has no name; class_names has {len(record.class_names)}"
        )
    count = 0 if record.keypoints is None else record.keypoints.shape[1]
    if record.keypoint_names and count not in (0, len(record.keypoint_names)):
        raise ValueError(f"there are {count} keypoints, but {len(record.keypoint_names)} keypoint_names")


def _check_fields(record: Record) -> None:
    count = len(record.boxes)
    if count and (record.boxes.ndim != 2 or record.boxes.shape[1] != 4):
        raise ValueError(f"boxes must be [N, 4]; got shape {record.boxes.shape}")
    if record.crowd.dtype != np.bool_:
        raise ValueError(f"crowd must be boolean; got {record.crowd.dtype}")
    if record.keypoints is not None and (record.keypoints.ndim != 3 or record.keypoints.shape[2] != 3):
        raise ValueError(f"keypoints must be [N, J, 3]; got shape {record.keypoints.shape}")
    for field in ("class_ids", "masks", "crowd", "areas", "keypoints"):
        values = getattr(record, field)
        if values is not None and len(values) != count:
            raise ValueError(f"{count} boxes but {len(values)} {field}")
