"""The two functional graphs of a Mask R-CNN, assembled from the layers that a model holds."""

from typing import TYPE_CHECKING, NamedTuple

import keras
from keras import KerasTensor, ops

from keras_maskrcnn.config import Config
from keras_maskrcnn.layers.cascade import RefineBoxes, ScaleGradient, StageTargets
from keras_maskrcnn.layers.detections import DetectedRoIs, MaskProbabilities, SelectDetections
from keras_maskrcnn.layers.inputs import Normalize, Windows
from keras_maskrcnn.layers.keypoints import DetectedKeypoints, KeypointTargets
from keras_maskrcnn.layers.roi_align import RoIAlign
from keras_maskrcnn.layers.rpn import Anchors, Proposals
from keras_maskrcnn.layers.square import CenterInSquare, FromSquare, SquareWindows, ToSquare
from keras_maskrcnn.layers.targets import AnchorTargets, MaskTargets, PositiveRoIs, ProposalTargets
from keras_maskrcnn.parts import stage_name

if TYPE_CHECKING:
    from keras_maskrcnn.model import MaskRCNN

Tensors = dict[str, KerasTensor]

STRIDES = (4, 8, 16, 32, 64)  # of P2..P6
LAST_STRIDE = 16  # of the one level without an FPN


class Dense(NamedTuple):
    """What is computed on whole images: features, RPN outputs and anchors, each by level, and the windows.

    Boxes from here on lie in the network's frame; `windows [B, 4]` are the images' own boxes in it, and proposals may
    reach to `limits [B, 4]`.
    """

    features: Tensors
    logits: Tensors
    deltas: Tensors
    anchors: Tensors
    windows: KerasTensor
    limits: KerasTensor


def image_inputs(config: Config) -> Tensors:
    """Return the inputs of both graphs: `images [B, H, W, C]` float32 raw pixels, `sizes [B, 2]` int32."""
    return {
        "images": keras.Input((None, None, config.channels), dtype="float32", name="images"),
        "sizes": keras.Input((2,), dtype="int32", name="sizes"),
    }


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


def training_graph(model: "MaskRCNN") -> keras.Model:
    """Assemble image, size and ground truth -> {loss name: scalar}."""
    config = model.config
    images = image_inputs(config)
    inputs = {**images, **ground_truth_inputs(config)}
    dense = dense_part(model, images)
    truth = dict(inputs)
    if config.square:
        truth["gt_boxes"] = ToSquare(name="gt_to_square")(inputs["gt_boxes"], dense.windows)

    losses = rpn_losses(model, dense, truth)
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
    box_losses, pooled = box_stage_losses(model, dense, sample, truth)
    losses |= box_losses

    if model.mask_head is not None or model.keypoint_head is not None:
        rois = PositiveRoIs(name="positive_rois")(sample)
    if model.mask_head is not None:
        if model.res5 is not None:  # which has worked on these RoIs already
            mask_logits = model.mask_head(ops.take(pooled, rois["rows"], axis=0))
        else:
            mask_logits = mask_part(model, dense.features, rois)
        targets = MaskTargets(config.mask_size, config.binary_mask_targets, name="mask_targets")(
            rois, truth["gt_boxes"], truth["gt_masks"]
        )
        losses["mask_loss"] = model.losses_by_name["mask_loss"](mask_logits, targets, rois)
    if model.keypoint_head is not None:
        maps = keypoint_part(model, dense.features, rois)
        targets, counted = KeypointTargets(maps.shape[1], name="keypoint_targets")(
            rois, truth["gt_keypoints"]
        )
        losses["keypoint_loss"] = model.losses_by_name["keypoint_loss"](maps, targets, counted)
    return _graph(inputs, losses, "training")


