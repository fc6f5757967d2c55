"""Runs the inference graph on images of any sizes, one trace for all of them."""

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
from keras_maskrcnn.models.stages import Stages, Tensors
from keras_maskrcnn.network.inference_graph import (
    given_boxes_inputs,
    given_boxes_outputs,
    inference_inputs,
    inference_stages,
    merge_detections,
)
from keras_maskrcnn.network.network import Network
from keras_maskrcnn.utils.finite import WeightCheck

Function = Callable[[Tensors], Tensors]

BOXES = ("boxes", "scores", "classes")
"""The outputs that need no RoI head."""


class Detector:
    """The inference of a network, traced for one set of weights: quantized layers have others.

    One trace serves every score threshold; each limit of detections above the config's has one of its own, and limits
    are rounded up to the config's times a power of two, so that there are few.

    Args:
        network: whose layers they are assembled from.
        policy: the dtype policy of the layers without weights.
        weights: of the layers.
    """

    def __init__(self, network: Network, policy: Any, weights: Sequence[keras.Variable]):
        self.network, self.policy, self.weights = network, policy, list(weights)
        self.check_weights = WeightCheck(self.weights)
        self._functions: dict[int, Function] = {}
        self._box_functions: dict[int, Function] = {}

    def is_of(self, network: Network, weights: Sequence[keras.Variable]) -> bool:
        """Whether what was traced is still of these layers and weights."""
        return network is self.network and list(map(id, weights)) == list(map(id, self.weights))

    def run(self, inputs: Tensors) -> Tensors:
        """Run on a batch as the network's own config says."""
        config = self.network.config
        return self._stages(config.max_detections).run(_with_threshold(inputs, config), training=False)

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

    def _stages(self, limit: int) -> Stages:
        config = dataclasses.replace(self.network.config, max_detections=limit)
        return Stages(
            inference_inputs(config),
            lambda inputs: inference_stages(self.network, config, inputs)["outputs"],
            self.policy,
        )

    def _function(self, wanted: Config, boxes_only: bool) -> Function:
        limit = _limit(wanted.max_detections, self.network.config)
        functions = self._box_functions if boxes_only else self._functions
        if limit not in functions:
            functions[limit] = _traced(self._stages(limit), BOXES if boxes_only else None)
        return functions[limit]

    @functools.cached_property
    def _given_boxes_function(self) -> Function:
        compute = functools.partial(given_boxes_outputs, self.network)
        return _traced(Stages(given_boxes_inputs(self.network.config), compute, self.policy))


def _traced(stages: Stages, names: Sequence[str] | None = None) -> Function:
    """Return stages as a function with one trace for all sizes; what none of the named outputs needs is not run."""
    signature = {key: tf.TensorSpec(x.shape, x.dtype) for key, x in stages.inputs.items()}

    @tf.autograph.experimental.do_not_convert  # nor what tf.map_fn runs
    def run(inputs: Tensors) -> Tensors:
        outputs = stages.run(inputs, training=False)
        return {key: outputs[key] for key in names or outputs}

    return tf.function(run, input_signature=[signature], autograph=False)


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


def image_batch(images: list[np.ndarray], config: Config) -> Tensors:
    """Resize and pad images `[H, W, C]` as the config says.

    Returns:
        `images [B, H, W, C]` float32 raw pixels and `sizes [B, 2]` int32 (height, width) without the padding.
    """
    sizes = [input_size(image.shape[0], image.shape[1], config) for image in images]
    resized = [resize_image(image, size, config.resize) for image, size in zip(images, sizes, strict=True)]
    padded, image_sizes = pad_batch(resized, config.size_divisor)
    return {"images": padded, "sizes": image_sizes}
