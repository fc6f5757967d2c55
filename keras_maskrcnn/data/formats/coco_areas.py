"""The "area" of annotations, by which evaluation sorts objects into small, medium and large, beside what is drawn."""

from typing import Any

import numpy as np

from keras_maskrcnn.data.report import listed_ids
from keras_maskrcnn.masks.rle import rle_area
from keras_maskrcnn.utils.counted import counted

_OTHER_UNIT = 2.0
"""How many times as large as the other an annotated area or its mask may be; rounding makes less of a difference."""
_SPECK = 100.0
"""Square pixels below which a pixel more or less is a large part."""


def plausible_area(area: float, rle: dict[str, Any]) -> bool:
    """Tell whether an annotated area may be that of an object with this mask."""
    drawn = rle_area(rle)
    return abs(area - drawn) <= _SPECK or max(area, drawn) <= _OTHER_UNIT * min(area, drawn)


def plausible_range(areas: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the least and the most pixels of masks that make annotated areas plausible."""
    return (
        np.minimum(areas - _SPECK, areas / _OTHER_UNIT),
        np.maximum(areas + _SPECK, areas * _OTHER_UNIT),
    )


def impossible_area(area: Any, box: Any) -> Any:
    """Tell whether no object in a box x1, y1, x2, y2 has an area: it is 0, or clearly more than the box has.

    Areas and sides of boxes may be arrays.
    """
    inside = (box[2] - box[0]) * (box[3] - box[1])
    return (area == 0) & (inside > 1) | (area > 1.1 * inside + _SPECK)


class AreaReader:
    """Reads areas of annotations, and remembers which are doubtful."""

    def __init__(self) -> None:
        self._impossible: list[Any] = []
        self._doubtful: list[Any] = []

    def read(
        self, annotation: dict[str, Any], annotation_id: Any, rle: dict[str, Any] | None, box: list[float]
    ) -> float:
        """Return the area of an annotation in square pixels; measured where it says none, or an impossible one.

        Raises:
            ValueError: it is no number from 0.
        """
        area = annotation.get("area")
        measured = float(rle_area(rle)) if rle else (box[2] - box[0]) * (box[3] - box[1])
        if area is None:
            return measured
        if isinstance(area, bool) or not isinstance(area, (int, float)) or not 0 <= area < 1e300:
            raise ValueError(f'"area" must be a number from 0; got {area!r}')
        if impossible_area(area, box):
            self._impossible.append(annotation_id)
            return measured
        if rle is not None and not plausible_area(area, rle):
            self._doubtful.append(annotation_id)
        return float(area)

    def notes(self) -> list[str]:
        """Say which areas were measured instead, and which are doubtful."""
        notes = []
        if self._impossible:
            notes.append(
                f'{counted(len(self._impossible), "object")} with an "area" of 0 or beyond their box, measured instead '
                f"({listed_ids(self._impossible)})"
            )
        if self._doubtful:
            notes.append(
                f'{counted(len(self._doubtful), "object")} with an "area" far from that of their mask, by which they '
                f"count as small, medium or large ({listed_ids(self._doubtful)})"
            )
        return notes
