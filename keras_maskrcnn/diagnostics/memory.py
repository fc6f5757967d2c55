"""How much memory a training step takes, by counting what its backward pass needs of the forward pass."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
import tensorflow as tf

from keras_maskrcnn.config.config import Config
from keras_maskrcnn.data.pipeline.sizes import largest_size
from keras_maskrcnn.diagnostics.anchor_matching import padded_size
from keras_maskrcnn.models.mask_rcnn import MaskRCNN
from keras_maskrcnn.network.network import Network, feature_channels, feature_maps

if TYPE_CHECKING:
    from keras_maskrcnn.data.records import Record

# Measured as what a process holds at most beyond the imported TensorFlow, on a CPU: see benchmarks/training_memory.py.
GRAPH = 0.4 * 2**30
"""Bytes of the graph itself and of what TensorFlow makes for it."""
COPIES_OF_WEIGHTS = 3
"""Values, momenta and gradients."""
DENSE_FACTOR, HEADS_FACTOR = 1.35, 1.1
"""Peak over what the backward pass needs: gradients and the operations' own buffers are there besides."""
CROPS_OF_MASKS = 4
"""Batches of mask crops that are there at a time: in the step, two prefetched, and one that is being made."""

_ROWS = 2  # of the traced batch: a kernel's first axis is 1, 3 or 7


def training_memory(config: Config, batch_size: int, records: Sequence[Record]) -> int:
    """Estimate the most memory that a training step takes, in bytes, beyond an idle TensorFlow's.

    The model is built, and of its backbone, pyramid and heads the arrays are counted that the gradient needs, for the
    largest batch that the records can make and as many positive RoIs as the config samples. Optimizers with one number
    per weight, like SGD with momentum, are counted; Adam has one more.

    Of measured peaks on a CPU, with the compiled operations, it is within a quarter; a GPU's allocator and its
    convolutions differ.

    Args:
        config: the model and the size of its images.
        batch_size: images per step of one device.
        records: images with ground truth, of which the sizes and the numbers of objects are used.

    Returns:
        Bytes.

    Raises:
        ValueError: there are no records, or `batch_size` is below 1.

    Example:

    ```python
    import numpy as np

    import keras_maskrcnn as km

    config = km.Config(
        class_names=("square",), depth=18, norm="group_norm", frozen_stages=0, min_size=64, max_size=96,
        fpn_channels=32, post_nms_top_k=20, score_threshold=0.0, max_detections=5,
    )
    image = np.zeros((64, 96, 3), np.uint8)
    image[10:40, 20:60] = 255
    record = km.make_record(image, masks=[image[:, :, 0] > 0], class_ids=[1], image_id="square")
    print(f"{km.training_memory(config, batch_size=2, records=[record]) / 2**30:.2f} GiB")
    ```
    """
    if not len(records) or batch_size < 1:
        raise ValueError(
            f"training_memory needs records and a positive batch_size; got {len(records)} and {batch_size}"
        )
    return StepMemory(config, records).of(batch_size)


class StepMemory:
    """The memory that training steps of one device take, by the number of their images, as `training_memory` says.

    Args:
        config: the model and the size of its images.
        records: images with ground truth, of which the sizes and the numbers of objects are used.
        more_per_weight: numbers that the optimizer keeps of each weight beyond those of SGD with momentum.
    """

    def __init__(self, config: Config, records: Sequence[Record], more_per_weight: int = 0) -> None:
        self._config, self._records, self._model = config, records, MaskRCNN(config)
        weights = sum(int(np.prod(weight.shape)) * 4 for weight in self._model.weights)
        self._fixed = GRAPH + (COPIES_OF_WEIGHTS + more_per_weight) * weights
        self._heads = _heads(self._model.network)
        self._crops = _mask_crops(records, config)
        self._dense: dict[tuple[int, int], float] = {}

    def of(self, batch_size: int) -> int:
        """Return the bytes of a step of that many images."""
        return int(self._fixed + batch_size * self._per_image(batch_size))

    def largest_batch(self, free: int) -> int:
        """Return how many images a step has at most that takes no more than `free` bytes; 0 if even one takes more."""
        if self.of(1) > free:
            return 0
        return max(1, int((free - self._fixed) / self._per_image(2)))  # the same for any number from two on

    def _per_image(self, batch_size: int) -> float:
        size = _largest(self._records, self._config, batch_size)
        if size not in self._dense:  # counted once: a graph is traced for it
            self._dense[size] = _kept_per_row(
                _dense(self._model.network),
                (*size, self._config.channels),
                self._model.trainable_variables,
                inputs_too=False,
            )
        return DENSE_FACTOR * self._dense[size] + HEADS_FACTOR * self._heads + CROPS_OF_MASKS * self._crops