def inference_graph(model: "MaskRCNN", config: Config) -> keras.Model:
    """Assemble image and size -> padded detections, selected as `config` (not `model.config`) says.

    Outputs: `boxes [B, D, 4]` float32 in pixels of the input image, `scores [B, D]` float32, `classes [B, D]`
    int32 (0 where padded) and, with such heads, `masks [B, D, P, P]` float32 probabilities and `keypoints [B, D, J, 3]`
    float32 x, y in pixels of the input image and score.
    """
    images = image_inputs(config)
    dense = dense_part(model, images)
    boxes, valid = proposals_part(config, config.pre_nms_top_k, config.post_nms_top_k)(
        dense.logits, dense.deltas, dense.anchors, dense.limits
    )
    probabilities, stages = [], _stage_weights(config)
    for stage, weights in enumerate(stages):
        logits, deltas, _ = box_part(model, dense.features, boxes, stage)
        probabilities.append(ops.softmax(logits))
        if stage + 1 < len(stages):
            boxes = _refine(config, weights, stage)(boxes, deltas, dense.windows)
    found, scores, classes = SelectDetections(
        config.score_threshold,
        config.nms_iou,
        config.class_agnostic_nms,
        config.max_detections,
        config.min_detection_size,
        stages[-1],
        config.background_outputs,
        config.clamp_deltas,
        config.one_class_per_box,
        name="select_detections",
    )(sum(probabilities) / len(probabilities), deltas, boxes, valid, dense.windows)
    outputs = {"boxes": found, "scores": scores, "classes": classes}
    if model.mask_head is not None or model.keypoint_head is not None:
        rois = DetectedRoIs(name="detected_rois")(found, classes)
    if model.mask_head is not None:
        mask_logits = mask_part(model, dense.features, rois)
        outputs["masks"] = MaskProbabilities(config.mask_loss, config.background_outputs, name="masks")(
            mask_logits, rois, classes
        )
    if model.keypoint_head is not None:
        maps = keypoint_part(model, dense.features, rois)
        outputs["keypoints"] = DetectedKeypoints(config.keypoint_probabilities, name="keypoints")(
            maps, rois, classes
        )
    if config.square:
        outputs["boxes"] = FromSquare(name="from_square")(found, dense.windows)
    return _graph(images, outputs, "inference")


def _graph(inputs: Tensors, outputs: Tensors, name: str) -> keras.Model:
    graph = keras.Model(inputs, outputs, name=name)
    graph.autocast = False  # boxes and sizes lose whole pixels in half precision
    return graph


def dense_part(model: "MaskRCNN", images: Tensors) -> Dense:
    """Backbone, pyramid and RPN on `images [B, H, W, C]` with `sizes [B, 2]`."""
    config = model.config
    pixels, sizes = images["images"], images["sizes"]
    windows = limits = Windows(name="windows")(sizes)
    if config.square:
        side = config.max_size
        pixels = CenterInSquare(side, name="center_in_square")(pixels, sizes)
        windows = SquareWindows(side, name="square_windows")(sizes)
        sizes = ops.full_like(sizes, side)  # what surrounds an image is black, not blank
        limits = SquareWindows(side, name="square_limits")(sizes)
    normalized = Normalize(config.pixel_mean, config.pixel_std, config.bgr, name="normalize")(pixels, sizes)
    features = model.backbone(normalized)
    if model.fpn is not None:
        features = model.fpn(features)
    else:
        features = dict(list(features.items())[-1:])
    logits, deltas = model.rpn_head(features)
    strides = (STRIDES if model.fpn is not None else (LAST_STRIDE,)) if config.fixed_anchor_strides else ()
    anchors = Anchors(
        config.anchor_sizes,
        config.anchor_ratios,
        config.round_anchors,
        strides,
        last_pixel=config.square,
        name="anchors",
    )(features, normalized)
    return Dense(features, logits, deltas, anchors, windows, limits)


def proposals_part(config: Config, pre_nms_top_k: int, post_nms_top_k: int) -> Proposals:
    """The layer that makes proposals of what the dense part computed."""
    return Proposals(
        pre_nms_top_k,
        post_nms_top_k,
        config.rpn_nms_iou,
        config.rpn_min_size,
        config.rpn_delta_weights,
        config.clamp_deltas,
        config.joint_proposals,
        rank_probabilities=config.rpn_softmax,
        name="proposals",
    )


def rpn_losses(model: "MaskRCNN", dense: Dense, truth: Tensors) -> Tensors:
    """The two losses of the region proposal network."""
    config = model.config
    targets = AnchorTargets(
        config.rpn_positive_iou,
        config.rpn_negative_iou,
        config.rpn_batch_size,
        config.rpn_positive_fraction,
        config.crowd_overlap,
        config.rpn_delta_weights,
        name="anchor_targets",
    )(dense.anchors, truth["gt_boxes"], truth["gt_classes"], truth["gt_crowd"], truth["seeds"])
    return {
        "rpn_class_loss": model.losses_by_name["rpn_class_loss"](dense.logits, targets),
        "rpn_box_loss": model.losses_by_name["rpn_box_loss"](dense.deltas, targets),
    }


