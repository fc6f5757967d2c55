"""What a kit and our model differ by, as figures.

`python tests/parity_report.py [KIT ...]` prints those of the kits of this checkout, with --shared of those beside it.
"""

import argparse
import dataclasses
import functools
import tempfile
import time
from pathlib import Path

import h5py
import keras
import numpy as np
import tensorflow as tf
from parity import NAMES, OWN_NAMES, Kit, match, own_kit, shared_kit

from keras_maskrcnn.config.config import Config
from keras_maskrcnn.images.io import read_image
from keras_maskrcnn.layers.cascade import StageTargets
from keras_maskrcnn.layers.inputs import Normalize
from keras_maskrcnn.layers.targets import AnchorTargets, ProposalTargets
from keras_maskrcnn.masks.crop_paste import crop_mask
from keras_maskrcnn.masks.rle import segmentation_to_mask
from keras_maskrcnn.models.detector import image_batch
from keras_maskrcnn.models.load import load_pretrained
from keras_maskrcnn.models.mask_rcnn import MaskRCNN
from keras_maskrcnn.network.box_branch import box_branch
from keras_maskrcnn.network.dense import DenseOutputs, dense_outputs, proposal_layer
from keras_maskrcnn.network.heads.mask import MaskRoIHead
from keras_maskrcnn.presets import PRESETS
from keras_maskrcnn.weights.files.write import write_pkl, write_pth
from keras_maskrcnn.weights.sources import detectron2, matterport, torchvision
from keras_maskrcnn.weights.sources.table import Entry
from keras_maskrcnn.weights.transfer import load_state

SOURCES = {"torchvision": torchvision, "detectron2": detectron2, "matterport": matterport}
SAMPLE = ("boxes", "classes", "deltas", "matched", "valid")  # Keras sorts what a layer returns by name
SAMPLES = {
    AnchorTargets: ("deltas", "indices", "labels", "valid"),
    ProposalTargets: SAMPLE,
    StageTargets: SAMPLE,
}
LEVELS = {"0": "P2", "1": "P3", "2": "P4", "3": "P5", "pool": "P6", "res4": "C4"}
RECORDED_SETTINGS = {
    "short": "min_size",
    "max_size": "max_size",
    "pre_nms_topk": "pre_nms_top_k",
    "pre_nms_topk_train": "pre_nms_top_k_train",
    "post_nms_topk_test": "post_nms_top_k",
    "post_nms_topk_train": "post_nms_top_k_train",
}
"""The Config's fields by what kits call them."""
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


def config_of(kit: Kit) -> Config:
    """The preset's config, but for what the kit was recorded with."""
    changes: dict = {field: int(kit[key]) for key, field in RECORDED_SETTINGS.items() if key in kit.arrays}
    if kit.source == "torchvision":  # an ordinary batch norm in inference mode, and every stage trains
        changes |= {"norm": "batch_norm", "norm_epsilon": 1e-5, "frozen_stages": 0}
    if kit.source == "matterport":
        changes["score_threshold"] = 0.0
    return dataclasses.replace(PRESETS[NAMES[kit.name]].config, **changes)


def without_chance(config: Config) -> Config:
    """The config with every anchor and proposal in the losses, so that training draws nothing."""
    return dataclasses.replace(config, rpn_batch_size=10**7, box_batch_size=10**7, box_positive_fraction=0.5)


def loaded(kit: Kit, config: Config, as_file: bool = True) -> tuple[MaskRCNN, list[Entry]]:
    """A model with the kit's weights and its name table.

    Args:
        kit: whose weights.
        config: the model's.
        as_file: whether the weights go through a file as their source writes it, or straight through the name table.
    """
    state = kit.state()
    state = {key: state[key] for key in state if state[key].dtype == np.float32}  # without counters
    if not as_file:
        model = MaskRCNN(config)
        load_state(model, state, SOURCES[kit.source])
        return model, SOURCES[kit.source].table(model.network)
    published = PRESETS[NAMES[kit.name]].config.to_dict()
    changes = {field: value for field, value in config.to_dict().items() if value != published[field]}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "checkpoint"
        WRITERS[kit.source](path, state)
        model = load_pretrained(NAMES[kit.name], weights=path, **changes)
    assert model.config == config
    return model, SOURCES[kit.source].table(model.network)


