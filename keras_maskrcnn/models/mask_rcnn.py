"""MaskRCNN: a Keras model whose layers are made once and assembled into a training and an inference graph."""

import contextlib
import dataclasses
import functools
from collections.abc import Iterable, Iterator
from typing import Any, Literal

import keras
import numpy as np
import tensorflow as tf

from keras_maskrcnn.config.config import Config
from keras_maskrcnn.detections.batching import detect_in, make_tiles
from keras_maskrcnn.detections.detections import Detections
from keras_maskrcnn.images.io import read_image
from keras_maskrcnn.images.resize import pad_batch, resize_image, resized_size
from keras_maskrcnn.layers.inputs import blank_batch
from keras_maskrcnn.models import inference_graph, training_graph
from keras_maskrcnn.models.fit_checks import check_fit, memory_advice
from keras_maskrcnn.models.network import make_network
from keras_maskrcnn.utils.keras_internals import BuiltModel, check_compiled, set_first_epoch

Tensors = dict[str, tf.Tensor]


@keras.saving.register_keras_serializable("keras_maskrcnn")
class MaskRCNN(BuiltModel):
    """Mask R-CNN (He et al. 2017) and its kin: Faster R-CNN, Keypoint R-CNN, Cascade R-CNN; with FPN, C4 or DC5.

    `fit` and `evaluate` take batches with ground truth, as `make_dataset` makes them, and minimise losses that
    the logs show by name; `compile` needs only an optimizer. `predict` takes batches with or without ground truth
    and returns padded detections; `detect` takes pictures and returns them as numpy values in their own pixels.

    A call returns {loss name: scalar} when its inputs hold "gt_boxes", else the inference graph's detections.

    Args:
        config: everything about the model.
    """

    def __init__(self, config: Config, **kwargs: Any):
        super().__init__(autocast=False, **kwargs)
        self.supports_jit = False  # RoIAlign is no XLA operation
        self.config = config
        with self.own_precision():
            self._make_layers()
            self.built = self._training_graph.built  # assembling the graph has created every weight

    @contextlib.contextmanager
    def own_precision(self) -> Iterator[None]:
        """Give new layers this model's dtype policy: a model that was loaded may differ from the global one."""
        outer = keras.config.dtype_policy()
        keras.config.set_dtype_policy(self.dtype_policy)
        try:
            yield
        finally:
            keras.config.set_dtype_policy(outer)

    def _make_layers(self) -> None:
        made = self.network = make_network(self.config)
        # Keras tracks and saves these by their names.
        self.backbone, self.fpn, self.res5, self.rpn_head = made.backbone, made.fpn, made.res5, made.rpn_head
        self.box_heads, self.mask_head = made.box_heads, made.mask_head
        self.keypoint_head, self.loss_layers = made.keypoint_head, made.loss_layers

    # Graphs hold no weights of their own. A cached_property keeps them out of Keras' tracking of layers.
    @functools.cached_property
    def _training_graph(self) -> keras.Model:
        return training_graph.training_graph(self.network)

    @functools.cached_property
    def _inference_graphs(self) -> dict[Config, keras.Model]:
        return {}

    @functools.cached_property
    def _detectors(self) -> dict[Config, Any]:
        return {}

    def _inference_graph(self, config: Config) -> keras.Model:
        if config not in self._inference_graphs:
            with self.own_precision():
                self._inference_graphs[config] = inference_graph.inference_graph(self.network, config)
        return self._inference_graphs[config]

    def call(self, inputs: Tensors, training: bool = False) -> Tensors:
        graph = self._training_graph if "gt_boxes" in inputs else self._inference_graph(self.config)
        return _run(graph, inputs, self.config, training)

    def fit(self, *args: Any, **kwargs: Any) -> keras.callbacks.History:
        """Train as `keras.Model.fit` does, with a dataset that `make_dataset(..., training=True)` returned."""
        check_compiled(self)
        check_fit(self, self.backbone, args, kwargs)
        set_first_epoch(self, None)  # a resumed run that was interrupted leaves its own
        kwargs.setdefault("shuffle", False)  # such a dataset has its own order, and Keras would warn of that
        try:
            return super().fit(*args, **kwargs)
        except tf.errors.ResourceExhaustedError as error:
            error.add_note(memory_advice(self.config, self.optimizer))
            raise

    def load_weights(self, filepath: Any, skip_mismatch: bool = False, **kwargs: Any) -> None:
        """Load weights that this class has saved, as `keras.Model.load_weights` does.

        Raises:
            ValueError: the file is of Keras 2, whose layers `by_name` would skip without a word.
        """
        name = str(filepath)
        if name.endswith((".h5", ".hdf5")) and not name.endswith(".weights.h5"):
            raise ValueError(
                f"{name} is a file of Keras 2, which load_pretrained reads and checks: "
                f'keras_maskrcnn.load_pretrained("matterport_mask_rcnn_coco", weights="{name}"). '
                "Weights saved by Keras 3 end with .weights.h5 or .keras"
            )
        super().load_weights(filepath, skip_mismatch=skip_mismatch, **kwargs)

    def freeze(self, stages: int) -> None:
        """Train from now on all but the first `stages` of the backbone: the model has Config.frozen_stages=stages.

        5 trains only what is new in a model of other classes (pyramid, proposals and heads), 0 trains everything. The
        model must be compiled again.

        Raises:
            ValueError: `stages` is not in 0..5.
        """
        self.config = dataclasses.replace(self.config, frozen_stages=stages)
        self.network = dataclasses.replace(self.network, config=self.config)
        self.backbone.freeze(stages)
        if self.res5 is not None:
            self.res5.trainable = stages < 5
        self._inference_graphs.clear()
        self._detectors.clear()
        self.compiled = False

    def predict_step(self, data: Any) -> Tensors:
        """Run the inference graph on a batch, whether or not it holds ground truth."""
        inputs = data[0] if isinstance(data, tuple) else data
        return self({key: inputs[key] for key in ("images", "sizes")}, training=False)

    def detect(
        self,
        images: Any,
        batch_size: int = 1,
        score_threshold: float | None = None,
        max_detections: int | None = None,
        masks: Literal["bool", "rle"] | None = "bool",
        tile: int | None = None,
        tile_overlap: int | None = None,
        tile_whole: bool = True,
    ) -> list[Detections]:
        """Find the objects in pictures of any sizes.

        Small objects of a large picture vanish when it is resized to the config's size. With `tile`, it is searched in
        overlapping tiles, each resized to that size itself, and objects that several tiles show are made one again
        (see `tiling.merge_tiles`). A picture with no side above `tile` is searched as without.

        Args:
            images: a list of paths, arrays `[H, W]` or `[H, W, C]` (RGB, 0..255) and PIL images, or one of them.
            batch_size: pictures or tiles that go through the network together. Batches are padded to their largest
                picture, which moves scores slightly.
            score_threshold: detections must score more, 0..1; None is the config's.
            max_detections: at most this many per picture; None is the config's. A lower threshold or a larger
                number than the config's makes a graph of its own, which takes seconds the first time. With tiles, None
                is the config's for each tile, and all of the picture; a number is for the picture, and for each tile
                it or the config's post_nms_top_k, whichever is less.
            masks: "bool" for arrays, "rle" for COCO's run lengths, which take little memory, None for none.
            tile: side of the tiles in pixels of the picture; None for no tiles.
            tile_overlap: pixels that neighbouring tiles have in common at least; None is a quarter of `tile`. Objects
                up to this size are seen whole by some tile.
            tile_whole: whether the picture as a whole is searched too, for objects larger than that.

        Returns:
            One `Detections` per picture, in pixels of the picture.

        Raises:
            FileNotFoundError: a path does not exist.
            ValueError: a picture cannot be read or does not have the model's channels; an argument is out of range.
        """
        limits = batch_size, score_threshold, max_detections
        return list(self.detect_iter(images, *limits, masks, tile, tile_overlap, tile_whole))

    def detect_iter(
        self,
        images: Iterable[Any],
        batch_size: int = 1,
        score_threshold: float | None = None,
        max_detections: int | None = None,
        masks: Literal["bool", "rle"] | None = "bool",
        tile: int | None = None,
        tile_overlap: int | None = None,
        tile_whole: bool = True,
    ) -> Iterator[Detections]:
        """As `detect`, one `Detections` at a time, so that memory does not grow with the number of pictures."""
        if masks not in ("bool", "rle", None):
            raise ValueError(f'masks must be "bool", "rle" or None; got {masks!r}')
        if batch_size < 1:
            raise ValueError(f"batch_size must be at least 1; got {batch_size}")
        tiles = make_tiles(tile, tile_overlap, tile_whole)
        own = self.config
        most = own.max_detections if max_detections is None else max_detections
        wanted = dataclasses.replace(
            own,
            score_threshold=own.score_threshold if score_threshold is None else score_threshold,
            max_detections=most if tiles is None else min(most, own.post_nms_top_k),
        )
        pictures = (read_image(image, wanted.channels) for image in _as_list(images))
        run = functools.partial(self._run_on, wanted=wanted)
        yield from detect_in(pictures, run, wanted, batch_size, masks, tiles, max_detections)

    def _run_on(
        self, pictures: list[np.ndarray], wanted: Config
    ) -> Iterator[tuple[dict[str, np.ndarray], tuple[int, int]]]:
        """The outputs for a batch of pictures, one by one, and the size that each was resized to."""
        # what the model's own graph finds holds every stricter choice: a worse detection never suppresses a better
        config = dataclasses.replace(
            wanted,
            score_threshold=min(wanted.score_threshold, self.config.score_threshold),
            max_detections=max(wanted.max_detections, self.config.max_detections),
        )
        if config not in self._detectors:
            graph = self._inference_graph(config)
            # one trace serves every picture size
            self._detectors[config] = tf.function(
                lambda inputs: _run(graph, inputs, config, training=False),
                input_signature=[
                    {
                        "images": tf.TensorSpec((None, None, None, config.channels), tf.float32),
                        "sizes": tf.TensorSpec((None, 2), tf.int32),
                    }
                ],
            )
        inputs = image_batch(pictures, config)
        outputs = {key: value.numpy() for key, value in self._detectors[config](inputs).items()}
        chosen = outputs["scores"] > wanted.score_threshold
        chosen[:, wanted.max_detections :] = False
        outputs["classes"] = np.where(chosen, outputs["classes"], 0)
        for row, size in enumerate(inputs["sizes"].numpy().tolist()):
            yield {key: value[row] for key, value in outputs.items()}, tuple(size)

    def get_config(self) -> dict[str, Any]:
        """Return what `from_config` needs: the Config as plain values."""
        return {**super().get_config(), "config": self.config.to_dict()}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> "MaskRCNN":
        """Build the model that `get_config` described, with new weights."""
        values = dict(config)
        return cls(Config.from_dict(values.pop("config")), **values)


