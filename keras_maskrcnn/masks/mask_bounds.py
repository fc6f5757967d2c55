"""What is certain of the masks of many polygons at once, by a few columns of each: to be checked, few need drawing.

pycocotools rounds corners to fifths of a pixel, and fills each column of pixels between the places where the polygon
crosses the column's middle, in turns. Where a polygon crosses a column is cheap to say for many at once.
"""

import dataclasses

import numpy as np

_FIFTHS = 5
"""Of a pixel, to which pycocotools rounds corners."""
_ROUNDING = 0.61
"""Pixels by which the row of a crossing may differ from where the line crosses the column's middle: up to 3/5 for the
two roundings of pycocotools, and what floating point adds."""
_FARTHEST = 2.0**17
"""Pixels, beyond those of any row that is asked for."""


@dataclasses.dataclass(frozen=True)
class MaskBounds:
    """Bounds on the masks of P polygons that lie inside their images."""

    extent: np.ndarray
    """[P, 4] x1, y1, x2, y2 in pixels: around the corners."""
    outer: np.ndarray
    """[P, 4]: no pixel of the mask is outside."""
    inner: np.ndarray
    """[P, 4]: around pixels that are in the mask for certain; x1 > x2 where none is known."""
    area: np.ndarray
    """[P, 2] square pixels, the least and the most that the mask may have."""


@dataclasses.dataclass(frozen=True)
class _Outlines:
    """V corners of P polygons, rounded as pycocotools does."""

    counts: np.ndarray
    x: np.ndarray
    y: np.ndarray
    passed: np.ndarray
    """[V]: columns whose middle is to the left of the corner."""
    ends: np.ndarray
    """[P]: the last corner of each polygon."""

    def following(self, values: np.ndarray) -> np.ndarray:
        """Return of values [V] of corners those of the next corner."""
        moved = np.empty_like(values)
        moved[:-1] = values[1:]
        moved[self.ends] = values[self.ends - self.counts + 1]
        return moved

    def total(self, values: np.ndarray) -> np.ndarray:
        """Return the sums [P] of values [V] of corners."""
        return np.add.reduceat(values, self.ends - self.counts + 1)


@dataclasses.dataclass(frozen=True)
class _Columns:
    """The columns of P polygons that are looked at, first, first + stride, ..., at most so many."""

    first: np.ndarray
    stride: np.ndarray
    most: int

    def passed(self, outlines: _Outlines) -> np.ndarray:
        """Return how many of these are among the columns that corners have passed, [V]."""
        start = np.repeat((self.first - self.stride + 1).astype(np.int32), outlines.counts)
        return ((outlines.passed - start) / np.repeat(self.stride, outlines.counts)).astype(np.int32)


def mask_bounds(points: np.ndarray, counts: np.ndarray, columns: int) -> MaskBounds:
    """Bound the masks that `segmentation_to_rle` makes of polygons, each by itself.

    Args:
        points: [V, 2] float64 x, y in pixels of the corners of all polygons, one after the other; bounds of polygons
            with negative ones, or beyond their image, mean nothing.
        counts: [P] how many of them are each polygon's, at least one.
        columns: how many of each polygon's are looked at, at most; the more, the closer the bounds.
    """
    starts = np.cumsum(counts) - counts
    x, y = np.ascontiguousarray(points.T)
    extent = np.stack(
        [
            *(np.minimum.reduceat(values, starts) for values in (x, y)),
            *(np.maximum.reduceat(values, starts) for values in (x, y)),
        ],
        axis=1,
    )
    outlines = _rounded(x, y, counts)
    first, top, last, bottom = _fifths(extent).T
    first, last = (first + 2) // _FIFTHS, (last + 2) // _FIFTHS
    stride = np.maximum(-(-(last - first) // columns), 1)
    looked_at = _Columns(first + stride // 2, stride, columns)
    inner, filled = _runs(looked_at, *_crossings(outlines, looked_at))
    outer = np.stack([first, top / _FIFTHS - _ROUNDING, last, bottom / _FIFTHS + _ROUNDING], axis=1)
    # Between columns that are looked at, a column's pixels change by no more than the outline goes up and down.
    climb = outlines.total(np.abs(outlines.following(outlines.y) - outlines.y)) / _FIFTHS
    crossed = outlines.total(np.abs(outlines.following(outlines.passed) - outlines.passed))
    slack = stride // 2 * climb + _ROUNDING * crossed
    around = (last - first) * (outer[:, 3] - outer[:, 1])
    least, most = stride * filled - slack, np.minimum(stride * filled + slack, around)
    return MaskBounds(extent, outer, inner, np.stack([least, most], axis=1))


def _fifths(pixels: np.ndarray) -> np.ndarray:
    return (_FIFTHS * pixels + 0.5).clip(0).astype(np.int32)


def _rounded(x: np.ndarray, y: np.ndarray, counts: np.ndarray) -> _Outlines:
    x = _fifths(x)
    return _Outlines(counts, x, _fifths(y), (x + 2) // _FIFTHS, np.cumsum(counts) - 1)


def _crossings(outlines: _Outlines, columns: _Columns) -> tuple[np.ndarray, np.ndarray]:
    """Return where outlines cross the columns: `polygon * most + number of the column`, and row in pixels, [C]."""
    number = columns.passed(outlines)
    edges = np.flatnonzero(number != outlines.following(number))
    owner = np.repeat(np.arange(len(outlines.counts)), outlines.counts)[edges]
    ends = np.where(edges == outlines.ends[owner], edges - outlines.counts[owner] + 1, edges + 1)
    x, y, before, after = outlines.x[edges], outlines.y[edges], number[edges], number[ends]
    slope = (outlines.y[ends] - y) / (outlines.x[ends] - x)
    times = np.abs(after - before)
    low = np.minimum(before, after)
    step = slope * (_FIFTHS * columns.stride[owner])
    row = y + slope * (_FIFTHS * columns.first[owner] + 2.5 - x) + step * low
    nth = np.arange(times.sum()) - np.repeat(np.cumsum(times) - times, times)
    row = np.repeat(row, times) + np.repeat(step, times) * nth
    line = np.repeat(owner * columns.most + low, times) + nth
    key = line * _FARTHEST + (row / _FIFTHS + 1)  # above 0 also after rounding
    key.sort()
    line = (key / _FARTHEST).astype(np.int64)
    return line, key - line * _FARTHEST - 1


def _runs(columns: _Columns, line: np.ndarray, row: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the boxes [P, 4] around pixels that are certain, and the filled pixels [P] of the columns, about.

    Each column is crossed an even number of times, so that crossings pair up in their order.
    """
    count = len(columns.first)
    line, top, bottom = line[::2], row[::2], row[1::2]
    polygon = line // columns.most
    filled = np.bincount(polygon, bottom - top, minlength=count)
    certain = np.flatnonzero(bottom - top > 2 * _ROUNDING)
    inner = np.tile([np.inf, np.inf, -np.inf, -np.inf], (count, 1))
    if len(certain):
        owner = polygon[certain]
        column = columns.first[owner] + (line[certain] - owner * columns.most) * columns.stride[owner]
        starts = np.flatnonzero(np.diff(owner, prepend=-1))
        known = owner[starts]
        inner[known, 0] = np.minimum.reduceat(column, starts)
        inner[known, 1] = np.minimum.reduceat(top[certain], starts) + _ROUNDING
        inner[known, 2] = np.maximum.reduceat(column, starts) + 1
        inner[known, 3] = np.maximum.reduceat(bottom[certain], starts) - _ROUNDING
    return inner, filled
