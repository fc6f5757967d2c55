"""COCO's evaluation of boxes, masks or keypoints, fed image by image; of a detection a few numbers are kept."""

from __future__ import annotations

import datetime
from typing import Any

import numpy as np
from pycocotools.cocoeval import COCOeval

from keras_maskrcnn.evaluation.average_precision import FALSE, IGNORED, TRUE, Matched, precision_and_recall
from keras_maskrcnn.evaluation.greedy import NONE, choose_objects
from keras_maskrcnn.evaluation.scored_rows import Found, Objects
from keras_maskrcnn.evaluation.similarity import Pairs, alike_pairs, joined_pairs

IOU_TYPES = {"box": "bbox", "mask": "segm", "keypoint": "keypoints"}
"""What is scored, with pycocotools' name for it."""
_BLOCK = 4096
"""Pairs that are matched together, and those of the last image: many for speed, few for memory."""


class Scorer:
    """The evaluation of "box", "mask" or "keypoint".

    Args:
        kind: what is scored.
        classes: K.
        limits: numbers of detections per image and class that count, ascending.
        sigmas: [J] float64, of keypoints.
    """

    def __init__(self, kind: str, classes: int, limits: list[int], sigmas: np.ndarray | None = None):
        self.kind = kind
        self._evaluation: Any = COCOeval(iouType=IOU_TYPES[kind])
        self._params = self._evaluation.params
        self._params.catIds = list(range(1, classes + 1))
        self._params.maxDets = limits
        if sigmas is not None:
            self._params.kpt_oks_sigmas = sigmas
        self._sigmas = sigmas
        self._sizes = np.array(self._params.areaRng, np.float64)  # [A, 2]
        self._found: list[tuple[np.ndarray, ...]] = []
        self._objects: list[tuple[np.ndarray, ...]] = []
        self._pairs: list[Pairs] = []

    def add(self, objects: Objects, found: Found) -> None:
        """Score the detections of the next image."""
        order = np.argsort(-found.scores, kind="stable")
        ranks = _ranks(found.class_ids[order])
        counting = ranks < self._params.maxDets[-1]
        found, ranks = found.rows(order[counting]), ranks[counting].astype(np.int32)
        self._found.append(
            (found.scores, found.class_ids.astype(np.int32), ranks, self._outside(found.areas))
        )
        ignored = self._outside(objects.areas) | self._never_counts(objects)[:, None]
        self._objects.append((objects.class_ids.astype(np.int32), objects.crowd, ignored))
        least = self._params.iouThrs[0]
        self._pairs.append(alike_pairs(found, objects, least, self._sigmas))

    def evaluation(self) -> COCOeval:
        """Return pycocotools' evaluation of all images, accumulated.

        Of it `params`, `eval` and `summarize()` are there; it holds no images, annotations and matches.
        """
        scores, class_ids, ranks, outside = (
            np.concatenate(column) for column in zip(*self._found, strict=True)
        )
        object_class_ids, _, ignored = (np.concatenate(column) for column in zip(*self._objects, strict=True))
        matched = Matched(scores, class_ids, ranks, outside, *self._matched(), object_class_ids, ignored)
        params = self._params
        params.imgIds = list(range(len(self._found)))
        figures = precision_and_recall(matched, len(params.catIds), params.maxDets, params.recThrs)
        counts = [*figures["precision"].shape]
        date = datetime.datetime.now().strftime("%Y-%m-%d %H:%M:%S")
        self._evaluation.eval = {"params": params, "counts": counts, "date": date, **figures}
        return self._evaluation

    def _matched(self) -> tuple[np.ndarray, np.ndarray]:
        """The detections that are in pairs, and what they are: see `Matched.compared` and `outcomes`."""
        counts = np.array([len(pairs.values) for pairs in self._pairs])
        blocks = np.flatnonzero(np.diff((counts.cumsum() - counts) // _BLOCK)) + 1
        firsts = np.cumsum([0, *(len(columns[0]) for columns in self._found)])
        parts = [self._matched_block(images, firsts) for images in np.split(np.arange(len(counts)), blocks)]
        compared, outcomes = (np.concatenate(column) for column in zip(*parts, strict=True))
        return compared, outcomes

    def _matched_block(self, images: np.ndarray, firsts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        columns = zip(*(self._objects[image] for image in images), strict=True)
        class_ids, crowd, ignored = (np.concatenate(column) for column in columns)
        counts = [len(self._objects[image][0]) for image in images]
        groups = np.repeat(images, counts) * (len(self._params.catIds) + 1) + class_ids
        offsets = zip(images, np.cumsum(counts) - counts, strict=True)
        pairs = joined_pairs([self._pairs[image].shifted(firsts[image], first) for image, first in offsets])
        compared, chosen = choose_objects(pairs, groups, crowd, ignored, self._params.iouThrs)
        sizes = np.arange(ignored.shape[1])[:, None]
        outcomes = np.where(ignored[chosen, sizes], IGNORED, TRUE)
        return compared, np.where(chosen == NONE, FALSE, outcomes).astype(np.uint8)

    def _outside(self, areas: np.ndarray) -> np.ndarray:
        """Which areas [N] are of none of COCO's sizes [N, A]."""
        return (areas[:, None] < self._sizes[:, 0]) | (areas[:, None] > self._sizes[:, 1])

    def _never_counts(self, objects: Objects) -> np.ndarray:
        """Which objects [G] count neither as detected nor as missed, whatever their size."""
        if self.kind == "keypoint" and objects.keypoints is not None:
            return objects.crowd | ~(objects.keypoints[:, :, 2] > 0).any(axis=1)
        return objects.crowd


def _ranks(class_ids: np.ndarray) -> np.ndarray:
    """How many of its class come before each of an image's detections [D], best first."""
    order = np.argsort(class_ids, kind="stable")
    ordered = class_ids[order]
    ranks = np.empty(len(order), np.int64)
    ranks[order] = np.arange(len(order)) - np.searchsorted(ordered, ordered)
    return ranks
