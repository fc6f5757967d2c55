"""The inference graphs as functions: one trace for pictures of every size, or XLA's code for each size apart."""

import logging
import time
from typing import Any

import keras
import tensorflow as tf

Tensors = dict[str, tf.Tensor]

MOST_COMPILED = 8
"""Shapes of batches that XLA compiles for at most, since the code for each stays in memory."""

_log = logging.getLogger(__name__)


class Detector:
    """Padded pictures -> detections of one model, chosen as one Config says.

    Args:
        dense: of `graphs.dense_graph`.
        heads: of `graphs.heads_graph`.
    """

    def __init__(self, dense: keras.Model, heads: keras.Model):
        self.dense = tf.function(dense.call, input_signature=[_specs(dense.input)])
        self.compiled_dense = tf.function(dense.call, jit_compile=True)
        self.heads = tf.function(heads.call, input_signature=[_specs(heads.input)])
        self._compiled: set[tuple[int, ...]] = set()

    def __call__(self, inputs: Tensors, jit_compile: bool = False) -> Tensors:
        """Return the detections of `images [B, H, W, C]` with `sizes [B, 2]`."""
        dense = self._run_compiled(inputs) if jit_compile else self.dense(inputs)
        return self.heads(dense)

    def _run_compiled(self, inputs: Tensors) -> Tensors:
        shape = tuple(inputs["images"].shape)
        size = " x ".join(map(str, shape[:3]))
        if shape in self._compiled:
            return self.compiled_dense(inputs)
        if len(self._compiled) == MOST_COMPILED:
            _log.warning("%d sizes are compiled already; %s runs without XLA", MOST_COMPILED, size)
            return self.dense(inputs)
        start = time.perf_counter()
        outputs = self.compiled_dense(inputs)
        self._compiled.add(shape)
        _log.warning("XLA compiled for batches of %s, once, in %.0f s", size, time.perf_counter() - start)
        return outputs


def _specs(inputs: Any) -> Any:
    return keras.tree.map_structure(lambda x: tf.TensorSpec(x.shape, x.dtype), inputs)
