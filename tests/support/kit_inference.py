"""A kit's photographs through our model, stage by stage, beside what the original computed."""

import dataclasses

import numpy as np
import tensorflow as tf
from parity import Kit, match

from keras_maskrcnn.detections.batching import detections
from keras_maskrcnn.detections.views import make_views
from keras_maskrcnn.images.io import read_image
from keras_maskrcnn.layers.inputs import Normalize
from keras_maskrcnn.models.detector import image_batch
from keras_maskrcnn.models.mask_rcnn import MaskRCNN
from keras_maskrcnn.network.box_branch import box_branch, refine_layer
from keras_maskrcnn.network.dense import DenseOutputs, dense_outputs, proposal_layer
from keras_maskrcnn.network.heads.mask import MaskRoIHead

BACKGROUND_LAST = ("detectron2", "mmdet")
"""Sources whose last class is the background, so that their first label is 0."""
LEVELS = {"0": "P2", "1": "P3", "2": "P4", "3": "P5", "pool": "P6", "res4": "C4"}


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
            if kit.source in BACKGROUND_LAST:
                logits = np.roll(logits, -1, axis=-1)
            found["class_logits"] = kit.difference("class_logits", np.concatenate(of_proposals(logits)))
            found["box_regression"] = kit.difference("box_regression", np.concatenate(of_proposals(deltas)))
        if kit.stages("cascade_logits"):
            logits = np.roll(self._cascade_logits(padded), -1, axis=-1)
            found["cascade_logits"] = kit.difference("cascade_logits", np.concatenate(of_proposals(logits)))
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

    def _cascade_logits(self, boxes: tf.Tensor) -> tf.Tensor:
        """The mean of the class logits `[2 * R, K + 1]` of all box stages, of which each refines the boxes."""
        network, dense, total = self.model.network, self.dense, 0.0
        for stage in range(len(network.box_heads)):
            logits, deltas, _ = box_branch(network, dense.features, boxes, stage)
            total += logits
            if stage + 1 < len(network.box_heads):
                boxes = refine_layer(self.config, stage)(boxes, deltas, dense.windows)
        return total / len(network.box_heads)

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
        return self.kit[f"detections.{image}.labels"] + int(self.kit.source in BACKGROUND_LAST)

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

    def augmented(self) -> dict[str, float]:
        """Fractions of what was recorded with test-time augmentation that ours match, with their masks.

        The photograph was flipped, and resized to two sizes.
        """
        kit, image = self.kit, int(self.kit["tta.image"])
        smaller, usual = (int(size) for size in kit["tta.min_sizes"])
        config = dataclasses.replace(self.config, min_size=usual)
        views = make_views(("horizontal_flip", smaller / usual))
        photo = read_image(kit.photos[image])
        run = self.model._detector.augmented(views, config, boxes_only=False)
        ((outputs, size),) = run([photo])
        found = detections(outputs, photo, size, config)
        same = found.class_ids[:, None] == kit["tta.labels"][None] + 1
        same &= np.abs(found.scores[:, None] - kit["tta.scores"][None]) < 1e-4
        assert len(found) == len(kit["tta.boxes"])
        pairs = match(found.boxes, kit["tta.boxes"], same)
        ious = [_mask_iou(found.masks[ours], kit.mask(image, theirs, "tta")) for ours, theirs in pairs]
        masks, recorded = outputs["masks"], kit["tta.mask_probs28"]
        first = [(masks[ours], recorded[theirs]) for ours, theirs in pairs if theirs < len(recorded)]
        return {
            "augmented detections": len(pairs) / len(kit["tta.boxes"]),
            "augmented mask iou": float(np.mean(ious)),
            "augmented masks": float(max(np.abs(a - b).max() for a, b in first) / recorded.std()),
        }

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
