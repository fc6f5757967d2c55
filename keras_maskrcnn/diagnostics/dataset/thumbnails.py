"""Small images of ground truth: what an issue is about, and what lies around it."""

from collections.abc import Sequence

import numpy as np
import pycocotools.mask as coco_mask
from PIL import Image

from keras_maskrcnn.data.checks import mask_extent
from keras_maskrcnn.data.records import Record
from keras_maskrcnn.diagnostics.dataset.issues import Issue
from keras_maskrcnn.diagnostics.dataset.objects import whole_mask
from keras_maskrcnn.diagnostics.dataset.splits import class_name
from keras_maskrcnn.drawing.displayable import displayable
from keras_maskrcnn.drawing.instances import draw_instances
from keras_maskrcnn.images.io import read_image
from keras_maskrcnn.masks.rle import rle_columns

SIDE = 360
"""Longest side of an image, in pixels."""
_GRAY = (150, 150, 150)


def draw_issue(issue: Issue, record: Record | None, class_names: Sequence[str]) -> Image.Image:
    """Draw the image of an issue with its object, or with all objects if it is about none.

    An object is shown with what lies around it. What reaches outside the image is on a gray margin, which is at most
    half as wide as the image.

    Args:
        record: of the image; None shows the image alone.

    Returns:
        An RGB image, at most `SIDE` pixels wide and high.

    Raises:
        FileNotFoundError, ValueError: the image cannot be read.
    """
    image = Image.fromarray(displayable(read_image(issue.image if record is None else record.image)))
    if record is None or not len(record.boxes):
        return _resized(image)
    chosen = [issue.object] if isinstance(issue.object, int) else list(range(len(record.boxes)))
    boxes = _drawable(record.boxes[chosen], image.size)
    left, top, right, bottom = window = _window(
        _with_masks(boxes, record, chosen), image.size, len(chosen) == 1
    )
    canvas = Image.new("RGB", (right - left, bottom - top), _GRAY)
    canvas.paste(image, (-left, -top))
    shown = _resized(canvas)
    scale = np.tile(np.divide(shown.size, canvas.size), 2)
    masks = [_mask(record, index, window, shown.size) for index in chosen]
    names = [_printable(class_name(int(record.class_ids[index]), class_names)) for index in chosen]
    return draw_instances(
        shown, (boxes - [left, top, left, top]) * scale, names, masks=np.array(masks), stretch=False
    )


def _resized(image: Image.Image) -> Image.Image:
    scale = min(1, SIDE / max(image.size))
    return image.resize([max(1, round(side * scale)) for side in image.size], Image.Resampling.LANCZOS)


def _drawable(boxes: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Boxes [N, 4] with corners in order, that reach outside the image by at most half its size."""
    boxes = np.nan_to_num(np.asarray(boxes, np.float64))
    ordered = np.concatenate(
        [np.minimum(boxes[:, :2], boxes[:, 2:]), np.maximum(boxes[:, :2], boxes[:, 2:])], axis=1
    )
    half = np.tile(np.divide(size, 2), 2)
    return ordered.clip(-half, 3 * half)


def _with_masks(boxes: np.ndarray, record: Record, chosen: Sequence[int]) -> np.ndarray:
    """Boxes [N, 4] that reach around the masks too, as far as these are there and not broken."""
    reaching = boxes.copy()
    for row, index in enumerate(chosen):
        rle = whole_mask(record, index)
        if rle is not None and coco_mask.area(rle):
            extent = np.array(mask_extent(rle))
            reaching[row, :2] = np.minimum(boxes[row, :2], extent[:2])
            reaching[row, 2:] = np.maximum(boxes[row, 2:], extent[2:])
    return reaching


def _window(boxes: np.ndarray, size: tuple[int, int], close: bool) -> tuple[int, int, int, int]:
    """The part of the plane to show, in whole pixels: the image and the boxes, or what lies close around one."""
    first = np.minimum(boxes[:, :2].min(axis=0), 0)
    last = np.maximum(boxes[:, 2:].max(axis=0), size)
    if close:
        center, sides = boxes[0].reshape(2, 2).mean(axis=0), boxes[0, 2:] - boxes[0, :2]
        half = max(1.5 * sides.max(), 0.2 * max(size))
        first, last = np.maximum(first, center - half), np.minimum(last, center + half)
    left, top = np.floor(first).astype(int).tolist()
    right, bottom = np.ceil(last).astype(int).tolist()
    return left, top, max(right, left + 1), max(bottom, top + 1)


def _mask(record: Record, index: int, window: tuple[int, int, int, int], size: tuple[int, int]) -> np.ndarray:
    """The mask [h, w] bool of an object in an image of a window; nothing if it has none or a broken one."""
    rle = whole_mask(record, index)
    mask = np.zeros(size[::-1], bool)
    if rle is None:
        return mask
    # Only the pixels that the image shows are looked up, and only the object's columns decoded.
    x1, y1, x2, y2 = map(int, mask_extent(rle))
    columns, rows = (
        window[axis] + ((np.arange(count) + 0.5) * (window[axis + 2] - window[axis]) / count).astype(int)
        for axis, count in enumerate(size)
    )
    across, down = (columns >= x1) & (columns < x2), (rows >= y1) & (rows < y2)
    mask[np.ix_(down, across)] = rle_columns(rle, x1, x2)[np.ix_(rows[down], columns[across] - x1)]
    return mask


def _printable(name: str) -> str:
    """A name without the halves of characters that JSON can hold and no font."""
    return name.encode("utf-8", "replace").decode("utf-8")
