"""What a model computes for one image, stage by stage, in pixels of that image.

Every value comes from the layers that detect and train: the model's own, and those that `graphs` and `training_graph`
assemble around them. N anchors, R proposals, K classes, M detections or positive RoIs, S sampled rows.
"""

import dataclasses
from typing import Any

import numpy as np
import tensorflow as tf

from keras_maskrcnn.config.config import Config
from keras_maskrcnn.detections.batching import detections
from keras_maskrcnn.detections.detections import Detections
from keras_maskrcnn.detections.from_outputs import original_boxes
from keras_maskrcnn.images.io import read_image
from keras_maskrcnn.layers.square import FromSquare
from keras_maskrcnn.models.detector import image_batch
from keras_maskrcnn.models.mask_rcnn import MaskRCNN
from keras_maskrcnn.network.dense import DenseOutputs, proposal_layer
from keras_maskrcnn.network.inference_graph import inference_stages, mean_probabilities, postprocess_layer
from keras_maskrcnn.network.pooling import roi_align_layer

Arrays = dict[str, np.ndarray]


@dataclasses.dataclass(frozen=True, eq=False)
class BoxStage:
    """One box head on R boxes; a cascade has several."""

    boxes: np.ndarray
    """[R, 4] what the head is given, in pixels of the image."""
    levels: list[str]
    """R names of the feature maps that they are pooled from."""
    pooled: np.ndarray
    """[R, P, P, C], the head's input: RoIAlign's output, in a C4 model after res5."""
    probabilities: np.ndarray
    """[R, K + 1], 0..1, the background first."""
    refined: np.ndarray
    """[R, 4]: the boxes as moved for the most probable class that is not the background, within the image."""


@dataclasses.dataclass(frozen=True, eq=False)
class Inspection:
    """The stages of a model on one image, as `inspect_model` returns them.

    Boxes are x1, y1, x2, y2 in pixels of the image.

    Example:

    ```python
    import numpy as np

    import keras_maskrcnn as km

    config = km.Config(
        class_names=("square",), depth=18, norm="group_norm", frozen_stages=0, min_size=64, max_size=96,
        fpn_channels=32, post_nms_top_k=20, score_threshold=0.0, max_detections=5,
    )
    model = km.MaskRCNN(config)  # randomly initialised: it has learned nothing yet
    stages = km.inspect_model(model, np.zeros((64, 96, 3), np.uint8))
    for level, features in stages.features.items():
        print(level, features.shape, len(stages.anchors[level]), stages.objectness[level].max())
    print(len(stages.proposals), "proposals,", len(stages.detections), "detections")
    ```
    """

    image: np.ndarray
    """[height, width, C], as it was read."""
    class_names: tuple[str, ...]
    network_input: np.ndarray
    """[h, w, C] float32: resized, normalised, padded with zeros."""
    features: Arrays
    """{level: [h, w, C]}, finest first: what proposals and RoIs are taken from."""
    anchors: Arrays
    """{level: [N, 4]}, which may reach outside of the image."""
    objectness: Arrays
    """{level: [N]}, the probability, 0..1, that an anchor has an object."""
    best_anchors: np.ndarray
    """[B, 4]: the anchors that are refined, of all levels, best first."""
    refined_anchors: np.ndarray
    """[B, 4]: where their deltas move them, within the image; proposals are these after NMS."""
    anchor_scores: np.ndarray
    """[B] their probabilities."""
    proposals: np.ndarray
    """[R, 4], best first."""
    box_stages: list[BoxStage]
    candidates: Detections
    """All pairs of a box and a class that score more than the threshold, best first: detections before NMS."""
    detected_boxes: np.ndarray
    """[M, 4]: those that NMS keeps, which the next heads are given."""
    detected_classes: np.ndarray
    """[M] int32."""
    masks: np.ndarray | None
    """[M, P, P] probabilities in the frames of these boxes, of their classes; None without such a head."""
    keypoint_maps: np.ndarray | None
    """[M, S, S, J] logits in the frames of these boxes; None without such a head."""
    detections: Detections
    """What `model.detect` returns for the image."""


class Frame:
    """The network's frame of one image, and the way from there to the image's own pixels."""

    def __init__(self, model: MaskRCNN, dense: DenseOutputs, original: tuple[int, int], resized: Any) -> None:
        self.square, self.windows = model.config.square, dense.windows
        self.original, self.resized = original, (int(resized[0]), int(resized[1]))

    def to_image(self, boxes: Any) -> np.ndarray:
        """Boxes [N, 4] or [1, N, 4] of the network's frame -> [N, 4] float32 of the image, not clipped."""
        boxes = tf.reshape(boxes, (1, -1, 4))
        if self.square:
            boxes = FromSquare()(boxes, self.windows)
        return original_boxes(boxes[0].numpy(), self.original, self.resized, self.square).astype(np.float32)


