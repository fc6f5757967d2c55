"""The inference graph of a Mask R-CNN and its parts, assembled from the layers that a model holds."""

from typing import Any, NamedTuple

import keras
from keras import KerasTensor, ops

from keras_maskrcnn.config.config import Config
from keras_maskrcnn.layers.cascade import RefineBoxes, ScaleGradient
from keras_maskrcnn.layers.detections import DetectedRoIs, MaskProbabilities, SelectDetections
from keras_maskrcnn.layers.inputs import Normalize, Windows
from keras_maskrcnn.layers.keypoints import DetectedKeypoints
from keras_maskrcnn.layers.roi_align import RoIAlign
from keras_maskrcnn.layers.rpn import Anchors, Proposals
from keras_maskrcnn.layers.square import CenterInSquare, FromSquare, SquareWindows
from keras_maskrcnn.models.network import Network, feature_maps, stage_name

Tensors = dict[str, KerasTensor]

STRIDES = (4, 8, 16, 32, 64)  # of P2..P6
LAST_STRIDE = 16  # of the one level without an FPN


class Dense(NamedTuple):
    """What is computed on whole images: features, RPN outputs and anchors, each by level, and the windows.

    `normalized [B, H, W, C]` is what the backbone is given.

    Boxes from here on lie in the network's frame; `windows [B, 4]` are the images' own boxes in it, and proposals may
    reach to `limits [B, 4]`.
    """

    features: Tensors
    logits: Tensors
    deltas: Tensors
    anchors: Tensors
    windows: KerasTensor
    limits: KerasTensor
    normalized: KerasTensor


def image_inputs(config: Config) -> Tensors:
    """Return the inputs of both graphs: `images [B, H, W, C]` float32 raw pixels, `sizes [B, 2]` int32."""
    return {
        "images": keras.Input((None, None, config.channels), dtype="float32", name="images"),
        "sizes": keras.Input((2,), dtype="int32", name="sizes"),
    }


def inference_graph(network: Network, config: Config) -> keras.Model:
    """Assemble image and size -> padded detections, selected as `config` (not `network.config`) says.

    Outputs: `boxes [B, D, 4]` float32 in pixels of the input image, `scores [B, D]` float32, `classes [B, D]`
    int32 (0 where padded) and, with such heads, `masks [B, D, P, P]` float32 probabilities and `keypoints [B, D, J, 3]`
    float32 x, y in pixels of the input image and score.
    """
    images = image_inputs(config)
    return assembled(images, inference_stages(network, config, images)["outputs"], "inference")


def inference_stages(network: Network, config: Config, images: Tensors) -> dict[str, Any]:
    """Compute, from images and sizes, what `inference_graph` returns as "outputs", and what leads there.

    That is "dense" (a `Dense`), "proposals" `[B, R, 4]`, "valid" `[B, R]` and "box_stages", a list with one dict for
    each box stage: "boxes" `[B, R, 4]`, "probabilities" `[B * R, K + 1]`, "deltas" `[B * R, boxes, 4]` and "pooled",
    the box head's input; "keypoint_maps" `[M, S, S, J]` with such a head.
    """
    dense = dense_part(network, images)
    boxes, valid = proposals_part(config, config.pre_nms_top_k, config.post_nms_top_k)(
        dense.logits, dense.deltas, dense.anchors, dense.limits
    )
    stages: dict[str, Any] = {"dense": dense, "proposals": boxes, "valid": valid, "box_stages": []}
    for stage, weights in enumerate(stage_weights(config)):
        logits, deltas, pooled = box_part(network, dense.features, boxes, stage)
        probabilities = ops.softmax(logits)
        stages["box_stages"].append(
            {"boxes": boxes, "probabilities": probabilities, "deltas": deltas, "pooled": pooled}
        )
        if stage < len(config.cascade_ious):
            boxes = refining_part(config, weights, stage)(boxes, deltas, dense.windows)
    found, scores, classes = selection_part(config)(
        mean_probabilities(stages["box_stages"]), deltas, boxes, valid, dense.windows
    )
    outputs = stages["outputs"] = {"boxes": found, "scores": scores, "classes": classes}
    if network.mask_head is not None or network.keypoint_head is not None:
        rois = DetectedRoIs(name="detected_rois")(found, classes)
    if network.mask_head is not None:
        mask_logits = mask_part(network, dense.features, rois)
        outputs["masks"] = MaskProbabilities(config.mask_loss, config.background_outputs, name="masks")(
            mask_logits, rois, classes
        )
    if network.keypoint_head is not None:
        maps = keypoint_part(network, dense.features, rois)
        outputs["keypoints"] = DetectedKeypoints(config.keypoint_probabilities, name="keypoints")(
            maps, rois, classes
        )
        stages["keypoint_maps"] = maps
    if config.square:
        outputs["boxes"] = FromSquare(name="from_square")(found, dense.windows)
    return stages


