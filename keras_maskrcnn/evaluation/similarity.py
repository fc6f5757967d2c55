"""How alike detections and objects of one image are: the IoU of boxes or masks, the similarity of keypoints."""

import dataclasses
from collections.abc import Sequence

import numpy as np
import pycocotools.mask as coco_mask

from keras_maskrcnn.evaluation.scored_rows import Found, Objects


@dataclasses.dataclass(frozen=True, eq=False)
class Pairs:
    """P pairs of a detection and an object of its class that are alike."""

    detections: np.ndarray
    """[P] int64: the better a detection of a class, the lower its number."""
    objects: np.ndarray
    """[P] int64."""
    values: np.ndarray
    """[P] float64: how alike they are."""

    def shifted(self, detections: int, objects: int) -> "Pairs":
        """Return the pairs with so much added to the numbers of detections and objects."""
        return Pairs(self.detections + detections, self.objects + objects, self.values)


def joined_pairs(parts: Sequence[Pairs]) -> Pairs:
    """Return the pairs of all parts, in their order."""
    return Pairs(
        np.concatenate([np.zeros(0, np.int64), *(part.detections for part in parts)]),
        np.concatenate([np.zeros(0, np.int64), *(part.objects for part in parts)]),
        np.concatenate([np.zeros(0), *(part.values for part in parts)]),
    )


def alike_pairs(found: Found, objects: Objects, least: float, sigmas: np.ndarray | None = None) -> Pairs:
    """Return an image's pairs of a detection and an object of its class that are alike by at least `least`.

    The detections come best first; other arguments as in `similarity`.
    """
    pairs = []
    for class_id in np.unique(objects.class_ids):
        rows, others = (np.flatnonzero(one.class_ids == class_id) for one in (found, objects))
        values = similarity(found, rows, objects, others, sigmas)
        row, other = np.nonzero(values >= least)
        pairs.append(Pairs(rows[row], others[other], values[row, other]))
    return joined_pairs(pairs)


def similarity(
    found: Found,
    rows: np.ndarray,
    objects: Objects,
    others: np.ndarray,
    sigmas: np.ndarray | None = None,
) -> np.ndarray:
    """Return how alike detections and objects are: [R, O] float64.

    That is the IoU of their masks or boxes, and with a crowd the fraction of the detection that is inside it; of
    keypoints COCO's similarity.

    Args:
        found, objects: of an image; what is scored of the detections is compared.
        rows, others: which detections and which objects.
        sigmas: [J] float64, for keypoints.
    """
    if not len(rows) or not len(others):
        return np.zeros((len(rows), len(others)))
    if found.keypoints is not None and objects.keypoints is not None and sigmas is not None:
        points = found.keypoints[rows]
        boxes, areas = objects.boxes, objects.areas
        columns = [
            _keypoint_similarity(points, objects.keypoints[other], boxes[other], areas[other], sigmas)
            for other in others
        ]
        return np.stack(columns, axis=1)
    crowds = objects.crowd[others].astype(np.uint8)
    if found.masks is not None and objects.masks is not None:
        masks = [found.masks[row] for row in rows.tolist()]
        return coco_mask.iou(masks, [objects.masks[other] for other in others.tolist()], crowds)
    return coco_mask.iou(found.boxes[rows], objects.boxes[others], crowds)


def _keypoint_similarity(
    points: np.ndarray, truth: np.ndarray, box: np.ndarray, area: float, sigmas: np.ndarray
) -> np.ndarray:
    """COCO's similarity of detected keypoints [R, J, 3] to those of one object [J, 3]: [R]."""
    offsets = points[:, :, :2] - truth[:, :2]
    labelled = truth[:, 2] > 0
    if not labelled.any():
        # The object is ignored, and so is what lies around it: distances are those from its box, doubled on each side.
        corner, size = box[:2], box[2:]
        before, beyond = corner - size - points[:, :, :2], points[:, :, :2] - (corner + size * 2)
        offsets = np.maximum(0, before) + np.maximum(0, beyond)
        labelled[:] = True
    squares = offsets[:, :, 0] ** 2 + offsets[:, :, 1] ** 2  # [R, J]
    distances = squares / (sigmas * 2) ** 2 / (area + np.spacing(1)) / 2
    # In one piece, for sums of numbers apart from each other are rounded otherwise than pycocotools' are.
    of_labelled = np.ascontiguousarray(distances[:, labelled])
    return np.exp(-of_labelled).sum(axis=1) / labelled.sum()
