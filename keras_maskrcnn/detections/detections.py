"""The detections of one image, as numpy arrays in pixels of that image."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from PIL import Image

from keras_maskrcnn.drawing.instances import draw_instances
from keras_maskrcnn.masks.crop_paste import (
    matterport_paste,
    paste_masks,
    paste_masks_as_rle,
    torchvision_paste_boxes,
)
from keras_maskrcnn.masks.rle import mask_to_rle

ROWS = ("boxes", "scores", "class_ids", "class_names", "masks", "keypoints")


@dataclasses.dataclass(eq=False)
class Detections:
    """The N instances detected in one image, most confident first.

    Indexing with a number, a slice, indices or N booleans returns the `Detections` of those rows, and iterating yields
    them one by one: `detections[detections.scores > 0.9]`.

    Raises:
        ValueError: lengths or shapes disagree; the message names the field.
    """

    boxes: np.ndarray
    """[N, 4] float32: x1, y1, x2, y2 in pixels of the original image."""
    scores: np.ndarray
    """[N] float32 in 0..1."""
    class_ids: np.ndarray
    """[N] int32: 1..K."""
    class_names: list[str]
    """N names, those of class_ids."""
    height: int
    """Of the original image in pixels, like width."""
    width: int
    masks: np.ndarray | list[dict[str, Any]] | None = None
    """[N, height, width] bool, N COCO RLE dicts, or None."""
    keypoints: np.ndarray | None = None
    """[N, J, 3]: x, y in pixels of the original image, and a score; or None."""
    image: np.ndarray | None = None
    """[height, width, C], what `draw` draws on."""
    keypoint_names: tuple[str, ...] = ()
    """J names, by which `draw` knows a person's limbs."""
    keypoint_offset: float = 0.0
    """Subtracted from x and y of keypoints by `to_coco`, in pixels; see `Config.keypoint_offset`."""

    def __post_init__(self) -> None:
        self.boxes = np.asarray(self.boxes, np.float32)
        self.scores = np.asarray(self.scores, np.float32)
        self.class_ids = np.asarray(self.class_ids, np.int32)
        self.class_names = list(self.class_names)
        _check(self)

    def __len__(self) -> int:
        return len(self.scores)

    def __repr__(self) -> str:
        best = zip(self.class_names[:10], self.scores[:10], strict=True)
        listed = [f"{name} {score:.2f}" for name, score in best] or ["nothing"]
        listed += ["..."] if len(self) > 10 else []
        return f"Detections({len(self)} in {self.width} x {self.height} pixels: {', '.join(listed)})"

    def __getitem__(self, index: Any) -> "Detections":
        rows = np.arange(len(self))[index].reshape(-1)
        chosen: dict[str, Any] = {}
        for name in ROWS:
            values = getattr(self, name)
            chosen[name] = [values[row] for row in rows] if isinstance(values, list) else values
            if isinstance(values, np.ndarray):
                chosen[name] = values[rows]
        return dataclasses.replace(self, **chosen)

    def draw(self, image: Any = None, min_score: float = 0.5, **options: Any) -> Image.Image:
        """Draw the instances on their image.

        Args:
            image: another image of the same size instead: PIL or array.
            min_score: instances that score less are left out.
            options: passed to `drawing.draw_instances`.

        Returns:
            An RGB image; save it with `.save("out.png")`.

        Raises:
            ValueError: there is no image to draw on.
        """
        image = self.image if image is None else image
        if image is None:
            raise ValueError("These Detections hold no image to draw on: pass one, draw(image)")
        shown = self[self.scores >= min_score]
        rows = {"keypoints": shown.keypoints, "keypoint_names": self.keypoint_names}
        return draw_instances(
            image, shown.boxes, shown.class_names, shown.scores, shown.masks, **{**rows, **options}
        )

    def to_coco(self, image_id: int | str, category_ids: Sequence[int] | None = None) -> list[dict[str, Any]]:
        """Return the detections as COCO results, ready for JSON.

        Args:
            image_id: the image's id in the annotation file.
            category_ids: category_ids[k - 1] is the file's id of class k, as in `load_coco`'s
                `records.report.category_ids`; None keeps 1..K.

        Returns:
            N dicts with image_id, category_id, bbox (x, y, width, height), score, and segmentation (RLE) and
            keypoints (flat x, y, score, with x and y less `keypoint_offset`) where there are any.

        Raises:
            ValueError: a detected class has no category id; the message names it.
        """
        results = []
        for row in range(len(self)):
            x1, y1, x2, y2 = self.boxes[row].tolist()
            result: dict[str, Any] = {
                "image_id": image_id,
                "category_id": self._category_id(row, category_ids),
                "bbox": [x1, y1, x2 - x1, y2 - y1],
                "score": float(self.scores[row]),
            }
            if self.masks is not None:
                mask = self.masks[row]
                result["segmentation"] = mask if isinstance(mask, dict) else mask_to_rle(mask)
            if self.keypoints is not None:
                result["keypoints"] = self.coco_keypoints(row)
            results.append(result)
        return results

    def coco_keypoints(self, row: int) -> list[float]:
        """Return one row's keypoints as COCO writes them: J times x, y, score, x and y less `keypoint_offset`."""
        if self.keypoints is None:
            raise ValueError("These Detections hold no keypoints")
        offset = np.array([self.keypoint_offset, self.keypoint_offset, 0], np.float32)
        return (self.keypoints[row] - offset).reshape(-1).tolist()

    def _category_id(self, row: int, category_ids: Sequence[int] | None) -> int:
        class_id = int(self.class_ids[row])
        if category_ids is None:
            return class_id
        if class_id > len(category_ids) or category_ids[class_id - 1] is None:
            raise _no_category_id(self.class_names[row], class_id)
        return int(category_ids[class_id - 1])


