"""The functions that an artefact holds: from images to detections, in the dialect of its format."""

import functools
from typing import Any

import tensorflow as tf

from keras_maskrcnn.artefacts.paste_inside import paste_inside
from keras_maskrcnn.artefacts.request import Request
from keras_maskrcnn.artefacts.resize_inside import fit_input
from keras_maskrcnn.network.inference_graph import inference_graph
from keras_maskrcnn.network.network import Network
from keras_maskrcnn.ops.dialect import write_in

Tensors = dict[str, tf.Tensor]


class InferenceModule(tf.Module):
    """A network's inference as a function of TensorFlow, with the weights that it needs and no others.

    Args:
        network: whose layers are used.
        request: the format, which says in what operations, and what goes in and comes out.
    """

    def __init__(self, network: Network, request: Request):
        super().__init__()
        self.config, self.request = network.config, request
        with write_in(request.dialect):
            graph = inference_graph(network, network.config)
        self.weights = [variable.value for variable in graph.variables]
        # Behind a function, since a SavedModel would save Keras' model too, which traces itself in other operations.
        self._run = lambda inputs: graph.call(inputs, training=False)

    @property
    def signature(self) -> list[tf.TensorSpec]:
        """What the function takes, by name."""
        channels = self.config.channels
        if self.request.inputs == "uint8":
            return [tf.TensorSpec([None, None, channels], tf.uint8, name="image")]
        batch = 1 if self.request.one_image else None
        images = tf.TensorSpec([batch, None, None, channels], tf.float32, name="images")
        return [images, tf.TensorSpec([batch, 2], tf.int32, name="sizes")]

    @functools.cached_property
    def function(self) -> Any:
        """The `tf.function`, which is traced in the format's dialect."""
        run = self._of_image if self.request.inputs == "uint8" else self._of_batch
        return tf.function(run, input_signature=self.signature)

    def _of_batch(self, images: tf.Tensor, sizes: tf.Tensor) -> Tensors:
        outputs = self._detect(images, sizes)
        if self.request.masks == "pasted" and "masks" in outputs:
            outputs["masks"] = self._pasted_in_batch(outputs, tf.shape(images)[1], tf.shape(images)[2])
        return self._wanted(outputs)

    def _of_image(self, image: tf.Tensor) -> Tensors:
        fitted = fit_input(image, self.config)
        outputs = self._detect(fitted.images, fitted.sizes)
        outputs = {name: value[0] for name, value in outputs.items()}
        outputs = fitted.in_own_pixels(outputs)
        if self.request.masks == "pasted" and "masks" in outputs:
            height, width = tf.shape(image)[0], tf.shape(image)[1]
            outputs["masks"] = paste_inside(
                outputs["masks"], outputs["boxes"], height, width, self.config.paste
            )
        return self._wanted(outputs)

    def of_bytes(self, image_bytes: tf.Tensor) -> Tensors:
        """Detect in an image that is given as the bytes of a JPEG, PNG, GIF or BMP file."""
        image = tf.io.decode_image(image_bytes, channels=self.config.channels, expand_animations=False)
        return self._of_image(image)

    def _pasted_in_batch(self, outputs: Tensors, height: tf.Tensor, width: tf.Tensor) -> tf.Tensor:
        masks, boxes = outputs["masks"], outputs["boxes"]
        detections, side = masks.shape[1], masks.shape[2]
        flat = tf.reshape(masks, [-1, side, side]), tf.reshape(boxes, [-1, 4])
        pasted = paste_inside(*flat, height, width, self.config.paste)
        return tf.reshape(pasted, tf.stack([-1, detections, height, width]))

    def _detect(self, images: tf.Tensor, sizes: tf.Tensor) -> Tensors:
        thresholds = tf.fill(tf.shape(sizes)[:1], self.config.score_threshold)
        inputs = {"images": images, "sizes": sizes, "score_threshold": thresholds}
        with write_in(self.request.dialect):
            return self._run(inputs)

    def _wanted(self, outputs: Tensors) -> Tensors:
        names = [name for name in outputs if name != "masks" or self.request.masks is not None]
        return {name: tf.identity(outputs[name], name=name) for name in names}
