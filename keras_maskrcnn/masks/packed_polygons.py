"""Polygons held as bytes: a quarter of the memory of Python's lists of numbers, and what many checks at once read."""

import itertools
import struct
from collections.abc import Iterator, Sequence
from typing import Any, overload

import numpy as np

from keras_maskrcnn.masks.segmentation_checks import FARTHEST

_FLOAT = 8
"""Bytes of a number."""


PackedPolygons = tuple[bytes, ...]
"""The polygons of an object, each the float64 x1, y1, x2, y2, ... of a well-formed one."""


class Segmentations(Sequence[Any]):
    """COCO segmentations like a tuple of them, of which those that are packed become lists when they are asked for."""

    __slots__ = ("_held",)

    def __init__(self, held: Sequence[Any]) -> None:
        self._held = tuple(held)

    def __len__(self) -> int:
        return len(self._held)

    @overload
    def __getitem__(self, index: int) -> Any: ...
    @overload
    def __getitem__(self, index: slice) -> "Segmentations": ...
    def __getitem__(self, index: int | slice) -> Any:
        if isinstance(index, slice):
            return Segmentations(self._held[index])
        return unpacked(self._held[index])

    def __iter__(self) -> Iterator[Any]:
        return map(unpacked, self._held)

    def __eq__(self, other: object) -> bool:
        return tuple(self) == tuple(other) if isinstance(other, (tuple, Segmentations)) else NotImplemented

    __hash__ = None  # type: ignore[assignment]  # as a tuple of lists has none

    def __repr__(self) -> str:
        return repr(tuple(self))


def unpacked(segmentation: Any) -> Any:
    """Return a segmentation as COCO has it: the lists of packed polygons, anything else as it is."""
    return (
        [np.frombuffer(polygon).tolist() for polygon in segmentation]
        if is_packed(segmentation)
        else segmentation
    )


def is_packed(segmentation: Any) -> bool:
    """Tell whether a segmentation is `PackedPolygons`."""
    return type(segmentation) is tuple and bool(segmentation) and type(segmentation[0]) is bytes


def pack_polygons(segmentations: Sequence[Any]) -> list[Any]:
    """Pack those of many segmentations that are lists of well-formed polygons; leave the others as they are.

    Well-formed: flat lists of at least three points, numbers that float64 holds, not beyond `FARTHEST`. Polygons
    all within a pixel of the origin are left too: their numbers may be true and false.
    """
    try:
        polygons = list(itertools.chain.from_iterable(segmentations))
        numbers = list(itertools.chain.from_iterable(polygons))
        # Unlike numpy, it takes no texts for numbers.
        packed = struct.pack(f"{len(numbers)}d", *numbers)
        lengths = np.fromiter(map(len, polygons), np.int64, len(polygons))
    except (TypeError, OverflowError, struct.error):
        one = len(segmentations) == 1
        return list(segmentations) if one else [pack_polygons([row])[0] for row in segmentations]
    good = _well_formed(np.frombuffer(packed), lengths, polygons)
    ends = (_FLOAT * np.cumsum(lengths)).tolist()
    parts = [packed[start:end] for start, end in zip([0, *ends], ends, strict=False)]
    found: list[Any] = []
    taken = 0
    for segmentation in segmentations:
        own = slice(taken, taken + len(segmentation))
        taken = own.stop
        may_be_packed = type(segmentation) is list and segmentation and all(good[own])
        found.append(tuple(parts[own]) if may_be_packed else segmentation)
    return found


def _well_formed(numbers: np.ndarray, lengths: np.ndarray, polygons: list[Any]) -> list[bool]:
    """Tell which polygons may be packed, of numbers [V] one after the other."""
    good = (lengths >= 6) & (lengths % 2 == 0)
    good &= np.fromiter((type(polygon) is list for polygon in polygons), bool, len(polygons))
    filled = np.flatnonzero(lengths)
    if len(filled):
        most = np.maximum.reduceat(np.abs(numbers), (np.cumsum(lengths) - lengths)[filled])
        good[filled] &= (most > 1) & (most <= FARTHEST)  # no number is NaN then
    return good.tolist()