def mean_probabilities(box_stages: list[Tensors]) -> KerasTensor:
    """The class probabilities `[B * R, K + 1]` that detections are selected by: a cascade's stages vote."""
    return sum(stage["probabilities"] for stage in box_stages) / len(box_stages)


def selection_part(config: Config) -> SelectDetections:
    """The layer that selects detections from what the last box stage computed."""
    return SelectDetections(
        config.score_threshold,
        config.nms_iou,
        config.class_agnostic_nms,
        config.max_detections,
        config.min_detection_size,
        stage_weights(config)[-1],
        config.background_outputs,
        config.clamp_deltas,
        config.one_class_per_box,
        name="select_detections",
    )


def assembled(inputs: Tensors, outputs: Tensors, name: str) -> keras.Model:
    """Make a functional graph."""
    graph = keras.Model(inputs, outputs, name=name)
    graph.autocast = False  # boxes and sizes lose whole pixels in half precision
    return graph


def dense_part(network: Network, images: Tensors) -> Dense:
    """Backbone, pyramid and RPN on `images [B, H, W, C]` with `sizes [B, 2]`."""
    config = network.config
    pixels, sizes = images["images"], images["sizes"]
    windows = limits = Windows(name="windows")(sizes)
    if config.square:
        side = config.max_size
        pixels = CenterInSquare(side, name="center_in_square")(pixels, sizes)
        windows = SquareWindows(side, name="square_windows")(sizes)
        sizes = ops.full_like(sizes, side)  # what surrounds an image is black, not blank
        limits = SquareWindows(side, name="square_limits")(sizes)
    normalized = Normalize(config.pixel_mean, config.pixel_std, config.bgr, name="normalize")(pixels, sizes)
    features = feature_maps(network, normalized)
    logits, deltas = network.rpn_head(features)
    strides = (STRIDES if network.fpn is not None else (LAST_STRIDE,)) if config.fixed_anchor_strides else ()
    anchors = Anchors(
        config.anchor_sizes,
        config.anchor_ratios,
        config.round_anchors,
        strides,
        last_pixel=config.square,
        name="anchors",
    )(features, normalized)
    return Dense(features, logits, deltas, anchors, windows, limits, normalized)


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


def refining_part(config: Config, weights: tuple[float, ...], stage: int) -> RefineBoxes:
    """The layer that makes a cascade's next boxes."""
    return RefineBoxes(weights, config.clamp_deltas, name=stage_name("refine_boxes", stage))


def stage_weights(config: Config) -> list[tuple[float, ...]]:
    """The delta weights of each box stage."""
    return [config.box_delta_weights, *config.cascade_delta_weights]


def box_part(
    network: Network, features: Tensors, boxes: KerasTensor, stage: int = 0
) -> tuple[KerasTensor, KerasTensor, KerasTensor]:
    """A stage's box head on boxes `[B, R, 4]`: class logits `[B * R, K + 1]`, deltas `[B * R, boxes, 4]`, its input."""
    image_indices = _ImageIndices(name=stage_name("image_indices", stage))(boxes)
    pooled = pooling_part(network, network.config.box_pool_size, stage_name("box_roi_align", stage))(
        features, ops.reshape(boxes, (-1, 4)), image_indices
    )
    if len(network.box_heads) > 1:
        pooled = ScaleGradient(1 / len(network.box_heads), name=stage_name("scale_gradient", stage))(pooled)
    if network.res5 is not None:
        pooled = network.res5(pooled)
    return *network.box_heads[stage](pooled), pooled


def mask_part(network: Network, features: Tensors, rois: Tensors) -> KerasTensor:
    """Mask head on rois `[M, ...]`: mask logits `[M, mask_size, mask_size, masks]`."""
    pooled = pooling_part(network, network.config.mask_pool_size, "mask_roi_align")(
        features, rois["boxes"], rois["image_indices"]
    )
    if network.res5 is not None:
        pooled = network.res5(pooled)
    assert network.mask_head is not None
    return network.mask_head(pooled)


def keypoint_part(network: Network, features: Tensors, rois: Tensors) -> KerasTensor:
    """Keypoint head on rois `[M, ...]`: maps of logits `[M, 4P, 4P, J]`."""
    pooled = pooling_part(network, network.config.keypoint_pool_size, "keypoint_roi_align")(
        features, rois["boxes"], rois["image_indices"]
    )
    assert network.keypoint_head is not None
    return network.keypoint_head(pooled)


def pooling_part(network: Network, size: int, name: str) -> RoIAlign:
    """The layer that pools boxes from their levels."""
    config = network.config
    return RoIAlign(
        size,
        config.roi_sampling_ratio,
        config.roi_aligned,
        config.roi_mode,
        STRIDES[:4] if network.fpn is not None else (LAST_STRIDE,),
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
