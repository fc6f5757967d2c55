"""What a RoI head is: one more thing that the second stage says of an object, beside its class and box."""

import abc
from typing import Any, ClassVar, Self

import keras

from keras_maskrcnn.config.config import Config
from keras_maskrcnn.layers.losses import Loss
from keras_maskrcnn.layers.resnet import Res5

Stages = dict[str, Any]
"""What a graph has computed so far, by name; a head adds to it."""


class RoIHead(abc.ABC):
    """A layer that is run on positive RoIs in training and on detections at inference, with its loss.

    The layer is called `NAME_head`, by which it is saved, and the loss `NAME_loss`, by which the logs show it.
    Both branches read and return entries of the graph's stages; M RoIs of all images are in one list.

    Args:
        layer: has the weights.
        loss_layer: joins the model's losses.
    """

    name: ClassVar[str]

    def __init__(self, layer: keras.layers.Layer, loss_layer: Loss):
        self.layer, self.loss_layer = layer, loss_layer

    @classmethod
    @abc.abstractmethod
    def is_in(cls, config: Config) -> bool:
        """Whether `config` asks for this head."""

    @classmethod
    @abc.abstractmethod
    def make(cls, config: Config) -> Self:
        """Make the head that `config` asks for."""

    @classmethod
    def predictors(cls, config: Config) -> tuple[str, ...]:
        """Return the paths in the layer of its last layers, whose sizes follow from the classes or keypoints."""
        return ("logits",)

    @classmethod
    @abc.abstractmethod
    def needs_new_predictor(cls, config: Config, source: Config) -> bool:
        """Whether the last layer of a model of `source` does not fit one of `config`: other classes or keypoints."""

    @classmethod
    @abc.abstractmethod
    def pool_size(cls, config: Config) -> int:
        """Return the bins along the sides of the RoIs that the head pools."""

    @abc.abstractmethod
    def train(self, config: Config, res5: Res5 | None, stages: Stages) -> Stages:
        """Compute from positive RoIs what the loss compares.

        Args:
            config: of the model.
            res5: what C4 models run on each RoI.
            stages: "dense" (`DenseOutputs`), "rois" (of `PositiveRoIs`), "box_stages", "truth" (the ground truth of the
                batch, in the network's frame), and what the heads before this one have added.
        """

    @abc.abstractmethod
    def loss(self, stages: Stages) -> Any:
        """Return the scalar loss of what `train` computed."""

    @abc.abstractmethod
    def infer(self, config: Config, res5: Res5 | None, stages: Stages) -> Stages:
        """Compute from detections what the head predicts.

        Args:
            config: of the model.
            res5: what C4 models run on each RoI.
            stages: "dense", "rois" (of `DetectedRoIs`), "outputs" so far (`boxes [B, D, 4]`, `scores [B, D]`, `classes
                [B, D]` and those of heads before this one), and what these have added.

        Returns:
            Entries to add; those under "outputs" are outputs of the inference graph, `[B, D, ...]`.
        """
