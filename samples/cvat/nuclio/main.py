"""A model as a serverless function of CVAT: nuclio calls `init_context` once, and `handler` for each image.

`python samples/cvat/nuclio/prepare.py MODEL FOLDER` makes the folder to deploy; docs/label-tools.md says how.
"""

import base64
import json
import os
from pathlib import Path

import numpy as np
from skimage.measure import approximate_polygon, find_contours

import keras_maskrcnn as km

TOLERANCE = 0.8
"""Pixels by which the outline may differ that CVAT shows instead of a mask where it is asked to."""


def init_context(context):
    name = os.environ.get("MODEL", "nuclei_resnet18_fpn")
    path = Path(__file__).parent / name
    context.user_data.model = km.load_model(path) if name.endswith(".keras") else km.load_pretrained(name)
    context.user_data.make = MAKERS[os.environ.get("SHAPES") or shapes_of(context.user_data.model.config)]
    context.logger.info(f"{name} is loaded; it finds {', '.join(context.user_data.model.config.class_names)}")


def handler(context, event):
    """Answer CVAT's request, JSON with an image in base64 and perhaps a threshold, by a list of shapes."""
    try:
        image = base64.b64decode(event.body["image"], validate=True)
        threshold = event.body.get("threshold")
        (found,) = context.user_data.model.detect(
            image, score_threshold=None if threshold is None else float(threshold)
        )
    except (KeyError, TypeError, ValueError) as error:
        return answer(context, 400, {"error": f"{type(error).__name__}: {error}"})
    shapes = [context.user_data.make(found, row) for row in range(len(found))]
    empty = shapes.count(None)
    if empty:
        context.logger.info(f"{empty} masks without a pixel are left out")
    return answer(context, 200, [shape for shape in shapes if shape is not None])


def answer(context, status, content):
    return context.Response(
        body=json.dumps(content), headers={}, content_type="application/json", status_code=status
    )


def shapes_of(config):
    """What CVAT's label of a class can hold is one kind of shape: the most that the model says of an object."""
    if config.keypoint_names:
        return "skeleton"
    return "rectangle" if config.mask_head == "none" else "mask"


def common(found, row):
    return {"confidence": f"{found.scores[row]:.4f}", "label": found.class_names[row]}


def rectangle(found, row):
    return {**common(found, row), "type": "rectangle", "points": found.boxes[row].tolist()}


def skeleton(found, row):
    points = np.reshape(found.coco_keypoints(row), (-1, 3))
    elements = [
        {"label": name, "type": "points", "outside": 0, "points": [x, y], "confidence": f"{score:.4f}"}
        for name, (x, y, score) in zip(found.keypoint_names, points.tolist(), strict=True)
    ]
    return {**common(found, row), "type": "skeleton", "elements": elements}


def mask(found, row):
    """The pixels within a box, row by row, and the box, of which the last column and row are inside."""
    pixels = found.masks[row]
    if not pixels.any():
        return None
    ys, xs = np.flatnonzero(pixels.any(axis=1)), np.flatnonzero(pixels.any(axis=0))
    x1, y1, x2, y2 = int(xs[0]), int(ys[0]), int(xs[-1]), int(ys[-1])
    part = pixels[y1 : y2 + 1, x1 : x2 + 1]
    values = [*part.ravel().astype(int).tolist(), x1, y1, x2, y2]
    return {**common(found, row), "type": "mask", "mask": values, "points": outline(part, x1, y1)}


def outline(part, left, top):
    """The outline x1, y1, x2, y2, ... of the largest piece of a mask, whose first pixel lies at left, top."""
    largest = max(find_contours(np.pad(part, 1), 0.5), key=area)
    corners = approximate_polygon(largest, TOLERANCE)
    corners = corners if len(corners) > 3 else largest  # of which the last is the first
    return (corners[:-1, ::-1] + [left - 0.5, top - 0.5]).ravel().tolist()


def area(contour):
    """Square pixels inside a contour [N, 2] of rows and columns; minus those of a hole."""
    y, x = contour.T
    return np.sum(x[:-1] * y[1:] - x[1:] * y[:-1]) / 2


MAKERS = {"mask": mask, "rectangle": rectangle, "skeleton": skeleton}