def load_model(path: str) -> MaskRCNN:
    """Read a model that `model.save` wrote as `.keras`, compiled as it was.

    Raises:
        ValueError: the file is missing, or holds another kind of model.
    """
    model = keras.saving.load_model(path)
    if not isinstance(model, MaskRCNN):
        raise ValueError(f"{path} holds a {type(model).__name__}, not a MaskRCNN")
    return model


def image_batch(pictures: list[np.ndarray], config: Config) -> Tensors:
    """Resize and pad pictures `[H, W, C]` as the config says.

    Returns:
        `images [B, H, W, C]` float32 raw pixels and `sizes [B, 2]` int32 (height, width) without the padding.
    """
    limits = config.min_size, config.max_size, config.size_rounding
    sizes = [resized_size(picture.shape[0], picture.shape[1], *limits) for picture in pictures]
    resized = [
        resize_image(picture, size, config.resize) for picture, size in zip(pictures, sizes, strict=True)
    ]
    images, image_sizes = pad_batch(resized, config.size_divisor)
    return {"images": images, "sizes": image_sizes}


def _run(graph: keras.Model, inputs: Tensors, config: Config, training: bool) -> Tensors:
    """Run a graph on the inputs that it knows, also on a batch without rows, as a replica may get."""
    known = {key: inputs[key] for key in graph.input}
    rows = tf.shape(known["images"])[0]
    blank = blank_batch(list(known), config.channels, config.mask_crop_size, len(config.keypoint_names))
    known = tf.cond(rows > 0, lambda: known, lambda: blank)
    for key, keras_input in graph.input.items():
        known[key].set_shape(keras_input.shape)
    outputs = graph.call(known, training=training)
    if "gt_boxes" in known:
        return outputs
    return {key: value[:rows] for key, value in outputs.items()}


def _as_list(images: Any) -> Iterable[Any]:
    is_one = isinstance(images, str) or hasattr(images, "__fspath__") or hasattr(images, "convert")
    is_array = len(getattr(images, "shape", ())) in (2, 3)  # of numpy, TensorFlow or any other kind
    return [images] if is_one or is_array else images
