"""Whether a quantised artefact finds the objects that its model finds, which it cannot find equal."""

import dataclasses
from collections.abc import Sequence

import numpy as np
from pycocotools import mask as coco_mask

from keras_maskrcnn.runtime.engines import Arrays

SCORE = 0.5
"""Of detections that count as objects."""
IOU = 0.5
"""Of boxes, from which two are the same object's."""
LEAST_AGREEMENT = 0.9
"""Of the objects, for an artefact to pass."""


@dataclasses.dataclass(frozen=True)
class Agreement:
    """How far two agree on which objects there are, as COCO's metrics would say it of one against the other."""

    compared: int
    """Objects of the model and objects of the artefact: detections that score at least 0.5."""
    shared: int
    """Of these, that the other has too: a detection of the same class whose box overlaps it by an IoU of 0.5."""
    mean_iou: float
    """Of the boxes of those."""
    score_difference: float
    """The mean, of those."""
    seconds: float
    """Per call, median, of the last case."""

    @property
    def share(self) -> float:
        """The share of objects that both have, 1 if there are none."""
        return self.shared / self.compared if self.compared else 1.0

    @property
    def passes(self) -> bool:
        """Whether that is enough for the artefact to stay."""
        return self.share >= LEAST_AGREEMENT

    def __str__(self) -> str:
        return (
            f"{self.shared} of {self.compared} objects (scores from {SCORE}) found by both: mean IoU of boxes "
            f"{self.mean_iou:.3f}, mean difference of scores {self.score_difference:.3f}"
        )


def agree(expected: Sequence[Arrays], found: Sequence[Arrays]) -> Agreement:
    """Compare the rows of images, one image after the other; arguments are those of `verify.compare`."""
    compared = 0
    ious: list[float] = []
    scores: list[float] = []
    for of_model, of_artefact in zip(expected, found, strict=True):
        for ones, others in ((of_model, of_artefact), (of_artefact, of_model)):
            compared += int(np.sum((ones["classes"] > 0) & (ones["scores"] >= SCORE)))
            for iou, difference in _pairs(ones, others):
                ious.append(iou)
                scores.append(difference)
    seconds = float(found[-1]["seconds"]) if found and "seconds" in found[-1] else 0.0
    mean_iou, mean_difference = (float(np.mean(values)) if values else 0.0 for values in (ious, scores))
    return Agreement(compared, len(ious), mean_iou, mean_difference, seconds)


def _pairs(ones: Arrays, others: Arrays) -> list[tuple[float, float]]:
    """Give each object of one, best first, the detection of the other that overlaps it most and is not given yet."""
    ious = coco_mask.iou(_sides(ones), _sides(others), [0] * len(others["boxes"]))
    ious = np.reshape(ious, (len(ones["boxes"]), len(others["boxes"])))
    ious = ious * (ones["classes"][:, None] == others["classes"]) * (others["classes"] > 0)
    pairs = []
    for row in np.argsort(-ones["scores"], kind="stable"):
        if ones["classes"][row] == 0 or ones["scores"][row] < SCORE or not ious.size:
            continue
        best = int(np.argmax(ious[row]))
        if ious[row, best] >= IOU:
            pairs.append((float(ious[row, best]), float(abs(ones["scores"][row] - others["scores"][best]))))
            ious[:, best] = 0
    return pairs


def _sides(outputs: Arrays) -> np.ndarray:
    """Boxes as COCO's x, y, width, height, of float64."""
    boxes = np.asarray(outputs["boxes"], np.float64)
    return np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1)
