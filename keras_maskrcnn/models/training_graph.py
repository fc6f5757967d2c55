"""The training graph of a Mask R-CNN: the losses, and the targets that they are computed on."""

from typing import Any

import keras
from keras import ops

from keras_maskrcnn.config.config import Config
from keras_maskrcnn.layers.cascade import StageTargets
from keras_maskrcnn.layers.keypoints import KeypointTargets
from keras_maskrcnn.layers.square import ToSquare
from keras_maskrcnn.layers.targets import AnchorTargets, MaskTargets, PositiveRoIs, ProposalTargets
from keras_maskrcnn.models.inference_graph import (
    Dense,
    Tensors,
    assembled,
    box_part,
    dense_part,
    image_inputs,
    keypoint_part,
    mask_part,
    proposals_part,
    refining_part,
    stage_weights,
)
from keras_maskrcnn.models.network import Network, stage_name


def ground_truth_inputs(config: Config) -> Tensors:
    """Return what training needs besides: the objects of each image, and its random seed."""
    inputs = {
        "gt_boxes": keras.Input((None, 4), dtype="float32", name="gt_boxes"),
        "gt_classes": keras.Input((None,), dtype="int32", name="gt_classes"),
        "gt_crowd": keras.Input((None,), dtype="bool", name="gt_crowd"),
        "seeds": keras.Input((2,), dtype="int32", name="seeds"),
    }
    if config.mask_head != "none":
        size = config.mask_crop_size
        inputs["gt_masks"] = keras.Input((None, size, size), dtype="uint8", name="gt_masks")
    if config.keypoint_names:
        shape = (None, len(config.keypoint_names), 3)
        inputs["gt_keypoints"] = keras.Input(shape, dtype="float32", name="gt_keypoints")
    return inputs


def training_graph(network: Network) -> keras.Model:
    """Assemble image, size and ground truth -> {loss name: scalar}."""
    inputs = {**image_inputs(network.config), **ground_truth_inputs(network.config)}
    return assembled(inputs, all_losses(network, training_stages(network, inputs)), "training")


def training_stages(network: Network, inputs: Tensors) -> dict[str, Any]:
    """Compute, from a batch with ground truth, what the losses compare.

    That is "dense" (a `Dense`), "anchor_targets" (of `AnchorTargets`), "box_stages" (see `box_stages`) and, with such
    heads, "rois" (of `PositiveRoIs`), "mask_logits" and "mask_targets" `[M, P, P]`, "keypoint_maps" and
    "keypoint_targets" (of `KeypointTargets`).
    """
    config = network.config
    dense = dense_part(network, inputs)
    truth = dict(inputs)
    if config.square:
        truth["gt_boxes"] = ToSquare(name="gt_to_square")(inputs["gt_boxes"], dense.windows)

    stages: dict[str, Any] = {"dense": dense}
    stages["anchor_targets"] = anchor_targets_part(config)(
        dense.anchors, truth["gt_boxes"], truth["gt_classes"], truth["gt_crowd"], truth["seeds"]
    )
    proposals, valid = proposals_part(config, config.pre_nms_top_k_train, config.post_nms_top_k_train)(
        dense.logits, dense.deltas, dense.anchors, dense.limits
    )
    sample = ProposalTargets(
        config.box_positive_iou,
        config.box_batch_size,
        config.box_positive_fraction,
        config.crowd_overlap,
        config.box_delta_weights,
        name="proposal_targets",
    )(proposals, valid, truth["gt_boxes"], truth["gt_classes"], truth["gt_crowd"], truth["seeds"])
    stages["box_stages"] = box_stages(network, dense, sample, truth)
    if network.mask_head is not None or network.keypoint_head is not None:
        stages["rois"] = PositiveRoIs(name="positive_rois")(sample)
    if network.mask_head is not None:
        stages |= _mask_stages(network, stages, truth)
    if network.keypoint_head is not None:
        maps = stages["keypoint_maps"] = keypoint_part(network, dense.features, stages["rois"])
        stages["keypoint_targets"] = KeypointTargets(maps.shape[1], name="keypoint_targets")(
            stages["rois"], truth["gt_keypoints"]
        )
    return stages


def _mask_stages(network: Network, stages: dict[str, Any], truth: Tensors) -> Tensors:
    config, rois = network.config, stages["rois"]
    if network.res5 is not None:  # which has worked on these RoIs already
        assert network.mask_head is not None
        logits = network.mask_head(ops.take(stages["box_stages"][0]["pooled"], rois["rows"], axis=0))
    else:
        logits = mask_part(network, stages["dense"].features, rois)
    targets = MaskTargets(config.mask_size, config.binary_mask_targets, name="mask_targets")(
        rois, truth["gt_boxes"], truth["gt_masks"]
    )
    return {"mask_logits": logits, "mask_targets": targets}


def all_losses(network: Network, stages: dict[str, Any]) -> Tensors:
    """Compute every loss of what `training_stages` returned, in the order in which the logs show them."""
    layers, dense, targets = network.losses_by_name, stages["dense"], stages["anchor_targets"]
    losses = {
        "rpn_class_loss": layers["rpn_class_loss"](dense.logits, targets),
        "rpn_box_loss": layers["rpn_box_loss"](dense.deltas, targets),
    }
    for number, stage in enumerate(stages["box_stages"]):
        for kind, predicted in (("class_loss", stage["logits"]), ("box_loss", stage["deltas"])):
            name = stage_name(kind, number)
            losses[name] = layers[name](predicted, stage["sample"])
    if "mask_logits" in stages:
        losses["mask_loss"] = layers["mask_loss"](
            stages["mask_logits"], stages["mask_targets"], stages["rois"]
        )
    if "keypoint_maps" in stages:
        losses["keypoint_loss"] = layers["keypoint_loss"](
            stages["keypoint_maps"], *stages["keypoint_targets"]
        )
    return losses


def anchor_targets_part(config: Config) -> AnchorTargets:
    """The layer that says what anchors are trained towards."""
    return AnchorTargets(
        config.rpn_positive_iou,
        config.rpn_negative_iou,
        config.rpn_batch_size,
        config.rpn_positive_fraction,
        config.crowd_overlap,
        config.rpn_delta_weights,
        name="anchor_targets",
    )


def box_stages(network: Network, dense: Dense, sample: Tensors, truth: Tensors) -> list[dict[str, Any]]:
    """For each box stage its "sample", its head's "logits" and "deltas", and what this was given, "pooled"."""
    config = network.config
    stages: list[dict[str, Any]] = []
    weights = stage_weights(config)
    for stage in range(len(weights)):
        logits, deltas, pooled = box_part(network, dense.features, sample["boxes"], stage)
        stages.append({"sample": sample, "logits": logits, "deltas": deltas, "pooled": pooled})
        if stage + 1 < len(weights):
            refined = refining_part(config, weights[stage], stage)(sample["boxes"], deltas, dense.windows)
            sample = StageTargets(
                config.cascade_ious[stage],
                config.crowd_overlap,
                weights[stage + 1],
                name=stage_name("stage_targets", stage + 1),
            )(refined, sample["valid"], truth["gt_boxes"], truth["gt_classes"], truth["gt_crowd"])
    return stages
