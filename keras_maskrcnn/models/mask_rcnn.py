"""MaskRCNN: a Keras model whose layers are made once and assembled into a training and an inference graph."""

import contextlib
import dataclasses
import functools
import warnings
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal

import keras

from keras_maskrcnn.config.config import Config
from keras_maskrcnn.config.values import ALL_STAGES
from keras_maskrcnn.detections.batching import Run, check_call, detect_in, make_tiles
from keras_maskrcnn.detections.detections import Detections
from keras_maskrcnn.detections.views import Augment, check_views, make_views
from keras_maskrcnn.images.given import as_list
from keras_maskrcnn.images.io import read_image
from keras_maskrcnn.models.call_checks import check_batch
from keras_maskrcnn.models.detector import Detector
from keras_maskrcnn.models.quantized import check_quantization, quantize_layers, quantized_layers
from keras_maskrcnn.models.recipe import Recipe
from keras_maskrcnn.models.stages import Stages, Tensors, dtype_policy
from keras_maskrcnn.models.trained_model import TrainedModel
from keras_maskrcnn.network.backbone import freeze_backbone
from keras_maskrcnn.network.build import build_network
from keras_maskrcnn.network.network import make_network
from keras_maskrcnn.network.training_graph import (
    all_losses,
    training_graph,
    training_inputs,
    training_stages,
)
from keras_maskrcnn.presets import PRESETS
from keras_maskrcnn.presets.preset import Preset
from keras_maskrcnn.utils.initial_weights import make_weights
from keras_maskrcnn.video.detecting import DetectsVideo
from keras_maskrcnn.weights.pretrained import build_pretrained