def _largest(records: Sequence[Record], config: Config, batch_size: int) -> tuple[int, int]:
    """Height and width of the largest batch: of the largest image, or of the highest beside the widest."""
    images = (records[number] for number in range(len(records)))
    sizes = {padded_size(largest_size(one, config).image, config) for one in images}
    if config.rotate90_probability:
        sizes |= {(width, height) for height, width in sizes}
    if batch_size == 1:
        return max(sizes, key=lambda size: size[0] * size[1])
    return max(height for height, _ in sizes), max(width for _, width in sizes)


def _mask_crops(records: Sequence[Record], config: Config) -> int:
    """Bytes of an image's mask crops, which are padded to the most crowded one's."""
    if config.mask_head == "none":
        return 0
    most = max(len(records[number].boxes) for number in range(len(records)))
    return most * config.mask_crop_size**2


def _dense(network: Network) -> Callable[[tf.Tensor], Any]:
    return lambda images: network.rpn_head(feature_maps(network, images, training=True))


def _heads(network: Network) -> float:
    """Bytes per image that the heads' gradients need."""
    config = network.config
    positives = int(config.box_batch_size * config.box_positive_fraction)
    trained = [variable for layer in network.layers for variable in layer.trainable_variables]
    channels, res5 = feature_channels(config), network.res5
    box, mask, keypoint = (
        (size, size, channels)
        for size in (config.box_pool_size, config.mask_pool_size, config.keypoint_pool_size)
    )

    def kept(head: Callable[[tf.Tensor], Any], pooled: tuple[int, int, int]) -> float:
        return _kept_per_row(head, pooled, trained)

    def box_head(number: int) -> Callable[[tf.Tensor], Any]:
        head = network.box_heads[number]
        return head if res5 is None else lambda pooled: head(res5(pooled, training=True))

    stages = (kept(box_head(number), box) for number in range(len(network.box_heads)))
    total = config.box_batch_size * sum(stages)
    heads = network.head_layers
    if heads["mask"] is not None:
        # res5 has worked on these RoIs already
        total += positives * kept(heads["mask"], mask if res5 is None else (7, 7, 2 * channels))
    if heads["keypoint"] is not None:
        total += positives * kept(heads["keypoint"], keypoint)
    return total


def _kept_per_row(
    run: Callable[[tf.Tensor], Any],
    shape: tuple[int, ...],
    trained: Sequence[keras.Variable],
    inputs_too: bool = True,
) -> float:
    """Bytes per row of inputs `[rows, *shape]` that the gradient of `run` needs of what `run` computes.

    Args:
        trained: the variables that a gradient is taken to.
        inputs_too: whether a gradient with respect to the inputs is taken as well.
    """
    needed: list[tf.Tensor] = []

    def step(inputs: tf.Tensor) -> None:
        with tf.GradientTape() as tape:
            if inputs_too:
                tape.watch(inputs)
            outputs = tf.nest.flatten(run(inputs))
        forward = {operation.name for operation in tf.compat.v1.get_default_graph().get_operations()}
        sources = [weight.value for weight in trained] + ([inputs] if inputs_too else [])
        needed.extend(_from_forward(tape.gradient(outputs, sources), forward))

    tf.function(step, autograph=False).get_concrete_function(tf.TensorSpec((_ROWS, *shape), tf.float32))
    arrays = [one for one in needed if one.shape.rank and one.shape[0] == _ROWS]
    return sum(one.shape.num_elements() * one.dtype.size for one in arrays) / _ROWS


def _from_forward(gradients: Sequence[tf.Tensor | None], forward: set[str]) -> list[tf.Tensor]:
    """The arrays of the forward pass that gradients are computed from; of some only the shapes count."""
    found: dict[str, tf.Tensor] = {}
    waiting = [one for one in gradients if one is not None]
    seen: set[str] = set()
    while waiting:
        array = waiting.pop()
        if array.op.name in forward:
            found[array.name] = array
        elif array.op.name not in seen and array.op.type not in ("Shape", "ShapeN"):
            seen.add(array.op.name)
            waiting.extend(array.op.inputs)
    return list(found.values())
