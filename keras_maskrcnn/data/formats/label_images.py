"""Images whose pixels are numbers: of instances, of classes, or of whether an object is there."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from keras_maskrcnn.masks.crop_paste import Region
from keras_maskrcnn.utils.files import IMAGE_SUFFIXES

LOSSLESS = tuple(suffix for suffix in IMAGE_SUFFIXES if suffix not in (".jpg", ".jpeg", ".gif"))
"""What masks may be stored in: JPEG changes values."""
_PNG_GRAY, _PNG_COLORS = 0, (2, 6)
"""Colour types of a PNG: gray, and colours without and with alpha."""


def read_labels(path: str | Path) -> np.ndarray:
    """Return the numbers in an image file, [H, W] int64.

    Gray images and palettes give their values, whatever their colours, with 1 to 32 bits; of colour images each
    colour is a number, black being 0. Alpha is left out.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it cannot be read, has several pages, colours of 16 bits, or several or fractional values per pixel.
    """
    if Path(path).suffix.lower() not in LOSSLESS:
        raise ValueError(f"{path}: a mask needs a format that keeps its values, such as PNG")
    try:
        values = _values(Path(path))
    except FileNotFoundError:
        raise FileNotFoundError(f"{path}: there is no such mask file") from None
    except Exception as error:  # Pillow's decoders raise whatever they meet
        raise ValueError(f"{path}: the mask cannot be read: {error}") from None
    if values.ndim == 3 and values.shape[2] in (2, 4):
        values = values[..., :-1]
    if values.ndim == 3 and values.shape[2] == 3:
        values = values.astype(np.int64) @ [1 << 16, 1 << 8, 1]
    elif values.ndim == 3 and values.shape[2] == 1:
        values = values[..., 0]
    if values.ndim != 2 or values.dtype.kind not in "bui" or values.min(initial=0) < 0:
        found = f"{values.dtype} {list(values.shape)}"
        raise ValueError(f"{path}: a mask must have a whole number from 0 per pixel; its array is {found}")
    return values.astype(np.int64)


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


def _values(path: Path) -> np.ndarray:
    if path.suffix.lower() == ".npy":
        return np.load(path, allow_pickle=False)
    with Image.open(path) as image:
        pages = getattr(image, "n_frames", 1)
        if pages > 1:
            raise ValueError(f"it has {pages} pages; a mask has one")
        values = np.asarray(image)
        bits, color = _png_kind(path) if image.format == "PNG" else (8, 0)
    if bits == 16 and color in _PNG_COLORS:
        raise ValueError("its colours have 16 bits, of which 8 would be lost")
    # Pillow spreads gray values of few bits over 0..255.
    return values // (255 // (2**bits - 1)) if bits in (2, 4) and color == _PNG_GRAY else values


def _png_kind(path: Path) -> tuple[int, int]:
    """Bit depth and colour type from the header of a PNG."""
    with open(path, "rb") as file:
        header = file.read(26)
    return header[24], header[25]
