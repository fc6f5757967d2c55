"""Runs the inference graph on images of any sizes, one trace for all of them."""

import contextlib
import dataclasses
import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_maskrcnn.config.config import Config
from keras_maskrcnn.detections.augmentation import augmented
from keras_maskrcnn.detections.batching import Run
from keras_maskrcnn.detections.from_outputs import Outputs
from keras_maskrcnn.detections.views import View
from keras_maskrcnn.images.resize import pad_batch, resize_image
from keras_maskrcnn.images.sizes import input_size
from keras_maskrcnn.layers.inputs import blank_batch
from keras_maskrcnn.layers.sync_batch_norm import counted_if
from keras_maskrcnn.network.inference_graph import given_boxes_graph, inference_graph, merge_detections
from keras_maskrcnn.network.network import Network
from keras_maskrcnn.utils.finite import WeightCheck

Tensors = dict[str, tf.Tensor]
Function = Callable[[Tensors], Tensors]

BOXES = ("boxes", "scores", "classes")
"""The outputs that need no RoI head."""


class Detector:
    """The inference graphs of a network, assembled for one set of weights: quantized layers have others.

    One graph serves every score threshold; each limit of detections above the config's has one of its own, and limits
    are rounded up to the config's times a power of two, so that there are few.

    Args:
        network: whose layers they are assembled from.
        policy: the dtype policy of the layers without weights.
        weights: of the layers.
    """

    def __init__(self, network: Network, policy: Any, weights: Sequence[keras.Variable]):
        self.network, self.policy, self.weights = network, policy, list(weights)
        self.check_weights = WeightCheck(self.weights)
        self._graphs: dict[int, keras.Model] = {}
        self._functions: dict[int, Function] = {}
        self._box_functions: dict[int, Function] = {}

    def is_of(self, network: Network, weights: Sequence[keras.Variable]) -> bool:
        """Whether the graphs are still those of these layers and weights."""
        return network is self.network and list(map(id, weights)) == list(map(id, self.weights))

    def run(self, inputs: Tensors) -> Tensors:
        """Run the graph of the network's own config on a batch."""
        config = self.network.config
        return run_graph(self._graph(config.max_detections), _with_threshold(inputs, config), training=False)

    def detect(
        self, images: list[np.ndarray], wanted: Config, boxes_only: bool = False
    ) -> Iterator[tuple[dict[str, np.ndarray], tuple[int, int]]]:
        """Yield the outputs for a batch of images `[H, W, C]`, one by one, and the size that each was resized to.

        With `boxes_only` no RoI head runs, and the outputs are BOXES.

        Raises:
            WeightsError: the weights hold NaN or Inf.
        """
        self.check_weights()
        inputs = _with_threshold(image_batch(images, wanted), wanted)
        outputs = _numpy(self._function(wanted, boxes_only)(inputs))
        # the best are the same whatever the limit: a worse detection never suppresses a better
        outputs = {key: value[:, : wanted.max_detections] for key, value in outputs.items()}
        for row, size in enumerate(inputs["sizes"].numpy().tolist()):
            yield {key: value[row] for key, value in outputs.items()}, tuple(size)

    def augmented(self, views: Sequence[View], wanted: Config, boxes_only: bool) -> Run:
        """Return what detects in all views of each image, and gives one result of them; see `augmented`."""
        detect = functools.partial(self.detect, boxes_only=True)
        merge = functools.partial(_merge, wanted)
        return augmented(views, wanted, detect, merge, None if boxes_only else self._predict_of)

    def _predict_of(
        self, images: list[np.ndarray], objects: list[Outputs], wanted: Config
    ) -> Iterator[dict[str, np.ndarray]]:
        """Yield what the RoI heads predict of objects (BOXES, D rows of each image) in images, one by one."""
        rows = {key: tf.constant(np.stack([of_image[key] for of_image in objects])) for key in BOXES}
        rows["boxes"] = tf.cast(rows["boxes"], tf.float32)
        outputs = _numpy(self._given_boxes_function({**image_batch(images, wanted), **rows}))
        for row in range(len(images)):
            yield {key: value[row] for key, value in outputs.items()}

    def _graph(self, limit: int) -> keras.Model:
        if limit not in self._graphs:
            config = dataclasses.replace(self.network.config, max_detections=limit)
            with dtype_policy(self.policy):
                self._graphs[limit] = inference_graph(self.network, config)
        return self._graphs[limit]

    def _function(self, wanted: Config, boxes_only: bool) -> Function:
        limit = _limit(wanted.max_detections, self.network.config)
        functions = self._box_functions if boxes_only else self._functions
        if limit not in functions:
            functions[limit] = _traced(self._graph(limit), BOXES if boxes_only else None)
        return functions[limit]

    @functools.cached_property
    def _given_boxes_function(self) -> Function:
        with dtype_policy(self.policy):
            return _traced(given_boxes_graph(self.network))


def _traced(graph: keras.Model, names: Sequence[str] | None = None) -> Function:
    """Return a graph as a function with one trace for all sizes; what none of the named outputs needs is not run."""
    signature = {key: tf.TensorSpec(x.shape, x.dtype) for key, x in graph.input.items()}

    def run(inputs: Tensors) -> Tensors:
        outputs = run_graph(graph, inputs, training=False)
        return {key: outputs[key] for key in names or outputs}

    return tf.function(run, input_signature=[signature])


def _numpy(outputs: Tensors) -> dict[str, np.ndarray]:
    return {key: value.numpy() for key, value in outputs.items()}


def _merge(wanted: Config, boxes: np.ndarray, scores: np.ndarray, classes: np.ndarray) -> Outputs:
    merged = merge_detections(wanted, *map(tf.constant, (boxes, scores, classes)))
    return _numpy(dict(zip(BOXES, merged, strict=True)))


def _limit(wanted: int, config: Config) -> int:
    """Return the detections per image of the graph that finds this many."""
    limit = config.max_detections
    while limit < wanted:
        limit *= 2
    return min(limit, config.post_nms_top_k * config.num_classes)  # the most that there can be


def _with_threshold(inputs: Tensors, config: Config) -> Tensors:
    threshold = tf.fill(tf.shape(inputs["sizes"])[:1], config.score_threshold)
    return {**inputs, "score_threshold": threshold}


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
    sizes = [input_size(image.shape[0], image.shape[1], config) for image in images]
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
    with counted_if(rows > 0):
        outputs = graph.call(known, training=training)
    if "gt_boxes" in known:
        return outputs
    return {key: value[:rows] for key, value in outputs.items()}
