"""The mask head (Mask R-CNN section 3): for each RoI a small mask in the frame of its box."""

from typing import Any, Self

from keras import ops

from keras_maskrcnn.config.config import Config
from keras_maskrcnn.layers.cascade_masks import CascadeMaskHeads
from keras_maskrcnn.layers.detections import MaskProbabilities
from keras_maskrcnn.layers.heads import MaskHead, MLPMaskHead
from keras_maskrcnn.layers.losses import MaskLoss, class_entries
from keras_maskrcnn.layers.resnet import Res5
from keras_maskrcnn.layers.targets import MaskTargets, PositiveRoIs
from keras_maskrcnn.network.heads.head import RoIHead, Stages
from keras_maskrcnn.network.pooling import pool_rois
from keras_maskrcnn.network.stage_name import stage_name
from keras_maskrcnn.ops.dialect import elementary


class MaskRoIHead(RoIHead):
    """Adds `mask_features [M, P, P, C]` and `mask_logits [M, S, S, masks]`: of the class's mask alone, if that is all.

    In training it adds `mask_targets [M, S, S]` besides, and `mask_rois`, whose M rows these are: the RoIs, or those of
    all box stages where each has a mask head.
    """

    name = "mask"

    @classmethod
    def is_in(cls, config: Config) -> bool:
        """Whether `config` asks for this head."""
        return config.mask_head != "none"

    @classmethod
    def make(cls, config: Config) -> Self:
        """Make the head that `config` asks for."""
        loss = MaskLoss(kind=config.mask_loss, background=config.background_outputs, name="mask_loss")
        return cls(_layer(config), loss)

    @classmethod
    def predictors(cls, config: Config) -> tuple[str, ...]:
        """Return the paths of the layers that have an output for each class."""
        if not config.cascade_mask_heads:
            return ("logits",)
        return tuple(f"stage{stage + 1}/logits" for stage in range(1 + len(config.cascade_ious)))

    @classmethod
    def needs_new_predictor(cls, config: Config, source: Config) -> bool:
        """Whether the classes differ and each has its own mask."""
        return config.mask_loss != "class_agnostic" and config.class_names != source.class_names

    @classmethod
    def pool_size(cls, config: Config) -> int:
        """Return the bins along the sides of the RoIs."""
        return config.mask_pool_size

    def train(self, config: Config, res5: Res5 | None, stages: Stages) -> Stages:
        """Compute logits and targets of the positive RoIs; the true class's mask alone is judged, and computed."""
        if not isinstance(self.layer, CascadeMaskHeads):
            return self._train_stage(config, res5, stages, 0, stages["rois"])
        found = []
        for number, stage in enumerate(stages["box_stages"]):
            rois = PositiveRoIs(name=stage_name("mask_rois", number))(stage["sample"])
            found.append(self._train_stage(config, res5, stages, number, rois, stage=number))
        joined: Stages = {
            name: ops.concatenate([one[name] for one in found], axis=0)
            for name in ("mask_features", "mask_logits", "mask_targets")
        }
        joined["mask_rois"] = {
            name: ops.concatenate([one["mask_rois"][name] for one in found], axis=0)
            for name in found[0]["mask_rois"]
        }
        return joined

    def _train_stage(
        self, config: Config, res5: Res5 | None, stages: Stages, number: int, rois: Stages, **options: int
    ) -> Stages:
        """What `train` computes of a box stage's RoIs, with options for the layer's call."""
        truth, features = stages["truth"], stages["dense"].features
        if res5 is not None:  # it has worked on these RoIs already (Detectron2's Res5ROIHeads)
            pooled = ops.take(stages["box_stages"][number]["pooled"], rois["rows"], axis=0)
        else:
            pooled = self.pool(config, res5, features, rois, number)
        name = stage_name("mask_targets", number)
        targets = MaskTargets(size=config.mask_size, binary=config.binary_mask_targets, name=name)
        return {
            "mask_features": pooled,
            "mask_logits": self.own_logits(config, pooled, rois["classes"], **options),
            "mask_targets": targets(rois, truth["gt_boxes"], truth["gt_masks"]),
            "mask_rois": rois,
        }

    def loss(self, stages: Stages) -> Any:
        """Return the mean cross-entropy of the mask pixels."""
        return self.loss_layer(stages["mask_logits"], stages["mask_targets"], stages["mask_rois"])

    def infer(self, config: Config, res5: Res5 | None, stages: Stages) -> Stages:
        """Compute `masks [B, D, S, S]`, 0..1, of the detected classes."""
        pooled = self.pool(config, res5, stages["dense"].features, stages["rois"])
        logits = self.own_logits(config, pooled, stages["rois"]["classes"])
        probabilities = MaskProbabilities(
            kind=config.mask_loss, background=config.background_outputs, name="masks"
        )(logits, stages["rois"], stages["outputs"]["classes"])
        return {"mask_features": pooled, "mask_logits": logits, "outputs": {"masks": probabilities}}

    def own_logits(self, config: Config, pooled: Any, classes: Any, **options: int) -> Any:
        """Return logits of the classes' own masks, `[M, S, S, 1]`, or of all where these compete or come at once."""
        if config.mask_loss == "softmax" or isinstance(self.layer, MLPMaskHead) or elementary():
            return self.layer(pooled, **options)
        entries = class_entries(classes, config.background_outputs, self.layer.num_masks)
        return self.layer(pooled, entries=entries, **options)

    @classmethod
    def pool(
        cls,
        config: Config,
        res5: Res5 | None,
        features: dict[str, Any],
        rois: dict[str, Any],
        stage: int = 0,
    ) -> Any:
        """Return what the layer is given, `[M, P, P, C]`."""
        name = stage_name("mask_roi_align", stage)
        return pool_rois(config, res5, features, rois, cls.pool_size(config), name)


def _layer(config: Config) -> MaskHead | MLPMaskHead | CascadeMaskHeads:
    if config.mask_loss == "class_agnostic":
        num_masks = 1
    else:
        num_masks = config.num_classes + int(config.background_outputs or config.mask_loss == "softmax")
    if config.mask_head == "mlp":
        return MLPMaskHead(num_masks=num_masks, channels=config.box_head_channels, name="mask_head")
    arguments: dict[str, Any] = {
        "num_masks": num_masks,
        "channels": config.mask_head_channels,
        "convs": 0 if config.architecture == "c4" else config.mask_convs,
        "norm": config.head_norm,
        "epsilon": config.norm_epsilon,
        "bias": config.conv_bias,
        "name": "mask_head",
    }
    if config.cascade_mask_heads:
        return CascadeMaskHeads(stages=1 + len(config.cascade_ious), **arguments)
    return MaskHead(**arguments)
