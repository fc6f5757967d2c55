"""The training targets of a model on one image, in pixels of that image.

N anchors, S sampled rows, M positive RoIs; every value comes from the layers that training runs.
"""

import dataclasses

import numpy as np
import tensorflow as tf

from keras_maskrcnn.config.config import Config
from keras_maskrcnn.data.pipeline.dataset import make_dataset
from keras_maskrcnn.data.records import Record
from keras_maskrcnn.diagnostics.inspect_model import Frame
from keras_maskrcnn.images.io import read_image
from keras_maskrcnn.layers.square import ToSquare
from keras_maskrcnn.models.mask_rcnn import MaskRCNN
from keras_maskrcnn.network.dense import DenseOutputs
from keras_maskrcnn.network.training_graph import anchor_target_layer, training_stages


@dataclasses.dataclass(frozen=True, eq=False)
class RoISample:
    """What a box stage is trained on: S rows of an image."""

    boxes: np.ndarray
    """[S, 4] in pixels of the image."""
    classes: np.ndarray
    """[S] int32, 0 for the background."""
    matched: np.ndarray
    """[S] int32, the object that is the target of each, where its class is not the background."""


@dataclasses.dataclass(frozen=True, eq=False)
class Targets:
    """The training targets of a model on one image, as `inspect_targets` returns them.

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
    image = np.zeros((64, 96, 3), np.uint8)
    image[10:40, 20:60] = 255
    record = km.make_record(image, masks=[image[:, :, 0] > 0], class_ids=[1], image_id="square")
    targets = km.inspect_targets(model, record)
    print((targets.anchor_labels == 1).sum(), "anchors learn an object")
    print(np.bincount(targets.box_stages[0].classes), "sampled RoIs of the background and of the class")
    ```
    """

    record: Record
    image: np.ndarray
    """[height, width, C], as it was read."""
    class_names: tuple[str, ...]
    anchors: np.ndarray
    """[N, 4] of all levels."""
    anchor_levels: list[str]
    """N names."""
    anchor_labels: np.ndarray
    """[N] int32: 1 an object, 0 background, -1 ignored."""
    anchor_matches: np.ndarray
    """[N] int32, the object that each anchor overlaps most."""
    sampled_anchors: np.ndarray
    """Indices [S] of those that the losses are computed on, objects first."""
    box_stages: list[RoISample]
    mask_boxes: np.ndarray | None
    """[M, 4]: the positive RoIs of the first stage; None without a mask head."""
    mask_targets: np.ndarray | None
    """[M, P, P], 0..1, in the frames of these boxes; None without a mask head."""


def inspect_targets(model: MaskRCNN, record: Record) -> Targets:
    """Return the training targets of a model on one image, which is not augmented, with a fixed seed.

    Args:
        model: of any architecture.
        record: the image with its ground truth.

    Returns:
        The targets; `draw_targets` draws them.

    Raises:
        ValueError: the record does not fit the model (its classes, masks or keypoints), or is unreadable.

    Example:

    ```python
    import numpy as np

    import keras_maskrcnn as km

    config = km.Config(
        class_names=("square",), depth=18, norm="group_norm", frozen_stages=0, min_size=64, max_size=96,
        fpn_channels=32, post_nms_top_k=20, score_threshold=0.0, max_detections=5,
    )
    model = km.MaskRCNN(config)  # randomly initialised: it has learned nothing yet
    image = np.zeros((64, 96, 3), np.uint8)
    image[10:40, 20:60] = 255
    record = km.make_record(image, masks=[image[:, :, 0] > 0], class_ids=[1], image_id="square")
    targets = km.inspect_targets(model, record)
    print(len(targets.anchors), targets.sampled_anchors.shape, targets.mask_targets.shape)
    ```
    """
    config = model.config
    image = read_image(record.image, config.channels, percentiles=config.intensity_percentiles)
    (batch,) = make_dataset([record], config)
    with model.own_precision():
        stages = training_stages(model.network, batch)
    dense = stages["dense"]
    frame = Frame(model, dense, image.shape[:2], batch["sizes"].numpy()[0])
    matched, labels = _anchor_labels(config, dense, batch)
    sample = stages["anchor_targets"]
    rois = stages.get("mask_rois")
    counted = None if rois is None else rois["valid"]
    return Targets(
        record=record,
        image=image,
        class_names=config.class_names,
        anchors=frame.to_image(tf.concat(list(dense.anchors.values()), axis=0)),
        anchor_levels=[level for level, rows in dense.anchors.items() for _ in range(len(rows))],
        anchor_labels=labels,
        anchor_matches=matched,
        sampled_anchors=sample["indices"][sample["valid"]].numpy(),
        box_stages=[_roi_sample(stage["sample"], frame) for stage in stages["box_stages"]],
        mask_boxes=None if rois is None else frame.to_image(rois["boxes"][counted]),
        mask_targets=None if rois is None else stages["mask_targets"][counted].numpy(),
    )


def _anchor_labels(
    config: Config, dense: DenseOutputs, batch: dict[str, tf.Tensor]
) -> tuple[np.ndarray, np.ndarray]:
    """Match all anchors as the layer of their targets does before it samples from them."""
    boxes = batch["gt_boxes"]
    if config.square:
        boxes = ToSquare()(boxes, dense.windows)
    anchors = tf.concat(list(dense.anchors.values()), axis=0)
    layer = anchor_target_layer(config)
    matched, labels = layer.match(anchors, boxes[0], batch["gt_classes"][0], batch["gt_crowd"][0])
    return matched.numpy(), labels.numpy()


def _roi_sample(sample: dict[str, tf.Tensor], frame: Frame) -> RoISample:
    valid = sample["valid"]
    return RoISample(
        boxes=frame.to_image(sample["boxes"][valid]),
        classes=sample["classes"][valid].numpy(),
        matched=sample["matched"][valid].numpy(),
    )