def inspect_model(model: MaskRCNN, image: Any, score_threshold: float | None = None) -> Inspection:
    """Run a model on one image and keep what each of its stages computes.

    Args:
        model: of any architecture.
        image: a path, an array [H, W] or [H, W, C] (RGB, 0..255) or a PIL image.
        score_threshold: detections must score more, 0..1; None is the config's.

    Returns:
        The stages; `draw_inspection` draws them.

    Raises:
        FileNotFoundError: the path does not exist.
        ValueError: the image cannot be read or does not have the model's channels.

    Example:

    ```python
    import numpy as np

    import keras_maskrcnn as km

    config = km.Config(
        class_names=("square",), depth=18, norm="group_norm", frozen_stages=0, min_size=64, max_size=96,
        fpn_channels=32, post_nms_top_k=20, score_threshold=0.0, max_detections=5,
    )
    model = km.MaskRCNN(config)  # randomly initialised: it has learned nothing yet
    stages = km.inspect_model(model, np.zeros((64, 96, 3), np.uint8))
    print(stages.network_input.shape, stages.proposals.shape, stages.box_stages[0].probabilities.shape)
    ```
    """
    config = model.config
    if score_threshold is not None:
        config = dataclasses.replace(config, score_threshold=score_threshold)
    image = read_image(image, config.channels, percentiles=config.intensity_percentiles)
    batch = image_batch([image], config)
    with model.own_precision():
        stages = inference_stages(model.network, config, batch)
    dense, outputs = stages["dense"], {key: value.numpy()[0] for key, value in stages["outputs"].items()}
    frame = Frame(model, dense, image.shape[:2], batch["sizes"].numpy()[0])
    found = np.flatnonzero(outputs["classes"])
    maps = stages.get("keypoint_maps")
    return Inspection(
        image=image,
        class_names=config.class_names,
        network_input=dense.normalized.numpy()[0],
        features={level: tf.cast(x[0], tf.float32).numpy() for level, x in dense.features.items()},
        anchors={level: frame.to_image(x) for level, x in dense.anchors.items()},
        objectness={level: tf.sigmoid(x[0]).numpy() for level, x in dense.logits.items()},
        **_refined_anchors(config, dense, frame),
        proposals=frame.to_image(stages["proposals"][stages["valid"]]),
        **_second_stage(model, config, stages, frame),
        detected_boxes=original_boxes(outputs["boxes"][found], frame.original, frame.resized, config.square),
        detected_classes=outputs["classes"][found],
        masks=outputs["masks"][found] if "masks" in outputs else None,
        keypoint_maps=None if maps is None else tf.cast(maps, tf.float32).numpy()[: len(found)],
        detections=detections(outputs, image, frame.resized, config),
    )


def _refined_anchors(config: Config, dense: DenseOutputs, frame: Frame) -> dict[str, Any]:
    """What the layer of the proposals makes of the best anchors of each level, before NMS."""
    layer = proposal_layer(config, training=False)
    best = zip(*layer.candidates(dense.logits, dense.deltas, dense.anchors, dense.limits), strict=True)
    anchors, refined, scores = (np.concatenate([part[0].numpy() for part in parts]) for parts in best)
    order = np.argsort(-scores, kind="stable")
    order = order[scores[order] > -np.inf]  # those that are too small never become proposals
    return {
        "best_anchors": frame.to_image(anchors[order]),
        "refined_anchors": frame.to_image(refined[order]),
        "anchor_scores": scores[order] if config.rpn_softmax else tf.sigmoid(scores[order]).numpy(),
    }


def _second_stage(model: MaskRCNN, config: Config, stages: dict[str, Any], frame: Frame) -> dict[str, Any]:
    """The box stages, and the candidates that the layer of the detections chooses from."""
    valid, last = stages["valid"], stages["box_stages"][-1]
    boxes, scores = postprocess_layer(config).candidates(
        mean_probabilities(config, stages["box_stages"]),
        last["deltas"],
        last["boxes"],
        valid,
        stages["dense"].windows,
    )
    boxes, scores = boxes[0][valid[0]], scores[0][valid[0]].numpy()  # [R, K or 1, 4], [R, K]
    boxes = frame.to_image(boxes).reshape(len(scores), -1, 4)
    best = last["probabilities"].numpy()[valid[0].numpy()][:, 1:].argmax(axis=1) % boxes.shape[1]
    moved = [stage["boxes"][valid] for stage in stages["box_stages"][1:]]
    refined = [*map(frame.to_image, moved), boxes[np.arange(len(boxes)), best]]
    rows, classes = np.nonzero(scores > config.score_threshold)
    order = np.argsort(-scores[rows, classes], kind="stable")
    rows, classes = rows[order], classes[order]
    height, width = frame.original
    return {
        "box_stages": [
            _box_stage(model, stages, number, refined[number], frame) for number in range(len(refined))
        ],
        "candidates": Detections(
            boxes=boxes[rows, classes % boxes.shape[1]].reshape(-1, 4),
            scores=scores[rows, classes],
            class_ids=classes + 1,
            class_names=[config.class_names[index] for index in classes],
            height=height,
            width=width,
        ),
    }


def _box_stage(
    model: MaskRCNN, stages: dict[str, Any], number: int, refined: np.ndarray, frame: Frame
) -> BoxStage:
    stage, features, valid = stages["box_stages"][number], stages["dense"].features, stages["valid"]
    boxes, rows = stage["boxes"][valid], valid.numpy()[0]
    layer = roi_align_layer(model.config, model.config.box_pool_size, "levels")
    names = list(features)[: len(layer.strides)]
    return BoxStage(
        boxes=frame.to_image(boxes),
        levels=[names[level] for level in layer.levels([features[name] for name in names], boxes).numpy()],
        pooled=tf.cast(stage["pooled"], tf.float32).numpy()[rows],
        probabilities=tf.cast(stage["probabilities"], tf.float32).numpy()[rows],
        refined=refined,
    )
