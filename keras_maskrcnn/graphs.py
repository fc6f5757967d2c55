"""The two functional graphs of a Mask R-CNN, assembled from the layers that a model holds."""

from typing import TYPE_CHECKING

import keras
from keras import ops

from keras_maskrcnn.config import Config
from keras_maskrcnn.layers.detections import DetectedRoIs, MaskProbabilities, SelectDetections
from keras_maskrcnn.layers.inputs import Normalize
from keras_maskrcnn.layers.roi_align import RoIAlign
from keras_maskrcnn.layers.rpn import Anchors, Proposals
from keras_maskrcnn.layers.targets import AnchorTargets, MaskTargets, PositiveRoIs, ProposalTargets

if TYPE_CHECKING:
    from keras_maskrcnn.model import MaskRCNN

Tensors = dict[str, keras.KerasTensor]


def image_inputs(config: Config) -> Tensors:
    """Return the inputs of both graphs: `images [B, H, W, C]` float32 raw pixels, `sizes [B, 2]` int32."""
    return {
        "images": keras.Input((None, None, config.channels), dtype="float32", name="images"),
        "sizes": keras.Input((2,), dtype="int32", name="sizes"),
    }


def ground_truth_inputs(config: Config) -> Tensors:
    """Return what training needs besides: boxes, classes, crowd flags, mask crops and the random seed of each image."""
    inputs = {
        "gt_boxes": keras.Input((None, 4), dtype="float32", name="gt_boxes"),
        "gt_classes": keras.Input((None,), dtype="int32", name="gt_classes"),
        "gt_crowd": keras.Input((None,), dtype="bool", name="gt_crowd"),
        "seeds": keras.Input((2,), dtype="int32", name="seeds"),
    }
    if config.mask_head != "none":
        size = config.mask_crop_size
        inputs["gt_masks"] = keras.Input((None, size, size), dtype="uint8", name="gt_masks")
    return inputs


def training_graph(model: "MaskRCNN") -> keras.Model:
    """Assemble image, size and ground truth -> {loss name: scalar}."""
    config = model.config
    images = image_inputs(config)
    truth = ground_truth_inputs(config)
    labels = [truth["gt_boxes"], truth["gt_classes"], truth["gt_crowd"], truth["seeds"]]

    features, logits, deltas, anchors = dense_part(model, images)
    proposals, valid = Proposals(
        config.pre_nms_top_k_train,
        config.post_nms_top_k_train,
        config.rpn_nms_iou,
        config.rpn_min_size,
        name="proposals",
    )(logits, deltas, anchors, images["sizes"])

    anchor_targets = AnchorTargets(
        config.rpn_positive_iou,
        config.rpn_negative_iou,
        config.rpn_batch_size,
        config.rpn_positive_fraction,
        config.crowd_overlap,
        name="anchor_targets",
    )(anchors, *labels)
    losses = [
        model.losses_by_name["rpn_class_loss"](logits, anchor_targets),
        model.losses_by_name["rpn_box_loss"](deltas, anchor_targets),
    ]

    sample = ProposalTargets(
        config.box_positive_iou,
        config.box_batch_size,
        config.box_positive_fraction,
        config.crowd_overlap,
        config.box_delta_weights,
        name="proposal_targets",
    )(proposals, valid, *labels)
    class_logits, box_deltas = box_part(model, features, sample["boxes"])
    losses.append(model.losses_by_name["class_loss"](class_logits, sample))
    losses.append(model.losses_by_name["box_loss"](box_deltas, sample))

    if model.mask_head is not None:
        rois = PositiveRoIs(name="positive_rois")(sample)
        mask_logits = mask_part(model, features, rois)
        targets = MaskTargets(2 * config.mask_pool_size, name="mask_targets")(
            rois, truth["gt_boxes"], truth["gt_masks"]
        )
        losses.append(model.losses_by_name["mask_loss"](mask_logits, targets, rois))
    outputs = dict(zip(model.losses_by_name, losses, strict=True))
    return _graph({**images, **truth}, outputs, "training")


