"""The models whose stages are inspected, and overlaps in plain numpy."""

import numpy as np
from variants import C4, MATTERPORT

CASCADE_WITH_KEYPOINTS = {
    "cascade_ious": (0.6, 0.7),
    "cascade_delta_weights": ((20, 20, 10, 10), (30, 30, 15, 15)),
    "class_agnostic_boxes": True,
    "mask_head": "none",
    "keypoint_names": ("nose", "tail"),
    "keypoint_convs": 1,
}
VARIANTS = {
    "fpn": {"min_size": 128, "max_size": 160},
    "c4": C4,
    "matterport": MATTERPORT,
    "cascade with keypoints": CASCADE_WITH_KEYPOINTS,
}
HEIGHT, WIDTH = 50, 70


def ious(boxes, others):
    """IoU [N, M] in float64."""
    boxes, others = np.asarray(boxes, np.float64)[:, None], np.asarray(others, np.float64)[None]
    low, high = np.maximum(boxes[..., :2], others[..., :2]), np.minimum(boxes[..., 2:], others[..., 2:])
    shared = (high - low).clip(0).prod(-1)
    areas = [(b[..., 2:] - b[..., :2]).prod(-1) for b in (boxes, others)]
    return shared / (areas[0] + areas[1] - shared)