def check_category_ids(category_ids: Sequence[int], class_names: Sequence[str]) -> None:
    """Raise a ValueError unless there is one id for each class; it names a class without."""
    for class_id, name in enumerate(class_names, start=1):
        if class_id > len(category_ids) or category_ids[class_id - 1] is None:
            raise _no_category_id(name, class_id)
    if len(category_ids) > len(class_names):
        raise ValueError(f"category_ids has {len(category_ids)} ids for {len(class_names)} classes")


def make_detections(
    outputs: Mapping[str, np.ndarray],
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
            probabilities and "keypoints" [D, J, 3], x and y in pixels of the resized image and a score.
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
    pasted = None
    if masks is not None and "masks" in outputs:
        probabilities, frames = _pasting(np.asarray(outputs["masks"], np.float32)[rows], boxes[rows], paste)
        paste_all = paste_masks if masks == "bool" else paste_masks_as_rle
        pasted = paste_all(probabilities, frames, height, width)
    keypoints = None
    if "keypoints" in outputs:
        scale = np.array([width / resized_size[1], height / resized_size[0], 1], np.float32)
        keypoints = np.asarray(outputs["keypoints"], np.float32)[rows] * scale
    return Detections(
        boxes=boxes[rows],
        scores=np.asarray(outputs["scores"], np.float32)[rows],
        class_ids=class_ids,
        class_names=[class_names[class_id - 1] for class_id in class_ids],
        height=height,
        width=width,
        masks=pasted,
        keypoints=keypoints,
        keypoint_names=tuple(keypoint_names),
        keypoint_offset=keypoint_offset,
        image=image,
    )


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


def _no_category_id(name: str, class_id: int) -> ValueError:
    return ValueError(f"category_ids has no id for class {class_id}, {name!r}")


def _check(detections: Detections) -> None:
    count = len(detections)
    if detections.boxes.shape != (count, 4):
        raise ValueError(
            f"Detections.boxes must be [{count}, 4], as there are scores; got {detections.boxes.shape}"
        )
    for name in ("class_ids", "class_names", "masks", "keypoints"):
        values = getattr(detections, name)
        if values is not None and len(values) != count:
            raise ValueError(f"Detections.{name} must have {count} rows, as scores has; got {len(values)}")
    if detections.keypoints is not None and (
        detections.keypoints.ndim != 3 or detections.keypoints.shape[2] != 3
    ):
        raise ValueError(f"Detections.keypoints must be [N, J, 3]; got {detections.keypoints.shape}")
    points = len(detections.keypoint_names) if detections.keypoints is None else detections.keypoints.shape[1]
    if detections.keypoint_names and len(detections.keypoint_names) != points:
        raise ValueError(
            f"Detections.keypoint_names must name {points} keypoints; got {detections.keypoint_names}"
        )
    size = (detections.height, detections.width)
    if isinstance(detections.masks, np.ndarray) and detections.masks.shape[1:] != size:
        raise ValueError(f"Detections.masks must be [N, {size[0]}, {size[1]}]; got {detections.masks.shape}")
    if isinstance(detections.masks, list) and any(tuple(rle["size"]) != size for rle in detections.masks):
        raise ValueError(f"Detections.masks holds RLEs that are not of size {list(size)}")
    if detections.image is not None and detections.image.shape[:2] != size:
        raise ValueError(f"Detections.image must be {size[0]} x {size[1]}; got {detections.image.shape}")
