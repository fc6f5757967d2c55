"""A training step on a kit's photographs beside the original's: losses, counts and the norms of gradients."""

import keras
import numpy as np
import tensorflow as tf
from parity import Kit

from keras_maskrcnn.config.config import Config
from keras_maskrcnn.images.io import read_image
from keras_maskrcnn.layers.cascade import StageTargets
from keras_maskrcnn.layers.targets import AnchorTargets, ProposalTargets
from keras_maskrcnn.masks.crop_paste import crop_mask
from keras_maskrcnn.masks.rle import segmentation_to_mask
from keras_maskrcnn.models.detector import image_batch
from keras_maskrcnn.models.mask_rcnn import MaskRCNN
from keras_maskrcnn.weights.sources.table import Entry

SAMPLE = ("boxes", "classes", "deltas", "matched", "valid")  # Keras sorts what a layer returns by name
SAMPLES = {
    AnchorTargets: ("deltas", "indices", "labels", "valid"),
    ProposalTargets: SAMPLE,
    StageTargets: SAMPLE,
}
LOSSES = {
    "loss_classifier": "class_loss",
    "loss_box_reg": "box_loss",
    "loss_objectness": "rpn_class_loss",
    "loss_rpn_box_reg": "rpn_box_loss",
    "loss_rpn_cls": "rpn_class_loss",
    "loss_rpn_loc": "rpn_box_loss",
    "loss_cls": "class_loss",
    "loss_mask": "mask_loss",
    "loss_keypoint": "keypoint_loss",
    **{f"loss_cls_stage{k}": f"class_loss_{k + 1}" if k else "class_loss" for k in range(3)},
    **{f"loss_box_reg_stage{k}": f"box_loss_{k + 1}" if k else "box_loss" for k in range(3)},
}


class Training:
    """One step on a kit's photographs in which every anchor and proposal counts, so that nothing is drawn."""

    def __init__(self, kit: Kit, model: MaskRCNN, table: list[Entry]):
        self.kit, self.model, self.config = kit, model, model.config
        batch = image_batch([read_image(photo) for photo in kit.photos], self.config)
        self.outputs, norms = self._step({**batch, **ground_truth(kit, self.config)})
        self.norms = {entry.key: norms[id(entry.variable)] for entry in table if id(entry.variable) in norms}

    def _step(self, inputs: dict) -> tuple[dict, dict[int, float]]:
        graph = self.model.training_graph
        probes = [layer for layer in graph.layers if isinstance(layer, tuple(SAMPLES))]
        outputs = graph.output | {
            layer.name: dict(zip(SAMPLES[type(layer)], layer.output, strict=True)) for layer in probes
        }
        probed = keras.Model(graph.input, outputs)
        variables = self.model.trainable_variables

        @tf.function
        def step():
            with tf.GradientTape() as tape:
                found = probed(inputs, training=False)  # batch norm as recorded: by its moving statistics
                total = tf.add_n([found[name] for name in graph.output])
            return found, tape.gradient(total, variables)

        found, gradients = step()
        norms = [float(tf.norm(tf.convert_to_tensor(g))) for g in gradients]
        return found, {id(v): norm for v, norm in zip(variables, norms, strict=True)}

    def losses(self) -> dict[str, tuple[float, float]]:
        """Our losses and the recorded ones."""
        recorded = {
            LOSSES[key[6:]]: float(self.kit[key]) for key in self.kit.arrays if key.startswith("train.loss_")
        }
        return {name: (float(self.outputs[name]), value) for name, value in recorded.items()}

    def gradients(self) -> dict[str, tuple[float, float]]:
        """Norms of our gradients and of the recorded ones, for every trained tensor."""
        names, norms = self.kit["train.grad_names"].tolist(), self.kit["train.grad_norms"].tolist()
        recorded = dict(zip(names, norms, strict=True))
        assert set(recorded) == set(self.norms), set(recorded) ^ set(self.norms)
        return {key: (self.norms[key], recorded[key]) for key in recorded}

    def counts(self) -> dict[str, tuple[float, float]]:
        """Our mean numbers of samples per image and the recorded ones (Detectron2)."""
        ours = {}
        anchors = self.outputs["anchor_targets"]
        positive, valid = (float(tf.reduce_sum(tf.cast(anchors[k], tf.float32))) for k in ("labels", "valid"))
        ours["rpn/num_pos_anchors"], ours["rpn/num_neg_anchors"] = positive / 2, (valid - positive) / 2
        for prefix, name in (
            ("", "proposal_targets"),
            ("stage1/", "stage_targets_2"),
            ("stage2/", "stage_targets_3"),
        ):
            if name in self.outputs:
                sample = self.outputs[name]
                positive = float(tf.reduce_sum(tf.cast(sample["classes"] > 0, tf.float32)))
                valid = float(tf.reduce_sum(tf.cast(sample["valid"], tf.float32)))
                ours[f"{prefix}roi_head/num_fg_samples"] = positive / 2
                ours[f"{prefix}roi_head/num_bg_samples"] = (valid - positive) / 2
        return {
            key: (value, float(self.kit[f"storage.{key}"]))
            for key, value in ours.items()
            if f"storage.{key}" in self.kit.arrays
        }


def ground_truth(kit: Kit, config: Config) -> dict[str, tf.Tensor]:
    """The annotations of the two photographs, in the form that `make_dataset` gives them."""
    coco, annotations = kit.annotations()
    counts = kit.arrays.get("train.num_gt", kit.arrays.get("num_gt"))
    assert [len(of_image) for of_image in annotations] == counts.tolist()
    order = sorted(category["id"] for category in coco["categories"])
    joints, side, shape = len(config.keypoint_names), config.mask_crop_size, (2, int(counts.max()))
    values = {
        "gt_boxes": np.zeros((*shape, 4), np.float32),
        "gt_classes": np.zeros(shape, np.int32),
        "gt_crowd": np.zeros(shape, bool),
        "gt_masks": np.zeros((*shape, side, side), np.uint8),
        "gt_keypoints": np.zeros((*shape, joints, 3), np.float32),
        "seeds": np.zeros((2, 2), np.int32),
    }
    for i, of_image in enumerate(annotations):
        (height, width), (new_height, new_width) = kit["image_sizes"][i], kit["resized_sizes"][i]
        scale = np.array([new_width / width, new_height / height])
        if (
            kit.source == "torchvision"
        ):  # in float32, as it does: the last bit decides which anchors fit equally well
            scale = np.float32(scale)
        for j, annotation in enumerate(of_image):
            x, y, w, h = annotation["bbox"]
            box = np.clip(np.float32([x, y, x + w, y + h]), 0, [width, height] * 2)  # as a record holds it
            values["gt_boxes"][i, j] = box * np.tile(scale, 2)
            category = annotation["category_id"]
            values["gt_classes"][i, j] = (
                category if kit.source == "torchvision" else order.index(category) + 1
            )
            if config.mask_head != "none":
                mask = segmentation_to_mask(annotation["segmentation"], height, width)
                values["gt_masks"][i, j] = crop_mask(mask, box, side)
            if joints:
                points = np.reshape(annotation["keypoints"], (joints, 3))
                # recorded without the half pixel that Detectron2 adds when it reads COCO's files
                values["gt_keypoints"][i, j, :, :2] = points[:, :2] * scale
                values["gt_keypoints"][i, j, :, 2] = points[:, 2]
    wanted = {"gt_masks": config.mask_head != "none", "gt_keypoints": joints > 0}
    return {key: tf.constant(value) for key, value in values.items() if wanted.get(key, True)}
