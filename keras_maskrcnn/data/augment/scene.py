"""A moved picture with its objects, on which other objects or blanks may come to lie."""

import dataclasses

import numpy as np

from keras_maskrcnn.config.config import Config
from keras_maskrcnn.config.keypoints import flip_indices
from keras_maskrcnn.data.augment.affine import Placement, Shape, box_corners, move_image, move_shape
from keras_maskrcnn.data.records import Record
from keras_maskrcnn.masks.crop_paste import crop_mask

_FINEST = 4


@dataclasses.dataclass(frozen=True)
class Scene:
    """A canvas and the N objects that lie on it."""

    image: np.ndarray
    """[H, W, C] uint8 or float32."""
    cells: int
    """Shapes are held on a grid of cells x cells to a pixel."""
    shapes: tuple[Shape, ...]
    """N, clipped to the canvas; what cannot be seen is missing in them."""
    class_ids: np.ndarray
    crowd: np.ndarray
    keypoints: np.ndarray
    """[N, J, 3] float64: x, y in pixels of the canvas and visibility; J may be 0."""


def cells_per_pixel(placement: Placement) -> int:
    """Return how fine a grid loses nothing of shapes that shrink, up to 4 cells to a side of a pixel."""
    return min(_FINEST, int(np.ceil(1 / placement.scale - 1e-6)))


def place(record: Record, image: np.ndarray, placement: Placement, cells: int, config: Config) -> Scene:
    """Move a record's picture and objects; objects without masks are taken for what fills their boxes.

    Args:
        record: the objects.
        image: [H, W, C] its pixels.
        placement: where it goes.
        cells: fineness of the shapes' grid.
        config: names the keypoints, and the colour of what the picture does not cover.
    """
    segmentations = record.masks if record.masks is not None else [box_corners(box) for box in record.boxes]
    size = placement.height * cells, placement.width * cells
    shapes = tuple(
        move_shape(segmentation, record.height, record.width, placement, cells).clipped(*size)
        for segmentation in segmentations
    )
    return Scene(
        move_image(image, placement, config.pixel_mean),
        cells,
        shapes,
        record.class_ids,
        record.crowd,
        _moved_keypoints(record, placement, config),
    )


def cover(scene: Scene, covered: np.ndarray, pixels: np.ndarray) -> Scene:
    """Lay something over a scene: it hides what lies below.

    Args:
        scene: what lies below.
        covered: [H * cells, W * cells] bool.
        pixels: [H, W, C] or [C], of what is laid over it.

    Returns:
        The scene with its image painted over, its shapes without what is covered, and covered keypoints hidden.
    """
    cells = scene.cells
    count = np.zeros(scene.image.shape[:2], np.uint8)
    for i, j in np.ndindex(cells, cells):
        count += covered[i::cells, j::cells]
    painted, whole = scene.image.copy(), count == cells**2
    np.copyto(painted, pixels, where=whole[..., None], casting="unsafe")
    edge = (count > 0) & ~whole
    share = count[edge][:, None] / cells**2
    mixed = scene.image[edge] * (1 - share) + np.broadcast_to(pixels, painted.shape)[edge] * share
    painted[edge] = np.rint(mixed) if painted.dtype == np.uint8 else mixed
    shapes = tuple(
        dataclasses.replace(shape, mask=shape.mask & ~covered[shape.place]) for shape in scene.shapes
    )
    keypoints = scene.keypoints.copy()
    x, y = (keypoints[..., :2] * scene.cells).astype(int).reshape(-1, 2).T
    below = covered[y, x].reshape(keypoints.shape[:2])
    keypoints[..., 2] = np.where(below, np.minimum(keypoints[..., 2], 1), keypoints[..., 2])
    return dataclasses.replace(scene, image=painted, shapes=shapes, keypoints=keypoints)


def paste(scene: Scene, donor: Scene, chosen: np.ndarray) -> Scene:
    """Lay the chosen objects [N] bool of another scene of the same canvas over a scene, as they lie there."""
    height, width = scene.image.shape[:2]
    covered = np.zeros((height * scene.cells, width * scene.cells), bool)
    places = np.flatnonzero(chosen)
    for index in places:
        covered[donor.shapes[index].place] |= donor.shapes[index].mask
    below = cover(scene, covered, donor.image)
    return dataclasses.replace(
        below,
        shapes=below.shapes + tuple(donor.shapes[index] for index in places),
        class_ids=np.concatenate([below.class_ids, donor.class_ids[places]]),
        crowd=np.concatenate([below.crowd, donor.crowd[places]]),
        keypoints=np.concatenate([below.keypoints, donor.keypoints[places]]),
    )


def remaining(scene: Scene, least: float) -> np.ndarray:
    """Tell of which objects enough can be seen: at least `least` of their area, of crowds anything; [N] bool."""
    seen = np.array([shape.mask.sum() for shape in scene.shapes], np.int64)
    areas = np.array([shape.area for shape in scene.shapes], np.int64)
    return (seen > 0) & (scene.crowd.astype(bool) | (seen >= least * areas))


def scene_example(scene: Scene, kept: np.ndarray, config: Config) -> tuple[np.ndarray, ...]:
    """Return the fields of `load_example` for the objects [N] bool that are kept."""
    height, width = scene.image.shape[:2]
    places = np.flatnonzero(kept)
    shapes = [scene.shapes[index] for index in places]
    drawn = np.array([shape.box(scene.cells) for shape in shapes], np.float64).reshape(-1, 4)
    boxes = np.clip(drawn, 0, [width, height, width, height])
    crowd = scene.crowd[places].astype(bool)
    fields = [
        scene.image.astype(np.float32),
        np.array([height, width], np.int32),
        boxes.astype(np.float32),
        scene.class_ids[places].astype(np.int32),
        crowd,
    ]
    if config.mask_head != "none":
        crops = np.zeros((len(shapes), config.mask_crop_size, config.mask_crop_size), np.uint8)
        for index in np.flatnonzero(~crowd):
            shape = shapes[index]
            frame = boxes[index] * scene.cells - [shape.left, shape.top, shape.left, shape.top]
            crops[index] = crop_mask(shape.mask, frame, config.mask_crop_size)
        fields.append(crops)
    if config.keypoint_names:
        fields.append(scene.keypoints[places].astype(np.float32))
    return tuple(fields)


def _moved_keypoints(record: Record, placement: Placement, config: Config) -> np.ndarray:
    """Move keypoints; those that leave the canvas are not labelled any more: [N, J, 3]."""
    count = len(config.keypoint_names)
    if not count or record.keypoints is None:
        return np.zeros((len(record.boxes), count, 3))
    points = placement.points(record.keypoints[..., :2].astype(np.float64) + config.keypoint_offset)
    inside = ((points >= 0) & (points < [placement.width, placement.height])).all(axis=2)
    visibility = np.where(inside, record.keypoints[..., 2], 0)[..., None]
    moved = np.concatenate([np.where(visibility > 0, points, 0), visibility], axis=2)
    return moved[:, flip_indices(config.keypoint_names)] if placement.mirrored else moved
