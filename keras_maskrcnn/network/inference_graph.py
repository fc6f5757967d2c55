"""The inference graph: image and size -> padded detections."""

import dataclasses
from typing import Any

import keras
from keras import KerasTensor, ops

from keras_maskrcnn.config.config import Config
from keras_maskrcnn.layers.detections import DetectedRoIs, SelectDetections
from keras_maskrcnn.layers.square import FromSquare, KeypointsFromSquare, ToSquare
from keras_maskrcnn.network.box_branch import box_branch, refine_layer, stage_weights
from keras_maskrcnn.network.dense import Tensors, dense_outputs, image_inputs, proposal_layer
from keras_maskrcnn.network.network import Network


def inference_graph(network: Network, config: Config) -> keras.Model:
    """Assemble image, size and threshold -> padded detections, selected as `config` (not `network.config`) says.

    Inputs: `images [B, H, W, C]`, `sizes [B, 2]` and `score_threshold [B]`, so that one graph serves all thresholds.
    Outputs: `boxes [B, D, 4]` float32 in pixels of the input image, `scores [B, D]` float32, `classes [B, D]`
    int32 (0 where padded) and, with such heads, `masks [B, D, P, P]` float32 probabilities, `mask_scores [B, D]`
    float32 and `keypoints [B, D, J, 3]` float32 x, y in pixels of the input image and score.
    """
    inputs = inference_inputs(config)
    return assemble(inputs, inference_stages(network, config, inputs)["outputs"], "inference")


def inference_inputs(config: Config) -> Tensors:
    """Return the inputs of `inference_graph`."""
    return {
        **image_inputs(config),
        "score_threshold": keras.Input((), dtype="float32", name="score_threshold"),
    }


def inference_stages(network: Network, config: Config, images: dict[str, Any]) -> dict[str, Any]:
    """Compute, from images and sizes, what `inference_graph` returns as "outputs", and what leads there.

    What leads there is "dense" (`DenseOutputs`), "proposals" `[B, R, 4]`, "valid" `[B, R]` and "box_stages", a list
    with one dict for each box stage: "boxes" `[B, R, 4]`, "logits" and "probabilities" `[B * R, K + 1]`, "deltas" `[B *
    R, boxes, 4]` and "pooled", the box head's input; and what the RoI heads add. The config's score_threshold counts
    unless `images` has one.
    """
    dense = dense_outputs(network, images)
    boxes, valid = proposal_layer(config, training=False)(
        dense.logits, dense.deltas, dense.anchors, dense.limits
    )
    stages: dict[str, Any] = {"dense": dense, "proposals": boxes, "valid": valid, "box_stages": []}
    for stage in range(len(network.box_heads)):
        logits, deltas, pooled = box_branch(network, dense.features, boxes, stage)
        stages["box_stages"].append(
            dict(boxes=boxes, logits=logits, probabilities=ops.softmax(logits), deltas=deltas, pooled=pooled)
        )
        if stage + 1 < len(network.box_heads):
            boxes = refine_layer(config, stage)(boxes, deltas, dense.windows)
    detected, scores, classes = postprocess_layer(config)(
        mean_probabilities(config, stages["box_stages"]),
        deltas,
        boxes,
        valid,
        dense.windows,
        score_threshold=images.get("score_threshold"),
    )
    outputs = stages["outputs"] = {"boxes": detected, "scores": scores, "classes": classes}
    _run_heads(network, config, stages)
    if config.square:
        outputs["boxes"] = FromSquare(name="from_square")(detected, dense.windows)
        if config.keypoint_names:
            from_square = KeypointsFromSquare(offset=config.keypoint_offset, name="keypoints_from_square")
            outputs["keypoints"] = from_square(outputs["keypoints"], dense.windows, classes)
    return stages


