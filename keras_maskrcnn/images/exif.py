"""How an image must be rotated or flipped to be displayed, decided in one place for its size and its pixels."""

import io
import struct
import zlib
from typing import Any

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngImageFile

_TAG = 0x0112
_TRANSPOSITIONS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""By the values of EXIF's tag Orientation (TIFF 6.0, section 8); 1 and anything else is upright."""
_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_PNG_DESCRIPTIONS = (b"IHDR", b"eXIf", b"tEXt", b"zTXt", b"iTXt")


def swaps_sides(image: Image.Image) -> bool:
    """Tell whether the image's height and width change places when it is displayed; decodes no pixels."""
    return _orientation(image) in (5, 6, 7, 8)


def is_upright(image: Image.Image) -> bool:
    """Tell whether the image is displayed as it is stored, neither rotated nor flipped; decodes no pixels."""
    return _orientation(image) not in _TRANSPOSITIONS


def upright(image: Image.Image) -> Image.Image:
    """Return the image as it is displayed, rotated or flipped by its EXIF or XMP orientation."""
    transposition = _TRANSPOSITIONS.get(_orientation(image))
    return image if transposition is None else image.transpose(transposition)


def upright_pixels(image: Image.Image, pixels: np.ndarray) -> np.ndarray:
    """Return an image's pixels [H, W, C], decoded by other means than Pillow's, as `upright` does the image."""
    orientation = _orientation(image)
    if orientation in (5, 6, 7, 8):
        pixels = pixels.swapaxes(0, 1)
    across = orientation in (2, 3, 6, 7)
    down = orientation in (3, 4, 7, 8)
    return pixels[:: -1 if down else 1, :: -1 if across else 1]


def _orientation(image: Image.Image) -> int:
    if image.format == "TIFF":  # Pillow returns these as they are displayed.
        return 1
    file = getattr(image, "fp", None)
    if image.format != "PNG" or file is None:
        return image.getexif().get(_TAG, 1)
    with PngImageFile(_png_without_pixels(file)) as described:
        # The PNG's own getexif would decode the pixels, to see what comes after them.
        return Image.Image.getexif(described).get(_TAG, 1)


def _png_without_pixels(file: Any) -> io.BytesIO:
    """Copy what describes a PNG, also from behind its pixels, where the orientation may be as well."""
    place = file.tell()
    file.seek(len(_PNG_SIGNATURE))
    chunks, kind = [_PNG_SIGNATURE], b""
    while kind != b"IEND" and len(header := file.read(8)) == 8:
        length, kind = struct.unpack(">I4s", header)
        if kind in _PNG_DESCRIPTIONS:
            chunks.append(_png_chunk(kind, file.read(length)))
            file.seek(4, io.SEEK_CUR)
        else:
            file.seek(length + 4, io.SEEK_CUR)
    file.seek(place)
    return io.BytesIO(b"".join([*chunks, _png_chunk(b"IEND", b"")]))


def _png_chunk(kind: bytes, data: bytes) -> bytes:
    # With a checksum of its own: a file cut off or damaged behind its pixels is for the decoder to judge.
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
