"""The stages of a model, drawn: what `inspect_model` and `inspect_targets` return, as images."""

from collections.abc import Sequence
from typing import Any

import matplotlib
import numpy as np
from PIL import Image

from keras_maskrcnn.data.draw_records import draw_record, readable_scale
from keras_maskrcnn.diagnostics.inspect_model import BoxStage, Inspection
from keras_maskrcnn.diagnostics.inspect_targets import Targets
from keras_maskrcnn.drawing.captions import side_by_side
from keras_maskrcnn.drawing.displayable import displayable
from keras_maskrcnn.drawing.instances import draw_instances
from keras_maskrcnn.images.stretch import stretched
from keras_maskrcnn.layers.matching import IGNORED, NEGATIVE, POSITIVE

TILE = 112
COLUMNS = 10


def draw_inspection(inspection: Inspection, count: int = 30) -> dict[str, Image.Image]:
    """Draw every stage of a model on an image, in the order in which they are computed.

    Args:
        inspection: what `inspect_model` returned.
        count: the most anchors, proposals, candidates and RoIs that are drawn, best first.

    Returns:
        Names and RGB images: "network input", "features", "anchors", "objectness", "best anchors", "proposals",
        "box head" (with a number behind it from a cascade's second stage on), "pooled", "candidates", "detections",
        and with such heads "masks" and "keypoint maps" where there are detections.

    Example:

    ```python
    import numpy as np

    import keras_maskrcnn as km

    config = km.Config(
        class_names=("square",), depth=18, norm="group_norm", frozen_stages=0, min_size=64, max_size=96,
        fpn_channels=32, post_nms_top_k=20, score_threshold=0.0, max_detections=5,
    )
    model = km.MaskRCNN(config)  # randomly initialised: it has learned nothing yet
    stages = km.inspect_model(model, np.zeros((64, 96, 3), np.uint8))
    for name, image in km.draw_inspection(stages, count=10).items():
        print(name, image.size)
    ```
    """
    shown = inspection
    images = {
        "network input": _stretched(shown.network_input),
        "features": _maps(
            {f"{name}: {_size(x)}": np.abs(x).mean(axis=2) for name, x in shown.features.items()}
        ),
        "anchors": _anchors_of_one_cell(shown),
        "objectness": _maps(
            {f"{name}: best of a cell": _objectness(shown, name) for name in shown.features}, 1.0
        ),
        "best anchors": _before_and_after(
            shown.image,
            shown.best_anchors[:count],
            shown.refined_anchors[:count],
            "best anchors",
            "refined",
        ),
        "proposals": _proposals(shown, count),
    }
    for number, stage in enumerate(shown.box_stages, start=1):
        images["box head" + (f" {number}" if number > 1 else "")] = _box_head(shown, stage, count)
    images["pooled"] = _pooled(shown, count)
    chosen = shown.candidates[:count]
    images["candidates"] = _drawn(
        shown.image, chosen.boxes, chosen.class_names, chosen.scores, class_names=shown.class_names
    )
    images["detections"] = shown.detections.draw(
        min_score=0, scale=readable_scale(*shown.image.shape[:2]), class_names=shown.class_names
    )
    if shown.masks is not None and len(shown.masks):
        images["masks"] = _crops_and_maps(shown.image, shown.detected_boxes[:count], shown.masks[:count])
    if shown.keypoint_maps is not None and len(shown.keypoint_maps):
        best_pixels = shown.keypoint_maps[:count].max(axis=3)
        images["keypoint maps"] = _crops_and_maps(shown.image, shown.detected_boxes[:count], best_pixels)
    return images