@keras.saving.register_keras_serializable("keras_maskrcnn")
class MaskRCNN(TrainedModel, DetectsVideo):
    """Mask R-CNN (He et al. 2017) and its variants: Faster R-CNN, Keypoint R-CNN, Cascade R-CNN; with FPN, C4 or DC5.

    `fit` and `evaluate` take batches with ground truth, as `make_dataset` makes them, and minimise losses that
    the logs show by name; `compile` needs no argument. `predict` takes batches with or without ground truth
    and returns padded detections; `detect` takes images and returns them as numpy values in their own pixels,
    `detect_video` a video, frame by frame.

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
        self._recipe = Recipe()
        self._latest_detector: Detector | None = None
        with self.own_precision():
            self._make_layers(config, backbone)
            make_weights(lambda: build_network(self.network))
        self.built = True

    @classmethod
    def from_preset(cls, name: str | Preset, **options: Any) -> "MaskRCNN":
        """Return a model with published weights, as `load_pretrained` does, which says what `options` there are."""
        return build_pretrained(cls, name, **options)

    def own_precision(self) -> contextlib.AbstractContextManager[None]:
        """Give new layers this model's dtype policy, within a `with` block."""
        return dtype_policy(self.dtype_policy)

    def _make_layers(self, config: Config, backbone: keras.layers.Layer | None) -> None:
        made = self.network = make_network(config, backbone)
        # Keras tracks and saves these by their names.
        self.backbone, self.fpn, self.res5, self.rpn_head = made.backbone, made.fpn, made.res5, made.rpn_head
        self.box_heads, self.loss_layers = made.box_heads, list(made.losses_by_name.values())
        for loss in self.loss_layers:
            loss.over_batch = config.losses_over == "batch"
        for name, layer in made.head_layers.items():
            setattr(self, f"{name}_head", layer)

    # The graph holds no weights of its own. A cached_property keeps it out of Keras' tracking of layers.
    @functools.cached_property
    def training_graph(self) -> keras.Model:
        """The functional graph from a batch with ground truth to {loss name: scalar}, to look into."""
        with self.own_precision():
            return training_graph(self.network)

    def __dir__(self) -> list[str]:
        """Leave the training graph out: Keras takes every attribute that is listed when it saves or loads."""
        return [name for name in super().__dir__() if name != "training_graph"]

    def _losses_of(self, batch: Tensors) -> Tensors:
        return all_losses(self.network, training_stages(self.network, batch))

    @property
    def _detector(self) -> Detector:
        """The graphs of inference, made anew where layers have got other weights: frozen, quantized, LoRA."""
        latest, weights = self._latest_detector, self.weights
        if latest is None or not latest.is_of(self.network, weights):
            if latest is not None:
                self.predict_function = None  # of Keras, which has traced the former ones
            latest = self._latest_detector = Detector(self.network, self.dtype_policy, weights)
        return latest

    def call(self, inputs: Tensors, training: bool = False) -> Tensors:
        check_batch(inputs)
        if "gt_boxes" in inputs:
            stages = Stages(training_inputs(self.config), self._losses_of, self.dtype_policy)
            return stages.run(inputs, training)
        return self._detector.run(inputs)

    def freeze(self, stages: int) -> None:
        """Train from now on all but the first `stages` of the backbone: the model has Config.frozen_stages=stages.

        5 trains only what is new in a model of other classes (pyramid, proposals and heads), 0 trains everything. The
        model must be compiled again.

        Raises:
            ValueError: `stages` is not in 0..5, or a custom backbone cannot be frozen in part.
        """
        config = dataclasses.replace(self.config, frozen_stages=stages)
        freeze_backbone(self.backbone, stages)
        self.network = dataclasses.replace(self.network, config=config)
        if self.res5 is not None:
            self.res5.trainable = stages < ALL_STAGES
        self.compiled = False

    def quantize(self, mode: Any = None, config: Any = None, filters: Any = None, **kwargs: Any) -> None:
        """Make 8-bit integers of the weights of fully connected layers: `quantize("int8")`, as Keras does.

        The model is saved and loaded so. Convolutions stay as they are; `filters` are of Keras, and name the layers.

        Raises:
            ValueError: another mode is asked for, or another `config` than the mode's own: Keras could not load what it
                had saved.
        """
        check_quantization(mode, config)
        with warnings.catch_warnings():
            warnings.filterwarnings(
                "ignore", "Layer .* does not have a `quantize"
            )  # one for each convolution
            super().quantize(mode, filters=filters, **kwargs)

    def predict(self, x: Any, *args: Any, **kwargs: Any) -> Any:
        """Return the padded detections of a batch or of a dataset of batches, as `keras.Model.predict` does.

        Raises:
            ValueError: `x` holds no batches, or the weights are NaN.
        """
        self._detector.check_weights()
        return super().predict(self._distributed(x), *args, **kwargs)

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
        augment: Augment = None,
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
            max_detections: at most this many per image; None is the config's. Above it, a larger graph is made, which
                takes seconds once for each doubling. With tiles, None is the config's for each tile, and all of the
                image; a number is for the image, and for each tile it or the config's post_nms_top_k, whichever is
                less.
            masks: "bool" for arrays, "rle" for COCO RLE dicts, which take little memory, None for none.
            tile: side of the tiles in pixels of the image; None for no tiles.
            tile_overlap: pixels that neighbouring tiles have in common at least; None is a quarter of `tile`. Objects
                up to this size are seen whole by some tile.
            tile_whole: whether the image as a whole is searched too, for objects larger than that.
            augment: test-time augmentation: detections in several views of an image (or tile) are merged by NMS, and
                their masks' probabilities in all views averaged, by Detectron2's rule. Names of "horizontal_flip",
                "vertical_flip", "rotate90", "rotate180", "rotate270", "transpose" and "transverse" ("d4" is all of
                them), and factors of the config's size: ("horizontal_flip", 0.75, 1.5) are six views, the image as it
                is and flipped, at the config's size and at each factor. Each view takes the time of a detection, and
                with masks nearly that of another. None is the image as it is.

        Returns:
            One `Detections` per image, in pixels of the image.

        Raises:
            FileNotFoundError: a path does not exist.
            ValueError: an image cannot be read or does not have the model's channels; an argument is out of range; the
                weights are NaN; or the model cannot be augmented so: one with keypoints, or other scales with
                `Config.square`.
        """
        limits = batch_size, score_threshold, max_detections
        return list(self.detect_iter(images, *limits, masks, tile, tile_overlap, tile_whole, augment))

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
        augment: Augment = None,
    ) -> Iterator[Detections]:
        """As `detect`, one `Detections` at a time, so that memory does not grow with the number of images."""
        check_call(masks, batch_size)
        tiles, views = make_tiles(tile, tile_overlap, tile_whole), make_views(augment)
        own = self.config
        check_views(views, own)
        most = own.max_detections if max_detections is None else max_detections
        wanted = dataclasses.replace(
            own,
            score_threshold=own.score_threshold if score_threshold is None else score_threshold,
            max_detections=most if tiles is None else min(most, own.post_nms_top_k),
        )
        reading = wanted.channels, tiles is not None, wanted.intensity_percentiles
        images = (read_image(image, *reading) for image in as_list(images))
        detector = self._detector
        run: Run = functools.partial(detector.detect, wanted=wanted)
        if len(views) > 1:
            needed = self.network.roi_heads and (masks or own.mask_iou_head)
            run = detector.augmented(views, wanted, boxes_only=not needed)
        yield from detect_in(images, run, wanted, batch_size, masks, tiles, max_detections)

    def get_config(self) -> dict[str, Any]:
        """Return what `from_config` needs: the Config as plain values, and the backbone if it is a custom one."""
        values = {**super().get_config(), "config": self.config.to_dict()}
        if self.network.has_custom_backbone:
            values["backbone"] = keras.saving.serialize_keras_object(self.backbone)
        quantized = quantized_layers(self)
        return {**values, "int8_layers": quantized} if quantized else values

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> "MaskRCNN":
        """Build the model that `get_config` described, with new weights."""
        values = dict(config)
        backbone, quantized = values.pop("backbone", None), values.pop("int8_layers", [])
        if backbone is not None:
            backbone = keras.saving.deserialize_keras_object(backbone, custom_objects)
        model = cls(Config.from_dict(values.pop("config")), backbone, **values)
        quantize_layers(model, quantized)
        return model
