"""Label images as files that programs for microscopy open."""

from pathlib import Path

import numpy as np
from PIL import Image

from keras_maskrcnn.utils.files import written_whole


def save_label_image(labels: np.ndarray, path: str | Path) -> None:
    """Write a label image as gray TIFF or PNG without loss, whole or not at all.

    Args:
        labels: [H, W] uint16, or uint32 with numbers below 2^31.
        path: ends in .tif, .tiff or .png. TIFFs have 16 bits or 32, as the array has; PNGs have 16.

    Raises:
        ValueError: a PNG is to hold 32 bits, or the ending or the array is another.
        OSError: it cannot be written.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in (".tif", ".tiff", ".png"):
        raise ValueError(f"{path}: a label image is written as .tif, .tiff or .png")
    if labels.ndim != 2 or labels.dtype not in (np.uint16, np.uint32):
        raise ValueError(
            f"{path}: a label image is [H, W] uint16 or uint32; got {labels.dtype} {labels.shape}"
        )
    if suffix == ".png" and labels.dtype == np.uint32:
        raise ValueError(
            f"{path}: a PNG holds the numbers up to 65535, not {labels.max()}; a TIFF holds more"
        )
    # Pillow's 32 bits have a sign.
    image = Image.fromarray(labels if labels.dtype == np.uint16 else labels.astype(np.int32))
    with written_whole(path) as part:
        image.save(part, **({} if suffix == ".png" else {"compression": "tiff_adobe_deflate"}))
