"""Masks on images: translucent with outlines, or the outlines alone."""

from typing import Any

import numpy as np

from keras_maskrcnn.drawing.colors import Color
from keras_maskrcnn.masks.rle import Region, mask_region, rle_region
from keras_maskrcnn.masks.segmentation_checks import rle_size

MASK_OPACITY = 0.4


def mask_regions(masks: Any, height: int, width: int, scale: int) -> list[Region]:
    """Return what masks cover of an image that is enlarged `scale` times; an empty mask covers [0, 0] pixels.

    Args:
        masks: [N, height, width] bool, or N COCO RLE dicts.

    Raises:
        ValueError: a mask is not of this size.
    """
    regions = []
    for mask in masks:
        size = tuple(rle_size(mask)) if isinstance(mask, dict) else np.shape(mask)
        if size != (height, width):
            raise ValueError(f"A mask of shape {size} does not fit its image, {(height, width)}")
        part, left, top = rle_region(mask) if isinstance(mask, dict) else mask_region(np.asarray(mask, bool))
        regions.append((enlarged(part, scale), scale * left, scale * top))
    return regions


def paint_mask(
    canvas: np.ndarray, region: Region, color: Color, line: int, fill: bool = True, hatched: bool = False
) -> None:
    """Paint a mask into an image [H, W, 3] uint8: its outline, `line` pixels wide, and inside a tint or hatching."""
    mask, left, top = region
    pixels = canvas[top : top + mask.shape[0], left : left + mask.shape[1]]
    inside = mask
    for _ in range(line):
        inside = _eroded(inside)
    outline = mask & ~inside
    if hatched:
        y, x = np.ogrid[: mask.shape[0], : mask.shape[1]]
        inside = inside & ((x + y) // (4 * line) % 2 == 0)
    if fill:
        tint = np.array(color, np.float32)
        pixels[inside] = np.rint((1 - MASK_OPACITY) * pixels[inside] + MASK_OPACITY * tint).astype(np.uint8)
    pixels[outline] = color


def enlarged(pixels: np.ndarray, scale: int) -> np.ndarray:
    """Return pixels [H, W, ...] repeated `scale` times along both sides."""
    return pixels if scale == 1 else pixels.repeat(scale, axis=0).repeat(scale, axis=1)


def _eroded(mask: np.ndarray) -> np.ndarray:
    """Take away the pixels that touch the outside with a side."""
    padded = np.pad(mask, 1)
    return mask & padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]


def box_regions(boxes: np.ndarray, height: int, width: int) -> list[Region]:
    """Return what boxes `[N, 4]` cover of an image of this size in pixels."""
    regions: list[Region] = []
    for x1, y1, x2, y2 in np.nan_to_num(boxes):
        left, right = np.clip([np.floor(x1), np.ceil(x2)], 0, width).astype(int).tolist()
        top, bottom = np.clip([np.floor(y1), np.ceil(y2)], 0, height).astype(int).tolist()
        shape = max(0, bottom - top), max(0, right - left)
        regions.append((np.broadcast_to(True, shape), left, top))
    return regions
