"""What makes it doubtful that the numbers in label images are objects; the images are read all the same."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from keras_maskrcnn.data.formats.builder import listed
from keras_maskrcnn.masks.rle import Region
from keras_maskrcnn.utils.counted import counted

_SOFT_PIXELS = 0.8
"""Fraction of a value's pixels between a smaller and a larger neighbour from which it is one of a soft edge."""
_FEWEST_SOFT = 3
"""Values of soft edges in an image; a real object may be a thin one between two others."""
_SOFT_VALUES = 1 / 3
"""Fraction of an image's values, likewise."""
_ROWS = 1024
"""Of an image that are looked at together, for the sake of memory."""
_SPECK = 4
"""Pixels; smaller pieces of an object are noise."""


class LabelDoubts:
    """Looks at the label images of a dataset, one after the other."""

    def __init__(self) -> None:
        self._soft: list[Path] = []
        self._full: list[Path] = []
        """Images of which a value seems to be the background."""
        self._with_objects = 0
        self._objects = 0
        self._in_pieces = 0
        self._overlapping: list[Path] = []
        self._shared = 0
        """Pixels of these that other objects have as well."""

    def add_image(self, file: Path, labels: np.ndarray, regions: dict[int, Region]) -> None:
        """Take the label image [H, W] of a file into account, of which the regions are the numbers but 0."""
        areas = {value: int(part.sum()) for value, (part, _, _) in regions.items()}
        if len(areas) >= _FEWEST_SOFT and _has_soft_edges(labels, areas):
            self._soft.append(file)
        elif len(areas) > 1 and _has_filled_background(labels, regions, areas):
            self._full.append(file)
        self._with_objects += bool(areas)
        for region in regions.values():
            self.add_object(region)

    def add_object(self, region: Region) -> None:
        """Take one object into account, also of a file of its own."""
        self._objects += 1
        self._in_pieces += _pieces(region[0]) > 1

    def add_cover(self, file: Path, region: Region, covered: np.ndarray) -> None:
        """Take into account whether an object shares pixels with those of its image before it.

        Args:
            file: where it is.
            region: its pixels.
            covered: those of the objects before it, [H, W] bool, to which its own are added.
        """
        part, left, top = region
        place = covered[top : top + part.shape[0], left : left + part.shape[1]]
        shared = int((place & part).sum())
        if shared:
            self._overlapping.append(file)
            self._shared += shared
        place |= part

    def warnings(self) -> Iterator[str]:
        """Yield what is doubtful, in sentences with the first few files."""
        if self._soft:
            yield (
                f"{len(self._soft)} label images have soft edges, of which each gray value became an object "
                f"({listed(self._soft)}); draw masks without antialiasing, and resize them by the nearest pixel"
            )
        if 2 * len(self._full) > self._with_objects:
            yield (
                f"in {len(self._full)} label images the background seems to be an object, since it is not 0 (black): "
                f"{listed(self._full)}"
            )
        if self._overlapping:
            yield (
                f"masks overlap others of their image in {counted(len(self._overlapping), 'file')}, by "
                f"{counted(self._shared, 'pixel')} in all: {listed(self._overlapping)}"
            )
        if 2 * self._in_pieces > self._objects:
            yield (
                f"{self._in_pieces} of {self._objects} objects in the masks are in several pieces; pixels of one value "
                "are one object, so if each piece is an object, number them (scipy.ndimage.label)"
            )


def _has_soft_edges(labels: np.ndarray, areas: dict[int, int]) -> bool:
    """Whether many values are those that interpolation makes between two others, at edges alone."""
    between: Counter[int] = Counter()
    for top in range(0, len(labels), _ROWS):
        between.update(_values_between(labels[max(0, top - 1) : top + _ROWS + 1], skip=int(top > 0)))
    soft = sum(count >= _SOFT_PIXELS * areas[value] for value, count in between.items())
    return soft >= max(_FEWEST_SOFT, _SOFT_VALUES * len(areas))


def _values_between(labels: np.ndarray, skip: int) -> dict[int, int]:
    """How many pixels of each value have smaller and larger ones around them, in rows from `skip` to `_ROWS` more."""
    rows = slice(skip, skip + _ROWS)
    least, most = _of_neighbours(labels, np.minimum), _of_neighbours(labels, np.maximum)
    found = labels[rows][(least < labels)[rows] & (labels < most)[rows]]
    values, counts = np.unique(found, return_counts=True)
    return dict(zip(values.tolist(), counts.tolist(), strict=True))


def _of_neighbours(labels: np.ndarray, choose: np.ufunc) -> np.ndarray:
    """The least or the largest value [H, W] of each pixel and its eight neighbours."""
    padded = np.pad(labels, 1, mode="edge")
    rows = choose(choose(padded[:-2], padded[1:-1]), padded[2:])
    return choose(choose(rows[:, :-2], rows[:, 1:-1]), rows[:, 2:])


def _has_filled_background(labels: np.ndarray, regions: dict[int, Region], areas: dict[int, int]) -> bool:
    """Whether no pixel is background, or one value is most of the image and meets all of its sides."""
    if sum(areas.values()) == labels.size:
        return True
    largest = max(areas, key=lambda value: areas[value])
    part, _, _ = regions[largest]
    return 2 * areas[largest] > labels.size and part.shape == labels.shape


def _pieces(part: np.ndarray) -> int:
    """How many pieces a mask [H, W] is in, specks aside; diagonal neighbours belong together."""
    # Here, because it takes long to import.
    from skimage.measure import label

    rows, columns = (np.flatnonzero(part.any(axis=axis)) for axis in (1, 0))
    if not len(rows):
        return 0
    part = part[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    sizes = np.bincount(label(part, connectivity=2).ravel())[1:]
    return int((sizes >= _SPECK).sum())
