"""The losses of proposals, boxes and masks: each a layer that returns its loss and shows its mean in the logs.

B images; S sampled anchors or proposals per image; M positive RoIs of the batch; K classes.
"""

import keras
from keras import ops

from keras_maskrcnn.utils.replicas import mean_of_replicas


def smooth_l1(error: keras.KerasTensor, beta: float) -> keras.KerasTensor:
    """Return the smooth L1 loss of each element of `error`: quadratic below `beta`, plain L1 for beta 0.

    Fast R-CNN equation 3, with Detectron's point of transition.
    """
    size = ops.abs(error)
    if beta == 0:
        return size
    return ops.where(size < beta, 0.5 * size * size / beta, size - 0.5 * beta)


class Loss(keras.layers.Layer):
    """A scalar, of which the model's loss is the sum, and whose mean shows in the logs under the layer's name.

    `weight` is its factor in the model's loss, `compile(loss_weights=...)`; the log shows it without. `over_batch`
    tells what is averaged over where replicas share a batch: all of it, as on one device, or each replica's images.
    """

    def __init__(self, **kwargs):
        super().__init__(autocast=False, **kwargs)
        self.weight, self.over_batch = 1.0, True
        self.tracker = keras.metrics.Mean(name=self.name)

    def record(
        self, losses: keras.KerasTensor, valid: keras.KerasTensor, divisor: keras.KerasTensor | None = None
    ) -> keras.KerasTensor:
        """Return the mean of `losses` over the rows that are `valid`, for the model's loss and for the log.

        Without such a row the loss is 0 and the log keeps the mean of the batches that had one. A `divisor` takes the
        place of their number. Of a batch that replicas share, this is a replica's share of the mean, times their
        number, by which Keras divides.
        """
        weights = ops.cast(valid, losses.dtype)
        has_rows = ops.cast(ops.any(valid), losses.dtype)
        count = ops.sum(weights) if divisor is None else ops.cast(divisor, losses.dtype) * has_rows
        if self.over_batch:
            count, has_rows = mean_of_replicas(count), mean_of_replicas(has_rows)
        loss = ops.sum(losses * weights) / ops.where(count > 0, count, 1)
        self.tracker.update_state(loss, sample_weight=has_rows > 0)
        return loss


class ObjectnessLoss(Loss):
    """Binary cross-entropy of the sampled anchors, averaged over them (Faster R-CNN equation 1).

    Called with the logits by level and what `AnchorTargets` returns.

    Args:
        anchors_per_image: what the sum is divided by for each image; 0 for the anchors that were sampled.
    """

    def __init__(self, anchors_per_image: int = 0, **kwargs):
        super().__init__(**kwargs)
        self.anchors_per_image = anchors_per_image

    def call(
        self, logits: dict[str, keras.KerasTensor], targets: dict[str, keras.KerasTensor]
    ) -> keras.KerasTensor:
        joined = ops.concatenate(list(logits.values()), axis=1)  # [B, N]
        sampled = ops.take_along_axis(joined, targets["indices"], axis=1)  # [B, S]
        losses = ops.binary_crossentropy(targets["labels"], sampled, from_logits=True)
        return self.record(losses, targets["valid"], _fixed_divisor(self.anchors_per_image, targets))


class AnchorBoxLoss(Loss):
    """Smooth L1 of the deltas of object anchors, divided by the number of sampled anchors, objects or not.

    Called with the deltas by level and what `AnchorTargets` returns.

    Args:
        beta: of smooth L1.
        anchors_per_image: as in `ObjectnessLoss`.
    """

    def __init__(self, beta: float, anchors_per_image: int = 0, **kwargs):
        super().__init__(**kwargs)
        self.beta, self.anchors_per_image = beta, anchors_per_image

    def call(
        self, deltas: dict[str, keras.KerasTensor], targets: dict[str, keras.KerasTensor]
    ) -> keras.KerasTensor:
        joined = ops.concatenate(list(deltas.values()), axis=1)  # [B, N, 4]
        sampled = ops.take_along_axis(joined, targets["indices"][..., None], axis=1)  # [B, S, 4]
        losses = ops.sum(smooth_l1(sampled - targets["deltas"], self.beta), axis=-1)
        divisor = _fixed_divisor(self.anchors_per_image, targets)
        return self.record(losses * targets["labels"], targets["valid"], divisor)


