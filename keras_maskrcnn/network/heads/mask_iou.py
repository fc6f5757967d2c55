"""The MaskIoU head of Mask Scoring R-CNN (Huang et al. 2019): how well a mask fits, by which masks are ranked."""

from typing import Any, Self

from keras_maskrcnn.config.config import Config
from keras_maskrcnn.layers.mask_iou import ClassMasks, MaskIoUHead, MaskIoULoss, MaskIoUTargets, MaskScores
from keras_maskrcnn.layers.resnet import Res5
from keras_maskrcnn.network.heads.head import RoIHead, Stages


class MaskIoURoIHead(RoIHead):
    """Adds `mask_ious [M, K]`, in training `mask_iou_targets [M]`; takes what the mask head has added."""

    name = "mask_iou"

    @classmethod
    def is_in(cls, config: Config) -> bool:
        """Whether `config` asks for this head."""
        return config.mask_iou_head

    @classmethod
    def make(cls, config: Config) -> Self:
        """Make the head that `config` asks for."""
        layer = MaskIoUHead(
            num_classes=config.num_classes,
            conv_channels=config.mask_head_channels,
            fc_channels=config.box_head_channels,
            norm=config.head_norm,
            epsilon=config.norm_epsilon,
            name="mask_iou_head",
        )
        return cls(layer, MaskIoULoss(name="mask_iou_loss"))

    @classmethod
    def predictors(cls, config: Config) -> tuple[str, ...]:
        """Return the name of the layer that has an output for each class."""
        return ("ious",)

    @classmethod
    def needs_new_predictor(cls, config: Config, source: Config) -> bool:
        """Whether the classes differ."""
        return config.class_names != source.class_names

    @classmethod
    def pool_size(cls, config: Config) -> int:
        """Return those of the mask head, whose features this one takes."""
        return config.mask_pool_size

    def train(self, config: Config, res5: Res5 | None, stages: Stages) -> Stages:
        """Compute the IoU that the layer predicts for each class, and the one that the mask has."""
        masks = self._class_masks(config, stages)
        targets = MaskIoUTargets(name="mask_iou_targets")(
            masks,
            stages["mask_targets"],
            stages["rois"],
            stages["truth"]["gt_boxes"],
            stages["truth"]["gt_masks"],
        )
        return {"mask_ious": self.layer(stages["mask_features"], masks), "mask_iou_targets": targets}

    def loss(self, stages: Stages) -> Any:
        """Return the mean squared error of the true class's IoU."""
        return self.loss_layer(stages["mask_ious"], stages["mask_iou_targets"], stages["rois"])

    def infer(self, config: Config, res5: Res5 | None, stages: Stages) -> Stages:
        """Compute `mask_scores [B, D]`: class scores times predicted IoUs."""
        ious = self.layer(stages["mask_features"], self._class_masks(config, stages))
        scores = MaskScores(name="mask_scores")(ious, stages["rois"], stages["outputs"]["scores"])
        return {"mask_ious": ious, "outputs": {"mask_scores": scores}}

    @staticmethod
    def _class_masks(config: Config, stages: Stages) -> Any:
        layer = ClassMasks(kind=config.mask_loss, background=config.background_outputs, name="class_masks")
        return layer(stages["mask_logits"], stages["rois"]["classes"])
