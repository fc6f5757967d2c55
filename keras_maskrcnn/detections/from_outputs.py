"""From a model's outputs, in pixels of the resized image, to `Detections` in those of the original."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from keras_maskrcnn.detections.detections import Detections
from keras_maskrcnn.masks.crop_paste import (
    matterport_paste,
    paste_masks,
    paste_masks_as_rle,
    torchvision_paste_boxes,
)

Outputs = Mapping[str, np.ndarray]
"""The rows of one image, as `make_detections` takes them."""


def make_detections(
    outputs: Outputs,
    original_size: tuple[int, int],
    resized_size: tuple[int, int],
    class_names: Sequence[str],
    masks: str | None = "bool",
    image: np.ndarray | None = None,
    paste: str = "exact",
    keypoint_offset: float = 0.0,
    square: bool = False,
    keypoint_names: Sequence[str] = (),
) -> Detections:
    """Bring the model's outputs for one image to `Detections` in that image's pixels.

    Boxes are rescaled per axis (the resized sides were rounded) and clipped to the image; padding rows and boxes
    left without area are dropped, and the order is kept.

    Args:
        outputs: the rows of one image: "boxes" [D, 4] float in pixels of the resized image, "scores" [D],
            "classes" [D] int with 0 for padding rows, and where the model has such heads "masks" [D, M, M]
            probabilities, "mask_scores" [D] of these, and "keypoints" [D, J, 3], x and y in pixels of the resized image
            and a score.
        original_size: (height, width) of the image as given.
        resized_size: (height, width) of the image as the model saw it, without padding.
        class_names: K names; class k is class_names[k - 1].
        masks: "bool" for [N, height, width] arrays, "rle" for COCO RLE dicts (little memory for large images or
            many instances), None for no masks.
        image: the image as given, kept for `draw`.
        paste: into which boxes masks are pasted: the "exact" ones (Detectron2), or whole pixels as "torchvision"
            or "matterport" round them. The last drops boxes that are rounded to nothing.
        keypoint_offset: `Config.keypoint_offset`, kept for `Detections.to_coco`.
        square: whether boxes end on their last pixel, and so are rescaled from the first pixel's centre to the
            last's, as Matterport's are.
        keypoint_names: J names, kept for `draw`.

    Raises:
        ValueError: `masks` or `paste` is none of these.
    """
    if masks not in ("bool", "rle", None):
        raise ValueError(f'masks must be "bool", "rle" or None; got {masks!r}')
    if paste not in ("exact", "torchvision", "matterport"):
        raise ValueError(f'paste must be "exact", "torchvision" or "matterport"; got {paste!r}')
    height, width = (int(side) for side in original_size)
    boxes = original_boxes(outputs["boxes"], (height, width), resized_size, square)
    boxes = np.clip(boxes, 0, np.array([width, height] * 2, boxes.dtype))
    rows = np.flatnonzero((np.asarray(outputs["classes"]) > 0) & have_area(boxes, paste))
    class_ids = np.asarray(outputs["classes"])[rows]
    return Detections(
        boxes=boxes[rows],
        scores=np.asarray(outputs["scores"], np.float32)[rows],
        class_ids=class_ids,
        class_names=[class_names[class_id - 1] for class_id in class_ids],
        height=height,
        width=width,
        masks=_masks(outputs, rows, boxes, (height, width), masks, paste),
        keypoints=_keypoints(outputs, rows, (height, width), resized_size),
        keypoint_names=tuple(keypoint_names),
        keypoint_offset=keypoint_offset,
        image=image,
        mask_scores=np.asarray(outputs["mask_scores"])[rows] if "mask_scores" in outputs else None,
    )


def _masks(
    outputs: Outputs,
    rows: np.ndarray,
    boxes: np.ndarray,
    original_size: tuple[int, int],
    kind: str | None,
    paste: str,
) -> np.ndarray | list[dict[str, Any]] | None:
    if kind is None or "masks" not in outputs:
        return None
    probabilities, frames = _pasting(np.asarray(outputs["masks"], np.float32)[rows], boxes[rows], paste)
    paste_all = paste_masks if kind == "bool" else paste_masks_as_rle
    return paste_all(probabilities, frames, *original_size)


def _keypoints(
    outputs: Outputs, rows: np.ndarray, original_size: tuple[int, int], resized_size: tuple[int, int]
) -> np.ndarray | None:
    if "keypoints" not in outputs:
        return None
    (height, width), (resized_height, resized_width) = original_size, resized_size
    scale = np.array([width / resized_width, height / resized_height, 1], np.float32)
    return np.asarray(outputs["keypoints"], np.float32)[rows] * scale


def original_boxes(
    boxes: np.ndarray, original_size: tuple[int, int], resized_size: tuple[int, int], square: bool
) -> np.ndarray:
    """Return boxes `[N, 4]` of the resized image in pixels of the original; arguments as in `make_detections`."""
    height, width = original_size
    precision: type[Any] = np.float64 if square else np.float32  # as the sources compute what they round
    # Boxes that end on their last pixel are one shorter than in continuous pixels, and so are images.
    less = int(square)
    scale = [
        (width - less) / max(resized_size[1] - less, 1),
        (height - less) / max(resized_size[0] - less, 1),
    ]
    ends = np.array([0, 0, less, less], precision)
    return (np.asarray(boxes, precision) - ends) * np.array(scale * 2, precision) + ends


def have_area(boxes: np.ndarray, paste: str) -> np.ndarray:
    """Tell which boxes `[N, 4]` have area left after the rounding of `paste`."""
    drawn = np.around(boxes) if paste == "matterport" else boxes
    return np.all(drawn[:, :2] < drawn[:, 2:], axis=1)


def _pasting(probabilities: np.ndarray, boxes: np.ndarray, paste: str) -> tuple[np.ndarray, np.ndarray]:
    """What `paste_masks` must be given to follow a source's rule."""
    if paste == "matterport":
        return matterport_paste(probabilities, boxes)
    if paste == "torchvision":
        return probabilities, torchvision_paste_boxes(boxes, probabilities.shape[-1])
    return probabilities, boxes
