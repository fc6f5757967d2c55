"""MaskRCNN: a Keras model whose layers are made once and assembled into a training and an inference graph."""

import contextlib
import dataclasses
import functools
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal

import keras
import tensorflow as tf

from keras_maskrcnn.config.config import Config
from keras_maskrcnn.detections.batching import detect_in, make_tiles
from keras_maskrcnn.detections.detections import Detections
from keras_maskrcnn.images.given import as_list
from keras_maskrcnn.images.io import read_image
from keras_maskrcnn.models.call_checks import check_batch, check_compile, check_dataset_argument
from keras_maskrcnn.models.detector import Detector, Tensors, dtype_policy, run_graph
from keras_maskrcnn.models.fit_checks import check_fit, memory_advice
from keras_maskrcnn.models.recipe import Recipe
from keras_maskrcnn.models.saving import WholeFiles
from keras_maskrcnn.network.backbone import ALL_STAGES, freeze_backbone
from keras_maskrcnn.network.network import make_network
from keras_maskrcnn.network.training_graph import training_graph
from keras_maskrcnn.presets import PRESETS
from keras_maskrcnn.presets.preset import Preset
from keras_maskrcnn.utils.keras_internals import check_compiled, set_first_epoch
from keras_maskrcnn.weights.pretrained import build_pretrained


