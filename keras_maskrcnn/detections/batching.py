"""From images to Detections by way of batches: of images, or of the tiles of large ones."""

import dataclasses
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np

from keras_maskrcnn.config.config import Config
from keras_maskrcnn.detections.detections import Detections
from keras_maskrcnn.detections.from_outputs import Outputs, have_area, make_detections, original_boxes
from keras_maskrcnn.detections.tiling import merge_tiles, tile_windows
from keras_maskrcnn.masks.rle import regions_to_masks, rle_region

Run = Callable[[list[np.ndarray]], Iterable[tuple[Outputs, tuple[int, int]]]]
"""Runs the model on a batch of images: of each its outputs and the (height, width) that it was resized to."""


@dataclasses.dataclass(frozen=True)
class Tiles:
    """How images are split into tiles.

    Raises:
        ValueError: a number is out of range.
    """

    side: int
    """In pixels of the image; an image with no longer side is left whole."""
    overlap: int
    """Pixels that neighbours have in common, at least."""
    whole: bool = True
    """Whether the image as a whole is one more tile."""

    def __post_init__(self) -> None:
        if self.side < 1:
            raise ValueError(f"tile must be at least 1 pixel; got {self.side}")
        if not 0 <= self.overlap < self.side:
            raise ValueError(
                f"tile_overlap must be at least 0 and less than tile {self.side}; got {self.overlap}"
            )

    def windows(self, height: int, width: int) -> list[tuple[int, int, int, int]]:
        """Return x1, y1, x2, y2 in pixels of all tiles of an image."""
        tiles = tile_windows(height, width, self.side, self.overlap)
        return tiles + [(0, 0, width, height)] if self.whole and len(tiles) > 1 else tiles


def make_tiles(tile: int | None, overlap: int | None, whole: bool) -> Tiles | None:
    """Return what the arguments of `MaskRCNN.detect` ask for."""
    if tile is None:
        if overlap is not None:
            raise ValueError(f"tile_overlap={overlap} needs tile=, the side of the tiles")
        return None
    return Tiles(tile, tile // 4 if overlap is None else overlap, whole)


def check_call(masks: str | None, batch_size: int) -> None:
    """Refuse arguments of a call of `detect` that mean nothing.

    Raises:
        ValueError: `masks` is none of its choices, or `batch_size` is below 1.
    """
    if masks not in ("bool", "rle", None):
        raise ValueError(f'masks must be "bool", "rle" or None; got {masks!r}')
    if batch_size < 1:
        raise ValueError(f"batch_size must be at least 1; got {batch_size}")


class _Piece(NamedTuple):
    """A tile of an image, and whether it is the last of it."""

    image: np.ndarray
    window: tuple[int, int, int, int]
    last: bool

    @property
    def pixels(self) -> np.ndarray:
        x1, y1, x2, y2 = self.window
        return self.image[y1:y2, x1:x2]


def detect_in(
    images: Iterable[np.ndarray],
    run: Run,
    config: Config,
    batch_size: int,
    masks: str | None,
    tiles: Tiles | None = None,
    limit: int | None = None,
) -> Iterator[Detections]:
    """Run the model on images `[H, W, C]`, in tiles where there are any, and yield the detections of each.

    Args:
        run: the model.
        config: says what its outputs mean.
        batch_size: images or tiles per call of `run`; a batch may hold tiles of several images.
        masks: "bool", "rle" or None, as `make_detections` takes it.
        limit: most detections of an image that was split into tiles; None for all.
    """
    done: list[tuple[_Piece, Outputs, tuple[int, int]]] = []
    for batch in batches(_pieces(images, tiles), batch_size):
        for piece, (outputs, size) in zip(batch, run([piece.pixels for piece in batch]), strict=True):
            done.append((piece, outputs, size))
            if piece.last:
                yield (
                    detections(done[0][1], piece.image, done[0][2], config, masks)
                    if len(done) == 1
                    else _of_tiles(done, config, masks, limit)
                )
                done = []


def batches(items: Iterable[Any], size: int) -> Iterator[list[Any]]:
    """Yield lists of `size` items, the last one of what is left."""
    batch: list[Any] = []
    for item in items:
        batch.append(item)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


def _pieces(images: Iterable[np.ndarray], tiles: Tiles | None) -> Iterator[_Piece]:
    for image in images:
        height, width = image.shape[:2]
        windows = [(0, 0, width, height)] if tiles is None else tiles.windows(height, width)
        for number, window in enumerate(windows, start=1):
            yield _Piece(image, window, last=number == len(windows))


def detections(
    outputs: Outputs, image: np.ndarray, size: tuple[int, int], config: Config, masks: str | None = "bool"
) -> Detections:
    """Bring a config's outputs for one image, resized to `size`, to its own pixels, as `make_detections` does."""
    return make_detections(
        outputs,
        image.shape[:2],
        size,
        config.class_names,
        masks=masks,
        image=image,
        paste=config.paste,
        keypoint_offset=config.keypoint_offset,
        square=config.square,
        keypoint_names=config.keypoint_names,
    )


def _of_tiles(
    tiles: list[tuple[_Piece, Outputs, tuple[int, int]]], config: Config, masks: str | None, limit: int | None
) -> Detections:
    """Merge the detections of the tiles of one image; masks stay RLE until the end, for they are many."""
    rows = [_in_image(piece, outputs, size, config) for piece, outputs, size in tiles]
    joined = {name: np.concatenate([row[name] for row in rows]) for name in rows[0]}
    image = tiles[0][0].image
    unmerged = detections(joined, image, image.shape[:2], config, masks and "rle")
    merged = merge_tiles(unmerged, joined["windows"], config.nms_iou, config.class_agnostic_nms)[:limit]
    if masks == "bool" and merged.masks is not None:
        regions = map(rle_region, merged.masks)
        dense = regions_to_masks(regions, len(merged), merged.height, merged.width)
        merged = dataclasses.replace(merged, masks=dense)
    return merged


def _in_image(
    piece: _Piece, outputs: Outputs, size: tuple[int, int], config: Config
) -> dict[str, np.ndarray]:
    """The real rows of a tile's outputs, in pixels of its image, and the window of each."""
    x, y, x2, y2 = piece.window
    boxes = original_boxes(outputs["boxes"], (y2 - y, x2 - x), size, config.square)
    boxes = np.clip(boxes, 0, np.array([x2 - x, y2 - y] * 2, boxes.dtype))
    boxes += np.array([x, y, x, y], boxes.dtype)
    # what make_detections would leave out goes here, or the windows would belong to other rows
    real = (np.asarray(outputs["classes"]) > 0) & have_area(boxes, config.paste)
    moved = {name: np.asarray(values)[real] for name, values in outputs.items()} | {"boxes": boxes[real]}
    if "keypoints" in moved:
        scale = np.array([(x2 - x) / size[1], (y2 - y) / size[0], 1], np.float32)
        moved["keypoints"] = moved["keypoints"] * scale + np.array([x, y, 0], np.float32)
    moved["windows"] = np.tile(np.array(piece.window, np.float64), (int(real.sum()), 1))
    return moved
