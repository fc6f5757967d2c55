"""From records to batches: `tf.data` that decodes, resizes, augments, pads, and repeats itself exactly."""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from keras_maskrcnn.config.config import Config
from keras_maskrcnn.config.keypoints import flip_indices
from keras_maskrcnn.data.augment.color import blurred, color_jitter
from keras_maskrcnn.data.augment.flips import Example, flip, rotate90
from keras_maskrcnn.data.augment.random import augmented_example, composes_images
from keras_maskrcnn.data.fields import Field, fields_of
from keras_maskrcnn.data.pipeline.batches import BatchDataset
from keras_maskrcnn.data.pipeline.clock import Clock
from keras_maskrcnn.data.pipeline.dropped import DroppedObjects
from keras_maskrcnn.data.pipeline.examples import load_example
from keras_maskrcnn.data.pipeline.parts import Part
from keras_maskrcnn.data.pipeline.sizes import short_sides
from keras_maskrcnn.data.records import Record, check_names, check_record
from keras_maskrcnn.images.resize import pad_to_multiple, resize_image

# Each random choice about an image folds its own number into the image's seed.
_PURPOSES = (
    "model", "size", "flip", "example", "vertical_flip", "rotate90", "times", "blur", "brightness", "contrast",
    "saturation", "hue",
)  # fmt: skip


def make_dataset(
    records: Sequence[Record],
    config: Config,
    batch_size: int = 1,
    training: bool = False,
    seed: int = 0,
    parallel_calls: int = tf.data.AUTOTUNE,
) -> tf.data.Dataset:
    """Make the batches that `fit` and `evaluate` take.

    With `training`, images come in a new order each epoch, flipped with config.horizontal_flip_probability, at a short
    side chosen from config.train_min_sizes, with whatever other augmentation the config names; objects that it moves
    out of sight are dropped, and counted by `dataset.dropped` (a `DroppedObjects`). Everything random follows from
    (seed, epoch, position in the epoch): the same seed gives the same batches, whatever was read before. Each
    iteration delivers the epoch after the last one; `dataset.clock` (a `Clock`) tells which comes next and can be
    set. Without `training`, images come in their own order, as they are, with fixed seeds.

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
        seeds [B, 2] int32, for the model's samplers.

    Raises:
        ValueError: there are no records, or one does not fit the config (its classes, masks or keypoints, or the
            names that it knows for them); the message names the image. Or a keypoint has a side but no partner to swap
            with in flipped images. Images are read later: an unreadable one stops the iteration with a TensorFlow error
            that names it.

    Example:
        ```python
        import keras_maskrcnn as km
        import numpy as np

        image = np.zeros((40, 60, 3), np.uint8)
        masks = np.zeros((1, 40, 60), bool)
        masks[0, 5:35, 10:30] = True
        record = km.make_record(image, masks=masks, class_ids=[1], image_id=1)
        config = km.Config(class_names=("nut",), min_size=64, max_size=96)
        dataset = km.make_dataset([record] * 4, config, batch_size=2, training=True)
        batch = next(iter(dataset))
        print(len(dataset), batch["images"].shape, batch["gt_masks"].shape)  # 2 (2, 64, 96, 3) (2, 1, 112, 112)
        ```
    """
    if not len(records) or batch_size < 1:
        raise ValueError(
            f"make_dataset needs records and a positive batch_size; got {len(records)} and {batch_size}"
        )
    if isinstance(records, (list, tuple)):
        for record in records:
            check_names(record, config.class_names, config.keypoint_names)
            check_record(record, config.num_classes, config.mask_head != "none", len(config.keypoint_names))
    if training and (config.horizontal_flip_probability or config.vertical_flip_probability):
        flip_indices(config.keypoint_names)  # which refuses names that have no place in a flipped image
    clock, dropped = Clock(), DroppedObjects(len(records), logged=composes_images(config))

    def batches(part: Part) -> tf.data.Dataset:
        positions = part.positions(len(records), batch_size)
        order = functools.partial(_order, len(records), seed)
        places = _shuffled(positions, batch_size, order, clock) if training else _in_order(positions)
        dropped.is_here = functools.partial(part.has, batch_size=batch_size)
        examples = make_examples(places, records, config, training, seed, parallel_calls, dropped)
        return _batched(examples, part.slots(batch_size)).prefetch(1 + part.replicas)

    if not training:
        return BatchDataset(batches, config, batch_size, len(records))
    return _TrainingDataset(batches, config, batch_size, records, seed, clock, dropped)


