"""From places in an epoch to examples: tensors of one image each, resized, augmented and padded."""

from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf

from keras_maskrcnn.config.config import Config
from keras_maskrcnn.data.augment.color import blurred, color_jitter
from keras_maskrcnn.data.augment.flips import Example, flip, rotate90
from keras_maskrcnn.data.augment.random import augmented_example, composes_images
from keras_maskrcnn.data.augment.sample import Augment
from keras_maskrcnn.data.fields import Field, fields_of
from keras_maskrcnn.data.pipeline.dropped import DroppedObjects
from keras_maskrcnn.data.pipeline.examples import load_example
from keras_maskrcnn.data.pipeline.sizes import short_sides
from keras_maskrcnn.data.records import Record
from keras_maskrcnn.images.resize import pad_to_multiple, resize_image

# Each random choice about an image folds its own number into the image's seed.
_PURPOSES = (
    "model", "size", "flip", "example", "vertical_flip", "rotate90", "times", "blur", "brightness", "contrast",
    "saturation", "hue",
)  # fmt: skip


def make_examples(
    places: tf.data.Dataset,
    records: Sequence[Record],
    config: Config,
    training: bool,
    seed: int,
    parallel_calls: int,
    dropped: DroppedObjects,
    augment: Augment | None = None,
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
        values, lost, objects = augmented_example(
            records, int(index), config, fields, int(size), seed, augment
        )
        dropped.add(int(epoch), int(position), int(first), objects, lost)
        return values

    def example(epoch: tf.Tensor, first: tf.Tensor, position: tf.Tensor, index: tf.Tensor) -> Example:
        place = epoch, first, position, index
        return tf.cond(position >= 0, lambda: of_image(*place), lambda: _no_example(config, fields))

    def of_image(epoch: tf.Tensor, first: tf.Tensor, position: tf.Tensor, index: tf.Tensor) -> Example:
        random = _Random(tf.random.experimental.stateless_fold_in(seed_pair(seed, epoch), position))
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


def seed_pair(seed: int, epoch: tf.Tensor) -> tf.Tensor:
    return tf.stack([tf.constant(seed, tf.int32), tf.cast(epoch, tf.int32)])


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
