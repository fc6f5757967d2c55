"""The box around a segmentation."""

from typing import Any

import numpy as np

from keras_maskrcnn.data.checks import mask_extent
from keras_maskrcnn.masks.rle import segmentation_to_rle
from keras_maskrcnn.masks.segmentation_checks import checked_polygon


def segmentation_extent(segmentation: Any, height: int, width: int) -> list[float]:
    """Return x1, y1, x2, y2 around the points of polygons, or around the pixels of an RLE; zeros for an empty one.

    Raises:
        ValueError: the segmentation is malformed.
    """
    if isinstance(segmentation, dict):
        return mask_extent(segmentation_to_rle(segmentation, height, width))
    points = np.concatenate([np.reshape(checked_polygon(polygon), (-1, 2)) for polygon in segmentation])
    return [*points.min(axis=0).tolist(), *points.max(axis=0).tolist()]