def make_examples(
    places: tf.data.Dataset,
    records: Sequence[Record],
    config: Config,
    training: bool,
    seed: int,
    parallel_calls: int,
    dropped: DroppedObjects,
) -> tf.data.Dataset:
    """Make one example for each place (epoch, position of the first image, position, index of the record), all int64.

    A place without an image has the position -1, and its example holds no pixel and no object.

    What is random follows from the seed, the epoch and the position. Arguments and examples are those of
    `make_dataset`, but that examples are not batched; objects that augmentation drops are counted in `dropped`.
    """
    jitter = color_jitter(config) if training else None
    fields = fields_of(config)

    def load(epoch: int, first: int, position: int, index: int, size: int, seed: np.ndarray) -> tuple:
        if not training:
            return load_example(records[int(index)], config, fields, int(size))
        values, lost, objects = augmented_example(records, int(index), config, fields, int(size), seed)
        dropped.add(int(epoch), int(position), int(first), objects, lost)
        return values

    def example(epoch: tf.Tensor, first: tf.Tensor, position: tf.Tensor, index: tf.Tensor) -> Example:
        place = epoch, first, position, index
        return tf.cond(position >= 0, lambda: of_image(*place), lambda: _no_example(config, fields))

    def of_image(epoch: tf.Tensor, first: tf.Tensor, position: tf.Tensor, index: tf.Tensor) -> Example:
        random = _Random(tf.random.experimental.stateless_fold_in(_pair(seed, epoch), position))
        sides = tf.constant(short_sides(config) if training else (config.min_size,))
        short_side = sides[random.whole("size", len(sides))]
        inputs = [epoch, first, position, index, short_side, random.seed("example")]
        loaded = _loaded(load, inputs, config.channels, fields)
        if config.resize == "bilinear" and not (training and composes_images(config)):
            loaded["images"] = resize_image(loaded["images"], loaded["sizes"])
        if jitter is not None:  # of the resized image, which has fewer pixels
            loaded["images"] = jitter(loaded["images"], random.uniform)
        if training:
            loaded = _augmented(loaded, config, fields, random)
        loaded["seeds"] = tf.random.stateless_uniform([2], random.seed("model"), None, None, tf.int32)
        return _padded(loaded, fields, config.size_divisor)

    return places.map(example, num_parallel_calls=parallel_calls, deterministic=True)


class _Random:
    """The random numbers of one image, each purpose with its own seed, so that none depends on the others."""

    def __init__(self, image_seed: tf.Tensor) -> None:
        self._image_seed = image_seed

    def seed(self, purpose: str) -> tf.Tensor:
        return tf.random.experimental.stateless_fold_in(self._image_seed, _PURPOSES.index(purpose))

    def uniform(self, purpose: str, low: float = 0.0, high: float = 1.0) -> tf.Tensor:
        return tf.random.stateless_uniform([], self.seed(purpose), low, high)

    def whole(self, purpose: str, count: int) -> tf.Tensor:
        return tf.random.stateless_uniform([], self.seed(purpose), 0, count, tf.int32)


def is_for_training(dataset: Any) -> bool:
    """Tell whether `make_dataset(..., training=True)` made this."""
    return isinstance(dataset, _TrainingDataset)


def check_is_for_training(dataset: tf.data.Dataset, who: str) -> None:
    """Raise a ValueError, in the name of `who`, unless `make_dataset(..., training=True)` made the dataset."""
    if not is_for_training(dataset):
        raise ValueError(f"{who} needs the dataset that make_dataset(..., training=True) returned")


class _TrainingDataset(BatchDataset):
    """A dataset with a clock, its records and a count of dropped objects."""

    def __init__(
        self,
        batches: Callable[[Part], tf.data.Dataset],
        config: Config,
        batch_size: int,
        records: Sequence[Record],
        seed: int,
        clock: Clock,
        dropped: DroppedObjects,
    ) -> None:
        super().__init__(lambda part: clock.watched(batches(part)), config, batch_size, len(records))
        self._seed = seed
        self.records, self.clock, self.dropped = records, clock, dropped

    def names_of(self, epoch: int, step: int) -> list[str]:
        """Return the names of the images of a step's batch; epochs and steps count from 0."""
        order = _order(len(self.records), self._seed, tf.constant(epoch)).numpy()
        places = order[step * self.batch_size : (step + 1) * self.batch_size]
        return [self.records[int(place)].name for place in places]


