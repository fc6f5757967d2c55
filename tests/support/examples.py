"""A small network and small batches for tests, in seconds on a CPU."""

import dataclasses

import numpy as np
import tensorflow as tf

from keras_maskrcnn.config.config import Config
from keras_maskrcnn.data.records import Record, make_record

TINY = Config(
    class_names=("circle", "square"),
    min_size=64,
    max_size=96,
    depth=18,
    norm="group_norm",
    frozen_stages=0,
    fpn_channels=32,
    anchor_sizes=((16,), (32,), (64,), (96,), (128,)),
    pre_nms_top_k=50,
    pre_nms_top_k_train=50,
    post_nms_top_k=20,
    post_nms_top_k_train=20,
    rpn_batch_size=32,
    box_batch_size=16,
    box_head_channels=32,
    mask_head_channels=32,
    mask_crop_size=28,
    max_detections=5,
)


def tiny(**changes) -> Config:
    """TINY with some fields changed."""
    return dataclasses.replace(TINY, **changes)


def batch(config: Config = TINY, objects=(1, 2), size=(64, 96), seed=0) -> dict[str, tf.Tensor]:
    """A training batch of noise images with `objects[i]` filled squares each, as `make_dataset` makes it."""
    rng = np.random.default_rng(seed)
    images, rows = len(objects), max(max(objects), 1)
    height, width = size
    values = {
        "images": rng.uniform(0, 255, (images, height, width, config.channels)).astype("float32"),
        "sizes": np.tile(np.array([[height, width]], np.int32), (images, 1)),
        "gt_boxes": np.zeros((images, rows, 4), np.float32),
        "gt_classes": np.zeros((images, rows), np.int32),
        "gt_crowd": np.zeros((images, rows), bool),
        "gt_masks": np.zeros((images, rows, config.mask_crop_size, config.mask_crop_size), np.uint8),
        "seeds": rng.integers(0, 1000, (images, 2)).astype(np.int32),
    }
    for i, count in enumerate(objects):
        for j in range(count):
            side = rng.uniform(15, 30)
            x, y = rng.uniform(0, width - side), rng.uniform(0, height - side)
            values["gt_boxes"][i, j] = [x, y, x + side, y + side]
            values["gt_classes"][i, j] = 1 + j % config.num_classes
            values["gt_masks"][i, j] = 255
    if config.mask_head == "none":
        del values["gt_masks"]
    if config.keypoint_names:  # all visible, from corner to corner of their object
        steps = np.linspace(0, 1, len(config.keypoint_names))[:, None]
        corners = values["gt_boxes"][:, :, None]
        points = corners[..., :2] * (1 - steps) + corners[..., 2:] * steps
        values["gt_keypoints"] = np.concatenate([points, np.full_like(points[..., :1], 2)], axis=-1).astype(
            "float32"
        )
    return {key: tf.constant(value) for key, value in values.items()}


def drawn_records(count: int, height: int = 64, width: int = 80, seed: int = 0) -> list[Record]:
    """`count` images of one bright square (class 2) and one brighter disc (class 1) each, with their masks."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    records = []
    for number in range(count):
        side, radius = rng.integers(16, 28), rng.integers(8, 14)
        top, left = rng.integers(0, height - side), rng.integers(0, width // 2 - side // 2)
        square = (y >= top) & (y < top + side) & (x >= left) & (x < left + side)
        disc = (y - rng.integers(radius, height - radius)) ** 2 + (x - (width - radius - 1)) ** 2 < radius**2
        image = rng.integers(0, 60, (height, width, 3))
        image[square], image[disc] = 160, 240
        masks = np.stack([square & ~disc, disc])
        records.append(
            make_record(image.astype(np.uint8), masks=masks, class_ids=[2, 1], image_id=f"drawn {number}")
        )
    return records
