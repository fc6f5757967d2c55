"""One image or several: what may be given for images."""

from collections.abc import Iterable, Sequence
from numbers import Number
from typing import Any

import numpy as np

from keras_maskrcnn.images.decoding import is_encoded, is_path
from keras_maskrcnn.images.io import source_name


def as_list(images: Any) -> Iterable[Any]:
    """Return `images` as they are, or a list of the one image that they are.

    One is a path, the bytes of a file or an open file, an array, a PIL image, or an array as nested lists.

    Raises:
        ValueError: it is neither images nor an image.
    """
    is_one = is_path(images) or is_encoded(images) or hasattr(images, "convert")
    is_array = len(getattr(images, "shape", ())) in (2, 3)  # of numpy, TensorFlow or any other kind
    if is_one or is_array:
        return [images]
    if not isinstance(images, Iterable):
        raise ValueError(f"detect takes images or one image; got {source_name(images)}")
    if isinstance(images, Sequence) and len(images) and _is_row_of_pixels(images[0]):
        return [np.asarray(images)]
    return images


def _is_row_of_pixels(item: Any) -> bool:
    """Whether a part of nested lists is a row [W] or [W, C] of one image, and not an image itself."""
    if not isinstance(item, Sequence) or isinstance(item, (str, bytes)) or not len(item):
        return False
    pixel = item[0]
    if isinstance(pixel, Sequence) and not isinstance(pixel, (str, bytes)) and len(pixel):
        return isinstance(pixel[0], Number)
    return isinstance(pixel, Number)