@keras.saving.register_keras_serializable("keras_maskrcnn")
class MaskRCNN(WholeFiles):
    """Mask R-CNN (He et al. 2017) and its variants: Faster R-CNN, Keypoint R-CNN, Cascade R-CNN; with FPN, C4 or DC5.

    `fit` and `evaluate` take batches with ground truth, as `make_dataset` makes them, and minimise losses that
    the logs show by name; `compile` needs no argument. `predict` takes batches with or without ground truth
    and returns padded detections; `detect` takes images and returns them as numpy values in their own pixels.

    A call returns {loss name: scalar} when its inputs hold "gt_boxes", else the inference graph's detections.

    Args:
        config: everything about the model.
        backbone: a Keras model or layer in place of the ResNet that `config` describes: normalised images
            `[B, H, W, channels]` -> {"C2": `[B, H/4, W/4, .]`, "C3", "C4", "C5": `[B, H/32, W/32, .]`}, or the one
            level of a "c4" or "dc5" architecture at stride 16. It is saved with the model. With a method
            `freeze(stages)` it can be frozen in part, else `frozen_stages` is 0 or 5. `pixel_mean` and `pixel_std` say
            what it is given.

    Raises:
        ValueError: the backbone does not return what the architecture takes, or cannot be frozen so.

    Example:
        ```python
        import numpy as np
        import keras_maskrcnn as km

        config = km.Config(class_names=["cell"], depth=18, norm="group_norm", frozen_stages=0)
        model = km.MaskRCNN(config)
        (detections,) = model.detect(np.zeros((64, 64, 3), np.uint8))
        print(detections.boxes.shape)
        ```
    """

    presets: Mapping[str, Preset] = PRESETS
    """The published models by the names that `from_preset` takes."""

    def __init__(self, config: Config, backbone: keras.layers.Layer | None = None, **kwargs: Any):
        if not isinstance(config, Config):
            raise ValueError(
                f"MaskRCNN takes a Config, as in MaskRCNN(Config(class_names=[...])); got {config!r:.80}"
            )
        super().__init__(autocast=False, **kwargs)
        self.supports_jit = False  # RoIAlign has no XLA kernel
        self.config = config
        self._recipe = Recipe()
        with self.own_precision():
            self._make_layers(backbone)
            self.built = self.training_graph.built  # assembling the graph has created every weight

    @classmethod
    def from_preset(cls, name: str | Preset, **options: Any) -> "MaskRCNN":
        """Return a model with published weights, as `load_pretrained` does, which says what `options` there are."""
        return build_pretrained(cls, name, **options)

    def own_precision(self) -> contextlib.AbstractContextManager[None]:
        """Give new layers this model's dtype policy, within a `with` block."""
        return dtype_policy(self.dtype_policy)

    def _make_layers(self, backbone: keras.layers.Layer | None) -> None:
        made = self.network = make_network(self.config, backbone)
        # Keras tracks and saves these by their names.
        self.backbone, self.fpn, self.res5, self.rpn_head = made.backbone, made.fpn, made.res5, made.rpn_head
        self.box_heads, self.loss_layers = made.box_heads, list(made.losses_by_name.values())
        for name, layer in made.head_layers.items():
            setattr(self, f"{name}_head", layer)

    # Graphs hold no weights of their own. A cached_property keeps them out of Keras' tracking of layers.
    @functools.cached_property
    def training_graph(self) -> keras.Model:
        """The functional graph from a batch with ground truth to {loss name: scalar}."""
        return training_graph(self.network)

    @functools.cached_property
    def _detector(self) -> Detector:
        return Detector(self.network, self.dtype_policy)

    def call(self, inputs: Tensors, training: bool = False) -> Tensors:
        check_batch(inputs)
        graph = self.training_graph if "gt_boxes" in inputs else self._detector.graph(self.config)
        return run_graph(graph, inputs, training)

    def compile(
        self,
        optimizer: Any = None,
        loss: None = None,
        loss_weights: Mapping[str, float] | None = None,
        metrics: None = None,
        weighted_metrics: None = None,
        **options: Any,
    ) -> None:
        """Configure the model for training; without arguments by the published recipe.

        Args:
            optimizer: of Keras, or its name. None is the published recipe: SGD with momentum 0.9 and coupled weight
                decay 1e-4, at a learning rate of 0.02 for 16 images per step, scaled to `fit`'s batches, that warms up
                and is divided by ten after 8/12 and 11/12 of the steps.
            loss_weights: {loss name: factor}, 1 for those that are not named; the logs show each loss without its
                factor, and their sum with.
            loss, metrics, weighted_metrics: must be None: the losses are layers of the model, and `CocoEvaluation`
                computes the metrics.
            options: `run_eagerly`, `steps_per_execution`, `jit_compile` and `auto_scale_loss`, as in Keras.

        Raises:
            ValueError: an argument that means nothing here is given, or a loss has no such name.
        """
        check_compile(loss, metrics, weighted_metrics, loss_weights, self.network.losses_by_name)
        self._recipe = Recipe(is_wanted=optimizer is None)
        chosen = self._recipe.optimizer() if optimizer is None else optimizer
        super().compile(optimizer=chosen, loss_weights=loss_weights, **options)
        for name, layer in self.network.losses_by_name.items():
            layer.weight = (loss_weights or {}).get(name, 1.0)

    def compile_from_config(self, config: dict[str, Any]) -> None:
        """Compile as the model was that was saved; Keras asks it of models with a `compile` of their own."""
        self.compile(**keras.saving.deserialize_keras_object(config))
        self.optimizer.build(self.trainable_variables)

    def fit(self, x: Any = None, *args: Any, **kwargs: Any) -> keras.callbacks.History:
        """Train as `keras.Model.fit` does, with a dataset that `make_dataset(..., training=True)` returned.

        Raises:
            ValueError: `x` is no such dataset; the message says how to make one.
        """
        check_compiled(self)
        check_dataset_argument("fit", x, args, kwargs, self.config)
        check_fit(self, self.backbone, (x, *args), kwargs)
        self._recipe.adapt(self.optimizer, x, kwargs.get("epochs", 1))
        set_first_epoch(self, None)  # a resumed run that was interrupted leaves its own
        kwargs.setdefault("shuffle", False)  # such a dataset has its own order, and Keras would warn of that
        try:
            return super().fit(x, *args, **kwargs)
        except tf.errors.ResourceExhaustedError as error:
            error.add_note(memory_advice(self.config, self.optimizer))
            raise

    def evaluate(self, x: Any = None, *args: Any, **kwargs: Any) -> Any:
        """Compute the losses of a dataset that `make_dataset` returned; `evaluate_coco` computes COCO's metrics.

        Raises:
            ValueError: `x` is no such dataset; the message says how to make one.
        """
        check_dataset_argument("evaluate", x, args, kwargs, self.config)
        return super().evaluate(x, *args, **kwargs)

    def freeze(self, stages: int) -> None:
        """Train from now on all but the first `stages` of the backbone: the model has Config.frozen_stages=stages.

        5 trains only what is new in a model of other classes (pyramid, proposals and heads), 0 trains everything. The
        model must be compiled again.

        Raises:
            ValueError: `stages` is not in 0..5.
        """
        self.config = dataclasses.replace(self.config, frozen_stages=stages)
        self.network = dataclasses.replace(self.network, config=self.config)
        freeze_backbone(self.backbone, stages)
        if self.res5 is not None:
            self.res5.trainable = stages < ALL_STAGES
        del self._detector  # its graphs know the network of before
        self.compiled = False

    def predict_step(self, data: Any) -> Tensors:
        """Run the inference graph on a batch, whether or not it holds ground truth."""
        inputs = data[0] if isinstance(data, tuple) else data
        check_batch(inputs)
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
        """Find the objects in images of any sizes.

        Small objects of a large image vanish when it is resized to the config's size. With `tile`, it is searched in
        overlapping tiles, each resized to that size itself, and objects that several tiles show are made one again
        (see `tiling.merge_tiles`). An image with no side above `tile` is searched as without.

        Args:
            images: a list of paths, files' bytes, open files, arrays `[H, W]` or `[H, W, C]` (RGB, 0..255) and PIL
                images, or one of them. Files of more pixels than Pillow's limit need `tile`.
            batch_size: images or tiles that go through the network together. Batches are padded to their largest
                image, which moves scores slightly.
            score_threshold: detections must score more, 0..1; None is the config's.
            max_detections: at most this many per image; None is the config's. A lower threshold or a larger
                number than the config's makes a graph of its own, which takes seconds the first time. With tiles, None
                is the config's for each tile, and all of the image; a number is for the image, and for each tile
                it or the config's post_nms_top_k, whichever is less.
            masks: "bool" for arrays, "rle" for COCO RLE dicts, which take little memory, None for none.
            tile: side of the tiles in pixels of the image; None for no tiles.
            tile_overlap: pixels that neighbouring tiles have in common at least; None is a quarter of `tile`. Objects
                up to this size are seen whole by some tile.
            tile_whole: whether the image as a whole is searched too, for objects larger than that.

        Returns:
            One `Detections` per image, in pixels of the image.

        Raises:
            FileNotFoundError: a path does not exist.
            ValueError: an image cannot be read or does not have the model's channels; an argument is out of range.
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
        """As `detect`, one `Detections` at a time, so that memory does not grow with the number of images."""
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
        images = (read_image(image, wanted.channels, tiles is not None) for image in as_list(images))
        run = functools.partial(self._detector.detect, wanted=wanted)
        yield from detect_in(images, run, wanted, batch_size, masks, tiles, max_detections)

    def get_config(self) -> dict[str, Any]:
        """Return what `from_config` needs: the Config as plain values, and the backbone if it is a custom one."""
        values = {**super().get_config(), "config": self.config.to_dict()}
        if self.network.has_custom_backbone:
            values["backbone"] = keras.saving.serialize_keras_object(self.backbone)
        return values

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> "MaskRCNN":
        """Build the model that `get_config` described, with new weights."""
        values = dict(config)
        backbone = values.pop("backbone", None)
        if backbone is not None:
            backbone = keras.saving.deserialize_keras_object(backbone, custom_objects)
        return cls(Config.from_dict(values.pop("config")), backbone, **values)