def draw_targets(targets: Targets, count: int = 30) -> dict[str, Image.Image]:
    """Draw the training targets of a model on an image.

    Args:
        targets: what `inspect_targets` returned.
        count: the most boxes of a kind that are drawn.

    Returns:
        Names and RGB images: "ground truth", "anchors" (positive, ignored, and some of the negative ones), "sampled
        anchors", "rois" (with a number behind it from a cascade's second stage on) and, where there are any,
        "mask targets".

    Example:

    ```python
    import numpy as np

    import keras_maskrcnn as km

    config = km.Config(
        class_names=("square",), depth=18, norm="group_norm", frozen_stages=0, min_size=64, max_size=96,
        fpn_channels=32, post_nms_top_k=20, score_threshold=0.0, max_detections=5,
    )
    model = km.MaskRCNN(config)  # randomly initialised: it has learned nothing yet
    image = np.zeros((64, 96, 3), np.uint8)
    image[10:40, 20:60] = 255
    record = km.make_record(image, masks=[image[:, :, 0] > 0], class_ids=[1], image_id="square")
    for name, image in km.draw_targets(km.inspect_targets(model, record), count=10).items():
        print(name, image.size)
    ```
    """
    record, image = targets.record, targets.image
    labels = targets.anchor_labels
    kinds = {"objects": POSITIVE, "ignored": IGNORED, "background": NEGATIVE}
    rows = {name: np.flatnonzero(labels == label) for name, label in kinds.items()}
    sampled = labels[targets.sampled_anchors] == POSITIVE
    images = {
        "ground truth": draw_record(record, targets.class_names, image=image),
        "anchors": _groups(image, {name: targets.anchors[index] for name, index in rows.items()}, count),
        "sampled anchors": _groups(
            image,
            {
                "objects": targets.anchors[targets.sampled_anchors[sampled]],
                "background": targets.anchors[targets.sampled_anchors[~sampled]],
            },
            count,
        ),
    }
    for number, sample in enumerate(targets.box_stages, start=1):
        groups = {
            name: sample.boxes[sample.classes == k] for k, name in enumerate(targets.class_names, start=1)
        }
        groups = {name: boxes for name, boxes in groups.items() if len(boxes)}
        groups["background"] = sample.boxes[sample.classes == 0]
        images["rois" + (f" {number}" if number > 1 else "")] = _groups(image, groups, count)
    if targets.mask_targets is not None and targets.mask_boxes is not None and len(targets.mask_targets):
        images["mask targets"] = _crops_and_maps(
            image, targets.mask_boxes[:count], targets.mask_targets[:count]
        )
    return images


def _drawn(image: np.ndarray, boxes: np.ndarray, *rows: Any, **options: Any) -> Image.Image:
    scale = readable_scale(*image.shape[:2])
    return draw_instances(image, boxes, *rows, **{"scale": scale, "color_by": "class", **options})


def _stretched(values: np.ndarray) -> Image.Image:
    """Normalised pixels as an image: its least value black, its largest white."""
    return Image.fromarray(displayable(stretched(values, values.min(), values.max()), stretch=False))


def _size(values: np.ndarray) -> str:
    return " x ".join(map(str, values.shape))


def _colored(values: np.ndarray, largest: float | None = None) -> Image.Image:
    """A map [h, w] in the colours of matplotlib's viridis, from 0 or its least value to its largest."""
    low = min(float(values.min()), 0.0)
    high = max(float(values.max()) if largest is None else largest, low + 1e-6)
    colors = matplotlib.colormaps["viridis"]((values - low) / (high - low))
    return Image.fromarray(np.rint(255 * colors[..., :3]).astype(np.uint8))


def _maps(maps: dict[str, np.ndarray], largest: float | None = None) -> Image.Image:
    """Maps of the levels side by side, all as large as the first one, or larger so that it can be seen."""
    first = next(iter(maps.values()))
    scale = readable_scale(*first.shape)
    size = first.shape[1] * scale, first.shape[0] * scale
    images = [_colored(values, largest).resize(size, Image.Resampling.NEAREST) for values in maps.values()]
    return side_by_side(images, list(maps))


def _objectness(shown: Inspection, level: str) -> np.ndarray:
    height, width = shown.features[level].shape[:2]
    return shown.objectness[level].reshape(height, width, -1).max(axis=2)


def _anchors_of_one_cell(shown: Inspection) -> Image.Image:
    """The anchors of each level at the cell in the middle of the image."""
    height, width = shown.image.shape[:2]
    boxes, names = [], []
    for level, anchors in shown.anchors.items():
        cells = shown.features[level].shape[0] * shown.features[level].shape[1]
        per_cell = anchors.reshape(cells, -1, 4)
        centers = (per_cell[:, 0, :2] + per_cell[:, 0, 2:]) / 2
        middle = np.abs(centers - [width / 2, height / 2]).sum(axis=1).argmin()
        boxes.extend(per_cell[middle])
        names.extend([level] * per_cell.shape[1])
    return _drawn(shown.image, np.array(boxes), names, class_names=list(shown.anchors))