def write_h5(path: Path, state: dict[str, np.ndarray]) -> None:
    with h5py.File(path, "w") as file:
        for key, value in state.items():
            file[key] = value


WRITERS = {"torchvision": write_pth, "detectron2": write_pkl, "matterport": write_h5}


class Comparison:
    """A kit and our model with its weights, which is made once for all that is compared."""

    def __init__(self, kit: Kit, as_file: bool = True):
        self.kit = kit
        config = without_chance(config_of(kit)) if kit.trained else config_of(kit)
        self.model, self.table = loaded(kit, config, as_file)

    @functools.cached_property
    def inference(self) -> "Inference":
        return Inference(self.kit, self.model)

    @functools.cached_property
    def training(self) -> "Training":
        return Training(self.kit, self.model, self.table)


class Inference:
    """A kit's photographs through our model; each method returns figures by name."""

    def __init__(self, kit: Kit, model: MaskRCNN):
        self.kit, self.model, self.config = kit, model, model.config
        self.batch = image_batch([read_image(photo) for photo in self.kit.photos], self.config)
        run = tf.function(lambda batch: dense_outputs(self.model.network, batch)._asdict())
        self.dense = DenseOutputs(**run(self.batch))

    def dense_stages(self) -> dict[str, float]:
        """Largest differences, in standard deviations, of what is computed on whole images."""
        kit = self.kit
        if kit.source == "matterport":
            return {
                f"{image}.{level}": kit.difference(
                    f"{image}.{level}", self.dense.features[level.upper()][image]
                )
                for image in range(2)
                for level in ("p2", "p3", "p4", "p5")
            }
        config, found = self.config, {}
        normalized = Normalize(config.pixel_mean, config.pixel_std, config.bgr)(
            self.batch["images"], self.batch["sizes"]
        )
        found["input"] = kit.difference("input", normalized)
        for stage in kit.stages("feature."):
            name = stage.removeprefix("feature.")
            found[stage] = kit.difference(stage, self.dense.features[LEVELS.get(name, name.upper())])
        for number, level in enumerate(self.dense.logits):
            found[f"rpn.objectness.{number}"] = kit.difference(
                f"rpn.objectness.{number}", self.dense.logits[level]
            )
            found[f"rpn.deltas.{number}"] = kit.difference(f"rpn.deltas.{number}", self.dense.deltas[level])
        anchors = np.concatenate(list(self.dense.anchors.values()))
        assert len(anchors) == kit["anchors.count"]
        ends = anchors[list(range(6)) + list(range(-6, 0))]
        found["anchors"] = float(np.abs(ends - kit["anchors.first_last"]).max())
        return found

    def recorded_proposals(self) -> list[np.ndarray]:
        """The kit's proposals `[R, 4]` of each image, in our network's frame."""
        if self.kit.source == "matterport":  # normalised by the last pixel's index
            side = self.config.max_size - 1
            return [self.kit[f"{i}.rois_normalised_yxyx"][:, [1, 0, 3, 2]] * side for i in range(2)]
        return [self.kit[f"proposals.{i}"] for i in range(2)]

    def proposals(self) -> dict[str, float]:
        """Fractions of the recorded proposals that ours match."""
        layer = proposal_layer(self.config, training=False)
        dense = self.dense
        boxes, valid = layer(dense.logits, dense.deltas, dense.anchors, dense.limits)
        shares = {}
        for image, recorded in enumerate(self.recorded_proposals()):
            found = boxes.numpy()[image][valid.numpy()[image]]
            recorded = recorded[recorded.any(axis=1)]  # Matterport pads with zeros
            assert len(found) == len(recorded)
            shares[f"proposals.{image}"] = len(match(found, recorded)) / len(recorded)
        return shares

    def roi_stages(self) -> dict[str, float]:
        """Largest differences of what is computed on the kit's own proposals and detections."""
        kit, found = self.kit, {}
        proposals = self.recorded_proposals()
        most = max(map(len, proposals))
        padded = tf.constant(np.stack([np.pad(rows, ((0, most - len(rows)), (0, 0))) for rows in proposals]))

        def of_proposals(outputs):
            """Of a row per padded proposal, those `[R, C]` that each image has."""
            outputs = np.reshape(outputs, (2, most, -1))
            return [rows[: len(boxes)] for rows, boxes in zip(outputs, proposals, strict=True)]

        if kit.stages("class_logits"):
            logits, deltas, _ = box_branch(self.model.network, self.dense.features, padded)
            if kit.source == "detectron2":  # whose background is the last class
                logits = np.roll(logits, -1, axis=-1)
            found["class_logits"] = kit.difference("class_logits", np.concatenate(of_proposals(logits)))
            found["box_regression"] = kit.difference("box_regression", np.concatenate(of_proposals(deltas)))
        if kit.source == "matterport":
            logits, _, _ = box_branch(self.model.network, self.dense.features, padded)
            for image, probabilities in enumerate(of_proposals(tf.nn.softmax(logits))):
                stage = f"{image}.class_probs"
                found[stage] = kit.difference(stage, probabilities)
        for image in range(2):
            boxes, classes, recorded = self._recorded_masks(image)
            if recorded is None:
                continue
            rois = {"boxes": tf.constant(boxes), "image_indices": tf.fill([len(boxes)], image)}
            config, res5 = self.config, self.model.res5
            pooled = MaskRoIHead.pool(config, res5, self.dense.features, rois)
            logits = self.model.mask_head(pooled)
            rows = classes if self.config.background_outputs else classes - 1
            masks = tf.sigmoid(logits).numpy()[np.arange(len(boxes)), :, :, rows]
            found[f"masks.{image}"] = float(np.abs(masks - recorded).max() / recorded.std())
        return found

    def _recorded_masks(self, image: int) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
        """Boxes and classes of the first detections, and their masks before they were pasted."""
        kit, key = self.kit, f"mask_probs28.{image}"
        if kit.source == "matterport":
            key = f"{image}.mask_probs28"
            rows = kit[f"{image}.detections_normalised"]
            boxes = np.float32(rows[:, [1, 0, 3, 2]] * (self.config.max_size - 1))
        else:
            boxes = kit[f"resized_detections.{image}.boxes"]
        masks = kit.arrays.get(key)
        count = 0 if masks is None else len(masks)
        return boxes[:count], self._classes(image)[:count], masks

    def _classes(self, image: int) -> np.ndarray:
        """The recorded classes, as ours count from 1."""
        if self.kit.source == "matterport":
            return self.kit[f"{image}.detections_normalised"][:, 4].astype(int)
        return self.kit[f"detections.{image}.labels"] + int(self.kit.source == "detectron2")

    def detections(self) -> dict[str, float]:
        """Fractions of the recorded detections that ours match, and how the matched ones' masks and keypoints agree."""
        figures: dict[str, float] = {}
        # Matterport loses some, in whose place others come
        most = self.config.max_detections * (2 if self.kit.source == "matterport" else 1)
        for image, found in enumerate(self.model.detect(self.kit.photos, 2, max_detections=most)):
            boxes, scores = self._recorded_detections(image)
            flat = (boxes[:, 2:] <= boxes[:, :2]).any(axis=1)
            lost = np.zeros(len(found), bool)
            if self.kit.source == "matterport":
                # TensorFlow 1 selects a box without area again and again, and nothing of its class after it
                for label, score in zip(self._classes(image)[flat], scores[flat], strict=True):
                    lost |= (found.class_ids == label) & (found.scores < score)
            found = found[~lost][: self.config.max_detections]
            same = found.class_ids[:, None] == self._classes(image)[None]
            same &= np.abs(found.scores[:, None] - scores[None]) < 1e-3
            assert len(found) == len(boxes)
            pairs = match(self._in_recorded_frame(found, image), boxes, same)
            figures[f"detections.{image}"] = len(pairs) / np.sum(~flat)
            if found.masks is not None and self.kit.source == "matterport":
                areas = [
                    (found.masks[ours].sum(), self.kit[f"{image}.mask_area"][theirs])
                    for ours, theirs in pairs
                ]
                figures[f"mask area.{image}"] = max(abs(a - b) / max(b, 1) for a, b in areas)
            elif found.masks is not None:
                ious = [_mask_iou(found.masks[ours], self.kit.mask(image, theirs)) for ours, theirs in pairs]
                figures[f"mask iou.{image}"] = float(np.mean(ious))
            if found.keypoints is not None:
                ours, theirs = (list(rows) for rows in zip(*pairs, strict=True))
                recorded = self.kit[f"detections.{image}.keypoints"][theirs]
                off = np.abs(found.keypoints[ours, :, :2] - recorded[..., :2]).max(axis=-1)
                figures[f"keypoints.{image}"] = float(np.mean(off < 0.5))
        return figures

    def _recorded_detections(self, image: int) -> tuple[np.ndarray, np.ndarray]:
        if self.kit.source == "matterport":
            rows = self.kit[f"{image}.detections_normalised"]
            return rows[:, [1, 0, 3, 2]] * (self.config.max_size - 1), rows[:, 5]
        return self.kit[f"detections.{image}.boxes"], self.kit[f"detections.{image}.scores"]

    def _in_recorded_frame(self, found, image: int) -> np.ndarray:
        if self.kit.source != "matterport":
            return found.boxes
        # of the photograph's pixels to the window's, where both end on their last pixel
        top, left, bottom, right = self.kit[f"{image}.window"]
        scale = np.array([right - left - 1, bottom - top - 1] * 2) / (
            np.array([found.width, found.height] * 2) - 1
        )
        return (found.boxes - [0, 0, 1, 1]) * scale + [left, top, left, top]


