"""Whether polygons run through the centres of pixels, as OpenCV's contours do, and not around pixels, as COCO's."""

import dataclasses
from collections.abc import Iterator

import numpy as np

from keras_maskrcnn.data.records import Record
from keras_maskrcnn.diagnostics.dataset.issues import Issue
from keras_maskrcnn.masks.segmentation_checks import checked_polygon

_ENOUGH = 10
"""Polygons that chance alone hardly makes look so."""
_NEAR = 3
"""Rows and columns before the last one, with which it is compared."""
_EFFECT = "of the polygons have whole numbers and end one pixel before"
_CAUSE = (
    "as contours of OpenCV do, which run through the centres of pixels; COCO's polygons run around them, and these are "
    "read as masks one pixel too narrow and too low"
)


@dataclasses.dataclass
class PixelCentres:
    """What is counted of the polygons of one split."""

    split: str
    polygons: int = 0
    whole: int = 0
    """Objects of which all coordinates are whole numbers."""
    short: int = 0
    """Of these, those whose box ends one pixel right of and below them, and begins where they do."""
    at_last: int = 0
    """Those that end at the last column or row of pixels,"""
    before_last: int = 0
    """a few before it,"""
    at_edge: int = 0
    """and at the edge of the image, as a polygon around the last pixels does."""

    def add(self, record: Record) -> None:
        """Count the polygons of a record."""
        for index, segmentation in enumerate(record.masks or ()):
            if isinstance(segmentation, dict) or record.crowd[index]:
                continue
            try:
                points = np.concatenate([np.reshape(checked_polygon(one), (-1, 2)) for one in segmentation])
            except ValueError:  # which is an issue of its own
                continue
            self.polygons += 1
            if (points == np.round(points)).all():
                self._count(points, record.boxes[index], record.width, record.height)

    def _count(self, points: np.ndarray, box: np.ndarray, width: int, height: int) -> None:
        first, last = points.min(axis=0), points.max(axis=0)
        left = [width, height] - last  # columns and rows behind it
        self.whole += 1
        self.short += bool((box[:2] == first).all() and (box[2:] == last + 1).all())
        self.at_edge += bool((left <= 0).any())
        self.at_last += bool((left == 1).any())
        self.before_last += bool(((left > 1) & (left <= 1 + _NEAR)).any())

    def issues(self) -> Iterator[Issue]:
        """Yield that the polygons run through pixels' centres, by their boxes or else by the edges of their images."""
        if self.whole < max(_ENOUGH, 0.9 * self.polygons):
            return
        if self.short >= max(_ENOUGH, 0.5 * self.whole):
            reason = f"{self.short} of {self.polygons} {_EFFECT} their boxes, {_CAUSE}"
            yield Issue(
                "warning", "polygons through pixel centres", reason, count=self.short, split=self.split
            )
        elif self.at_last >= _ENOUGH and self.at_last > self.before_last and not self.at_edge:
            reason = f"{self.at_last} of {self.polygons} {_EFFECT} the edge of their images, and none at it, {_CAUSE}"
            yield Issue(
                "note", "polygons through pixel centres", reason, count=self.at_last, split=self.split
            )
