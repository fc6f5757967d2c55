"""Composes an image: a moved one with its objects, on which other objects or blanks may come to lie."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from keras_maskrcnn.data.augment.affine import UNSEEN, AffineTransform, box_corners, move_image, move_shape
from keras_maskrcnn.data.augment.composed_image import ComposedImage
from keras_maskrcnn.data.fields import Field
from keras_maskrcnn.data.records import Record

_FINEST = 4


def needed_supersampling(transform: AffineTransform) -> int:
    """Return how fine a grid loses nothing of shapes that shrink, up to 4 cells to a side of a pixel."""
    return min(_FINEST, int(np.ceil(1 / transform.scale - 1e-6)))


def place(
    record: Record,
    image: np.ndarray,
    transform: AffineTransform,
    supersampling: int,
    fields: Sequence[Field],
    fill: tuple[float, ...],
) -> ComposedImage:
    """Move a record's image and objects; objects without masks are taken for what fills their boxes.

    Args:
        record: the objects.
        image: [H, W, C] its pixels.
        transform: where it goes.
        supersampling: cells of the shapes' grid to a side of a pixel.
        fields: the ground truth wanted.
        fill: C values for what the image does not cover.
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
    return ComposedImage(move_image(image, transform, fill), supersampling, shapes, values)


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
    count = np.zeros(composed.image.shape[:2], np.uint8)
    for i, j in np.ndindex(n, n):
        count += covered[i::n, j::n]
    painted, whole = composed.image.copy(), count == n**2
    np.copyto(painted, pixels, where=whole[..., None], casting="unsafe")
    edge = (count > 0) & ~whole
    fraction = count[edge][:, None] / n**2
    mixed = composed.image[edge] * (1 - fraction) + np.broadcast_to(pixels, painted.shape)[edge] * fraction
    painted[edge] = np.rint(mixed) if painted.dtype == np.uint8 else mixed
    return painted


def paste(
    composed: ComposedImage, donor: ComposedImage, chosen: np.ndarray, fields: Sequence[Field]
) -> ComposedImage:
    """Lay the chosen objects [N] bool of another image on the same canvas over an image, as they lie there."""
    pasted = donor.of_objects(np.flatnonzero(chosen))
    covered = np.zeros(composed.grid, bool)
    for shape in pasted.shapes:
        covered[shape.slices] |= shape.mask
    below = cover(composed, covered, donor.image, fields)
    values = {name: np.concatenate([rows, pasted.values[name]]) for name, rows in below.values.items()}
    return dataclasses.replace(below, shapes=below.shapes + pasted.shapes, values=values)


def remaining(composed: ComposedImage, min_visible: float) -> np.ndarray:
    """Tell of which objects enough can be seen: at least that fraction of their area, of crowds anything; [N] bool."""
    seen = np.array([shape.mask.sum() for shape in composed.shapes], np.int64)
    areas = np.array([shape.area for shape in composed.shapes], np.int64)
    return (seen > 0) & (composed.crowd | (seen >= min_visible * areas))


def composed_example(
    composed: ComposedImage, kept: np.ndarray, fields: Sequence[Field]
) -> tuple[np.ndarray, ...]:
    """Return what `load_example` returns for the objects [N] bool that are kept."""
    shown = composed.of_objects(np.flatnonzero(kept))
    boxes = shown.boxes()
    size = np.array(shown.image.shape[:2], np.int32)
    return shown.image.astype(np.float32), size, *(field.compose(shown, boxes) for field in fields)
