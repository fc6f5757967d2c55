"""The keypoint head (Mask R-CNN section 5): for each keypoint of a RoI a map in which one pixel is to be found."""

from typing import Any, Self

from keras_maskrcnn.config.config import Config
from keras_maskrcnn.layers.heads import KeypointHead
from keras_maskrcnn.layers.keypoints import DetectedKeypoints, KeypointLoss, KeypointTargets
from keras_maskrcnn.layers.resnet import Res5
from keras_maskrcnn.network.heads.head import RoIHead, Stages
from keras_maskrcnn.network.pooling import pool_rois


class KeypointRoIHead(RoIHead):
    """Adds `keypoint_maps [M, 4P, 4P, J]`, in training `keypoint_targets` (of `KeypointTargets`)."""

    name = "keypoint"

    @classmethod
    def is_in(cls, config: Config) -> bool:
        """Whether `config` asks for this head."""
        return bool(config.keypoint_names)

    @classmethod
    def make(cls, config: Config) -> Self:
        """Make the head that `config` asks for."""
        layer = KeypointHead(
            num_keypoints=len(config.keypoint_names),
            channels=config.keypoint_head_channels,
            convs=config.keypoint_convs,
            norm=config.head_norm,
            epsilon=config.norm_epsilon,
            name="keypoint_head",
        )
        return cls(layer, KeypointLoss(name="keypoint_loss"))

    @classmethod
    def needs_new_predictor(cls, config: Config, source: Config) -> bool:
        """Whether the keypoints differ."""
        return config.keypoint_names != source.keypoint_names

    @classmethod
    def pool_size(cls, config: Config) -> int:
        """Return the bins along the sides of the RoIs."""
        return config.keypoint_pool_size

    def train(self, config: Config, res5: Res5 | None, stages: Stages) -> Stages:
        """Compute maps and targets of the positive RoIs."""
        maps = self._maps(config, res5, stages)
        targets = KeypointTargets(size=maps.shape[1], name="keypoint_targets")
        return {
            "keypoint_maps": maps,
            "keypoint_targets": targets(stages["rois"], stages["truth"]["gt_keypoints"]),
        }

    def loss(self, stages: Stages) -> Any:
        """Return the cross-entropy over the pixels of a map."""
        return self.loss_layer(stages["keypoint_maps"], *stages["keypoint_targets"])

    def infer(self, config: Config, res5: Res5 | None, stages: Stages) -> Stages:
        """Compute `keypoints [B, D, J, 3]`: x, y in pixels of the network's frame, and a score."""
        maps = self._maps(config, res5, stages)
        keypoints = DetectedKeypoints(probabilities=config.keypoint_probabilities, name="keypoints")(
            maps, stages["rois"], stages["outputs"]["classes"]
        )
        return {"keypoint_maps": maps, "outputs": {"keypoints": keypoints}}

    def _maps(self, config: Config, res5: Res5 | None, stages: Stages) -> Any:
        features, rois = stages["dense"].features, stages["rois"]
        pooled = pool_rois(config, res5, features, rois, self.pool_size(config), "keypoint_roi_align")
        return self.layer(pooled)
