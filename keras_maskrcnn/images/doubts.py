"""What makes it doubtful that an image is read as it is meant."""

from typing import NamedTuple

import numpy as np

from keras_maskrcnn.images.decoding import Decoded
from keras_maskrcnn.utils.counted import counted

_FULL, _FULL_DEEP = 255, 65535
_DARK_SET = {_FULL: 2**4, _FULL_DEEP: 2**14}
"""By what white is, the value that the brightest image of a dataset should reach."""
_DARK_IMAGE = {_FULL: 2, _FULL_DEEP: 2**12}
"""The value that any image should reach: one may be dark, but hardly of 0 and 1, or of 12 bits among 16."""


class Brightness(NamedTuple):
    """The largest value of an image, or of several of one type, and what white is among values of this type."""

    largest: float
    white: int

    @property
    def doubt_of_all(self) -> str | None:
        """What is odd if no image of a dataset is brighter, in a sentence; None if nothing is."""
        if not 0 < self.largest < _DARK_SET[self.white]:
            return None
        return f"the largest value is {self.largest:g} of {self.white}, {self._seen(self.largest)}"

    @property
    def doubt_of_one(self) -> str | None:
        """What is odd about one image, in the same words for all images of so many bits; None if nothing is."""
        if not 0 < self.largest < _DARK_IMAGE[self.white]:
            return None
        most = 2**self._bits - 1
        return f"it has no value above {most} of {self.white}, {self._seen(most)}"

    @property
    def _bits(self) -> int:
        return max(1, int(self.largest).bit_length())

    def _seen(self, largest: float) -> str:
        return (
            f"which is seen as {255 * largest / self.white:.3g} of 255, nearly black; if these are values of "
            f"{counted(self._bits, 'bit')}, scale them to 0..{self.white} first"
        )


def brightness(array: np.ndarray) -> Brightness:
    """Return the brightness of pixels of any number type, as `decode` returns them."""
    if array.dtype == np.bool_:
        return Brightness(0, _FULL)  # becomes 0 and 255 by itself
    white = _FULL_DEEP if array.dtype == np.uint16 else _FULL
    return Brightness(float(array.max(initial=0)), white)


def pages_doubt(decoded: Decoded) -> str | None:
    """Say that a file has several pages, in a sentence without a subject; None if it has one."""
    if decoded.pages == 1:
        return None
    return f"it has {decoded.pages} pages or frames, of which only the first is read; save each as an image of its own"


def alpha_doubt(decoded: Decoded) -> str | None:
    """Say that an image has transparent pixels, in a sentence without a subject; None if it has none."""
    if not decoded.transparent:
        return None
    return "it has transparent pixels, and its alpha channel is dropped: what is below shows in its colours"


class Doubts(NamedTuple):
    """What may be odd about an image."""

    bright: Brightness
    pages: str | None
    alpha: str | None
