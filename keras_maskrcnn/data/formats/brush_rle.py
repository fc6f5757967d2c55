"""Label Studio's brush strokes: masks as the bits of thi.ng's rle-pack.

The bits are read from the most significant of each byte. First 32 of how many values there are, 5 of how many bits a
value has less 1, and four times 4 of how many bits a length may have less 1. Then packets until there are enough
values: a bit that is 1 where one value is repeated, two bits of which of the four a length has, the length less 1, and
the value, or as many values as the length says. The values are the image's, row by row, red, green, blue and alpha of
each pixel; the mask is where alpha is not 0.
"""

from typing import Any

import numpy as np

from keras_maskrcnn.masks.segmentation_checks import shown

_COUNT_BITS, _WORD_BITS, _SIZE_BITS = 32, 5, 4
_HEAD_BITS = _COUNT_BITS + _WORD_BITS + 4 * _SIZE_BITS
_WORD = 8
_SIZES = np.array([3, 4, 8, 16])
"""Bits of lengths, as all that write brush strokes have them."""
_CHANNELS = 4
_WINDOW = 5
"""Bytes in which 32 bits from any bit on are found."""


def decode_brush(data: Any, height: int, width: int) -> np.ndarray:
    """Return the mask [height, width] bool of a brush stroke.

    Args:
        data: a list of bytes, 0..255 each.
        height, width: of the image in pixels.

    Raises:
        ValueError: it is no list of bytes, ends too early, or is of an image of another size.
    """
    packed = _bytes(data)
    if 8 * len(data) < _HEAD_BITS:
        raise ValueError(f'its "rle" is too short: {len(data)} bytes')
    count, word = int(_read(packed, 0, _COUNT_BITS)), int(_read(packed, _COUNT_BITS, _WORD_BITS)) + 1
    if count != _CHANNELS * height * width:
        raise ValueError(
            f'its "rle" has {count} values, not the {_CHANNELS} of each pixel of an image of {width} x {height} '
            "(width x height)"
        )
    if word != _WORD:
        raise ValueError(f'its "rle" has values of {word} bits; those of a brush have {_WORD}')
    places, lengths = _values(packed, 8 * len(data), count)
    # The values from a to b have the alpha of the pixels from a // 4 to b // 4: red is a pixel's first value.
    ends = np.cumsum(lengths) // _CHANNELS
    is_set = _read(packed, places, _WORD) > 0
    return np.repeat(is_set, np.diff(ends, prepend=0)).reshape(height, width)


def encode_brush(mask: np.ndarray) -> list[int]:
    """Return a mask [H, W] bool as a brush stroke of full opacity: a list of bytes, which `decode_brush` reads.

    Raises:
        ValueError: the image has more pixels than a brush stroke can count.
    """
    flat = np.asarray(mask, bool).ravel()
    if _CHANNELS * flat.size >= 2**_COUNT_BITS:
        raise ValueError(f"an image of {flat.size} pixels is too large for a brush stroke")
    starts = np.flatnonzero(np.diff(flat, prepend=~flat[:1]))
    lengths = _CHANNELS * np.diff(starts, append=flat.size)
    pieces = -(-lengths // 2 ** _SIZES[-1])  # lengths that no size holds are several packets
    owner = np.repeat(np.arange(len(starts)), pieces)
    last = np.cumsum(pieces) - 1
    packets = np.full(len(owner), 2 ** _SIZES[-1])
    packets[last] = lengths - (pieces - 1) * 2 ** _SIZES[-1]
    kind = np.searchsorted(2**_SIZES, packets)
    size = _SIZES[kind]
    codes = ((4 + kind) << (size + _WORD)) | ((packets - 1) << _WORD) | np.where(flat[starts], 255, 0)[owner]
    head = [
        (_CHANNELS * flat.size, _COUNT_BITS),
        (_WORD - 1, _WORD_BITS),
        *((n - 1, _SIZE_BITS) for n in _SIZES),
    ]
    values, widths = np.array(head).T
    return _packed(np.concatenate([values, codes]), np.concatenate([widths, 3 + size + _WORD]))


def _bytes(data: Any) -> np.ndarray:
    """The bytes of a list, with some more behind: a uint64 array."""
    try:
        if not isinstance(data, list):
            raise TypeError
        content = bytes(data)
    except (TypeError, ValueError, OverflowError):
        raise ValueError(f'its "rle" must be a list of bytes, 0..255; got {shown(data)}') from None
    return np.frombuffer(content + bytes(_WINDOW), np.uint8).astype(np.uint64)


def _read(packed: np.ndarray, places: Any, bits: int) -> np.ndarray:
    """Return the numbers of so many bits that begin at bits, an array of their shape."""
    first, offset = np.divmod(np.asarray(places, np.int64), 8)
    window = np.zeros(first.shape, np.uint64)
    for number in range(_WINDOW):
        window = (window << np.uint64(8)) | packed[first + number]
    shift = (8 * _WINDOW - bits - offset).astype(np.uint64)
    return ((window >> shift) & np.uint64(2**bits - 1)).astype(np.int64)


def _values(packed: np.ndarray, end: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return at which bit each value begins, and how often it is repeated; of literals each is a value of its own."""
    sizes = [int(_read(packed, _COUNT_BITS + _WORD_BITS + _SIZE_BITS * n, _SIZE_BITS)) + 1 for n in range(4)]
    content = packed.astype(np.uint8).tobytes()
    places: list[int] = []
    lengths: list[int] = []
    literal: list[bool] = []
    place, left = _HEAD_BITS, count
    while left > 0:  # where a packet begins is known when the one before it has been read
        window = int.from_bytes(content[place >> 3 : (place >> 3) + _WINDOW], "big")
        window = window << (place & 7) & (1 << 8 * _WINDOW) - 1
        size = sizes[window >> 8 * _WINDOW - 3 & 3]
        length = (window >> 8 * _WINDOW - 3 - size & (1 << size) - 1) + 1
        is_literal = window >> 8 * _WINDOW - 1 == 0
        places.append(place + 3 + size)
        lengths.append(length)
        literal.append(is_literal)
        place += 3 + size + (_WORD * length if is_literal else _WORD)
        if place > end:
            raise ValueError(f'its "rle" ends after {count - left} of {count} values')
        left -= length
    if left < 0:
        raise ValueError(f'its "rle" has {-left} values more than it says')
    return _spread(np.array(places), np.array(lengths), np.array(literal, bool))


def _spread(places: np.ndarray, lengths: np.ndarray, literal: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Give each of the values of a packet of literals a row."""
    rows = np.where(literal, lengths, 1)
    within = np.arange(rows.sum()) - np.repeat(np.cumsum(rows) - rows, rows)
    return np.repeat(places, rows) + _WORD * within, np.repeat(np.where(literal, 1, lengths), rows)


def _packed(values: np.ndarray, widths: np.ndarray) -> list[int]:
    """Return numbers one after the other, each of so many bits, as bytes."""
    bits = np.unpackbits(values.astype(">u4").view(np.uint8).reshape(-1, 4), axis=1)
    stream = bits[np.arange(32) >= 32 - widths[:, None]]
    # As the tool's own library does it: a whole byte of zeros where the last one is full.
    return np.packbits(np.append(stream, np.zeros(8 - len(stream) % 8, np.uint8))).tolist()
