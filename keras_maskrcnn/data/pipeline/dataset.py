"""From records to batches: `tf.data` that decodes, resizes, augments, pads, and repeats itself exactly."""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from keras_maskrcnn.config.config import Config
from keras_maskrcnn.config.keypoints import flip_indices
from keras_maskrcnn.data.augment.flips import Example
from keras_maskrcnn.data.augment.random import composes_images
from keras_maskrcnn.data.augment.sample import Augment
from keras_maskrcnn.data.pipeline.batches import BatchDataset
from keras_maskrcnn.data.pipeline.clock import Clock
from keras_maskrcnn.data.pipeline.dropped import DroppedObjects
from keras_maskrcnn.data.pipeline.example_tensors import make_examples, seed_pair
from keras_maskrcnn.data.pipeline.parts import Part
from keras_maskrcnn.data.records import Record, check_names, check_record


def make_dataset(
    records: Sequence[Record],
    config: Config,
    batch_size: int = 1,
    training: bool = False,
    seed: int = 0,
    parallel_calls: int = tf.data.AUTOTUNE,
    augment: Augment | None = None,
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
        augment: a function of your own, called with a `Sample` (an image with its objects as arrays) and a
            `numpy.random.Generator`, which returns the Sample changed. It is called first, with the image as read
            and after it config.intensity_percentiles, so that all that follows resamples what it returned once, and
            also for images whose objects are pasted. What it takes from the generator follows from (seed, epoch,
            position), and nothing else may; like `records[i]` it is called from several threads at once. Objects
            that it leaves out count in `dataset.dropped`.

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
            with in flipped images. Or `augment` is given without `training`. Images are read later: an unreadable one,
            or one of which `augment` makes what cannot be trained on, stops the iteration with a TensorFlow error that
            names it.

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
    if augment is not None and not training:
        raise ValueError("make_dataset augments for training: augment= needs training=True")
    if isinstance(records, (list, tuple)):
        for record in records:
            check_names(record, config.class_names, config.keypoint_names)
            check_record(record, config.num_classes, config.mask_head != "none", len(config.keypoint_names))
    if training and (config.horizontal_flip_probability or config.vertical_flip_probability):
        flip_indices(config.keypoint_names)  # which refuses names that have no place in a flipped image
    clock, dropped = (
        Clock(),
        DroppedObjects(len(records), logged=composes_images(config) or augment is not None),
    )

    def batches(part: Part) -> tf.data.Dataset:
        positions = part.positions(len(records), batch_size)
        order = functools.partial(_order, len(records), seed)
        places = _shuffled(positions, batch_size, order, clock) if training else _in_order(positions)
        dropped.is_here = functools.partial(part.has, batch_size=batch_size)
        examples = make_examples(places, records, config, training, seed, parallel_calls, dropped, augment)
        return _batched(examples, part.slots(batch_size)).prefetch(1 + part.replicas)

    if not training:
        return BatchDataset(batches, config, batch_size, len(records))
    return _TrainingDataset(batches, config, batch_size, records, seed, clock, dropped)


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


def _order(count: int, seed: int, epoch: tf.Tensor) -> tf.Tensor:
    """Indices of the records in the order in which an epoch has them."""
    return tf.random.experimental.stateless_shuffle(tf.range(count), seed_pair(seed, epoch))
