"""Crowds of small objects, seeded."""

import numpy as np


def disks(seed, count, side):
    """Draw disks that do not overlap on a square: their regions, masks [N, H, W] and boxes [N, 4]."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:side, :side]
    free, masks = np.ones((side, side), bool), []
    while len(masks) < count:
        mask = (x - rng.integers(side)) ** 2 + (y - rng.integers(side)) ** 2 < rng.integers(4, 9) ** 2
        if mask.sum() > 30 and (mask <= free).all():
            masks.append(mask)
            free &= ~mask
    boxes = np.array([[x[m].min(), y[m].min(), x[m].max() + 1, y[m].max() + 1] for m in masks])
    regions = [
        (mask[y1:y2, x1:x2], x1, y1) for mask, (x1, y1, x2, y2) in zip(masks, boxes.tolist(), strict=True)
    ]
    return regions, np.array(masks), boxes
