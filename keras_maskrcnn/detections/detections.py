"""The detections of one image, as numpy arrays in pixels of that image."""

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import DTypeLike
from PIL import Image

from keras_maskrcnn.detections.category_ids import category_id
from keras_maskrcnn.detections.checks import check_shapes, check_values
from keras_maskrcnn.detections.label_image import paint_by_score, visible_rows
from keras_maskrcnn.detections.polygons import polygons_of
from keras_maskrcnn.detections.supervision import supervision_detections
from keras_maskrcnn.detections.values import float_numbers, whole_class_ids, whole_track_ids
from keras_maskrcnn.drawing.instances import draw_instances
from keras_maskrcnn.masks.label_image import renumbered
from keras_maskrcnn.masks.outlines import PolygonPart
from keras_maskrcnn.masks.rle import mask_to_rle
from keras_maskrcnn.utils.ids import plain_id

if TYPE_CHECKING:
    import supervision

ROWS = ("boxes", "scores", "class_ids", "class_names", "masks", "keypoints", "mask_scores", "track_ids")


@dataclasses.dataclass(eq=False)
class Detections:
    """The N instances detected in one image, most confident first.

    Indexing with a number, a slice, indices or N booleans returns the `Detections` of those rows, and iterating yields
    them one by one: `detections[detections.scores > 0.9]`.

    Raises:
        ValueError: lengths or shapes disagree; or a number is NaN or infinite, a score outside 0..1, a box ends before
            it begins, or a class id is no whole number from 1. The message names the field, and the row.

    Example:

    ```python
    import numpy as np

    import keras_maskrcnn as km

    detections = km.Detections(
        boxes=[[20, 10, 60, 40], [5, 5, 15, 15]],
        scores=[0.9, 0.3],
        class_ids=[2, 1],
        class_names=["dog", "cat"],
        height=64,
        width=96,
        image=np.zeros((64, 96, 3), np.uint8),
    )
    confident = detections[detections.scores > 0.5]
    print(confident)  # Detections(1 in 96 x 64 pixels: dog 0.90)
    print(confident.to_coco(image_id=1)[0]["bbox"])  # [20.0, 10.0, 40.0, 30.0]: x, y, width, height
    print(confident.draw().size)  # (96, 64)
    ```
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
    mask_scores: np.ndarray | None = None
    """[N] float32 in 0..1: how good each mask is, of models that predict it (Mask Scoring R-CNN, Huang et al. 2019).
    COCO's AP of masks ranks by them where there are any, that of boxes by `scores`; so does `to_coco`."""
    track_ids: np.ndarray | None = None
    """[N] int64 from 0: which object of a video each is, the same in all its frames; -1 has no track (yet)."""

    def __post_init__(self) -> None:
        for name in ("boxes", "scores", "keypoints", "mask_scores"):
            if getattr(self, name) is not None:
                setattr(self, name, float_numbers(name, getattr(self, name)))
        self.class_ids = whole_class_ids(self.class_ids)
        self.class_names = list(self.class_names)
        if self.track_ids is not None:
            self.track_ids = whole_track_ids(self.track_ids)
        check_shapes(self)
        check_values(self)

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
            options: passed to `drawing.draw_instances`: `labels`, `show_boxes`, `fill`, `color_by`, `stretch`, `scale`
                and more, which `docs/predict.md` lists.

        Returns:
            An RGB image of the image's size, or as the options say; save it with `.save("out.png")`.

        Raises:
            ValueError: there is no image to draw on.
        """
        image = self.image if image is None else image
        if image is None:
            raise ValueError("These Detections hold no image to draw on: pass one, draw(image)")
        shown = self[self.scores >= min_score]
        rows = {
            "keypoints": shown.keypoints,
            "keypoint_names": self.keypoint_names,
            "track_ids": shown.track_ids,
        }
        return draw_instances(
            image, shown.boxes, shown.class_names, shown.scores, shown.masks, **{**rows, **options}
        )

    def to_label_image(
        self, order: str = "reading", dtype: DTypeLike | None = None, min_score: float = 0.5
    ) -> np.ndarray:
        """Return the masks as one image of numbers, as microscopists measure it: 0 is background.

        A pixel that several masks cover belongs to the best of `scores`, the first of equals. The numbers 1..M are
        given to what has a pixel then: a detection wholly under better ones has none, nor has an empty mask.
        `label_rows` says which row has which number.

        Args:
            order: "reading" numbers by the first pixel, from the top row down and from the left in a row; "score" from
                the best score down.
            dtype: uint16 or uint32; None is uint16 unless there are more than 65535 numbers.
            min_score: detections that score less are left out, 0..1.

        Returns:
            [height, width] of that type.

        Raises:
            ValueError: there are no masks, uint16 does not hold the numbers, or an argument is out of range.
        """
        labels, rows = self._labels(order, min_score)
        numbers = np.zeros(len(self) + 1, np.int64)
        numbers[rows + 1] = np.arange(1, len(rows) + 1)
        return renumbered(labels, numbers, dtype)

    def label_rows(self, order: str = "reading", min_score: float = 0.5) -> np.ndarray:
        """Return the rows [M] of `to_label_image`'s numbers: number n is row `label_rows(...)[n - 1]`.

        So `detections[detections.label_rows()]` are the detections of a label image, in the order of its numbers.

        Args:
            order, min_score: as in `to_label_image`.

        Returns:
            [M] int64.

        Raises:
            ValueError: as `to_label_image`, but for the type.
        """
        return self._labels(order, min_score)[1]

    def _labels(self, order: str, min_score: float) -> tuple[np.ndarray, np.ndarray]:
        labels = paint_by_score(self.masks, self.scores, self.height, self.width, min_score)
        return labels, visible_rows(labels, self.scores, order)

    def to_coco(self, image_id: int | str, category_ids: Sequence[int] | None = None) -> list[dict[str, Any]]:
        """Return the detections as COCO results, ready for JSON.

        Args:
            image_id: the image's id in the annotation file.
            category_ids: category_ids[k - 1] is the file's id of class k, as in `load_coco`'s
                `records.report.category_ids`; None keeps 1..K.

        Returns:
            N dicts with image_id, category_id, bbox (x, y, width, height), score, and segmentation (RLE) and
            keypoints (flat x, y, score, with x and y less `keypoint_offset`) where there are any. Where there are
            mask_scores, the score of a row with a segmentation is its mask's, by which COCO's AP of masks ranks, and
            "box_score" is the box's. Where there are track_ids, "track_id" of each row that has a track.

        Raises:
            ValueError: a detected class has no category id, which the message names; or the image's id is none.
        """
        image_id = plain_id(image_id)  # as JSON has it
        results = []
        for row in range(len(self)):
            x1, y1, x2, y2 = self.boxes[row].tolist()
            result: dict[str, Any] = {
                "image_id": image_id,
                "category_id": category_id(int(self.class_ids[row]), self.class_names[row], category_ids),
                "bbox": [x1, y1, x2 - x1, y2 - y1],
                "score": float(self.scores[row]),
            }
            if self.masks is not None:
                mask = self.masks[row]
                result["segmentation"] = mask if isinstance(mask, dict) else mask_to_rle(mask)
                if self.mask_scores is not None:
                    result.update(score=float(self.mask_scores[row]), box_score=float(self.scores[row]))
            if self.keypoints is not None:
                result["keypoints"] = self.coco_keypoints(row)
            if self.track_ids is not None and self.track_ids[row] >= 0:
                result["track_id"] = int(self.track_ids[row])
            results.append(result)
        return results

    def to_polygons(self) -> list[list[PolygonPart]]:
        """Return the masks as polygons along the edges of their pixels, from which the same masks can be drawn.

        Returns:
            Of each of the N detections its parts (pixels that share an edge with others of them), and of each part, a
            `PolygonPart`, `outer`, a ring [V, 2] float64 of x, y in continuous pixels, and `holes`, a list of such
            rings. A mask without pixels has no parts.

        Raises:
            ValueError: there are no masks.
        """
        if self.masks is None:
            raise ValueError("Polygons are made of masks, which these Detections lack")
        return polygons_of(self.masks, self.height, self.width)

    def to_supervision(self) -> "supervision.Detections":
        """Return the detections as supervision's, which its annotators and the trackers package take.

        Returns:
            `xyxy`, the boxes as they are; `confidence`, the scores; `class_id`, class_ids - 1, since supervision counts
            classes from 0, so that `model.config.class_names[class_id]` is the name, which is in
            `data["class_name"]` too; `mask`, a CompactMask, or [N, height, width] bool where supervision has none;
            `tracker_id`, the track_ids; `data["keypoints"]` [N, J, 3] and `data["mask_score"]` [N]: what there is.

        Raises:
            ImportError: supervision is not installed; says how to.
        """
        more = {"keypoints": self.keypoints, "mask_score": self.mask_scores}
        rows = self.boxes, self.scores, self.class_ids, self.class_names, self.masks, self.track_ids
        return supervision_detections(*rows, self.height, self.width, more)

    def coco_keypoints(self, row: int) -> list[float]:
        """Return one row's keypoints as COCO writes them: J times x, y, score, x and y less `keypoint_offset`."""
        if self.keypoints is None:
            raise ValueError("These Detections hold no keypoints")
        offset = np.array([self.keypoint_offset, self.keypoint_offset, 0], np.float32)
        return (self.keypoints[row] - offset).reshape(-1).tolist()


def check_detected_names(detections: Detections, class_names: Sequence[str]) -> None:
    """Raise a ValueError if a class of detections is another one of class_names; names that are not there pass."""
    places = {name: place for place, name in enumerate(class_names, start=1)}
    for class_id, name in zip(detections.class_ids.tolist(), detections.class_names, strict=True):
        if places.get(name, class_id) != class_id:
            raise ValueError(
                f"class {class_id} of its detections is {name!r}, which is class {places[name]} of the class_names "
                f"{', '.join(class_names)}"
            )