def _mask_iou(mask: np.ndarray, other: np.ndarray) -> float:
    union = (mask | other).sum()
    return float((mask & other).sum() / union) if union else 1.0


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


def gradient_error(ours: float, recorded: float) -> float:
    """Relative difference of two norms; norms of sums that cancel count as 5e-4 at least."""
    return abs(ours - recorded) / max(recorded, 5e-4)


def rows(kit: Kit) -> list[str]:
    """The figures of a kit as lines."""
    started, lines = time.monotonic(), []
    comparison = Comparison(kit)
    inference = comparison.inference
    for title, figures in (
        ("dense stages, worst of {}: {:.1e} sd", inference.dense_stages()),
        ("RoI stages, worst of {}: {:.1e} sd", inference.roi_stages()),
    ):
        lines.append(title.format(len(figures), max(figures.values(), default=0.0)))
    for key, value in {**inference.proposals(), **inference.detections()}.items():
        lines.append(f"{key}: {value:.4f}")
    if kit.trained:
        training = comparison.training
        lines += [
            f"{k}: {ours:.6g}, recorded {theirs:.6g}" for k, (ours, theirs) in training.losses().items()
        ]
        lines += [f"{k}: {ours:g}, recorded {theirs:g}" for k, (ours, theirs) in training.counts().items()]
        gradients = training.gradients()
        worst = max(gradients, key=lambda key: gradient_error(*gradients[key]))
        lines.append(
            f"{len(gradients)} gradients, the worst {gradient_error(*gradients[worst]):.2%} ({worst})"
        )
    lines.append(f"{time.monotonic() - started:.0f} s")
    return lines


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Print what kits and our models differ by.")
    parser.add_argument("kits", nargs="*", help="names of kits; all by default")
    parser.add_argument("--shared", action="store_true", help="the kits beside the repository")
    options = parser.parse_args()
    for kit_name in options.kits or (NAMES if options.shared else OWN_NAMES):
        print(kit_name)
        for line in rows((shared_kit if options.shared else own_kit)(kit_name)):
            print("   ", line, flush=True)
