"""One mistake of a model: in words, and drawn with what lies around it."""

import math

import numpy as np
from PIL import Image

from keras_maskrcnn.drawing.displayable import displayable
from keras_maskrcnn.drawing.instances import draw_instances
from keras_maskrcnn.evaluation.analysis import Analysis
from keras_maskrcnn.evaluation.matching import Match
from keras_maskrcnn.evaluation.scored_rows import ranking_scores
from keras_maskrcnn.images.io import read_image

SIDE = 260
"""Longest side of a drawn mistake, in pixels."""
NEAR = 0.1
"""IoU from which two things are called near each other."""


def describe_mistake(analysis: Analysis, match: Match) -> str:
    """Say in one line what is wrong with a match, one of `Analysis.false_positives` or `Analysis.misses`."""
    names = ("(none)", *analysis.class_names)
    record, found = analysis.records[match.image], analysis.detections[match.image]
    if match.detection is None:
        said = f"missed {names[analysis.true_class(match)]}"
        if match.nearest is None or match.iou < NEAR:
            return f"{said}: no detection there"
        score = ranking_scores(found, analysis.kind)[match.nearest]
        near = f"{found.class_names[match.nearest]} {score:.2f}"
        return f"{said}: nearest is {near}, IoU {match.iou:.2f}"
    said = f"{names[analysis.predicted_class(match)]} {analysis.score(match):.2f}"
    if match.object is not None:
        return f"{said}: true {names[analysis.true_class(match)]}, IoU {match.iou:.2f}"
    if match.nearest is None or match.iou < NEAR:
        return f"{said}: no object there"
    return f"{said}: nearest is {names[int(record.class_ids[match.nearest])]}, IoU {match.iou:.2f}"


def draw_mistake(analysis: Analysis, match: Match, side: int = SIDE) -> Image.Image:
    """Draw a mistake and its surroundings: the prediction in red, the truth in green.

    Args:
        analysis: what `analyse` returned.
        match: one of `Analysis.false_positives` or `Analysis.misses`.
        side: longest side of the result in pixels.

    Returns:
        An RGB image.

    Raises:
        FileNotFoundError, ValueError: the image cannot be read.
    """
    record, found = analysis.records[match.image], analysis.detections[match.image]
    image = read_image(record.image, channels=None) if isinstance(record.image, str) else record.image
    near = match.nearest if match.detection is not None and match.iou >= NEAR else None
    actual = near if match.object is None else match.object
    boxes, names = [], ["", ""]
    if match.detection is not None:
        boxes.append(found.boxes[match.detection])
        names[0] = f"predicted {found.class_names[match.detection]}"
    if actual is not None:
        boxes.append(record.boxes[actual])
        names[1] = f"true {analysis.class_names[int(record.class_ids[actual]) - 1]}"
    x1, y1, x2, y2 = _surroundings(np.array(boxes), record.height, record.width)
    crop = Image.fromarray(displayable(image)[y1:y2, x1:x2])
    factor = side / max(crop.size)
    width, height = (max(1, round(factor * length)) for length in crop.size)
    return draw_instances(
        crop.resize((width, height)),
        factor * (np.array(boxes) - [x1, y1, x1, y1]),
        [name for name in names if name],
        color_by="class",
        class_names=[names[0], "", "", names[1]],  # the palette's red and green
        labels=True,
        stretch=False,  # the whole image has been, if it is dark
    )


def _surroundings(boxes: np.ndarray, height: int, width: int) -> tuple[int, int, int, int]:
    """The boxes' hull and half of its size around it, at least 16 pixels, within the image."""
    x1, y1 = boxes[:, :2].min(axis=0)
    x2, y2 = boxes[:, 2:].max(axis=0)
    margin = max(16.0, 0.5 * max(x2 - x1, y2 - y1))
    return (
        max(0, math.floor(x1 - margin)),
        max(0, math.floor(y1 - margin)),
        min(width, math.ceil(x2 + margin)),
        min(height, math.ceil(y2 + margin)),
    )
