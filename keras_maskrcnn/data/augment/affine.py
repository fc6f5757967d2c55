"""One affine transform that an image, its objects' shapes and its points follow together."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image

from keras_maskrcnn.data.augment.window import Window, around
from keras_maskrcnn.data.checks import mask_extent
from keras_maskrcnn.masks.rle import mask_region, rle_columns, segmentation_to_mask, segmentation_to_rle


@dataclasses.dataclass(frozen=True)
class AffineTransform:
    """Where an image goes: an affine map, and the canvas on which the result is seen."""

    matrix: np.ndarray
    """[2, 3] float64: takes (x, y, 1) in pixels of the image to (x, y) in pixels of the canvas, both continuous."""
    height: int
    """Of the canvas, in pixels."""
    width: int

    @property
    def scale(self) -> float:
        """Length on the canvas of what is one pixel long in the image."""
        return float(np.sqrt(abs(np.linalg.det(self.matrix[:, :2]))))

    @property
    def flips(self) -> bool:
        """Whether left and right change sides."""
        return bool(np.linalg.det(self.matrix[:, :2]) < 0)

    def points(self, points: np.ndarray) -> np.ndarray:
        """Move points [..., 2]."""
        return points @ self.matrix[:, :2].T + self.matrix[:, 2]

    def meets(self, boxes: np.ndarray) -> np.ndarray:
        """Tell of boxes [N, 4] in pixels of the image which may be seen on the canvas, rotated or not: [N] bool."""
        corners = boxes[:, [[0, 1], [2, 1], [2, 3], [0, 3]]]  # [N, 4, 2]
        moved = self.points(corners)
        slack = 1 + 2 * self.scale  # pixels that are drawn may reach that far out of an outline
        low, high = moved.min(axis=1) - slack, moved.max(axis=1) + slack
        return ((low < [self.width, self.height]) & (high > 0)).all(axis=1)

    def seen_from(self, left: float, top: float, height: int, width: int) -> "AffineTransform":
        """Return the transform to a part of the canvas."""
        shift = np.array([[0, 0, left], [0, 0, top]])
        return AffineTransform(self.matrix - shift, height, width)

    def window(self, corners: np.ndarray, supersampling: int) -> "AffineTransform":
        """Return the transform to a canvas of its own, that many times as fine, around points [P, 2] of the image."""
        fine = dataclasses.replace(self, matrix=self.matrix * supersampling)
        moved = fine.points(corners)
        start = np.floor(moved.min(axis=0))
        # One cell more at the far sides, because pycocotools rounds the points.
        width, height = (np.ceil(moved.max(axis=0)) + 1 - start).astype(int).tolist()
        return fine.seen_from(float(start[0]), float(start[1]), height, width)


@dataclasses.dataclass(frozen=True)
class Shape:
    """What can be seen of a moved object, on a grid of some cells to a pixel of the canvas, the supersampling."""

    mask: np.ndarray
    """[h, w] bool."""
    left: int
    """Column of the grid at which the mask begins; it may be negative."""
    top: int
    extent: np.ndarray
    """[4] x1, y1, x2, y2 in pixels of the canvas around all of the object, seen or not."""
    area: int
    """Cells of all of the object, seen or not; 0 for one that was not drawn, since it is far from the canvas."""

    def clipped(self, height: int, width: int) -> "Shape":
        """Leave out what lies outside a grid of height x width cells."""
        left, top = min(max(self.left, 0), width), min(max(self.top, 0), height)
        rows = slice(top - self.top, max(height - self.top, 0))
        columns = slice(left - self.left, max(width - self.left, 0))
        return dataclasses.replace(self, mask=self.mask[rows, columns], left=left, top=top)

    @property
    def slices(self) -> tuple[slice, slice]:
        """Rows and columns of the grid that the mask of a clipped shape lies on."""
        height, width = self.mask.shape
        return slice(self.top, self.top + height), slice(self.left, self.left + width)

    def pixels(self, supersampling: int) -> Window:
        """Return the part of the canvas on which a clipped shape lies."""
        height, width = self.mask.shape
        return Window(self.left, self.top, self.left + width, self.top + height).coarser(supersampling)

    def box(self, supersampling: int) -> np.ndarray:
        """Return [4] float64 x1, y1, x2, y2 in pixels of the canvas around what can be seen, which must be something.

        Where the object is seen to its end, the box ends with its outline and not with the cell.
        """
        part, left, top = mask_region(self.mask)
        seen = np.array([left, top, left + part.shape[1], top + part.shape[0]], np.float64)
        seen = (seen + [self.left, self.top, self.left, self.top]) / supersampling
        exact = np.where(np.abs(self.extent - seen) <= 1 / supersampling, self.extent, seen)
        return exact if (exact[2:] - exact[:2] >= 1 / supersampling).all() else seen


UNSEEN = Shape(np.zeros((0, 0), bool), 0, 0, np.zeros(4), 0)
"""Of an object that is not on the canvas."""


def move_shape(
    segmentation: Any, height: int, width: int, transform: AffineTransform, supersampling: int
) -> Shape:
    """Move a COCO segmentation of an image of height x width pixels.

    Points of polygons are moved and then drawn; the pixels of an RLE are warped, each cell taking the nearest.

    Args:
        segmentation: a list of polygons or an RLE dict.
        height, width: size of the image.
        transform: where it goes.
        supersampling: cells of the shape's grid to a side of a pixel of the canvas.

    Returns:
        The shape, not yet clipped to the canvas.
    """
    if not isinstance(segmentation, dict):
        points = np.concatenate([np.reshape(polygon, (-1, 2)) for polygon in segmentation])
        if (points < 0).any() or (
            points > [width, height]
        ).any():  # only what lies in the image is the object
            segmentation = segmentation_to_rle(segmentation, height, width)
    if isinstance(segmentation, dict):
        rle = segmentation_to_rle(segmentation, height, width)
        x1, y1, x2, y2 = map(int, mask_extent(rle))
        points = np.array([[x1, y1], [x2, y1], [x2, y2], [x1, y2]])
    window = transform.window(points, supersampling)
    if isinstance(segmentation, dict):
        # The object alone, not the image around it, which may be a hundred times as large.
        mask = rle_columns(rle, x1, x2)[y1:y2].astype(np.uint8)
        start = window.points(np.array([x1, y1]))
        placed = dataclasses.replace(window, matrix=np.column_stack([window.matrix[:, :2], start]))
        moved = np.asarray(_warped(Image.fromarray(mask), placed, Image.Resampling.NEAREST, 0)) > 0
    else:
        polygons = [window.points(np.reshape(polygon, (-1, 2))).ravel().tolist() for polygon in segmentation]
        moved = segmentation_to_mask(polygons, window.height, window.width)
    left, top = np.rint(transform.matrix[:, 2] * supersampling - window.matrix[:, 2]).astype(int)
    ends = transform.points(points)
    extent = np.concatenate([ends.min(axis=0), ends.max(axis=0)])
    return Shape(moved, int(left), int(top), extent, int(moved.sum()))


def box_corners(box: np.ndarray) -> list[list[float]]:
    """Return the segmentation, one polygon, that fills a box x1, y1, x2, y2."""
    x1, y1, x2, y2 = (float(value) for value in box)
    return [[x1, y1, x2, y1, x2, y2, x1, y2]]


def move_image(
    image: np.ndarray,
    transform: AffineTransform,
    fill: tuple[float, ...],
    windows: Sequence[Window] | None = None,
) -> np.ndarray:
    """Move an image, interpolating between its pixels once.

    Keras' `RandomRotation`, `RandomZoom` and `RandomCrop` would interpolate one after the other, and
    `keras.ops.image.affine_transform` mixes the border with what lies beyond it and returns a canvas of the image's
    own size only.

    Args:
        image: [H, W, C] uint8 or float32.
        transform: where it goes; where it shrinks to a half or less, whole blocks of pixels are averaged first.
        fill: C values for what the image does not cover.
        windows: the parts of the canvas that are wanted, the rest of which may be filled; left out: all of it.

    Returns:
        [transform.height, transform.width, C] of the image's type; uint8 is rounded.
    """
    shrink = max(1, int(1 / transform.scale))
    transform = dataclasses.replace(transform, matrix=transform.matrix * [[shrink, shrink, 1]])
    height, width, channels = transform.height, transform.width, image.shape[2]
    if image.dtype == np.uint8:
        fill = tuple(round(value) for value in fill)
    canvas = np.empty((height, width, channels), image.dtype)
    canvas.reshape(height, -1)[:] = np.tile(np.array(fill, image.dtype), width)
    # Band by band, since Pillow would take some numbers of channels for colours with alpha and weigh by it.
    whole = image.dtype == np.uint8 and channels == 3
    for band in [slice(None)] if whole else range(channels):
        pixels = Image.fromarray(np.ascontiguousarray(image[..., band]))
        pixels = pixels.reduce(shrink) if shrink > 1 else pixels
        color = fill if whole else fill[band]
        for left, top, right, bottom in _reached(pixels.size, transform, windows):
            part = transform.seen_from(left, top, bottom - top, right - left)
            moved = _warped(pixels, part, Image.Resampling.BILINEAR, color)
            canvas[top:bottom, left:right, band] = np.asarray(moved)
    return canvas


def _reached(
    size: tuple[int, int], transform: AffineTransform, windows: Sequence[Window] | None
) -> list[Window]:
    """What an image of (width, height) pixels may reach of the windows, such that nothing is moved much too often."""
    corners = transform.points(np.array([[0, 0], [size[0], 0], [0, size[1]], size]))
    canvas = Window(0, 0, transform.width, transform.height)
    reach = Window(
        *np.floor(corners.min(axis=0) - 1).astype(int).tolist(),
        *np.ceil(corners.max(axis=0) + 1).astype(int).tolist(),
    ).within(canvas)
    if windows is None:
        windows = [canvas]
    reached = [window.within(reach) for window in windows]
    reached = [window for window in reached if window.area]
    hull = around(reached)
    return reached if sum(window.area for window in reached) <= hull.area else [hull]


def _warped(
    image: Image.Image, transform: AffineTransform, method: Image.Resampling, fill: Any
) -> Image.Image:
    # Pillow asks where each pixel of the canvas comes from, and takes centres of pixels at 0.5.
    inverse = np.linalg.inv(np.concatenate([transform.matrix, [[0, 0, 1]]]))[:2]
    size = transform.width, transform.height
    return image.transform(size, Image.Transform.AFFINE, inverse.ravel().tolist(), method, fillcolor=fill)
