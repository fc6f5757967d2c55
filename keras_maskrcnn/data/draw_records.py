"""Annotated images to look at: the ground truth, and a model's detections beside it."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image

from keras_maskrcnn.data.checks import error_prefix
from keras_maskrcnn.data.outcomes import IN_CROWD, NO_OBJECT, matched_objects
from keras_maskrcnn.data.records import Record, check_named
from keras_maskrcnn.detections.detections import Detections, check_detected_names
from keras_maskrcnn.drawing.captions import side_by_side
from keras_maskrcnn.drawing.colors import Color, instance_colors
from keras_maskrcnn.drawing.instances import draw_instances
from keras_maskrcnn.images.io import read_image
from keras_maskrcnn.masks.rle import segmentation_to_rle

READABLE_SIDE = 320
RIGHT, WRONG, MISSED, CROWD = (0, 158, 115), (213, 60, 0), (240, 228, 66), (160, 160, 160)
"""Colours of a comparison, which colour-blind people can tell apart."""


def draw_record(
    record: Record, class_names: Sequence[str], image: Any = None, scale: int | None = None, **options: Any
) -> Image.Image:
    """Draw the objects of a record on its image: masks, boxes, names and keypoints.

    Crowds are hatched, with dashed boxes and "(crowd)" after their names.

    Args:
        record: the image with its ground truth.
        class_names: K names, class k being class_names[k - 1].
        image: another image of the same size instead: PIL, or an array [H, W] or [H, W, C]; needed for files of more
            than 3 channels.
        scale: how many times the image is enlarged, a whole number; None enlarges small ones so that the long side
            has at least 320 pixels.
        options: passed to `drawing.draw_instances`.

    Returns:
        A PIL image in RGB.

    Raises:
        FileNotFoundError: the image's file does not exist.
        ValueError: the image cannot be read, a class id has no name, or the record knows the names in another order;
            the message names the image.

    Example:
        ```python
        import keras_maskrcnn as km
        import numpy as np

        image = np.full((40, 60, 3), 90, np.uint8)
        record = km.make_record(image, boxes=[[10, 5, 30, 35]], class_ids=[1], image_id=1)
        drawn = km.draw_record(record, ["nut"])
        print(drawn.size)  # (360, 240): six times as large, to be readable
        ```
    """
    check_named(record, class_names)
    names = [_name(record, row, class_names) for row in range(len(record.boxes))]
    masks = record.masks
    if masks is not None:
        masks = tuple(segmentation_to_rle(mask, record.height, record.width) for mask in masks)
    if image is None:
        image = read_image(record.image, channels=None) if isinstance(record.image, str) else record.image
    return draw_instances(
        image,
        record.boxes,
        masks=masks,
        **{
            "names": names,
            "keypoints": record.keypoints,
            "crowd": record.crowd,
            "class_names": class_names,
            "scale": readable_scale(record.height, record.width) if scale is None else scale,
            **options,
        },
    )


def draw_comparison(
    detections: Detections,
    record: Record,
    class_names: Sequence[str],
    image: Any = None,
    min_score: float = 0.5,
    iou_threshold: float = 0.5,
    **options: Any,
) -> Image.Image:
    """Draw detections and the ground truth side by side, with the right and the wrong ones marked.

    Boxes and labels of true positives and of the objects that they detect are green, of false positives red, of missed
    objects yellow, and of crowds and detections inside them gray; captions count them. A true positive's mask has the
    colour of its object's, and other instances have colours of their own.

    Args:
        detections: N rows, of the record's image.
        record: the image with its ground truth.
        class_names: K names, class k being class_names[k - 1].
        image: another image of the same size instead: PIL or array.
        min_score: detections that score less are left out, 0..1.
        iou_threshold: IoU of the masks, or boxes where one side lacks masks, from which a detection is right; 0..1.
        options: passed to `drawing.draw_instances`.

    Returns:
        An RGB image, twice the width of `draw_record`'s.

    Raises:
        FileNotFoundError: the image's file does not exist.
        ValueError: the image cannot be read, the sizes disagree, or record or detections know the classes in another
            order; the message names the image.

    Example:
        ```python
        import keras_maskrcnn as km
        import numpy as np

        image = np.full((40, 60, 3), 90, np.uint8)
        record = km.make_record(image, boxes=[[10, 5, 30, 35]], class_ids=[1], image_id=1)
        detections = km.Detections(
            boxes=[[12, 5, 31, 34]], scores=[0.9], class_ids=[1], class_names=["nut"], height=40, width=60
        )
        drawn = km.draw_comparison(detections, record, ["nut"])
        print(drawn.width > 2 * 360)  # True: both are side by side
        ```
    """
    if (detections.height, detections.width) != (record.height, record.width):
        raise ValueError(
            f"{record.name} is {record.height} x {record.width} (height x width) in its record, "
            f"but its detections are of {detections.height} x {detections.width}"
        )
    with error_prefix(record.name):
        check_detected_names(detections, class_names)
    if image is None:
        image = read_image(record.image, channels=None) if isinstance(record.image, str) else record.image
    shown = detections[detections.scores >= min_score]
    matched = matched_objects(shown, record, iou_threshold)
    missed = ~record.crowd & ~np.isin(np.arange(len(record.boxes)), matched)
    scale = readable_scale(record.height, record.width)
    shared = {"scale": scale, "keypoint_names": detections.keypoint_names, **options}
    wrong_boxes = shown.boxes[matched < 0]
    colors = instance_colors(np.concatenate([record.boxes.reshape(-1, 4), wrong_boxes]))
    images = (
        shown.draw(image, 0, **{**_prediction_colors(matched, colors, len(record.boxes)), **shared}),
        draw_record(record, class_names, image, **{**_truth_colors(record, colors, missed), **shared}),
    )
    right, wrong = int((matched >= 0).sum()), int((matched == NO_OBJECT).sum())
    captions = (
        f"predicted: {right} right (green), {wrong} wrong (red)",
        f"true: {right} detected (green), {int(missed.sum())} missed (yellow)",
    )
    return side_by_side(images, captions, title=record.name)


def _prediction_colors(matched: np.ndarray, colors: Sequence[Color], objects: int) -> dict[str, Any]:
    """Colours of detections, of which each has that of its object, and those without one the next."""
    rows = np.where(matched >= 0, matched, objects + np.cumsum(matched < 0) - 1)
    marks = {NO_OBJECT: WRONG, IN_CROWD: CROWD}
    return {
        "colors": [colors[row] for row in rows],
        "box_colors": [marks.get(int(row), RIGHT) for row in matched],
    }


def _truth_colors(record: Record, colors: Sequence[Color], missed: np.ndarray) -> dict[str, Any]:
    marks = np.where(record.crowd, 2, missed)
    return {
        "colors": colors[: len(missed)],
        "box_colors": [(RIGHT, MISSED, CROWD)[mark] for mark in marks],
    }


def readable_scale(height: int, width: int) -> int:
    """Return how many times an image must be enlarged for its long side to have 320 pixels or more."""
    return math.ceil(READABLE_SIDE / max(height, width, 1))


def _name(record: Record, row: int, class_names: Sequence[str]) -> str:
    class_id = int(record.class_ids[row])
    if not 1 <= class_id <= len(class_names):
        raise ValueError(
            f"{record.name}: object {row} has class id {class_id}; {len(class_names)} classes are named"
        )
    return class_names[class_id - 1]
