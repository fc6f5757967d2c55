"""Batch normalisation by the statistics of a whole batch that replicas share (MegDet, Peng et al. 2018)."""

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar

import keras
import tensorflow as tf

from keras_maskrcnn.utils.replicas import sum_over_replicas

_weight: ContextVar[tf.Tensor | None] = ContextVar("weight", default=None)


@contextlib.contextmanager
def counted_if(real: tf.Tensor) -> Iterator[None]:
    """Let what runs within a `with` block count only if `real`: a replica without images runs on a blank one."""
    token = _weight.set(tf.cast(real, tf.float32))
    try:
        yield
    finally:
        _weight.reset(token)


class SyncBatchNorm(keras.layers.BatchNormalization):
    """`[B, ..., C]` -> the same, normalised by each channel's statistics over the images of all replicas.

    Keras' own, with `synchronized=True`, would count blank images, and takes the variance as the difference of two
    large numbers.
    """

    def _moments(self, inputs: tf.Tensor, mask: None) -> tuple[tf.Tensor, tf.Tensor]:
        axes = list(range(len(inputs.shape) - 1))
        given = _weight.get()
        weight = tf.ones([], inputs.dtype) if given is None else tf.cast(given, inputs.dtype)
        count = weight * tf.cast(tf.reduce_prod(tf.shape(inputs)[:-1]), inputs.dtype)
        count = tf.maximum(sum_over_replicas(count), 1)
        mean = sum_over_replicas(weight * tf.reduce_sum(inputs, axes)) / count
        spread = sum_over_replicas(weight * tf.reduce_sum(tf.math.squared_difference(inputs, mean), axes))
        return mean, spread / count
