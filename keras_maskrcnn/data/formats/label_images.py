"""Images whose pixels are numbers: of instances, of classes, or of whether an object is there."""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from keras_maskrcnn.images.opening import open_image, page_count
from keras_maskrcnn.masks.rle import Region
from keras_maskrcnn.utils.files import IMAGE_SUFFIXES, check_regular

LOSSLESS = tuple(suffix for suffix in IMAGE_SUFFIXES if suffix not in (".jpg", ".jpeg", ".gif"))
"""What masks may be stored in: JPEG changes values."""
_MODES = ("1", "L", "LA", "P", "PA", "I", "F", "RGB", "RGBA")
"""Pillow's names of what a mask may be, besides gray of 16 bits; CMYK and others are no numbers."""
_PNG_ONE_CHANNEL = (0, 3)
"""Colour types of a PNG that has no other channel: gray, and a palette."""
_TIFF_BITS = 258
"""TIFF 6.0: the tag BitsPerSample."""
_LARGEST = 2**53
"""Beyond, floats skip whole numbers."""


class LabelImage(NamedTuple):
    """The numbers in a file, and which it could hold."""

    labels: np.ndarray
    """[H, W] int64."""
    kind: str
    """"byte" where they are gray or of a palette with at most 8 bits, "color" where they are colours, else "wide"."""


def read_labels(path: str | Path) -> np.ndarray:
    """Return the numbers in an image file, [H, W] int64.

    Gray images and palettes give their values, whatever their colours, with 1 to 32 bits, also as floats that are whole
    numbers; of colour images each colour is a number, black being 0. What is transparent is 0, and the rest of an image
    of one colour, whose mask is in its alpha channel, is 1 or the number of that colour.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it cannot be read, has several pages, colours of 16 bits, or several or fractional values per pixel.
    """
    return read_label_image(path).labels


def read_label_image(path: str | Path) -> LabelImage:
    """Return what `read_labels` does, and the kind of the file.

    Raises:
        FileNotFoundError, ValueError: as `read_labels`.
    """
    if Path(path).suffix.lower() not in LOSSLESS:
        raise ValueError(f"{path}: a mask needs a format that keeps its values, such as PNG")
    try:
        values = _values(Path(path))
    except FileNotFoundError:
        raise FileNotFoundError(f"{path}: there is no such mask file") from None
    except Exception as error:  # Pillow's decoders raise whatever they meet
        raise ValueError(f"{path}: the mask cannot be read: {error}") from None
    try:
        labels = labels_of(values)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    is_color = values.ndim == 3 and values.shape[2] > 2
    return LabelImage(labels, "color" if is_color else "byte" if values.dtype.itemsize == 1 else "wide")


def labels_of(values: np.ndarray) -> np.ndarray:
    """Return the numbers [H, W] int64 that pixels [H, W] or [H, W, C] stand for, as `read_labels` does.

    Raises:
        ValueError: a pixel has several values, or one that is no whole number from 0.
    """
    alpha = None
    if values.ndim == 3 and values.shape[2] in (2, 4):
        values, alpha = values[..., :-1], values[..., -1]
    if values.ndim == 3 and values.shape[2] == 3:
        values = values.astype(np.int64) @ [1 << 16, 1 << 8, 1]
    elif values.ndim == 3 and values.shape[2] == 1:
        values = values[..., 0]
    if values.ndim != 2 or values.dtype.kind not in "buif":
        found = f"{values.dtype} {list(values.shape)}"
        raise ValueError(f"a mask must have a whole number from 0 per pixel; its array is {found}")
    _check_whole(values)
    labels = values.astype(np.int64)
    return labels if alpha is None else _opaque(labels, alpha)


def instances(labels: np.ndarray) -> Iterator[tuple[int, Region]]:
    """Yield each number but 0 in [H, W] int64 and the region of its pixels, in ascending order."""
    # Here, because they take longer to import than all other readers together, and `maskrcnn --help` waits for these.
    from skimage.measure import regionprops
    from skimage.segmentation import relabel_sequential

    # Only what is around an instance is looked at: a slide of 100 million pixels may have thousands.
    numbered, _, numbers = relabel_sequential(labels)
    originals = np.asarray(numbers)  # scikit-image's own map is searched through for each number
    for found in regionprops(numbered):
        top, left, _, _ = found.bbox
        yield int(originals[found.label]), (found.image, left, top)


def read_shape_mask(file: io.BytesIO) -> np.ndarray:
    """Return the mask [H, W] bool of an encoded image of one object: what is not 0, nor transparent.

    Where all is 0 (black) the object is what is opaque.

    Raises:
        Exception: whatever Pillow's decoders raise.
        ValueError: it is no mask.
    """
    with open_image(file) as image:
        values = np.asarray(image)
    mask = labels_of(values) > 0
    if mask.any() or values.ndim != 3 or values.shape[2] not in (2, 4):
        return mask
    return values[..., -1] > 127


def _check_whole(values: np.ndarray) -> None:
    if not values.size:
        return
    low, high = values.min(), values.max()
    is_float = values.dtype.kind == "f"
    if low < 0 or (is_float and not (np.isfinite(high) and (values == np.floor(values)).all())):
        found = "one is a fraction or not finite" if is_float and not low < 0 else f"the least is {low:g}"
        raise ValueError(f"a mask must have a whole number from 0 per pixel; of its {values.dtype} {found}")
    if high > _LARGEST:
        raise ValueError(f"a mask's numbers must be at most {_LARGEST}; the largest is {high:g}")


def _opaque(labels: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Numbers [H, W] where an image is opaque, 0 elsewhere; an alpha channel of one value says nothing."""
    if alpha.size == 0 or alpha.min() == alpha.max():
        return labels
    opaque = alpha >= (int(alpha.max()) + 1) // 2
    if labels.min() == labels.max():  # no colours, so the alpha channel is the mask
        return np.where(opaque, max(1, int(labels.flat[0])), 0)
    return np.where(opaque, labels, 0)


def _values(path: Path) -> np.ndarray:
    check_regular(path)
    if path.suffix.lower() == ".npy":
        return np.load(path, allow_pickle=False)
    with open_image(path, any_size=True) as image:
        pages = page_count(image)
        if pages > 1:
            raise ValueError(f"it has {pages} pages; a mask has one")
        if image.mode not in _MODES and not image.mode.startswith("I;16"):
            raise ValueError(f"its colours are {image.mode}; a mask is gray, RGB or has a palette")
        bits, colors = _tiff_kind(image) if image.format == "TIFF" else _png_kind(image, path)
        if bits == 16 and colors > 1:
            raise ValueError("its colours have 16 bits, of which 8 would be lost")
        values = np.asarray(image)
    # Pillow spreads gray values of few bits over 0..255.
    return values // (255 // (2**bits - 1)) if bits in (2, 4) and image.mode == "L" else values


def _png_kind(image: Image.Image, path: Path) -> tuple[int, int]:
    """Bit depth and number of channels from the header of a PNG; 8 and 1 of other files, which have no others."""
    if image.format != "PNG":
        return 8, 1
    with open(path, "rb") as file:
        header = file.read(26)
    return header[24], 1 if header[25] in _PNG_ONE_CHANNEL else 2


def _tiff_kind(image: Any) -> tuple[int, int]:
    """Bit depth and number of channels from the header of a TIFF."""
    bits = image.tag_v2.get(_TIFF_BITS, (1,))
    return max(bits), len(bits)