class ClassLoss(Loss):
    """Cross-entropy of the sampled proposals over K + 1 classes, averaged over them.

    Called with class logits `[B * S, K + 1]` and what `ProposalTargets` returns.

    Args:
        class_weights: of the average, K numbers; the background's is 1, and () weighs all alike.
    """

    def __init__(self, class_weights: tuple[float, ...] = (), **kwargs):
        super().__init__(**kwargs)
        self.class_weights = tuple(class_weights)

    def call(self, logits: keras.KerasTensor, targets: dict[str, keras.KerasTensor]) -> keras.KerasTensor:
        classes, valid = (ops.reshape(targets[key], (-1,)) for key in ("classes", "valid"))
        losses = ops.sparse_categorical_crossentropy(classes, logits, from_logits=True)
        if not self.class_weights:
            return self.record(losses, valid)
        weights = ops.take(ops.convert_to_tensor((1.0, *self.class_weights), losses.dtype), classes)
        total = ops.sum(weights * ops.cast(valid, losses.dtype))
        return self.record(weights * losses, valid, total)


class BoxLoss(Loss):
    """Smooth L1 of the true class's deltas for positive proposals, divided by the number of sampled proposals.

    Called with deltas `[B * S, boxes, 4]` and what `ProposalTargets` returns.

    Args:
        beta: of smooth L1.
        background: whether the deltas have a row for the background, at index 0.
    """

    def __init__(self, beta: float, background: bool, **kwargs):
        super().__init__(**kwargs)
        self.beta, self.background = beta, background

    def call(self, deltas: keras.KerasTensor, targets: dict[str, keras.KerasTensor]) -> keras.KerasTensor:
        classes = ops.reshape(targets["classes"], (-1,))
        chosen = select_class(deltas, classes, self.background)  # [B * S, 4]
        losses = ops.sum(smooth_l1(chosen - ops.reshape(targets["deltas"], (-1, 4)), self.beta), axis=-1)
        positive = ops.cast(classes > 0, losses.dtype)
        return self.record(losses * positive, ops.reshape(targets["valid"], (-1,)))


class MaskLoss(Loss):
    """Mean cross-entropy of the mask pixels of positive RoIs (Mask R-CNN section 3).

    Called with mask logits `[M, P, P, masks]`, target masks `[M, P, P]` in 0..1 and what `PositiveRoIs` returns.

    Args:
        kind: "sigmoid" judges the true class's mask alone, so that classes do not compete; "class_agnostic" has
            one mask; "softmax" makes every pixel choose among the classes and the background (table 2b).
        background: whether the background has a mask, at index 0.
    """

    def __init__(self, kind: str, background: bool, **kwargs):
        super().__init__(**kwargs)
        self.kind, self.background = kind, background

    def call(
        self, logits: keras.KerasTensor, masks: keras.KerasTensor, rois: dict[str, keras.KerasTensor]
    ) -> keras.KerasTensor:
        if self.kind == "softmax":
            log_probabilities = ops.log_softmax(logits, axis=-1)
            own = select_mask(log_probabilities, rois["classes"], background=True)
            losses = -(masks * own + (1 - masks) * log_probabilities[..., 0])
        else:
            own = select_mask(logits, rois["classes"], self.background)
            losses = ops.binary_crossentropy(masks, own, from_logits=True)
        return self.record(ops.mean(losses, axis=(1, 2)), rois["valid"])


def _fixed_divisor(anchors_per_image: int, targets: dict[str, keras.KerasTensor]) -> keras.KerasTensor | None:
    return anchors_per_image * ops.shape(targets["valid"])[0] if anchors_per_image else None


def select_class(rows: keras.KerasTensor, classes: keras.KerasTensor, background: bool) -> keras.KerasTensor:
    """Return from `rows [N, C, ...]` the entry `[N, ...]` of each row's class `[N]` int32 (1..K; 0 gets any entry).

    C is 1 for class-agnostic rows, K + 1 with an entry for the background, K without.
    """
    index = class_entries(classes, background, ops.shape(rows)[1])
    index = ops.reshape(index, (-1,) + (1,) * (len(rows.shape) - 1))
    return ops.squeeze(ops.take_along_axis(rows, index, axis=1), axis=1)


def class_entries(
    classes: keras.KerasTensor, background: bool, count: keras.KerasTensor | int
) -> keras.KerasTensor:
    """Return which of `count` entries each class has, `[N]` int32; as `select_class`."""
    index = classes if background else ops.maximum(classes - 1, 0)
    return ops.minimum(index, count - 1)  # class-agnostic rows have one entry for all


def select_mask(masks: keras.KerasTensor, classes: keras.KerasTensor, background: bool) -> keras.KerasTensor:
    """Return from `masks [M, P, P, C]` the one `[M, P, P]` of each row's class `[M]` int32; as `select_class`."""
    return select_class(ops.transpose(masks, (0, 3, 1, 2)), classes, background)