def _in_order(positions: tf.Tensor) -> tf.data.Dataset:
    # Epoch -1, so that evaluation never has the random numbers of an epoch of training.
    return tf.data.Dataset.from_tensor_slices(tf.reshape(positions, [-1])).map(
        lambda position: (-tf.ones_like(position), tf.zeros_like(position), position, position)
    )


def _shuffled(
    positions: tf.Tensor, batch_size: int, order_of: Callable[[tf.Tensor], tf.Tensor], clock: Clock
) -> tf.data.Dataset:
    def epoch_from(epoch: tf.Tensor, first_step: tf.Tensor) -> tf.data.Dataset:
        order, first = order_of(epoch), first_step * batch_size
        places = tf.data.Dataset.from_tensor_slices(tf.reshape(positions[first_step:], [-1]))
        return places.map(
            lambda position: (epoch, first, position, tf.gather(order, tf.maximum(position, 0)))
        )

    return tf.data.Dataset.from_tensors(0).map(lambda _: clock.start()).flat_map(epoch_from)


def _batched(examples: tf.data.Dataset, slots: int) -> tf.data.Dataset:
    """Join as many examples as there are slots, and leave out those of empty ones."""

    def without_empty(batch: Example) -> Example:
        filled = batch["sizes"][:, 0] > 0

        def left() -> Example:
            return {name: tf.boolean_mask(values, filled) for name, values in batch.items()}

        return tf.cond(tf.reduce_all(filled), lambda: batch, left)

    return examples.padded_batch(slots).map(without_empty)


def _no_example(config: Config, fields: Sequence[Field]) -> Example:
    """Return an image without pixels and without objects."""
    example = {
        "images": tf.zeros([0, 0, config.channels]),
        "sizes": tf.zeros([2], tf.int32),
        "seeds": tf.zeros([2], tf.int32),
    }
    for field in fields:
        shape, dtype = field.spec
        example[field.name] = tf.zeros([size or 0 for size in shape], dtype)
    return example


def _order(count: int, seed: int, epoch: tf.Tensor) -> tf.Tensor:
    """Indices of the records in the order in which an epoch has them."""
    return tf.random.experimental.stateless_shuffle(tf.range(count), _pair(seed, epoch))


def _pair(seed: int, epoch: tf.Tensor) -> tf.Tensor:
    return tf.stack([tf.constant(seed, tf.int32), tf.cast(epoch, tf.int32)])


def _augmented(example: Example, config: Config, fields: Sequence[Field], random: _Random) -> Example:
    """Blur, flip and rotate a resized example, each with its probability."""
    if config.blur_sigma:
        sigma = random.uniform("blur", 0, config.blur_sigma)
        example = example | {"images": blurred(example["images"], sigma, config.blur_sigma)}
    for purpose, probability, axis in (
        ("flip", config.horizontal_flip_probability, 1),
        ("vertical_flip", config.vertical_flip_probability, 0),
    ):
        if probability:
            example = tf.cond(
                random.uniform(purpose) < probability,
                lambda example=example, axis=axis: flip(example, fields, axis),
                lambda example=example: example,
            )
    if config.rotate90_probability:
        rotates = random.uniform("rotate90") < config.rotate90_probability
        example = rotate90(example, fields, tf.where(rotates, 1 + random.whole("times", 3), 0))
    return example


def _loaded(
    load: Callable[..., tuple], inputs: list[tf.Tensor], channels: int, fields: Sequence[Field]
) -> Example:
    """Load one example in Python."""
    specs = {"images": ((None, None, channels), "float32"), "sizes": ((2,), "int32")}
    specs |= {field.name: field.spec for field in fields}
    loaded = tf.numpy_function(
        tf.autograph.experimental.do_not_convert(load),
        inputs,
        [tf.as_dtype(dtype) for _, dtype in specs.values()],
    )
    return {
        name: tf.ensure_shape(value, shape)
        for (name, (shape, _)), value in zip(specs.items(), loaded, strict=True)
    }


def _padded(example: Example, fields: Sequence[Field], divisor: int) -> Example:
    """Pad the image to a multiple of `divisor`, and an image without objects with one row of zeros."""
    padded = example | {"images": pad_to_multiple(example["images"], divisor)}
    for field in fields:
        values = example[field.name]
        missing = tf.maximum(1 - tf.shape(values)[0], 0)
        padded[field.name] = tf.pad(values, [[0, missing]] + [[0, 0]] * (values.shape.rank - 1))
    return padded
