"""Composes an image: a moved one with its objects, on which other objects or blanks may come to lie."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from keras_maskrcnn.data.augment.affine import UNSEEN, AffineTransform, box_corners, move_image, move_shape
from keras_maskrcnn.data.augment.composed_image import ComposedImage, PlacedObjects
from keras_maskrcnn.data.augment.window import Window
from keras_maskrcnn.data.fields import Field
from keras_maskrcnn.data.records import Record
from keras_maskrcnn.masks.rle import mask_region

_FINEST = 4


def needed_supersampling(transform: AffineTransform) -> int:
    """Return how fine a grid loses nothing of shapes that shrink, up to 4 cells to a side of a pixel."""
    return min(_FINEST, int(np.ceil(1 / transform.scale - 1e-6)))


def place_objects(
    record: Record, transform: AffineTransform, supersampling: int, fields: Sequence[Field]
) -> PlacedObjects:
    """Move a record's objects; those without masks are taken for what fills their boxes.

    Args:
        record: the objects.
        transform: where its image goes.
        supersampling: cells of the shapes' grid to a side of a pixel.
        fields: the ground truth wanted.
    """
    segmentations = record.masks if record.masks is not None else [box_corners(box) for box in record.boxes]
    grid = transform.height * supersampling, transform.width * supersampling
    # In a crop of a crowd most objects are elsewhere.
    near = transform.meets(record.extents)
    shapes = tuple(
        move_shape(segmentation, record.height, record.width, transform, supersampling).clipped(*grid)
        if meets
        else UNSEEN
        for segmentation, meets in zip(segmentations, near, strict=True)
    )
    placed = {field.name: field.place(record, transform) for field in fields}
    values = {name: rows for name, rows in placed.items() if rows is not None}
    return PlacedObjects(supersampling, shapes, values)


def place(
    record: Record,
    image: np.ndarray,
    transform: AffineTransform,
    supersampling: int,
    fields: Sequence[Field],
    fill: tuple[float, ...],
) -> ComposedImage:
    """Move a record's image [H, W, C] and its objects, as `place_objects` does, filled where it is bare."""
    objects = place_objects(record, transform, supersampling, fields)
    return ComposedImage(**vars(objects), image=move_image(image, transform, fill))


def cover(
    composed: ComposedImage, covered: np.ndarray, pixels: np.ndarray, fields: Sequence[Field]
) -> ComposedImage:
    """Lay something over an image: it hides what lies below.

    Args:
        composed: what lies below.
        covered: [H * supersampling, W * supersampling] bool.
        pixels: [H, W, C] or [C], of what is laid over it.
        fields: the ground truth wanted.

    Returns:
        The image painted over, its shapes without what is covered, and what else its objects have hidden.
    """
    shapes = tuple(
        dataclasses.replace(shape, mask=shape.mask & ~covered[shape.slices]) for shape in composed.shapes
    )
    values = dict(composed.values)
    for field in fields:
        if field.name in values:
            values[field.name] = field.cover(values[field.name], covered, composed.supersampling)
    painted = _painted(composed, covered, pixels)
    return dataclasses.replace(composed, image=painted, shapes=shapes, values=values)


def _painted(composed: ComposedImage, covered: np.ndarray, pixels: np.ndarray) -> np.ndarray:
    """The image with what covers it, mixed where pixels are covered in part."""
    n = composed.supersampling
    part, left, top = mask_region(covered)
    window = Window(left, top, left + part.shape[1], top + part.shape[0]).coarser(n)
    count = _covered_cells(covered, window, n)  # [h, w]
    painted = composed.image.copy()
    below = painted[window.slices]  # [h, w, C]
    above = np.broadcast_to(pixels, painted.shape)[window.slices]
    for channel in range(painted.shape[2]):
        np.copyto(below[..., channel], above[..., channel], where=count == n**2, casting="unsafe")
    edge = (count > 0) & (count < n**2)
    fraction = count[edge][:, None] / n**2
    mixed = below[edge] * (1 - fraction) + above[edge] * fraction
    below[edge] = np.rint(mixed) if painted.dtype == np.uint8 else mixed
    return painted


def _covered_cells(covered: np.ndarray, window: Window, n: int) -> np.ndarray:
    """How many of the n x n cells of each pixel of a window [h, w] are covered: uint8 of [H * n, W * n] bool."""
    rows, columns = (slice(n * pixels.start, n * pixels.stop) for pixels in window.slices)
    cells = covered[rows, columns].view(np.uint8)
    strips = sum((cells[:, i::n] for i in range(1, n)), start=cells[:, ::n])  # [h * n, w]
    return np.ascontiguousarray(sum((strips[i::n] for i in range(1, n)), start=strips[::n]))


def paste(
    composed: ComposedImage, pasted: PlacedObjects, pixels: np.ndarray, fields: Sequence[Field]
) -> ComposedImage:
    """Lay objects of another image, whose pixels [H, W, C] are on the same canvas, over an image as they lie there."""
    # Column by column, as masks are decoded: between the two orders a processor's cache is of no use.
    covered = np.zeros(composed.grid, bool, order="F")
    for shape in pasted.shapes:
        covered[shape.slices] |= shape.mask
    below = cover(composed, covered, pixels, fields)
    values = {name: np.concatenate([rows, pasted.values[name]]) for name, rows in below.values.items()}
    return dataclasses.replace(below, shapes=below.shapes + pasted.shapes, values=values)


def remaining(objects: PlacedObjects, min_visible: float) -> np.ndarray:
    """Tell of which objects enough can be seen: at least that fraction of their area, of crowds anything; [N] bool."""
    seen = np.array([np.count_nonzero(shape.mask) for shape in objects.shapes], np.int64)
    areas = np.array([shape.area for shape in objects.shapes], np.int64)
    return (seen > 0) & (objects.crowd | (seen >= min_visible * areas))


def composed_example(
    composed: ComposedImage, kept: np.ndarray, fields: Sequence[Field]
) -> tuple[np.ndarray, ...]:
    """Return what `load_example` returns for the objects [N] bool that are kept."""
    shown = composed.of_objects(np.flatnonzero(kept))
    boxes = shown.boxes()
    size = np.array(shown.image.shape[:2], np.int32)
    return shown.image.astype(np.float32), size, *(field.compose(shown, boxes) for field in fields)