def given_boxes_inputs(config: Config) -> Tensors:
    """Return images and sizes, and objects in them.

    These are `boxes [B, D, 4]` in pixels of the input image, `classes [B, D]` int32, 0 for padding rows, and `scores
    [B, D]`, for any D of at least 1.
    """
    return {
        **image_inputs(config),
        "boxes": keras.Input((None, 4), dtype="float32", name="boxes"),
        "scores": keras.Input((None,), dtype="float32", name="scores"),
        "classes": keras.Input((None,), dtype="int32", name="classes"),
    }


def given_boxes_outputs(network: Network, inputs: dict[str, Any]) -> Tensors:
    """Compute, from `given_boxes_inputs`, what the RoI heads predict of these objects.

    That is those of the outputs of `inference_graph` that the heads add, of the same rows.
    """
    config = network.config
    objects = {name: inputs[name] for name in ("boxes", "scores", "classes")}
    dense = dense_outputs(network, inputs)
    if config.square:
        objects["boxes"] = ToSquare(name="to_square")(objects["boxes"], dense.windows)
    outputs = {**objects}
    _run_heads(network, config, {"dense": dense, "outputs": outputs})
    return {name: value for name, value in outputs.items() if name not in objects}


def _run_heads(network: Network, config: Config, stages: dict[str, Any]) -> None:
    """Add to stages, and to their "outputs", what the RoI heads predict of the boxes there."""
    outputs = stages["outputs"]
    if network.roi_heads:
        stages["rois"] = DetectedRoIs(name="detected_rois")(outputs["boxes"], outputs["classes"])
    for head in network.roi_heads:
        added = head.infer(config, network.res5, stages)
        outputs |= added.pop("outputs")
        stages |= added


def merge_detections(config: Config, boxes: Any, scores: Any, classes: Any) -> tuple[Any, Any, Any]:
    """Select among detections of one image, found in several ways, by the config's nms_iou and limit.

    Between neighbours each way has chosen already, by hard or soft NMS; here what overlaps is the same object.

    Args:
        config: its score_threshold and its soft_nms_sigma count no more.
        boxes: `[N, 4]`, as `scores [N]` and `classes [N]` int32, 0 for padding rows; N is at least 1.

    Returns:
        Boxes `[D, 4]`, scores `[D]` and classes `[D]`, best first, 0 for padding rows.
    """
    own = ops.one_hot(classes - 1, config.num_classes) > 0  # [N, K]
    candidates = ops.where(own, scores[:, None], -1.0)[None]
    layer = postprocess_layer(dataclasses.replace(config, soft_nms_sigma=0.0))
    merged = layer.suppress(boxes[None, :, None], candidates, ops.zeros([1]))
    return merged[0][0], merged[1][0], merged[2][0]


def mean_probabilities(config: Config, box_stages: list[Tensors]) -> KerasTensor:
    """Return the class probabilities `[B * R, K + 1]` that detections are selected by: a cascade's stages vote."""
    mean = sum(stage[config.cascade_scores] for stage in box_stages) / len(box_stages)
    return ops.softmax(mean) if config.cascade_scores == "logits" else mean


def postprocess_layer(config: Config) -> SelectDetections:
    """Return the layer that selects detections from what the last box stage computed."""
    return SelectDetections(
        score_threshold=config.score_threshold,
        nms_iou=config.nms_iou,
        class_agnostic_nms=config.class_agnostic_nms,
        max_detections=config.max_detections,
        min_size=config.min_detection_size,
        delta_weights=stage_weights(config)[-1],
        background=config.background_outputs,
        clamp=config.clamp_deltas,
        clamp_shrinking=config.clamp_shrinking,
        one_class=config.one_class_per_box,
        soft_nms_sigma=config.soft_nms_sigma,
        name="select_detections",
    )


def assemble(inputs: Tensors, outputs: Tensors, name: str) -> keras.Model:
    """Make a functional graph."""
    graph = keras.Model(inputs, outputs, name=name)
    graph.autocast = False  # boxes and sizes lose whole pixels in half precision
    return graph
