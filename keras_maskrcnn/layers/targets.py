"""Training targets of anchors and proposals: samples of what `match_image` assigns, and mask targets.

B images; G ground-truth rows, class 0 where padded; N candidates (anchors or proposals); S sampled candidates.
"""

import keras
import tensorflow as tf

from keras_maskrcnn.layers.matching import IGNORED, NEGATIVE, POSITIVE, match_image
from keras_maskrcnn.ops import boxes
from keras_maskrcnn.ops.roi_align import roi_align


def sample(
    labels: tf.Tensor, size: int, positive_fraction: float, seed: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Subsample up to `size` candidates, at most `positive_fraction` of them positive, the rest negative.

    Args:
        labels: `[N]` int32 of one image.
        size: of the sample, if there are as many.
        positive_fraction: 0..1.
        seed: `[2]` int32; the same seed gives the same sample.

    Returns:
        `indices [S]` int32 with S = min(size, N), positives first, and `valid [S]` bool: the rows that were
        sampled, which come before the padding.
    """
    count = tf.minimum(size, tf.shape(labels)[0])
    keys = tf.random.stateless_uniform(tf.shape(labels), seed)  # [N], in 0..1
    wanted = int(size * positive_fraction)
    positives, positive_count = _best(labels == POSITIVE, keys, tf.minimum(wanted, count), wanted)
    negatives, negative_count = _best(labels == NEGATIVE, keys, count, size - positive_count)
    indices = tf.concat([positives[:positive_count], negatives[:negative_count]], axis=0)
    sampled = tf.shape(indices)[0]
    return tf.pad(indices, [[0, count - sampled]]), tf.range(count) < sampled


def _best(
    wanted: tf.Tensor, keys: tf.Tensor, most: tf.Tensor, limit: int | tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Return indices of the `wanted` rows with the largest keys, and how many of them count."""
    _, indices = tf.math.top_k(tf.where(wanted, keys, -1.0), most)
    return indices, tf.minimum(tf.reduce_sum(tf.cast(wanted, tf.int32)), limit)


class AnchorTargets(keras.layers.Layer):
    """Anchors by level and ground truth -> the sample that the RPN losses are computed on.

    Returns a dict: `indices [B, S]` int32 into the anchors of all levels joined, `labels [B, S]` float32 (1 object,
    0 not), `valid [B, S]` bool, `deltas [B, S, 4]` float32 (zeros where not an object).

    Args:
        positive_iou: anchors at or above are objects; also the best anchors of every ground truth.
        negative_iou: anchors below are background.
        batch_size: anchors sampled per image.
        positive_fraction: largest fraction of objects among them.
        crowd_overlap: fraction of an anchor inside a crowd from which it is ignored.
        delta_weights: of `boxes.encode`.
    """

    def __init__(
        self,
        positive_iou: float,
        negative_iou: float,
        batch_size: int,
        positive_fraction: float,
        crowd_overlap: float,
        delta_weights: tuple[float, ...] = (1.0, 1.0, 1.0, 1.0),
        **kwargs,
    ):
        super().__init__(autocast=False, **kwargs)
        self.positive_iou, self.negative_iou = positive_iou, negative_iou
        self.batch_size, self.positive_fraction = batch_size, positive_fraction
        self.crowd_overlap, self.delta_weights = crowd_overlap, tuple(delta_weights)

    def call(
        self,
        anchors: dict[str, keras.KerasTensor],
        gt_boxes: keras.KerasTensor,
        gt_classes: keras.KerasTensor,
        gt_crowd: keras.KerasTensor,
        seeds: keras.KerasTensor,
    ) -> dict[str, keras.KerasTensor]:
        joined = tf.concat(list(anchors.values()), axis=0)  # [N, 4]

        def one_image(image: tuple[tf.Tensor, ...]) -> tuple[tf.Tensor, ...]:
            gt, classes, crowd, seed = image
            matched, labels = self.match(joined, gt, classes, crowd)
            indices, valid = sample(labels, self.batch_size, self.positive_fraction, seed)
            positive = (tf.gather(labels, indices) == POSITIVE) & valid
            truth = tf.gather(gt, tf.gather(matched, indices))
            deltas = boxes.encode(truth, tf.gather(joined, indices), self.delta_weights)
            return indices, tf.cast(positive, tf.float32), valid, tf.where(positive[:, None], deltas, 0.0)

        indices, labels, valid, deltas = tf.map_fn(
            one_image,
            (gt_boxes, gt_classes, gt_crowd, seeds),
            fn_output_signature=(tf.int32, tf.float32, tf.bool, tf.float32),
        )
        deltas = tf.ensure_shape(deltas, (None, None, 4))
        return {"indices": indices, "labels": labels, "valid": valid, "deltas": deltas}

    def match(
        self, anchors: tf.Tensor, gt_boxes: tf.Tensor, gt_classes: tf.Tensor, gt_crowd: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Return what the sample of one image is taken from: of each anchor `[N, 4]` its object and its label."""
        thresholds = self.positive_iou, self.negative_iou
        return match_image(anchors, gt_boxes, gt_classes, gt_crowd, thresholds, True, self.crowd_overlap)


class ProposalTargets(keras.layers.Layer):
    """Proposals `[B, R, 4]` with `valid [B, R]` and ground truth -> the sample that the second stage is trained on.

    Ground-truth boxes join the proposals. Returns a dict: `boxes [B, S, 4]`, `valid [B, S]` bool, `classes [B, S]`
    int32 (0 background), `deltas [B, S, 4]` float32 (zeros for the background), `matched [B, S]` int32 into G. S is
    the largest number that an image of the batch has; positives come first.

    Args:
        positive_iou: proposals at or above belong to their ground truth's class, others are background.
        batch_size: proposals sampled per image.
        positive_fraction: largest fraction of positives among them.
        crowd_overlap: fraction of a proposal inside a crowd from which it is not taken as background.
        delta_weights: of `boxes.encode`.
    """

    def __init__(
        self,
        positive_iou: float,
        batch_size: int,
        positive_fraction: float,
        crowd_overlap: float,
        delta_weights: tuple[float, ...],
        **kwargs,
    ):
        super().__init__(autocast=False, **kwargs)
        self.positive_iou, self.batch_size = positive_iou, batch_size
        self.positive_fraction, self.crowd_overlap = positive_fraction, crowd_overlap
        self.delta_weights = tuple(delta_weights)

    def call(
        self,
        proposals: keras.KerasTensor,
        valid: keras.KerasTensor,
        gt_boxes: keras.KerasTensor,
        gt_classes: keras.KerasTensor,
        gt_crowd: keras.KerasTensor,
        seeds: keras.KerasTensor,
    ) -> dict[str, keras.KerasTensor]:
        candidates = tf.concat([proposals, gt_boxes], axis=1)
        usable = tf.concat([valid, (gt_classes > 0) & ~gt_crowd], axis=1)

        def one_image(image: tuple[tf.Tensor, ...]) -> tuple[tf.Tensor, ...]:
            rows, count, gt, classes, crowd, seed = image
            matched, labels = match_image(
                rows, gt, classes, crowd, (self.positive_iou, self.positive_iou), False, self.crowd_overlap
            )
            labels = tf.where(count, labels, IGNORED)
            # a stream of its own: the anchors of this image are sampled by `seed` itself
            indices, sampled = sample(labels, self.batch_size, self.positive_fraction, seed + [0, 1])
            positive = (tf.gather(labels, indices) == POSITIVE) & sampled
            rows, matched = tf.gather(rows, indices), tf.gather(matched, indices)
            deltas = boxes.encode(tf.gather(gt, matched), rows, self.delta_weights)
            return (
                rows,
                sampled,
                tf.where(positive, tf.gather(classes, matched), 0),
                tf.where(positive[:, None], deltas, 0.0),
                matched,
            )

        rows, sampled, classes, deltas, matched = tf.map_fn(
            one_image,
            (candidates, usable, gt_boxes, gt_classes, gt_crowd, seeds),
            fn_output_signature=(tf.float32, tf.bool, tf.int32, tf.float32, tf.int32),
        )
        most = tf.maximum(tf.reduce_max(tf.reduce_sum(tf.cast(sampled, tf.int32), axis=1)), 1)
        return {
            "boxes": tf.stop_gradient(tf.ensure_shape(rows, (None, None, 4))[:, :most]),
            "valid": sampled[:, :most],
            "classes": classes[:, :most],
            "deltas": tf.ensure_shape(deltas, (None, None, 4))[:, :most],
            "matched": matched[:, :most],
        }


class PositiveRoIs(keras.layers.Layer):
    """The sample of `ProposalTargets` -> its positive rows alone, of all images in one list.

    Returns a dict: `boxes [M, 4]`, `valid [M]` bool and, int32, `image_indices [M]`, `classes [M]`, `matched [M]` into
    G and `rows [M]` into the B * S of the sample. Where there is no positive, M is 1 and the row is not valid: a
    convolution's gradient fails on zero rows.
    """

    def __init__(self, **kwargs):
        super().__init__(autocast=False, **kwargs)

    def call(self, sample: dict[str, keras.KerasTensor]) -> dict[str, keras.KerasTensor]:
        chosen = tf.where(tf.reshape(sample["classes"], [-1]) > 0)[:, 0]
        count = tf.shape(chosen)[0]
        chosen = tf.pad(chosen, [[0, tf.maximum(1 - count, 0)]])  # [M]
        rows = tf.shape(sample["classes"])[1]
        return {
            "boxes": tf.gather(tf.reshape(sample["boxes"], [-1, 4]), chosen),
            "image_indices": tf.cast(chosen, tf.int32) // rows,
            "classes": tf.gather(tf.reshape(sample["classes"], [-1]), chosen),
            "matched": tf.gather(tf.reshape(sample["matched"], [-1]), chosen),
            "rows": tf.cast(chosen, tf.int32),
            "valid": tf.range(tf.shape(chosen)[0]) < count,
        }


class MaskTargets(keras.layers.Layer):
    """Positive RoIs and ground-truth crops `[B, G, S, S]` uint8 -> the masks `[M, size, size]`, 0..1, inside the RoIs.

    A crop holds its object's mask in the frame of its own box; outside that box the mask is empty. Each target
    cell is the average of the crop over it (RoIAlign of the mask, as torchvision does).

    Args:
        size: cells along a side.
        binary: whether the average is thresholded at 0.5 (as Detectron2 does).
    """

    def __init__(self, size: int, binary: bool = False, **kwargs):
        super().__init__(autocast=False, **kwargs)
        self.size, self.binary = size, binary
        self.supports_jit = False

    def call(
        self, rois: dict[str, keras.KerasTensor], gt_boxes: keras.KerasTensor, gt_masks: keras.KerasTensor
    ) -> keras.KerasTensor:
        side = tf.shape(gt_masks)[2]
        objects = tf.stack([rois["image_indices"], rois["matched"]], axis=1)  # [M, 2]
        frames = tf.gather_nd(gt_boxes, objects)  # [M, 4]
        origin, extent = tf.tile(frames[:, :2], [1, 2]), tf.tile(frames[:, 2:] - frames[:, :2], [1, 2])
        relative = (rois["boxes"] - origin) / tf.maximum(extent, 1e-6)
        # those alone that are needed: in a crowd they are few of all, and four times as large as floats
        crops = tf.cast(tf.gather_nd(gt_masks, objects)[..., None], tf.float32) / 255  # [M, S, S, 1]
        # RoIAlign repeats the border for one pixel beyond it; a ring of zeros makes that the empty outside
        crops = tf.pad(crops, [[0, 0], [1, 1], [1, 1], [0, 0]])
        masks = roi_align(
            [crops],
            relative * tf.cast(side, tf.float32) + 1,
            tf.range(tf.shape(objects)[0]),
            tf.zeros_like(rois["matched"]),
            strides=(1,),
            output_size=self.size,
            sampling_ratio=0,
            aligned=True,
        )
        masks = masks[..., 0]
        return tf.stop_gradient(tf.cast(masks >= 0.5, tf.float32) if self.binary else masks)
