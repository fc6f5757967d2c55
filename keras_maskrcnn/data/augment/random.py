"""The random choices about one training image: where it goes, what is pasted on it, where cutout covers it."""

from collections.abc import Callable, Sequence

import numpy as np

from keras_maskrcnn.config.config import Config
from keras_maskrcnn.data.augment.affine import AffineTransform, move_image
from keras_maskrcnn.data.augment.compose import (
    composed_example,
    cover,
    needed_supersampling,
    paste,
    place,
    place_objects,
    remaining,
)
from keras_maskrcnn.data.augment.composed_image import ComposedImage
from keras_maskrcnn.data.augment.sample import Augment
from keras_maskrcnn.data.augment.user_function import call_augment
from keras_maskrcnn.data.checks import error_prefix
from keras_maskrcnn.data.fields import Field
from keras_maskrcnn.data.pipeline.examples import read_pixels, resized_example
from keras_maskrcnn.data.pipeline.sizes import scale_range, training_size
from keras_maskrcnn.data.records import Record

Stream = Callable[[int], np.random.Generator]
"""Returns the random numbers of one purpose, the same whatever others are asked for."""

# From 1, since numpy takes a seed with zeros at its end for the same seed without.
_SCALE, _ANGLE, _CROP, _FLIP, _CUTOUT, _PASTE, _DONOR, _USER = range(1, 9)


def composes_images(config: Config) -> bool:
    """Tell whether objects may be moved, cropped or covered otherwise than by resizing and flipping their image."""
    return bool(
        config.max_rotation_degrees
        or config.crop_size
        or config.cutout_count
        or config.copy_paste_probability
    )


def augmented_example(
    records: Sequence[Record],
    index: int,
    config: Config,
    fields: Sequence[Field],
    min_size: int,
    seed: np.ndarray,
    augment: Augment | None = None,
) -> tuple[tuple[np.ndarray, ...], int, int]:
    """Load a training example with the random choices that follow from its seed.

    Args:
        records: all of them: any may give objects to paste.
        index: of the record to load.
        config: names the augmentation.
        fields: the ground truth wanted.
        min_size: short side to resize the image to, before `config.scale_jitter`.
        seed: [2] int32.
        augment: a user's own, of each image before all else.

    Returns:
        What `load_example` returns, but with the image resized if `composes_images(config)`; how many of the record's
        objects were dropped, by `augment` or because less than config.min_visible_fraction of them can be seen; and
        how many it has.

    Raises:
        FileNotFoundError, ValueError: as `load_example` and `call_augment`.
    """
    stream = _stream(*seed.view(np.uint32))
    given = records[index]
    record, image, rows = _read(given, config, augment, stream)
    count = len(given.boxes)
    if not composes_images(config):
        example = resized_example(record, image, config, fields, min_size, _scale(config, stream))
        return example, count - int(np.count_nonzero(rows >= 0)), count
    transform = _transform(record, config, min_size, stream)
    with error_prefix(record.name):
        supersampling = needed_supersampling(transform)
        composed = place(record, image, transform, supersampling, fields, config.pixel_mean)
    if stream(_PASTE).random() < config.copy_paste_probability:
        step = 1 + int(stream(_DONOR).integers(max(len(records) - 1, 1)))  # to another image, if there is one
        donor = records[(index + step) % len(records)]
        donor_stream = _stream(*seed.view(np.uint32), _DONOR)
        composed = _pasted(composed, donor, config, fields, min_size, donor_stream, augment)
    if config.cutout_count:
        squares = _squares(composed, config, stream(_CUTOUT))
        composed = cover(composed, squares, _fill(composed, config), fields)
    kept = remaining(composed, config.min_visible_fraction)
    own = kept[: len(rows)] & (rows >= 0)  # these come before those that were pasted
    return composed_example(composed, kept, fields), count - int(np.count_nonzero(own)), count


def _read(
    record: Record, config: Config, augment: Augment | None, stream: Stream
) -> tuple[Record, np.ndarray, np.ndarray]:
    """Read a record's image, and let a user's function change both; which of its objects are left is as there."""
    image = read_pixels(record, config)
    if augment is None:
        return record, image, np.arange(len(record.boxes))
    return call_augment(augment, record, image, config, stream(_USER))


