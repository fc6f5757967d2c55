"""From records to batches: `tf.data` that decodes, resizes, flips, pads, and repeats itself exactly."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from keras_maskrcnn.config import Config
from keras_maskrcnn.data.clock import Clock
from keras_maskrcnn.data.examples import load_example
from keras_maskrcnn.data.records import Record, check_record
from keras_maskrcnn.data.report import check_keypoint_names
from keras_maskrcnn.images import pad_to_multiple, resize_image
from keras_maskrcnn.keypoints import mirror_order

Example = dict[str, tf.Tensor]

# Each random choice about an image folds its own number into the image's seed.
_SEED_OF_MODEL, _SEED_OF_SIZE, _SEED_OF_FLIP = range(3)


def make_dataset(
    records: Sequence[Record],
    config: Config,
    batch_size: int = 1,
    training: bool = False,
    seed: int = 0,
    parallel_calls: int = tf.data.AUTOTUNE,
) -> tf.data.Dataset:
    """Make the batches that `fit` and `evaluate` take.

    With `training`, images come in a new order each epoch, flipped with config.flip_probability, at a short
    side drawn from config.train_min_sizes. Everything random follows from (seed, epoch, position in the epoch): the
    same seed gives the same batches, whatever was read before. Each iteration delivers the epoch after the last
    one; `dataset.clock` (a `Clock`) tells which comes next and can be set. Without `training`, images come in
    their own order, as they are, with fixed seeds.

    Every record is used, and objects without a labelled keypoint are there as boxes and masks. The published recipes
    for keypoints leave out images without any:
    `[record for record in records if (record.keypoints[..., 2] > 0).any()]`.

    Args:
        records: the images and their objects; a list is checked here, another sequence record by record.
            `records[i]` is called from several threads at once: where that is not safe (one open file or database
            connection, one random generator), pass parallel_calls=1.
        config: says sizes, channels, classes and the kind of masks.
        batch_size: images per batch, of all replicas together; the last batch of an epoch may be smaller.
        seed: any 32-bit integer.
        parallel_calls: images loaded at a time, each in its own thread; left out: as many as tf.data finds useful.

    Returns:
        A dataset of known length ceil(len(records) / batch_size), whose elements are dicts of
        images [B, H, W, C] float32 0..255, zero-padded at the bottom and right to a multiple of config.size_divisor;
        sizes [B, 2] int32 (height, width) without padding;
        gt_boxes [B, G, 4] float32 x1, y1, x2, y2 in pixels of the resized images, G >= 1, padded with zero rows;
        gt_classes [B, G] int32 1..K, 0 in padded rows; gt_crowd [B, G] bool;
        gt_masks [B, G, S, S] uint8 coverage 0..255 of each box, unless config.mask_head is "none";
        gt_keypoints [B, G, J, 3] float32, if config.keypoint_names has any: x and y in pixels of the resized images,
        config.keypoint_offset added before, and visibility 0 (not labelled, x and y 0), 1 (hidden) or 2; zeros in
        padded rows;
        seeds [B, 2] int32, for what the model draws at random.

    Raises:
        ValueError: there are no records, or one does not fit the config (its classes, masks or keypoints); the
            message names the image. Or a keypoint has a side but no partner to swap with in flipped images. Images
            are read later: an unreadable one stops the iteration with a TensorFlow error that names it.
    """
    if not len(records) or batch_size < 1:
        raise ValueError(
            f"make_dataset needs records and a positive batch_size; got {len(records)} and {batch_size}"
        )
    check_keypoint_names(records, config.keypoint_names)
    if isinstance(records, (list, tuple)):
        for record in records:
            check_record(record, config.num_classes, config.mask_head != "none", len(config.keypoint_names))
    if training and config.flip_probability:
        mirror_order(config.keypoint_names)  # which refuses names that cannot be mirrored
    clock = Clock()
    count = len(records)
    positions = _shuffled(count, batch_size, seed, clock) if training else _in_order(count)

    def example(epoch: tf.Tensor, position: tf.Tensor, index: tf.Tensor) -> Example:
        image_seed = tf.random.experimental.stateless_fold_in(_pair(seed, epoch), position)
        return _example(records, config, index, image_seed, training)

    batches = (
        positions.map(example, num_parallel_calls=parallel_calls, deterministic=True)
        .padded_batch(batch_size)
        .prefetch(2)
    )
    return _TrainingDataset(batches, records, batch_size, seed, clock) if training else batches


def check_is_for_training(dataset: tf.data.Dataset, who: str) -> None:
    """Raise a ValueError, in the name of `who`, unless `make_dataset(..., training=True)` made the dataset."""
    if not isinstance(dataset, _TrainingDataset):
        raise ValueError(f"{who} needs the dataset that make_dataset(..., training=True) returned")


class _TrainingDataset(tf.data.Dataset):
    """A dataset with a clock, its records, and the length of a whole epoch.

    An epoch resumed at its middle must end where it ended before: its last, smaller batch would be mixed with the next
    epoch's images when a strategy splits batches for its replicas. TensorFlow's `assert_cardinality` refuses that.
    """

    def __init__(
        self, dataset: tf.data.Dataset, records: Sequence[Record], batch_size: int, seed: int, clock: Clock
    ) -> None:
        self._dataset = clock.watched(dataset)
        self._batch_size, self._seed = batch_size, seed
        self.records, self.clock = records, clock
        super().__init__(self._dataset._variant_tensor)

    def names_of(self, epoch: int, step: int) -> list[str]:
        """Return the names of the pictures of a step's batch; epochs and steps count from 0."""
        order = _order(len(self.records), self._seed, tf.constant(epoch)).numpy()
        places = order[step * self._batch_size : (step + 1) * self._batch_size]
        return [self.records[int(place)].name for place in places]

    def _inputs(self) -> list[tf.data.Dataset]:
        return [self._dataset]

    @property
    def element_spec(self) -> Any:
        return self._dataset.element_spec

    def cardinality(self) -> tf.Tensor:
        return tf.constant(-(-len(self.records) // self._batch_size), tf.int64)


def _in_order(count: int) -> tf.data.Dataset:
    # Epoch -1, so that evaluation never draws as an epoch of training does.
    return tf.data.Dataset.range(count).map(lambda index: (-tf.ones_like(index), index, index))


def _shuffled(count: int, batch_size: int, seed: int, clock: Clock) -> tf.data.Dataset:
    def epoch_from(epoch: tf.Tensor, first_step: tf.Tensor) -> tf.data.Dataset:
        order = _order(count, seed, epoch)
        places = tf.data.Dataset.from_tensor_slices(order).enumerate().skip(first_step * batch_size)
        return places.map(lambda position, index: (epoch, position, index))

    return tf.data.Dataset.from_tensors(0).map(lambda _: clock.start()).flat_map(epoch_from)


def _order(count: int, seed: int, epoch: tf.Tensor) -> tf.Tensor:
    """Indices of the records in the order in which an epoch has them."""
    return tf.random.experimental.stateless_shuffle(tf.range(count), _pair(seed, epoch))


def _pair(seed: int, epoch: tf.Tensor) -> tf.Tensor:
    return tf.stack([tf.constant(seed, tf.int32), tf.cast(epoch, tf.int32)])


def _example(
    records: Sequence[Record], config: Config, index: tf.Tensor, image_seed: tf.Tensor, training: bool
) -> Example:
    def seed_of(purpose: int) -> tf.Tensor:
        return tf.random.experimental.stateless_fold_in(image_seed, purpose)

    short_sides = tf.constant((training and config.train_min_sizes) or (config.min_size,))
    drawn = tf.random.stateless_uniform([], seed_of(_SEED_OF_SIZE), 0, len(short_sides), tf.int32)
    example = _loaded(records, config, index, short_sides[drawn])
    if training and config.flip_probability:
        flip = tf.random.stateless_uniform([], seed_of(_SEED_OF_FLIP)) < config.flip_probability
        example = tf.cond(flip, lambda: _flipped(example, config.keypoint_names), lambda: example)
    example["seeds"] = tf.random.stateless_uniform([2], seed_of(_SEED_OF_MODEL), None, None, tf.int32)
    return _padded(example, config.size_divisor)


def _loaded(records: Sequence[Record], config: Config, index: tf.Tensor, min_size: tf.Tensor) -> Example:
    """Load one example in Python and resize its image, unless it comes resized."""
    crop = config.mask_crop_size
    fields: dict[str, tuple[tf.DType, list[int | None]]] = {
        "images": (tf.float32, [None, None, config.channels]),
        "sizes": (tf.int32, [2]),
        "gt_boxes": (tf.float32, [None, 4]),
        "gt_classes": (tf.int32, [None]),
        "gt_crowd": (tf.bool, [None]),
    }
    if config.mask_head != "none":
        fields["gt_masks"] = (tf.uint8, [None, crop, crop])
    if config.keypoint_names:
        fields["gt_keypoints"] = (tf.float32, [None, len(config.keypoint_names), 3])

    @tf.autograph.experimental.do_not_convert
    def load(index: np.ndarray, min_size: np.ndarray) -> tuple[np.ndarray, ...]:
        return load_example(records[int(index)], config, int(min_size))

    loaded = tf.numpy_function(load, [index, min_size], [dtype for dtype, _ in fields.values()])
    example = {
        key: tf.ensure_shape(value, shape)
        for (key, (_, shape)), value in zip(fields.items(), loaded, strict=True)
    }
    if config.resize == "bilinear":
        example["images"] = resize_image(example["images"], example["sizes"])
    return example


def _flipped(example: Example, keypoint_names: Sequence[str]) -> Example:
    """Mirror left and right whatever lies in the image's frame; left keypoints become right ones."""
    x1, y1, x2, y2 = tf.unstack(example["gt_boxes"], axis=1)
    width = tf.cast(example["sizes"][1], tf.float32)
    flipped = example | {
        "images": tf.reverse(example["images"], [1]),
        "gt_boxes": tf.stack([width - x2, y1, width - x1, y2], axis=1),
    }
    if "gt_masks" in example:
        flipped["gt_masks"] = tf.reverse(example["gt_masks"], [2])
    if "gt_keypoints" in example:
        x, y, visibility = tf.unstack(example["gt_keypoints"], axis=2)
        x = tf.where(visibility > 0, width - x, 0.0)
        points = tf.stack([x, y, visibility], axis=2)
        flipped["gt_keypoints"] = tf.gather(points, mirror_order(keypoint_names), axis=1)
    return flipped


def _padded(example: Example, divisor: int) -> Example:
    """Pad the image to a multiple of `divisor`, and an image without objects with one row of zeros."""
    missing = tf.maximum(1 - tf.shape(example["gt_classes"])[0], 0)
    padded = example | {"images": pad_to_multiple(example["images"], divisor)}
    for key, value in example.items():
        if key.startswith("gt_"):
            padded[key] = tf.pad(value, [[0, missing]] + [[0, 0]] * (value.shape.rank - 1))
    return padded
