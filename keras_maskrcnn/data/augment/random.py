"""What is drawn at random about one training image: where it goes, what is pasted on it, what is cut out."""

from collections.abc import Callable, Sequence

import numpy as np

from keras_maskrcnn.config.config import Config
from keras_maskrcnn.data.augment.affine import Placement
from keras_maskrcnn.data.augment.scene import (
    Scene,
    cells_per_pixel,
    cover,
    paste,
    place,
    remaining,
    scene_example,
)
from keras_maskrcnn.data.checks import naming
from keras_maskrcnn.data.pipeline.examples import load_example, read_pixels, scaled_size
from keras_maskrcnn.data.records import Record

Stream = Callable[[int], np.random.Generator]
"""Gives the random numbers of one purpose, the same whatever else is drawn."""

# From 1, since numpy takes a seed with zeros at its end for the same seed without.
_SCALE, _ANGLE, _CROP, _FLIP, _CUTOUT, _PASTE, _DONOR = range(1, 8)


def redraws_objects(config: Config) -> bool:
    """Tell whether objects may be moved, cut or covered otherwise than by resizing and mirroring their picture."""
    return bool(
        config.max_rotation_degrees
        or config.crop_size
        or config.cutout_count
        or config.copy_paste_probability
    )


def augmented_example(
    records: Sequence[Record], index: int, config: Config, min_size: int, seed: np.ndarray
) -> tuple[tuple[np.ndarray, ...], int, int]:
    """Load a training example with the random choices that follow from its seed.

    Args:
        records: all of them: any may give objects to paste.
        index: of the record to load.
        config: says what is drawn.
        min_size: short side to resize the image to, before `config.scale_jitter`.
        seed: [2] int32.

    Returns:
        The fields of `load_example`, but with the image resized if `redraws_objects(config)`; how many of the record's
        objects were dropped, because less than config.min_visible_fraction of them can be seen; and how many it has.

    Raises:
        FileNotFoundError, ValueError: as `load_example`.
    """
    stream = _stream(*seed.view(np.uint32))
    record = records[index]
    if not redraws_objects(config):
        return load_example(record, config, min_size, _scale(config, stream)), 0, len(record.boxes)
    placement = _placement(record, config, min_size, stream)
    cells = cells_per_pixel(placement)
    scene = _placed(record, config, placement, cells)
    if stream(_PASTE).random() < config.copy_paste_probability:
        step = 1 + int(stream(_DONOR).integers(max(len(records) - 1, 1)))  # to another image, if there is one
        donor = records[(index + step) % len(records)]
        scene = _pasted(scene, donor, config, min_size, _stream(*seed.view(np.uint32), _DONOR))
    if config.cutout_count:
        scene = cover(scene, _squares(scene, config, stream(_CUTOUT)), _fill(scene, config))
    kept = remaining(scene, config.min_visible_fraction)
    own = len(record.boxes)  # which come before those that were pasted
    return scene_example(scene, kept, config), int(own - kept[:own].sum()), own


def _stream(*entropy: int) -> Stream:
    return lambda purpose: np.random.default_rng([*map(int, entropy), purpose])


def _scale(config: Config, stream: Stream) -> float:
    low, high = config.scale_jitter or (1.0, 1.0)
    return float(stream(_SCALE).uniform(low, high))


def _placement(
    record: Record, config: Config, min_size: int, stream: Stream, canvas: tuple[int, int] | None = None
) -> Placement:
    """Draw where a picture goes.

    The picture is resized, turned about its centre, and cropped at random where its canvas is smaller. Where the canvas
    is larger, it begins at the upper left corner, but on the `canvas` of another picture anywhere; there it may be
    mirrored too, since that other picture is mirrored only after all.
    """
    height, width = scaled_size(record, config, min_size, _scale(config, stream))
    resized = np.diag([width / record.width, height / record.height, 1.0])
    angle = np.deg2rad(stream(_ANGLE).uniform(-config.max_rotation_degrees, config.max_rotation_degrees))
    turned = _about(
        width / 2, height / 2, np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    )
    matrix = turned @ resized
    own = (config.crop_size, config.crop_size) if config.crop_size else (height, width)
    spare = np.array(canvas or own) - [height, width]
    if canvas is None:
        spare = np.minimum(spare, 0)
    elif stream(_FLIP).random() < config.horizontal_flip_probability:
        matrix = _about(width / 2, height / 2, np.diag([-1.0, 1.0])) @ matrix
    down, right = np.rint(spare * stream(_CROP).random(2))
    matrix[:2, 2] += right, down
    return Placement(matrix[:2], *(canvas or own))


def _about(x: float, y: float, linear: np.ndarray) -> np.ndarray:
    """Return the affine map [3, 3] that is `linear` [2, 2] about a point."""
    matrix = np.eye(3)
    matrix[:2, :2] = linear
    matrix[:2, 2] = [x, y] - linear @ [x, y]
    return matrix


def _placed(record: Record, config: Config, placement: Placement, cells: int) -> Scene:
    image = read_pixels(record, config)
    with naming(record.name):
        return place(record, image, placement, cells, config)


def _pasted(scene: Scene, record: Record, config: Config, min_size: int, stream: Stream) -> Scene:
    """Paste some of a record's objects, each with probability 1/2, unless it is a crowd or mostly out of sight."""
    canvas = scene.image.shape[:2]
    placement = _placement(record, config, min_size, stream, canvas)
    donor = _placed(record, config, placement, scene.cells)
    drawn = stream(_PASTE).random(len(donor.shapes)) < 0.5
    chosen = drawn & ~donor.crowd.astype(bool) & remaining(donor, config.min_visible_fraction)
    return paste(scene, donor, chosen) if chosen.any() else scene


def _squares(scene: Scene, config: Config, random: np.random.Generator) -> np.ndarray:
    """Draw the squares to cut out: [H * cells, W * cells] bool.

    Their centres lie anywhere in the picture, so some reach out of it (DeVries and Taylor 2017). Keras'
    `RandomErasing` has one square and does not say which objects it covers.
    """
    height, width = (side * scene.cells for side in scene.image.shape[:2])
    covered = np.zeros((height, width), bool)
    side = max(1, round(config.cutout_size * min(height, width)))
    for y, x in (random.random((config.cutout_count, 2)) * [height, width]).tolist():
        top, left = round(y - side / 2), round(x - side / 2)
        covered[max(top, 0) : max(top + side, 0), max(left, 0) : max(left + side, 0)] = True
    return covered


def _fill(scene: Scene, config: Config) -> np.ndarray:
    fill = np.array(config.pixel_mean)
    return np.rint(fill) if scene.image.dtype == np.uint8 else fill