def inference_graph(model: "MaskRCNN", config: Config) -> keras.Model:
    """Assemble image and size -> padded detections, selected as `config` (not `model.config`) says.

    Outputs: `boxes [B, D, 4]` float32 in pixels of the input image, `scores [B, D]` float32, `classes [B, D]`
    int32 (0 where padded) and, with a mask head, `masks [B, D, P, P]` float32 probabilities.
    """
    images = image_inputs(config)
    features, logits, deltas, anchors = dense_part(model, images)
    proposals, valid = Proposals(
        config.pre_nms_top_k, config.post_nms_top_k, config.rpn_nms_iou, config.rpn_min_size, name="proposals"
    )(logits, deltas, anchors, images["sizes"])
    class_logits, box_deltas = box_part(model, features, proposals)
    boxes, scores, classes = SelectDetections(
        config.score_threshold,
        config.nms_iou,
        config.class_agnostic_nms,
        config.max_detections,
        config.min_detection_size,
        config.box_delta_weights,
        config.background_outputs,
        name="select_detections",
    )(class_logits, box_deltas, proposals, valid, images["sizes"])
    outputs = {"boxes": boxes, "scores": scores, "classes": classes}
    if model.mask_head is not None:
        rois = DetectedRoIs(name="detected_rois")(boxes, classes)
        mask_logits = mask_part(model, features, rois)
        outputs["masks"] = MaskProbabilities(config.mask_loss, config.background_outputs, name="masks")(
            mask_logits, rois, classes
        )
    return _graph(images, outputs, "inference")


def _graph(inputs: Tensors, outputs: Tensors, name: str) -> keras.Model:
    graph = keras.Model(inputs, outputs, name=name)
    graph.autocast = False  # boxes and sizes lose whole pixels in half precision
    return graph


def dense_part(model: "MaskRCNN", images: Tensors) -> tuple[Tensors, Tensors, Tensors, Tensors]:
    """Backbone, pyramid and RPN: features, objectness logits, deltas and anchors, each by level."""
    config = model.config
    normalized = Normalize(config.pixel_mean, config.pixel_std, config.bgr, name="normalize")(
        images["images"], images["sizes"]
    )
    features = model.fpn(model.backbone(normalized))
    logits, deltas = model.rpn_head(features)
    anchors = Anchors(config.anchor_sizes, config.anchor_ratios, config.round_anchors, name="anchors")(
        features, normalized
    )
    return features, logits, deltas, anchors


def box_part(
    model: "MaskRCNN", features: Tensors, boxes: keras.KerasTensor
) -> tuple[keras.KerasTensor, keras.KerasTensor]:
    """Box head on boxes `[B, R, 4]`: class logits `[B * R, K + 1]` and deltas `[B * R, boxes, 4]`."""
    image_indices = _ImageIndices(name="image_indices")(boxes)
    pooled = _pooling(model.config, model.config.box_pool_size, "box_roi_align")(
        features, ops.reshape(boxes, (-1, 4)), image_indices
    )
    return model.box_head(pooled)


def mask_part(model: "MaskRCNN", features: Tensors, rois: Tensors) -> keras.KerasTensor:
    """Mask head on rois `[M, ...]`: mask logits `[M, 2P, 2P, masks]`."""
    pooled = _pooling(model.config, model.config.mask_pool_size, "mask_roi_align")(
        features, rois["boxes"], rois["image_indices"]
    )
    assert model.mask_head is not None
    return model.mask_head(pooled)


def _pooling(config: Config, size: int, name: str) -> RoIAlign:
    return RoIAlign(size, config.roi_sampling_ratio, config.roi_aligned, config.roi_mode, name=name)


class _ImageIndices(keras.layers.Layer):
    """Boxes `[B, R, 4]` -> for each of the B * R rows the index of its image, int32."""

    def __init__(self, **kwargs):
        super().__init__(autocast=False, **kwargs)

    def call(self, boxes: keras.KerasTensor) -> keras.KerasTensor:
        batch, rows = ops.shape(boxes)[0], ops.shape(boxes)[1]
        return ops.repeat(ops.arange(batch, dtype="int32"), rows)
