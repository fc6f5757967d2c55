"""Intensities brought to a common scale, whatever the exposure and the bits of an image were."""

from collections.abc import Sequence

import numpy as np


def stretch_intensities(image: np.ndarray, percentiles: Sequence[float]) -> np.ndarray:
    """Map each channel's low and high percentile to 0 and 255, and clip what lies outside.

    Percentiles are those of `np.percentile`, which interpolates between values. A channel whose two percentiles are
    equal becomes 0 at and below this value, and 255 above it.

    Args:
        image: `[H, W, C]` of any number type.
        percentiles: (low, high) in 0..100; () returns the image as it is.

    Returns:
        `[H, W, C]` float32, 0..255.
    """
    if not len(percentiles):
        return image
    pixels = image.astype(np.float32)
    low, high = np.percentile(pixels, percentiles, axis=(0, 1)).astype(np.float32)  # [C]
    return stretched(pixels, low, high)


def stretched(values: np.ndarray, low: float | np.ndarray, high: float | np.ndarray) -> np.ndarray:
    """Map low and high to 0 and 255, linearly, and clip what lies outside.

    Args:
        values: floats.
        low, high: numbers, or arrays that broadcast with the values. Where they are equal, these become 0, and larger
            ones 255.

    Returns:
        Floats of the values' shape, 0..255.
    """
    extent = np.maximum(high - low, np.finfo(np.float32).tiny)
    with np.errstate(over="ignore"):  # where there is no extent
        return np.clip((values - low) / extent, 0, 1) * np.float32(255)
