"""Rectangles of whole pixels, which are the parts of a canvas that something lies on."""

from collections.abc import Iterable
from typing import NamedTuple


class Window(NamedTuple):
    """The pixels from (left, top) to (right, bottom), these left out; none if it ends before it begins."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def area(self) -> int:
        """How many pixels it has."""
        return max(self.right - self.left, 0) * max(self.bottom - self.top, 0)

    def within(self, other: "Window") -> "Window":
        """Return what lies in another one too."""
        return Window(
            max(self.left, other.left),
            max(self.top, other.top),
            min(self.right, other.right),
            min(self.bottom, other.bottom),
        )

    def coarser(self, cells: int) -> "Window":
        """Return where it lies, in whole or in part, on a grid whose pixels have that many of its own to a side."""
        return Window(
            self.left // cells, self.top // cells, -(-self.right // cells), -(-self.bottom // cells)
        )

    @property
    def slices(self) -> tuple[slice, slice]:
        """Its rows and columns."""
        return slice(self.top, self.bottom), slice(self.left, self.right)


def around(windows: Iterable[Window]) -> Window:
    """Return the smallest window that holds all of them; one without pixels if there are none."""
    sides = list(zip(*windows, strict=True))
    return Window(*map(min, sides[:2]), *map(max, sides[2:])) if sides else Window(0, 0, 0, 0)
