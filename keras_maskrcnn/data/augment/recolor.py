"""Brightness, contrast, saturation and hue of an image, changed a block of pixels at a time.

A block's planes of red, green and blue stay in the processor's cache from the first step to the last; steps over the
whole image would each fetch it from memory and write it back. Saturation and hue need no way to HSV and back, either:
what they change of a pixel follows from its largest and its smallest channel.
"""

from collections.abc import Iterator

import numpy as np

_BLOCK = 2**15
"""Pixels. Eight planes of so many float32 take a megabyte, a second-level cache."""
_TINY = np.float32(1e-30)
_WHITE = 255.0


def recolored(
    image: np.ndarray,
    delta: float | None = None,
    contrast: float | None = None,
    saturation: float | None = None,
    hue: float | None = None,
) -> np.ndarray:
    """Change the colours of an image in the order of the arguments, of which None changes nothing.

    Args:
        image: [H, W, C] uint8 or float32, 0..255.
        delta: is added.
        contrast: by what the distance to the channel's mean is multiplied.
        saturation: by what HSV's saturation is multiplied; C is 3.
        hue: by how many turns, -1/2..1/2, HSV's hue moves on; C is 3.

    Returns:
        [H, W, C] float32. What gets beyond 0..255, or a saturation of 0..1, is clipped after each change.
    """
    pixels = image.reshape(-1, image.shape[2])  # [P, C]
    changed = np.empty(pixels.shape, np.float32)
    means = None if contrast is None else _means(pixels, delta)
    for part, planes in _brightened(pixels, delta):
        if contrast is not None:
            planes -= means
            planes *= contrast
            planes += means
            np.clip(planes, 0, _WHITE, out=planes)
        if hue is not None:
            _turn_hue(planes, saturation, hue)
        elif saturation is not None:
            _saturate(planes, saturation)
        for channel, plane in enumerate(planes):
            changed[part, channel] = plane
    return changed.reshape(image.shape)


def _brightened(pixels: np.ndarray, delta: float | None) -> Iterator[tuple[slice, np.ndarray]]:
    """Blocks of the pixels [P, C], brighter by delta: where they are, and their planes [C, p], to be written into."""
    buffer = np.empty((pixels.shape[1], _BLOCK), np.float32)
    for start in range(0, len(pixels), _BLOCK):
        part = slice(start, min(start + _BLOCK, len(pixels)))
        planes = buffer[:, : part.stop - start]
        for channel, plane in enumerate(planes):
            plane[:] = pixels[part, channel]
        if delta is not None:
            planes += delta
            np.clip(planes, 0, _WHITE, out=planes)
        yield part, planes


def _means(pixels: np.ndarray, delta: float | None) -> np.ndarray:
    """Mean of each channel of pixels [P, C] that are brighter by delta: [C, 1] float32."""
    total = sum(planes.sum(axis=1).astype(np.float64) for _, planes in _brightened(pixels, delta))
    return (total / len(pixels)).astype(np.float32)[:, None]


def _saturate(planes: np.ndarray, factor: float) -> None:
    """Multiply the saturation of [3, p], in place."""
    value, _, chroma = _value_least_chroma(planes)
    planes -= value
    planes *= np.minimum(chroma * factor, value) / np.maximum(chroma, _TINY)
    planes += value


def _turn_hue(planes: np.ndarray, saturation: float | None, turns: float) -> None:
    """Multiply the saturation of [3, p], and move its hue on, in place.

    With channels that are scaled such that the largest is 1 and the smallest 0, the hue is 1 + green + blue - red
    sixths of a turn from red, whichever is the largest: towards green where there is more of it than of blue.
    """
    value, least, chroma = _value_least_chroma(planes)
    red, green, blue = planes
    sixths = green + blue
    sixths -= red
    sixths -= least
    sixths /= np.maximum(chroma, _TINY)
    sixths += 1
    np.copysign(sixths, green - blue, out=sixths)
    sixths += 6 * turns
    sixths -= 6 * np.floor(sixths * (1 / 6))  # 0..6, from red over green at 2 and blue at 4
    if saturation is not None:
        chroma = np.minimum(chroma * saturation, value)
    # How far each channel lies below the largest, in parts of the chroma, by the distance of the hue from its own.
    for plane, centre in zip(planes, (3, 2, 4), strict=True):
        np.subtract(sixths, centre, out=plane)
        np.abs(plane, out=plane)
        if centre == 3:  # that of red is 0 and 6
            np.subtract(3, plane, out=plane)
        plane -= 1
        np.clip(plane, 0, 1, out=plane)
        plane *= chroma
        np.subtract(value, plane, out=plane)


def _value_least_chroma(planes: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The largest of the channels [3, p], the smallest, and their difference, each [p]."""
    red, green, blue = planes
    value = np.maximum(np.maximum(red, green), blue)
    least = np.minimum(np.minimum(red, green), blue)
    return value, least, value - least
