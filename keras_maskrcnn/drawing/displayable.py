"""Images of any kind as 8-bit RGB that a person can look at."""

from typing import Any

import numpy as np
from PIL import Image

from keras_maskrcnn.images.stretch import stretched

NEARLY_BLACK = 128
"""A gray image is nearly black if all but the brightest thousandth of it is darker than this, of 255."""
CLIPPED = 0.1
"""Percent of the values that a stretch makes black, and white."""


def displayable(image: Any, stretch: bool | str = "auto") -> np.ndarray:
    """Return an image of any kind as a new array [H, W, 3] uint8.

    Gray is repeated, an alpha channel dropped, and of more than 4 channels the first three are shown. Floats
    up to 1 are taken for 0..1; values above 255 are scaled so that the largest becomes 255.

    A stretch then makes the 0.1st percentile of the values black and the 99.9th white, linearly, in all channels alike:
    what microscopes record is often in the darkest tenth of 8 or 16 bits, and one hot pixel darkens all others.

    Args:
        image: a PIL image, or an array [H, W] or [H, W, C].
        stretch: "auto" stretches gray images (also those whose three channels are equal) whose 99.9th percentile is
            below 128, and leaves all others as they are; True stretches any image, False none. An image of one value
            is never changed.

    Raises:
        ValueError: the array has not two or three axes, or `stretch` is none of the three.
    """
    if stretch not in ("auto", True, False):
        raise ValueError(f'stretch must be "auto", True or False; got {stretch!r}')
    values = _values(image)
    if stretch is not False:
        values = _stretched(values, always=stretch is True)
    return values if values.dtype == np.uint8 else np.rint(values).astype(np.uint8)


def _values(image: Any) -> np.ndarray:
    """The image as [H, W, 3] in 0..255, a copy, uint8 as it was and all else float32."""
    if isinstance(image, Image.Image):
        image = image if image.mode.startswith(("I", "F", "L", "RGB")) else image.convert("RGB")
    pixels = np.asarray(image)
    if pixels.ndim == 2:
        pixels = pixels[:, :, None]
    if pixels.ndim != 3:
        raise ValueError(f"An image must be [H, W] or [H, W, C]; got shape {pixels.shape}")
    pixels = pixels[:, :, :3] if pixels.shape[2] >= 3 else pixels[:, :, [0, 0, 0]]
    if pixels.dtype == np.uint8:
        return pixels.copy()
    pixels = np.nan_to_num(pixels.astype(np.float32)).clip(0)
    largest = pixels.max(initial=0)
    return pixels * (255 / max(largest, 1)) if largest > 255 or 0 < largest <= 1 else pixels


def _stretched(values: np.ndarray, always: bool) -> np.ndarray:
    """The values stretched to 0..255, if always or if the image is gray and nearly black."""
    gray = (values == values[:, :, :1]).all()
    if not values.size or not (gray or always):
        return values
    low, high = np.percentile(values[:, :, 0] if gray else values, (CLIPPED, 100 - CLIPPED))
    if high <= low or not (always or high < NEARLY_BLACK):
        return values
    return stretched(values, low, high)
