"""Which anchors overlap the objects of a dataset most, in closed form.

M objects, boxes in float64 pixels of the network's input image; crowds are left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from scipy.spatial import cKDTree

from keras_maskrcnn.config.config import Config
from keras_maskrcnn.data.pipeline.sizes import typical_sizes
from keras_maskrcnn.network.dense import level_strides
from keras_maskrcnn.ops.anchors import base_anchors

if TYPE_CHECKING:
    from keras_maskrcnn.data.records import Record


class ResizedObjects(NamedTuple):
    boxes: np.ndarray  # [M, 4]
    images: np.ndarray  # [M], the image of each
    padded: np.ndarray  # [M, 2], height and width that the network sees


_TIE = 1e-6
"""Difference up to which overlaps are equal."""
_PAIRS = 1 << 19
"""Anchors times objects that are compared at once, in 4 MB an array."""


def resized_objects(records: Sequence[Record], config: Config) -> ResizedObjects:
    """The objects of all records, once for each of the sizes that training images of a record have."""
    boxes, images, padded = [np.zeros((0, 4))], [], []
    for number in range(len(records)):
        record = records[number]
        own = record.boxes[~record.crowd].astype(np.float64)
        for size, image in typical_sizes(record, config):
            scaled = own * np.tile([size[1] / record.width, size[0] / record.height], 2)
            for shown in _in_crops(scaled, config.crop_size):
                boxes.append(_in_frame(shown, image, config))
                images += [len(boxes)] * len(shown)
                padded += [padded_size(image, config)] * len(shown)
    return ResizedObjects(np.concatenate(boxes), np.array(images, int), np.array(padded, int).reshape(-1, 2))


def _in_crops(boxes: np.ndarray, side: int) -> list[np.ndarray]:
    """Split objects by the crops that show them, each with what is in it of its objects; 0 is for no crops.

    Random crops are taken to be those of a grid, and each object to be shown by the one that its centre lies in.
    """
    if not side:
        return [boxes]
    cells = np.floor((boxes[:, :2] + boxes[:, 2:]) / (2 * side))  # [N, 2]
    shown = np.clip(boxes - np.tile(cells * side, 2), 0, side)
    return [shown[(cells == cell).all(axis=1)] for cell in np.unique(cells, axis=0)]


def _in_frame(boxes: np.ndarray, size: tuple[int, int], config: Config) -> np.ndarray:
    """Move boxes of the resized image to where the network sees them; see `layers/square.py`."""
    if not config.square:
        return boxes
    origin = [(config.max_size - side) // 2 for side in size[::-1]]
    return boxes + np.array(origin * 2) - [0, 0, 1, 1]


def padded_size(size: tuple[int, int], config: Config) -> tuple[int, int]:
    """Return (height, width) that the network sees of a resized image of this size, alone in its batch."""
    if config.square:
        return config.max_size, config.max_size
    height, width = (-(-side // config.size_divisor) * config.size_divisor for side in size)
    return height, width


def best_overlaps(objects: ResizedObjects, config: Config) -> np.ndarray:
    """IoU `[M, A]`, float32, of each object with each anchor of the cells, where on its grid that is largest.

    A counts the anchors of one cell of every level. Overlaps along x and y depend on the distance of centres only, so
    the nearest place on each axis is the best.
    """
    areas = np.prod(objects.boxes[:, 2:] - objects.boxes[:, :2], axis=1)
    found = []
    for level, anchor in _anchors(config):
        strides, counts = _grid(objects.padded, level, config)
        shared = np.ones(len(areas))
        for axis in (0, 1):
            low, high = objects.boxes[:, axis], objects.boxes[:, axis + 2]
            start, stop = anchor[axis], anchor[axis + 2]
            stride, last = strides[:, 1 - axis], counts[:, 1 - axis] - 1
            place = stride * np.clip(np.rint((low + high - start - stop) / (2 * stride)), 0, last)
            shared *= _overlap(low, high, start + place, stop + place)
        area = (anchor[2] - anchor[0]) * (anchor[3] - anchor[1])
        found.append((shared / (areas + area - shared)).astype(np.float32))
    return np.stack(found, axis=1)


def _overlap(low: Any, high: Any, start: Any, stop: Any) -> np.ndarray:
    return np.maximum(np.minimum(high, stop) - np.maximum(low, start), 0)


def _grid(padded: np.ndarray, level: int, config: Config) -> tuple[np.ndarray, np.ndarray]:
    """Strides `[M, 2]` and numbers of cells `[M, 2]` (down, across) of a level, as `Anchors` has them."""
    nominal = level_strides(config)[level]
    counts = -(-padded // nominal)
    return np.full_like(padded, nominal) if config.fixed_anchor_strides else padded // counts, counts


def _anchors(config: Config) -> list[tuple[int, np.ndarray]]:
    """The level and the box `[4]` of each of the A anchors, its cell in the origin."""
    return [
        (level, anchor.astype(np.float64) - ([0, 0, 1, 1] if config.square else 0))
        for level, sizes in enumerate(config.anchor_sizes)
        for anchor in base_anchors(sizes, config.anchor_ratios, config.round_anchors)
    ]


def trains_none(objects: ResizedObjects, overlaps: np.ndarray, config: Config) -> np.ndarray:
    """Tell for each object `[M]` whether it trains no anchor.

    Those that overlap no object by rpn_positive_iou, but one of them most, train the object that they overlap most.
    Anchors whose corners are no whole pixels tie here, and hardly ever in the model's float32.

    Args:
        overlaps: `best_overlaps` of these objects and this config.
    """
    best, anchors = overlaps.max(axis=1), _anchors(config)
    weak = best < config.rpn_positive_iou
    lost = weak.copy()
    starts = np.flatnonzero(np.diff(objects.images, prepend=-1))
    for rows in np.split(np.arange(len(best)), starts[1:]):
        neighbours = _Neighbours(objects.boxes[rows])
        for row in rows[weak[rows] & (best[rows] > 0)]:
            one = ResizedObjects(*(field[row] for field in objects))
            for tie in np.flatnonzero(overlaps[row] > best[row] - _TIE):
                places = _best_places(one, *anchors[tie], config)
                lost[rows[neighbours.owners(places)]] = False
    return lost


class _Neighbours:
    """The objects `[G, 4]` of an image, which may be thousands, of which few are near an anchor."""

    def __init__(self, boxes: np.ndarray) -> None:
        self._boxes = boxes
        self._tree = cKDTree((boxes[:, :2] + boxes[:, 2:]) / 2)
        self._reach = float((boxes[:, 2:] - boxes[:, :2]).max()) / 2

    def owners(self, places: np.ndarray) -> np.ndarray:
        """The object that each of `[T, 4]` overlaps most, `[T]`, the first of equals; each overlaps one."""
        start, stop = places[:, :2].min(axis=0), places[:, 2:].max(axis=0)
        radius = float((stop - start).max()) / 2 + self._reach
        near = np.array(self._tree.query_ball_point((start + stop) / 2, radius, p=np.inf, return_sorted=True))
        boxes = self._boxes[near]
        meeting = ((boxes[:, :2] < stop) & (boxes[:, 2:] > start)).all(axis=1)
        near, boxes = near[meeting], boxes[meeting]
        chunks = np.array_split(places, -(-len(places) * len(near) // _PAIRS))
        return near[np.concatenate([_pairwise_iou(chunk, boxes).argmax(axis=1) for chunk in chunks])]


def _best_places(one: ResizedObjects, level: int, anchor: np.ndarray, config: Config) -> np.ndarray:
    """All places `[T, 4]` of an anchor where it overlaps one object as much as it can."""
    strides, counts = _grid(one.padded, level, config)
    shifts = []
    for axis in (0, 1):
        place = np.arange(counts[1 - axis]) * strides[1 - axis]
        low, high = one.boxes[axis], one.boxes[axis + 2]
        shared = _overlap(low, high, anchor[axis] + place, anchor[axis + 2] + place)
        shifts.append(place[shared > shared.max() - _TIE])
    x, y = (grid.ravel() for grid in np.meshgrid(*shifts))
    return anchor + np.stack([x, y, x, y], axis=1)


def _pairwise_iou(anchors: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """IoU `[T, G]` in float64 of `[T, 4]` and `[G, 4]`."""
    shared = np.prod(
        [
            _overlap(anchors[:, None, axis], anchors[:, None, axis + 2], boxes[:, axis], boxes[:, axis + 2])
            for axis in (0, 1)
        ],
        axis=0,
    )
    areas, others = (np.prod(rows[:, 2:] - rows[:, :2], axis=1) for rows in (anchors, boxes))
    return shared / (areas[:, None] + others - shared)
