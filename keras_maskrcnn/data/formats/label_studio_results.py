"""The objects of an image as results of Label Studio: polygons, brush strokes, rectangles and keypoints."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, Literal, get_args

import numpy as np

from keras_maskrcnn.data.checks import error_prefix
from keras_maskrcnn.data.formats.brush_rle import encode_brush
from keras_maskrcnn.data.formats.label_studio_config import IMAGE
from keras_maskrcnn.data.formats.label_studio_shapes import POINT, in_pixels
from keras_maskrcnn.data.formats.writing import checked_records
from keras_maskrcnn.data.records import Record
from keras_maskrcnn.masks.outlines import mask_outlines
from keras_maskrcnn.masks.rle import segmentation_to_mask, segmentation_to_rle

Regions = Literal["mixed", "brush", "polygon"]
CROWDS = "crowds, which Label Studio cannot mark, left out"
BOXES = "objects without a mask written as rectangles, which are read as masks"
BRUSHES = "masks of several parts or with holes written as brush strokes, since a polygon is one ring"
HIDDEN = "hidden keypoints, which are visible ones when Label Studio has saved them"
_POINT_WIDTH = 0.5
"""Of a keypoint as it is shown, in per cent of the image."""


def label_studio_results(
    record: Record,
    class_names: Sequence[str],
    scores: np.ndarray | None = None,
    *,
    regions: Regions = "mixed",
    keypoint_names: Sequence[str] | None = None,
) -> list[dict[str, Any]]:
    """Return the objects of an image as Label Studio's results, as its ML backends give them.

    An object with a mask is a polygon or a brush stroke, without one a rectangle; its keypoints are regions that are
    nested in it. Crowds are left out.

    Args:
        record: the image and its objects.
        class_names: K names, class k being class_names[k - 1].
        scores: [N] in 0..1, one for each object; left out: results have none.
        regions, keypoint_names: as in `write_label_studio`.

    Returns:
        Dicts with "id", "type", "value", "score" and so on. "from_name" is "polygon", "brush", "rectangle" or
        "keypoint", and "to_name" is "image", as in the labelling config that `write_label_studio` writes.

    Raises:
        ValueError: as `write_label_studio`.

    Example:
        ```python
        import keras_maskrcnn as km
        import numpy as np

        image = np.zeros((40, 60, 3), np.uint8)
        record = km.make_record(image, masks=[[[10, 5, 30, 5, 30, 35]]], class_ids=[1], image_id="a")
        (result,) = km.label_studio_results(record, ["nut"])
        print(result["type"], result["value"]["points"][1])  # polygonlabels [50.0, 12.5]
        ```
    """
    check_regions(regions)
    ((record, scores),) = checked_records([record], class_names, [scores])
    with error_prefix(record.name):
        return list(
            results_of(record, class_names, point_names(record, keypoint_names), scores, regions, Counter())
        )


def check_regions(regions: str) -> None:
    """Refuse what is none of `Regions`."""
    if regions not in get_args(Regions):
        raise ValueError(f"regions must be one of {', '.join(get_args(Regions))}; got {regions!r}")


def point_names(record: Record, names: Sequence[str] | None) -> list[str]:
    """Return what the keypoints of a record are called: these names, its own, or numbers.

    Raises:
        ValueError: its objects have another number of keypoints.
    """
    if record.keypoints is None or not len(record.boxes):
        return list(names or ())
    count = record.keypoints.shape[1]
    found = list(names or record.keypoint_names) or [str(number + 1) for number in range(count)]
    if len(found) != count:
        raise ValueError(f"its objects have {count} keypoints, not {len(found)}: {', '.join(found)}")
    return found


def results_of(
    record: Record,
    class_names: Sequence[str],
    points: Sequence[str],
    scores: np.ndarray | None,
    regions: Regions,
    met: Counter[str],
) -> Iterator[dict[str, Any]]:
    """Yield the results of a checked record, and count what they cannot say."""
    size = {"original_width": record.width, "original_height": record.height, "image_rotation": 0}
    for index in range(len(record.boxes)):
        met[CROWDS] += int(record.crowd[index])
        if record.crowd[index]:
            continue
        with error_prefix(f"object {index}"):
            kind, value = _region(record, index, regions, met)
        own = f"object-{index + 1}"
        score = {} if scores is None else {"score": float(scores[index])}
        label = class_names[record.class_ids[index] - 1]
        yield {**size, "id": own, **_typed(kind, value, label), **score}
        rows = [] if record.keypoints is None else record.keypoints[index].astype(np.float64).tolist()
        for number, (name, (x, y, visibility)) in enumerate(zip(points, rows, strict=False), start=1):
            if visibility:
                at = {"x": 100 * x / record.width, "y": 100 * y / record.height, "width": _POINT_WIDTH}
                hidden = {"hidden": True} if visibility == 1 else {}
                met[HIDDEN] += len(hidden)
                typed = _typed(POINT, {**at, **hidden}, name)
                yield {**size, "id": f"{own}-{number}", "parentID": own, **typed, **score}


def _typed(kind: str, value: dict[str, Any], label: str) -> dict[str, Any]:
    type_ = f"{kind}labels"
    return {"from_name": kind, "to_name": IMAGE, "type": type_, "value": {**value, type_: [label]}}


def _region(record: Record, index: int, regions: Regions, met: Counter[str]) -> tuple[str, dict[str, Any]]:
    """The kind of an object's region, and what it is."""
    size = record.height, record.width
    if record.masks is None:
        met[BOXES] += 1
        x1, y1, x2, y2 = (record.boxes[index] / np.tile(size[::-1], 2) * 100).tolist()
        return "rectangle", {"x": x1, "y": y1, "width": x2 - x1, "height": y2 - y1, "rotation": 0}
    segmentation = record.masks[index]
    rle = segmentation_to_rle(segmentation, *size)
    rings: Any = segmentation if isinstance(segmentation, list) and regions == "mixed" else None
    if regions == "polygon":
        rings = mask_outlines(rle)
        met[BRUSHES] += rings is None or len(rings) > 1
    points = _per_cent(rings[0], size) if rings is not None and len(rings) == 1 else None
    if points is not None and _drawn(points, size) == rle:
        return "polygon", {"points": points, "closed": True}
    return "brush", {"format": "rle", "rle": encode_brush(segmentation_to_mask(rle, *size))}


def _per_cent(ring: list[float], size: tuple[int, int]) -> list[list[float]] | None:
    """The points of a ring in per cent of the width and of the height; None if it leaves the image."""
    points = np.reshape(ring, (-1, 2)).astype(np.float64) * 100 / size[::-1]
    return points.tolist() if ((points >= 0) & (points <= 100)).all() else None


def _drawn(points: list[list[float]], size: tuple[int, int]) -> dict[str, Any]:
    """The RLE that is drawn of points in per cent, which rounding may make another one than it was."""
    return segmentation_to_rle([[value for x, y in points for value in in_pixels(x, y, size)]], *size)
