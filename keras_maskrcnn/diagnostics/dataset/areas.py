"""Whether the annotated areas of objects, by which evaluation sorts them by size, can be theirs."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from keras_maskrcnn.data.formats.coco_areas import plausible_area
from keras_maskrcnn.data.records import Record
from keras_maskrcnn.diagnostics.dataset.issues import Issue
from keras_maskrcnn.masks.rle import rle_area


def area_issues(record: Record) -> Iterator[Issue]:
    """Yield each area that no object of the image has."""
    pixels = record.height * record.width
    for index, area in enumerate(np.asarray(record.areas, np.float64).tolist()):
        if not 0 <= area <= pixels:
            reason = f"its area is {area:g}, and the image has {pixels} pixels: AP by size goes by it"
            yield Issue("warning", "area", reason, object=index)


def doubtful_area(record: Record, index: int, rle: dict[str, Any]) -> Iterator[Issue]:
    """Yield that the area of an object is far from that of its mask."""
    area = float(record.areas[index])
    if 0 <= area <= record.height * record.width and not plausible_area(area, rle):
        reason = f"its area is {area:g}, that of its mask {rle_area(rle)}: AP by size goes by it"
        yield Issue("warning", "area", reason, object=index)
