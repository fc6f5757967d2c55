"""Runs the stages of a network on a batch, whatever its number of rows."""

import contextlib
import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import keras
import tensorflow as tf

from keras_maskrcnn.layers.inputs import blank_batch
from keras_maskrcnn.layers.sync_batch_norm import counted_if

Tensors = dict[str, tf.Tensor]


@dataclasses.dataclass(frozen=True)
class Stages:
    """What is computed of a batch, by calling layers on tensors.

    A functional graph would trace all layers once more, which takes longer than a detection.
    """

    inputs: dict[str, keras.KerasTensor]
    """What is needed of a batch, by name."""
    compute: Callable[[Tensors], Tensors]
    policy: Any
    """The dtype policy of the layers without weights, which are made for the call."""

    def run(self, batch: Tensors, training: bool) -> Tensors:
        """Compute on what the stages need of a batch, also on one without rows, as a replica may get."""
        known = {key: batch[key] for key in self.inputs}
        rows = tf.shape(known["images"])[0]
        blank = blank_batch(self.inputs)
        known = tf.cond(rows > 0, lambda: known, lambda: blank)
        for key, spec in self.inputs.items():
            known[key].set_shape(spec.shape)
            known[key] = keras.ops.convert_to_tensor(known[key], spec.dtype)
        with counted_if(rows > 0), dtype_policy(self.policy):
            outputs = _Call(self.compute)(known, training=training)
        if "gt_boxes" in known:
            return outputs
        return {key: value[:rows] for key, value in outputs.items()}


class _Call(keras.layers.Layer):
    """Tells all layers within whether they are in training, whatever that around it is."""

    def __init__(self, compute: Callable[[Tensors], Tensors]):
        super().__init__(autocast=False, name="stages")  # boxes and sizes lose whole pixels in half precision
        self._compute = compute

    def call(self, inputs: Tensors, training: bool = False) -> Tensors:
        return self._compute(inputs)


@contextlib.contextmanager
def dtype_policy(policy: Any) -> Iterator[None]:
    """Give new layers a model's dtype policy: a model that was loaded may differ from the global one."""
    outer = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(outer)