def _before_and_after(
    image: np.ndarray,
    before: np.ndarray,
    after: np.ndarray,
    title_before: str,
    title_after: str,
    names: Sequence[str] | None = None,
    scores: np.ndarray | None = None,
    class_names: Sequence[str] | None = None,
) -> Image.Image:
    """Boxes and what they became side by side; a box has its colour in both, that of its class if it has one."""
    color_by = "instance" if names is None else "class"
    options = {"color_by": color_by, "class_names": class_names}
    images = (
        _drawn(image, before, names, labels=False, **options),
        _drawn(image, after, names, scores, **options),
    )
    return side_by_side(images, [f"{len(before)} {title_before}", title_after])


def _proposals(shown: Inspection, count: int) -> Image.Image:
    first = shown.box_stages[0]
    levels = list(dict.fromkeys([*shown.features, *first.levels]))
    few = _drawn(shown.image, first.boxes[:count], first.levels[:count], class_names=levels)
    many = _drawn(shown.image, first.boxes, first.levels, class_names=levels, labels=False)
    captions = [
        f"best {min(count, len(first.boxes))}, by the level pooled from",
        f"all {len(first.boxes)} proposals",
    ]
    return side_by_side([few, many], captions)


def _box_head(shown: Inspection, stage: BoxStage, count: int) -> Image.Image:
    """The boxes that most probably are objects, before and after the head moves them."""
    best = np.argsort(-stage.probabilities[:, 1:].max(axis=1, initial=0), kind="stable")[:count]
    classes = stage.probabilities[best, 1:].argmax(axis=1)
    return _before_and_after(
        shown.image,
        stage.boxes[best],
        stage.refined[best],
        "given",
        "refined",
        [shown.class_names[index] for index in classes],
        stage.probabilities[best, classes + 1],
        class_names=shown.class_names,
    )


def _pooled(shown: Inspection, count: int) -> Image.Image:
    stage = shown.box_stages[0]
    return _crops_and_maps(shown.image, stage.boxes[:count], np.abs(stage.pooled[:count]).mean(axis=3))


def _groups(image: np.ndarray, groups: dict[str, np.ndarray], count: int) -> Image.Image:
    """Each group of boxes on an image of its own, with how many there are."""
    names = list(groups)
    images, captions = [], []
    for name, boxes in groups.items():
        step = max(1, -(-len(boxes) // count))
        shown = boxes[::step]
        images.append(_drawn(image, shown, [name] * len(shown), class_names=names, labels=False))
        some = f", 1 in {step} drawn" if step > 1 else ""
        captions.append(f"{name}: {len(boxes)}{some}")
    return side_by_side(images, captions)


def _crops_and_maps(image: np.ndarray, boxes: np.ndarray, maps: np.ndarray) -> Image.Image:
    """Boxes cropped from an image, each above its map [P, P], in rows of ten."""
    whole = Image.fromarray(displayable(image))
    rows = max(1, -(-len(boxes) // COLUMNS))
    gap = 4
    page = Image.new(
        "RGB", (min(COLUMNS, max(len(boxes), 1)) * (TILE + gap), rows * (2 * TILE + 2 * gap)), "white"
    )
    for index, (box, values) in enumerate(zip(boxes, maps, strict=True)):
        left, top = index % COLUMNS * (TILE + gap), index // COLUMNS * (2 * TILE + 2 * gap)
        x1, y1, x2, y2 = (float(value) for value in box)
        crop = whole.resize((TILE, TILE), box=_within((x1, y1, x2, y2), whole.size))
        page.paste(crop, (left, top))
        page.paste(
            _colored(values).resize((TILE, TILE), Image.Resampling.NEAREST), (left, top + TILE + gap // 2)
        )
    return page


def _within(
    box: tuple[float, float, float, float], size: tuple[int, int]
) -> tuple[float, float, float, float]:
    """The part of a box within an image, at least a hundredth of a pixel wide and high."""
    width, height = size
    x1, y1 = min(max(box[0], 0), width - 0.01), min(max(box[1], 0), height - 0.01)
    return x1, y1, min(max(box[2], x1 + 0.01), width), min(max(box[3], y1 + 0.01), height)
