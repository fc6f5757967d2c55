"""The masks of detections as polygons."""

from typing import Any

from keras_maskrcnn.masks.outlines import PolygonPart, mask_parts
from keras_maskrcnn.masks.rle import mask_to_rle, segmentation_to_rle


def polygons_of(masks: Any, height: int, width: int) -> list[list[PolygonPart]]:
    """Return the parts of N masks, [height, width] bool each or RLEs, along the edges of their pixels."""
    rles = (mask if isinstance(mask, dict) else mask_to_rle(mask) for mask in masks)
    return [mask_parts(segmentation_to_rle(rle, height, width)) for rle in rles]