def box_stage_losses(
    model: "MaskRCNN", dense: Dense, sample: Tensors, truth: Tensors
) -> tuple[Tensors, KerasTensor]:
    """The two losses of each box stage, and what the first stage's head was given."""
    config = model.config
    losses, inputs, stages = {}, [], _stage_weights(config)
    for stage, weights in enumerate(stages):
        logits, deltas, pooled = box_part(model, dense.features, sample["boxes"], stage)
        inputs.append(pooled)
        for kind, predicted in (("class_loss", logits), ("box_loss", deltas)):
            name = stage_name(kind, stage)
            losses[name] = model.losses_by_name[name](predicted, sample)
        if stage + 1 < len(stages):
            refined = _refine(config, weights, stage)(sample["boxes"], deltas, dense.windows)
            sample = StageTargets(
                config.cascade_ious[stage],
                config.crowd_overlap,
                stages[stage + 1],
                name=stage_name("stage_targets", stage + 1),
            )(refined, sample["valid"], truth["gt_boxes"], truth["gt_classes"], truth["gt_crowd"])
    return losses, inputs[0]


def _refine(config: Config, weights: tuple[float, ...], stage: int) -> RefineBoxes:
    return RefineBoxes(weights, config.clamp_deltas, name=stage_name("refine_boxes", stage))


def _stage_weights(config: Config) -> list[tuple[float, ...]]:
    return [config.box_delta_weights, *config.cascade_delta_weights]


def box_part(
    model: "MaskRCNN", features: Tensors, boxes: KerasTensor, stage: int = 0
) -> tuple[KerasTensor, KerasTensor, KerasTensor]:
    """A stage's box head on boxes `[B, R, 4]`: class logits `[B * R, K + 1]`, deltas `[B * R, boxes, 4]`, its input."""
    image_indices = _ImageIndices(name=stage_name("image_indices", stage))(boxes)
    pooled = _pooling(model, model.config.box_pool_size, stage_name("box_roi_align", stage))(
        features, ops.reshape(boxes, (-1, 4)), image_indices
    )
    if len(model.box_heads) > 1:
        pooled = ScaleGradient(1 / len(model.box_heads), name=stage_name("scale_gradient", stage))(pooled)
    if model.res5 is not None:
        pooled = model.res5(pooled)
    return *model.box_heads[stage](pooled), pooled


def mask_part(model: "MaskRCNN", features: Tensors, rois: Tensors) -> KerasTensor:
    """Mask head on rois `[M, ...]`: mask logits `[M, mask_size, mask_size, masks]`."""
    pooled = _pooling(model, model.config.mask_pool_size, "mask_roi_align")(
        features, rois["boxes"], rois["image_indices"]
    )
    if model.res5 is not None:
        pooled = model.res5(pooled)
    assert model.mask_head is not None
    return model.mask_head(pooled)


def keypoint_part(model: "MaskRCNN", features: Tensors, rois: Tensors) -> KerasTensor:
    """Keypoint head on rois `[M, ...]`: maps of logits `[M, 4P, 4P, J]`."""
    pooled = _pooling(model, model.config.keypoint_pool_size, "keypoint_roi_align")(
        features, rois["boxes"], rois["image_indices"]
    )
    assert model.keypoint_head is not None
    return model.keypoint_head(pooled)


def _pooling(model: "MaskRCNN", size: int, name: str) -> RoIAlign:
    config = model.config
    return RoIAlign(
        size,
        config.roi_sampling_ratio,
        config.roi_aligned,
        config.roi_mode,
        STRIDES[:4] if model.fpn is not None else (LAST_STRIDE,),
        config.level_rule,
        name=name,
    )


class _ImageIndices(keras.layers.Layer):
    """Boxes `[B, R, 4]` -> for each of the B * R rows the index of its image, int32."""

    def __init__(self, **kwargs):
        super().__init__(autocast=False, **kwargs)

    def call(self, boxes: KerasTensor) -> KerasTensor:
        batch, rows = ops.shape(boxes)[0], ops.shape(boxes)[1]
        return ops.repeat(ops.arange(batch, dtype="int32"), rows)
