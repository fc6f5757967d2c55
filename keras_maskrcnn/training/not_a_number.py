"""Stops training on NaN/Inf and reports the batch's images."""

import math
from typing import Any

import keras
import tensorflow as tf

from keras_maskrcnn.data.pipeline.dataset import check_is_for_training
from keras_maskrcnn.training.epochs import check_epochs_are_whole


class LossError(ValueError):
    """A loss is NaN or Inf; the message names its images."""


class StopOnNaN(keras.callbacks.Callback):
    """Ends `fit` with a `LossError` at the first loss that is NaN or Inf, which names the images of its batch.

    Put it before callbacks that write files: the models on disk are then those from before. (`TrainingBackup` never
    writes weights with NaN or Inf, wherever it stands.)

    Args:
        dataset: the training dataset of `make_dataset`.

    Raises:
        ValueError: the dataset was not made by `make_dataset`, or `fit` was given `steps_per_epoch`.
        LossError: in training, a loss is NaN or Inf; it is a ValueError.

    Example:
        ```python
        import numpy as np

        import keras_maskrcnn as km

        config = km.Config(
            class_names=("square",), depth=18, norm="group_norm", frozen_stages=0, mask_head="none", min_size=64,
            fpn_channels=32, box_head_channels=32,
        )
        image = np.zeros((64, 64, 3), "uint8")
        image[16:40, 16:40] = 255
        records = [km.make_record(image, boxes=[[16, 16, 40, 40]], class_ids=[1], image_id=1)]
        dataset = km.make_dataset(records, config, training=True)
        model = km.MaskRCNN(config)
        model.compile(optimizer=km.sgd(1e-4), run_eagerly=True)  # for one step a graph is not worth its making
        model.fit(dataset, verbose=0, callbacks=[km.StopOnNaN(dataset)])
        ```
    """

    def __init__(self, dataset: tf.data.Dataset):
        super().__init__()
        check_is_for_training(dataset, "StopOnNaN")
        self.dataset: Any = dataset
        self._next = 0

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Refuse epochs whose images could not be named."""
        check_epochs_are_whole(self.params, int(self.dataset.cardinality()), "StopOnNaN")

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Count steps from 0 again."""
        self._next = 0

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Check the losses, which are means over the epoch: a NaN or Inf stays."""
        wrong = {name: float(value) for name, value in (logs or {}).items()}
        wrong = {name: value for name, value in wrong.items() if not math.isfinite(value)}
        if wrong:
            raise LossError(self._message(wrong, self._next, batch))
        self._next = batch + 1

    def _message(self, losses: dict[str, float], first: int, last: int) -> str:
        epoch, skipped = (int(number) for number in self.dataset.clock.begun)
        steps = range(skipped + first, skipped + last + 1)
        names = ", ".join(name for step in steps for name in self.dataset.names_of(epoch, step))
        before = ", ".join(self.dataset.names_of(epoch, steps[0] - 1)) if steps[0] else ""
        suspects = f"; those of the step before, whose update may have spoiled the weights: {before}"
        value = next(iter(losses.values()))
        return (
            f"{', '.join(losses)} became {value} at step {steps[-1] + 1} of epoch {epoch + 1}. Its images: {names}"
            f"{suspects if before else ''}. Likely causes: a learning rate that is too high (lower it, warm up for "
            "longer, or clip gradients, as with global_clipnorm=10.0 or --clip-norm 10), or wrong boxes or pixels in "
            "these images"
        )
