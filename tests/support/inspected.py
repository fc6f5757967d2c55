"""The models whose stages are inspected, an image with ground truth, and overlaps in plain numpy."""

import numpy as np
from variants import C4, MATTERPORT

from keras_maskrcnn.data.records import make_record

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


def annotated(model):
    """The image with two objects and a crowd, whose masks are ellipses."""
    y, x = np.mgrid[:HEIGHT, :WIDTH] + 0.5
    frames = np.array([[5, 5, 27, 25], [30, 12, 68, 48], [0, 30, 25, 50]], float)
    masks = np.stack([ellipse(x, y, frame) for frame in frames])
    points = None
    if model.config.keypoint_names:
        points = np.array([[[a + 3, b + 3, 2], [c - 3, d - 3, 1]] for a, b, c, d in frames])
    image = np.random.default_rng(0).integers(0, 255, (HEIGHT, WIDTH, 3)).astype(np.uint8)
    return make_record(image, frames, [1, 2, 1], masks, [0, 0, 1], keypoints=points, image_id="annotated")


def ellipse(x, y, frame):
    """Which points lie in the ellipse that touches a frame's sides."""
    x1, y1, x2, y2 = frame
    return ((x - (x1 + x2) / 2) / (x2 - x1)) ** 2 + ((y - (y1 + y2) / 2) / (y2 - y1)) ** 2 < 0.25
