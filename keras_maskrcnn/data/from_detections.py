"""Detections as records, which the writers of annotations take."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from keras_maskrcnn.data.checks import error_prefix, has_area
from keras_maskrcnn.data.records import Record, make_record
from keras_maskrcnn.detections.detections import Detections, check_detected_names
from keras_maskrcnn.images.io import image_size
from keras_maskrcnn.masks.rle import rle_area, segmentation_to_rle
from keras_maskrcnn.utils.counted import counted

_log = logging.getLogger(__name__)


def detections_to_record(
    detections: Detections,
    image: str | Path | np.ndarray | None = None,
    image_id: int | str | None = None,
    class_names: Sequence[str] | None = None,
) -> tuple[Record, np.ndarray]:
    """Make a record of detections, as labels to be corrected or trained on.

    Boxes and masks are as they are, and all keypoints are visible. Detections without a pixel, in their mask or in
    their box, can be no label: they are left out, and a warning says how many.

    Args:
        detections: of one image; choose those that are good enough first: `detections[detections.scores > 0.7]`.
        image: its file, or its pixels; left out: what the detections hold.
        image_id: as in `make_record`.
        class_names: K names, class k being class_names[k - 1].

    Returns:
        (record, scores): the record, and its objects' scores [N] float32.

    Raises:
        FileNotFoundError: there is no such image file.
        ValueError: there is no image, it has another size, or names and classes do not fit; the message names the
            image.

    Example:
        ```python
        import keras_maskrcnn as km
        import numpy as np

        image = np.zeros((40, 60, 3), np.uint8)
        masks = np.zeros((1, 40, 60), bool)
        masks[0, 5:35, 10:30] = True
        found = km.Detections([[10, 5, 30, 35]], [0.9], [1], ["nut"], height=40, width=60, masks=masks)
        record, scores = km.detections_to_record(found, image, image_id="a", class_names=["nut"])
        print(record.boxes, record.areas, scores)  # [[10. 5. 30. 35.]] [600.] [0.9]
        ```
    """
    image = detections.image if image is None else image
    if image is None:
        raise ValueError("These Detections hold no image: pass it, or its file")
    size, own = (detections.height, detections.width), image_size(image)
    if own != size:
        raise ValueError(
            f"{image if isinstance(image, (str, Path)) else f'image {image_id!r}'}: the image is {own[1]} x {own[0]} "
            f"(width x height), its detections are of one of {size[1]} x {size[0]}"
        )
    good = np.array([has_area(box) for box in detections.boxes], bool)
    if detections.masks is not None:
        good &= np.array([_has_pixels(mask, *size) for mask in detections.masks], bool)
    found = detections[good]
    record = make_record(
        image,
        found.boxes,
        found.class_ids,
        found.masks,
        keypoints=_visible(found),
        image_id=image_id,
        class_names=class_names,
        keypoint_names=found.keypoint_names,
    )
    with error_prefix(record.name):
        check_detected_names(found, record.class_names)
    if not good.all():
        left = counted(len(good) - len(found), "detection")
        _log.warning("%s: %s without a pixel left out", record.name, left)
    return record, found.scores


def _has_pixels(mask: Any, height: int, width: int) -> bool:
    if isinstance(mask, dict):
        return rle_area(segmentation_to_rle(mask, height, width)) > 0
    return bool(mask.any())


def _visible(detections: Detections) -> np.ndarray | None:
    """Keypoints as annotated: [N, J, 3] x, y in a file's convention, and the visibility of those that are seen."""
    if detections.keypoints is None:
        return None
    points = detections.keypoints.copy()
    points[..., :2] -= detections.keypoint_offset
    points[..., 2] = 2
    return points