def _stream(*entropy: int) -> Stream:
    return lambda purpose: np.random.default_rng([*map(int, entropy), purpose])


def _scale(config: Config, stream: Stream) -> float:
    return float(stream(_SCALE).uniform(*scale_range(config)))


def _transform(
    record: Record, config: Config, min_size: int, stream: Stream, canvas: tuple[int, int] | None = None
) -> AffineTransform:
    """Choose at random where an image goes.

    It is resized, rotated about its centre, and cropped at random where its canvas is smaller. Where the canvas is
    larger, it begins at the upper left corner, but on the `canvas` of another image anywhere; there it may be flipped
    too, since that other image is flipped only at the end.
    """
    (height, width), own = training_size(record, config, min_size, _scale(config, stream))
    resized = np.diag([width / record.width, height / record.height, 1.0])
    angle = np.deg2rad(stream(_ANGLE).uniform(-config.max_rotation_degrees, config.max_rotation_degrees))
    rotation = _about(
        width / 2, height / 2, np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    )
    matrix = rotation @ resized
    spare = np.array(canvas or own) - [height, width]
    if canvas is None:
        spare = np.minimum(spare, 0)
    elif stream(_FLIP).random() < config.horizontal_flip_probability:
        matrix = _about(width / 2, height / 2, np.diag([-1.0, 1.0])) @ matrix
    down, right = np.rint(spare * stream(_CROP).random(2))
    matrix[:2, 2] += right, down
    return AffineTransform(matrix[:2], *(canvas or own))


def _about(x: float, y: float, linear: np.ndarray) -> np.ndarray:
    """Return the affine map [3, 3] that is `linear` [2, 2] about a point."""
    matrix = np.eye(3)
    matrix[:2, :2] = linear
    matrix[:2, 2] = [x, y] - linear @ [x, y]
    return matrix


def _pasted(
    composed: ComposedImage,
    record: Record,
    config: Config,
    fields: Sequence[Field],
    min_size: int,
    stream: Stream,
    augment: Augment | None,
) -> ComposedImage:
    """Paste some of a record's objects, each with probability 1/2, unless it is a crowd or mostly out of sight."""
    canvas = composed.image.shape[:2]
    record, image, _ = _read(record, config, augment, stream)
    transform = _transform(record, config, min_size, stream, canvas)
    with error_prefix(record.name):
        objects = place_objects(record, transform, composed.supersampling, fields)
        sampled = stream(_PASTE).random(len(objects.shapes)) < 0.5
        chosen = sampled & ~objects.crowd & remaining(objects, config.min_visible_fraction)
        pasted = objects.of_objects(np.flatnonzero(chosen))
        # The image around the objects is moved for nobody.
        windows = [shape.pixels(composed.supersampling) for shape in pasted.shapes]
        moved = move_image(image, transform, config.pixel_mean, windows)
    return paste(composed, pasted, moved, fields) if windows else composed


def _squares(composed: ComposedImage, config: Config, random: np.random.Generator) -> np.ndarray:
    """Choose the squares of cutout: [H * supersampling, W * supersampling] bool.

    Their centres lie anywhere in the image, so some reach out of it (DeVries and Taylor 2017). Keras'
    `RandomErasing` has one square and does not say which objects it covers.
    """
    height, width = composed.grid
    covered = np.zeros((height, width), bool, order="F")
    side = max(1, round(config.cutout_size * min(height, width)))
    for y, x in (random.random((config.cutout_count, 2)) * [height, width]).tolist():
        top, left = round(y - side / 2), round(x - side / 2)
        covered[max(top, 0) : max(top + side, 0), max(left, 0) : max(left + side, 0)] = True
    return covered


def _fill(composed: ComposedImage, config: Config) -> np.ndarray:
    fill = np.array(config.pixel_mean)
    return np.rint(fill) if composed.image.dtype == np.uint8 else fill
