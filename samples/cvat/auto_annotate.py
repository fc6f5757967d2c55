"""A model as a function of cvat-sdk, which annotates the tasks of a CVAT server from one's own machine.

    pip install "cvat-sdk[masks]" cvat-cli
    cvat-cli --server-host https://app.cvat.ai task auto-annotate 137 \\
        --function-file samples/cvat/auto_annotate.py -p model=str:best.keras --conf-threshold 0.5

Parameters: model, a .keras file or the name of a published model; shapes=str:mask, rectangle or skeleton (skeletons if
the model finds keypoints, else masks, else boxes). The task needs labels with the names of the model's classes.
"""

import itertools
import os

import cvat_sdk.auto_annotation as cvataa
import numpy as np
from cvat_sdk.masks import encode_mask
from skimage.measure import approximate_polygon, find_contours

import keras_maskrcnn as km

TOLERANCE = 0.8
"""Pixels by which an outline may differ that is drawn instead of a mask, with --conv-mask-to-poly."""


class Function:
    """What the sdk calls: `spec` says which labels there are, and `detect` finds them in an image."""

    def __init__(self, model="", shapes=""):
        name = model or os.environ.get("MODEL", "nuclei_resnet18_fpn")
        self._model = km.load_model(name) if name.endswith(".keras") else km.load_pretrained(name)
        config = self._model.config
        own = "rectangle" if config.mask_head == "none" else "mask"
        self._shapes = shapes or ("skeleton" if config.keypoint_names else own)
        self._groups = itertools.count(1)
        points = [cvataa.keypoint_spec(name, number) for number, name in enumerate(config.keypoint_names)]
        more = {"sublabels": points} if self._shapes == "skeleton" else {}
        self.spec = cvataa.DetectionFunctionSpec(
            labels=[
                cvataa.label_spec(name, number, type=self._shapes, **more)
                for number, name in enumerate(config.class_names, start=1)
            ]
        )

    def detect(self, context, image):
        (found,) = self._model.detect(image, score_threshold=context.conf_threshold)
        make = {"mask": self._mask, "rectangle": rectangle, "skeleton": skeleton}[self._shapes]
        if self._shapes == "mask" and context.conv_mask_to_poly:
            make = self._polygons
        return [shape for row in range(len(found)) for shape in make(found, row)]

    def _mask(self, found, row):
        if found.masks[row].any():  # CVAT has no mask without a pixel
            yield cvataa.mask(points=encode_mask(found.masks[row]), **common(found, row))

    def _polygons(self, found, row):
        """The outline of each piece of a mask, without its holes, in one group if there are several."""
        outlines = [line for line in find_contours(np.pad(found.masks[row], 1), 0.5) if is_outer(line)]
        group = {"group": next(self._groups)} if len(outlines) > 1 else {}
        for outline in outlines:
            corners = approximate_polygon(outline, TOLERANCE)
            corners = corners if len(corners) > 3 else outline  # of which the last is the first
            points = (corners[:-1, ::-1] - 0.5).ravel().tolist()
            yield cvataa.polygon(points=points, **common(found, row), **group)


create = Function


def common(found, row):
    return {"label_id": int(found.class_ids[row]), "score": float(found.scores[row])}


def rectangle(found, row):
    yield cvataa.rectangle(points=found.boxes[row].tolist(), **common(found, row))


def skeleton(found, row):
    points = np.reshape(found.coco_keypoints(row), (-1, 3))[:, :2].tolist()
    elements = [cvataa.keypoint(number, point) for number, point in enumerate(points)]
    yield cvataa.skeleton(elements=elements, **common(found, row))


def is_outer(contour):
    """Whether a contour [N, 2] of rows and columns is around a piece of a mask, not around a hole in it."""
    y, x = contour.T
    return np.sum(x[:-1] * y[1:] - x[1:] * y[:-1]) > 0
