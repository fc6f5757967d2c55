"""Room for text on an image: what of its objects a place hides, and the place beside an object that hides least."""

from collections.abc import Sequence

import numpy as np

from keras_maskrcnn.masks.rle import Region

Place = tuple[int, int, int, int]
"""Left, top, right and bottom in whole pixels; the column right and the row bottom are outside."""
CELLS = 1500
"""Most cells along a side: large images are looked at in cells of several pixels."""
SLIDES = 5
"""How many places are tried along each side of a box, beside the customary ones."""


class Room:
    """The objects of an image, as a sum over rectangles that costs the same for each, whatever its size.

    Args:
        height, width: of the image in pixels.
        objects: what each covers of it.
    """

    def __init__(self, height: int, width: int, objects: Sequence[Region]):
        self.height, self.width = height, width
        self.step = max(1, -(-max(height, width) // CELLS))
        rows, columns = -(-height // self.step), -(-width // self.step)
        fractions = np.zeros((rows + 1, columns + 1))  # of objects, in each cell
        for part, left, top in objects:
            area = np.count_nonzero(part)
            if area:
                row, column = top // self.step, left // self.step
                counts = self._counts(part, left % self.step, top % self.step)
                cells = (
                    slice(row + 1, row + 1 + counts.shape[0]),
                    slice(column + 1, column + 1 + counts.shape[1]),
                )
                fractions[cells] += counts / area
        self._sums = fractions.cumsum(axis=0).cumsum(axis=1)

    def _counts(self, part: np.ndarray, left: int, top: int) -> np.ndarray:
        """How many pixels of a mask are in each cell; its first one is at (left, top) of the first cell."""
        if self.step == 1:
            return part
        down, right = (
            -(offset + side) % self.step for offset, side in zip((top, left), part.shape, strict=True)
        )
        padded = np.pad(part, ((top, down), (left, right)))
        rows, columns = padded.shape[0] // self.step, padded.shape[1] // self.step
        return padded.reshape(rows, self.step, columns, self.step).sum(axis=(1, 3))

    def hidden(self, places: np.ndarray) -> np.ndarray:
        """Return how much of objects each of places `[..., 4]` hides: the sum of the fractions of their areas."""
        left, top = places[..., 0] // self.step, places[..., 1] // self.step
        right, bottom = -(-places[..., 2] // self.step), -(-places[..., 3] // self.step)
        sums = self._sums
        found = sums[bottom, right] - sums[top, right] - sums[bottom, left] + sums[top, left]
        return found.round(9)  # of sums that are equal but for their rounding the first is to be taken


def places_beside(
    room: Room,
    boxes: np.ndarray,
    sizes: np.ndarray,
    most_hidden: float = np.inf,
    reserved: Sequence[Place] = (),
) -> list[Place | None]:
    """Return a place for a text at each box, where it hides least of the objects and of the other texts.

    Args:
        boxes: `[N, 4]` in pixels, the most important first: these choose first.
        sizes: `[N, 2]` widths and heights of the texts in whole pixels.
        most_hidden: a text that would hide more, or touch another, has no place (None); left out: all have one.
        reserved: what other text takes.
    """
    if not len(boxes):
        return []
    candidates = _candidates(np.nan_to_num(boxes), sizes, room)  # [N, P, 4]
    hidden = room.hidden(candidates)  # [N, P]
    taken = np.zeros((len(reserved) + len(boxes), 4), int)
    taken[: len(reserved)] = np.reshape(reserved, (-1, 4))
    count = len(reserved)
    chosen: list[Place | None] = []
    for places, costs in zip(candidates, hidden, strict=True):
        covered = _covered(places, taken[:count])
        costs = costs + covered + (covered > 0)
        best = costs.argmin()
        chosen.append(None)
        if costs[best] <= most_hidden:
            left, top, right, bottom = taken[count] = places[best]
            chosen[-1] = (int(left), int(top), int(right), int(bottom))
            count += 1
    return chosen


def _covered(places: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Which fraction of places [P, 4] others [K, 4] cover, as if these did not cover each other: [P]."""
    low, high = places[:, :2].min(axis=0), places[:, 2:].max(axis=0)
    near = others[((others[:, :2] < high) & (others[:, 2:] > low)).all(axis=1)]
    if not len(near):
        return np.zeros(len(places))
    starts = np.maximum(places[:, None, :2], near[None, :, :2])
    sides = np.minimum(places[:, None, 2:], near[None, :, 2:]) - starts  # [P, K, 2]
    areas = np.prod(places[:, 2:] - places[:, :2], axis=1)
    return sides.clip(0).prod(axis=2).sum(axis=1) / areas


def _candidates(boxes: np.ndarray, sizes: np.ndarray, room: Room) -> np.ndarray:
    """Places `[N, P, 4]` at boxes, the customary ones first, within the image."""
    x1, y1, x2, y2 = boxes.T
    width, height = sizes.T
    customary = [
        (x1, y1 - height),
        (x1, y1),
        (x2 - width, y1 - height),
        (x1, y2),
        (x2 - width, y2),
        (x1, y2 - height),
        (x2, y1),
        (x1 - width, y1),
        ((x1 + x2 - width) / 2, (y1 + y2 - height) / 2),
    ]
    sides = []
    for slide in np.linspace(0, 1, SLIDES):
        x, y = x2 - slide * (x2 - x1 + width), y2 - slide * (y2 - y1 + height)
        sides += [(x, y1 - height), (x, y2), (x2, y), (x1 - width, y)]
    corners = np.array(customary + sides).transpose(2, 0, 1)  # [N, P, 2]
    most = np.maximum(0, [room.width, room.height] - sizes)[:, None]
    corners = np.floor(corners).clip(0, most).astype(int)
    ends = np.minimum(corners + sizes[:, None], [room.width, room.height])
    return np.concatenate([corners, ends], axis=2)
