"""Runs the inference graph on images of any sizes, one trace for all of them."""

import contextlib
import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_maskrcnn.config.config import Config
from keras_maskrcnn.images.resize import pad_batch, resize_image, resized_size
from keras_maskrcnn.layers.inputs import blank_batch
from keras_maskrcnn.network.inference_graph import inference_graph
from keras_maskrcnn.network.network import Network

Tensors = dict[str, tf.Tensor]


class Detector:
    """The inference graphs of a network: one for each Config that selects detections in its own way.

    Args:
        network: whose layers they are assembled from.
        policy: the dtype policy of the layers without weights.
    """

    def __init__(self, network: Network, policy: Any):
        self.network, self.policy = network, policy
        self._graphs: dict[Config, keras.Model] = {}
        self._functions: dict[Config, Callable[[Tensors], Tensors]] = {}

    def graph(self, config: Config) -> keras.Model:
        """Return the graph that selects detections as `config` says."""
        if config not in self._graphs:
            with dtype_policy(self.policy):
                self._graphs[config] = inference_graph(self.network, config)
        return self._graphs[config]

    def detect(
        self, images: list[np.ndarray], wanted: Config
    ) -> Iterator[tuple[dict[str, np.ndarray], tuple[int, int]]]:
        """Yield the outputs for a batch of images `[H, W, C]`, one by one, and the size that each was resized to."""
        own = self.network.config
        # what the model's own graph detects holds every stricter choice: a worse detection never suppresses a better
        config = dataclasses.replace(
            wanted,
            score_threshold=min(wanted.score_threshold, own.score_threshold),
            max_detections=max(wanted.max_detections, own.max_detections),
        )
        inputs = image_batch(images, config)
        outputs = {key: value.numpy() for key, value in self._function(config)(inputs).items()}
        chosen = outputs["scores"] > wanted.score_threshold
        chosen[:, wanted.max_detections :] = False
        outputs["classes"] = np.where(chosen, outputs["classes"], 0)
        for row, size in enumerate(inputs["sizes"].numpy().tolist()):
            yield {key: value[row] for key, value in outputs.items()}, tuple(size)

    def _function(self, config: Config) -> Callable[[Tensors], Tensors]:
        if config not in self._functions:
            graph = self.graph(config)
            signature = {
                "images": tf.TensorSpec((None, None, None, config.channels), tf.float32),
                "sizes": tf.TensorSpec((None, 2), tf.int32),
            }
            self._functions[config] = tf.function(
                lambda inputs: run_graph(graph, inputs, training=False), input_signature=[signature]
            )
        return self._functions[config]


@contextlib.contextmanager
def dtype_policy(policy: Any) -> Iterator[None]:
    """Give new layers a model's dtype policy: a model that was loaded may differ from the global one."""
    outer = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(outer)


def image_batch(images: list[np.ndarray], config: Config) -> Tensors:
    """Resize and pad images `[H, W, C]` as the config says.

    Returns:
        `images [B, H, W, C]` float32 raw pixels and `sizes [B, 2]` int32 (height, width) without the padding.
    """
    limits = config.min_size, config.max_size, config.size_rounding
    sizes = [resized_size(image.shape[0], image.shape[1], *limits) for image in images]
    resized = [resize_image(image, size, config.resize) for image, size in zip(images, sizes, strict=True)]
    padded, image_sizes = pad_batch(resized, config.size_divisor)
    return {"images": padded, "sizes": image_sizes}


def run_graph(graph: keras.Model, inputs: Tensors, training: bool) -> Tensors:
    """Run a graph on the inputs that it knows, also on a batch without rows, as a replica may get."""
    known = {key: inputs[key] for key in graph.input}
    rows = tf.shape(known["images"])[0]
    blank = blank_batch(graph.input)
    known = tf.cond(rows > 0, lambda: known, lambda: blank)
    for key, keras_input in graph.input.items():
        known[key].set_shape(keras_input.shape)
    outputs = graph.call(known, training=training)
    if "gt_boxes" in known:
        return outputs
    return {key: value[:rows] for key, value in outputs.items()}
