"""The training graph: image, size and ground truth -> the losses, and the targets that they are computed on."""

from typing import Any

import keras

from keras_maskrcnn.config.config import Config
from keras_maskrcnn.data.fields import fields_of
from keras_maskrcnn.layers.cascade import StageTargets
from keras_maskrcnn.layers.square import KeypointsToSquare, ToSquare
from keras_maskrcnn.layers.targets import AnchorTargets, PositiveRoIs, ProposalTargets
from keras_maskrcnn.network.box_branch import box_branch, refine_layer, stage_weights
from keras_maskrcnn.network.dense import (
    DenseOutputs,
    Tensors,
    dense_outputs,
    image_inputs,
    proposal_layer,
)
from keras_maskrcnn.network.inference_graph import assemble
from keras_maskrcnn.network.network import Network
from keras_maskrcnn.network.stage_name import stage_name


def ground_truth_inputs(config: Config) -> Tensors:
    """Return what training needs besides: the objects of each image `[B, G, ...]`, and its random seed `[B, 2]`."""
    inputs = {"seeds": keras.Input((2,), dtype="int32", name="seeds")}
    for field in fields_of(config):
        shape, dtype = field.spec
        inputs[field.name] = keras.Input(shape, dtype=dtype, name=field.name)
    return inputs


def training_inputs(config: Config) -> Tensors:
    """Return the inputs of `training_graph`: images, sizes and ground truth."""
    return {**image_inputs(config), **ground_truth_inputs(config)}


def training_graph(network: Network) -> keras.Model:
    """Assemble image, size and ground truth -> {loss name: scalar}."""
    inputs = training_inputs(network.config)
    return assemble(inputs, all_losses(network, training_stages(network, inputs)), "training")


def training_stages(network: Network, inputs: dict[str, Any]) -> dict[str, Any]:
    """Compute, from a batch with ground truth, what the losses compare.

    That is "dense" (`DenseOutputs`), "truth" (ground truth in the network's frame), "anchor_targets" (of
    `AnchorTargets`), "box_stages" (see `box_stages`) and, with RoI heads, "rois" (of `PositiveRoIs`) and what they add.
    """
    config = network.config
    dense = dense_outputs(network, inputs)
    truth = {name: x for name, x in inputs.items() if name not in ("images", "sizes")}
    if config.square:
        truth["gt_boxes"] = ToSquare(name="gt_to_square")(inputs["gt_boxes"], dense.windows)
        if config.keypoint_names:
            to_square = KeypointsToSquare(offset=config.keypoint_offset, name="gt_keypoints_to_square")
            truth["gt_keypoints"] = to_square(inputs["gt_keypoints"], dense.windows)
    stages: dict[str, Any] = {"dense": dense, "truth": truth}
    stages["anchor_targets"] = anchor_target_layer(config)(
        dense.anchors, truth["gt_boxes"], truth["gt_classes"], truth["gt_crowd"], truth["seeds"]
    )
    proposals, valid = proposal_layer(config, training=True)(
        dense.logits, dense.deltas, dense.anchors, dense.limits
    )
    sample = proposal_target_layer(config)(
        proposals, valid, truth["gt_boxes"], truth["gt_classes"], truth["gt_crowd"], truth["seeds"]
    )
    stages["box_stages"] = box_stages(network, dense, sample, truth)
    if network.roi_heads:
        stages["rois"] = PositiveRoIs(name="positive_rois")(sample)
    for head in network.roi_heads:
        stages |= head.train(config, network.res5, stages)
    return stages


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
    return losses | {head.loss_layer.name: head.loss(stages) for head in network.roi_heads}


def anchor_target_layer(config: Config) -> AnchorTargets:
    """Return the layer that assigns labels and deltas to anchors."""
    return AnchorTargets(
        positive_iou=config.rpn_positive_iou,
        negative_iou=config.rpn_negative_iou,
        batch_size=config.rpn_batch_size,
        positive_fraction=config.rpn_positive_fraction,
        crowd_overlap=config.crowd_overlap,
        delta_weights=config.rpn_delta_weights,
        name="anchor_targets",
    )


def proposal_target_layer(config: Config) -> ProposalTargets:
    """Return the layer that samples proposals and assigns classes and deltas to them."""
    return ProposalTargets(
        positive_iou=config.box_positive_iou,
        batch_size=config.box_batch_size,
        positive_fraction=config.box_positive_fraction,
        crowd_overlap=config.crowd_overlap,
        delta_weights=config.box_delta_weights,
        name="proposal_targets",
    )


def stage_target_layer(config: Config, stage: int) -> StageTargets:
    """Return the layer that assigns classes and deltas to the boxes of a cascade's stage, counted from 0."""
    return StageTargets(
        positive_iou=config.cascade_ious[stage - 1],
        crowd_overlap=config.crowd_overlap,
        delta_weights=stage_weights(config)[stage],
        name=stage_name("stage_targets", stage),
    )


def box_stages(
    network: Network, dense: DenseOutputs, sample: Tensors, truth: dict[str, Any]
) -> list[dict[str, Any]]:
    """Return for each box stage its "sample", its head's "logits" and "deltas", and what this was given, "pooled"."""
    config = network.config
    stages: list[dict[str, Any]] = []
    for stage in range(len(network.box_heads)):
        logits, deltas, pooled = box_branch(network, dense.features, sample["boxes"], stage)
        stages.append({"sample": sample, "logits": logits, "deltas": deltas, "pooled": pooled})
        if stage + 1 < len(network.box_heads):
            refined = refine_layer(config, stage)(sample["boxes"], deltas, dense.windows)
            sample = stage_target_layer(config, stage + 1)(
                refined, sample["valid"], truth["gt_boxes"], truth["gt_classes"], truth["gt_crowd"]
            )
    return stages
