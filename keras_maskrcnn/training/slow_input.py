"""How long the network waits for its images, and what would help."""

import logging
import time
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_maskrcnn.data.pipeline.dataset import check_is_for_training
from keras_maskrcnn.data.pipeline.sizes import largest_size

_log = logging.getLogger(__name__)
_FEWEST, _ENOUGH = 10, 50
"""Steps from which the fraction is trusted: at the end of an epoch, and within it."""


class SlowInputAdvice(keras.callbacks.Callback):
    """Measures the fraction of training time in which steps wait for their batch; logs advice, once, if it is large.

    The first step, which traces the model, is left out, and so is what happens between epochs.

    Args:
        dataset: the training dataset of `make_dataset`.
        threshold: fraction, 0..1, from which there is advice, a warning of the logger `keras_maskrcnn`.

    Raises:
        ValueError: the dataset was not made by `make_dataset`.

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
        records = 3 * [km.make_record(image, boxes=[[16, 16, 40, 40]], class_ids=[1], image_id=1)]
        dataset = km.make_dataset(records, config, training=True)
        model = km.MaskRCNN(config)
        model.compile(optimizer=km.sgd(1e-4), run_eagerly=True)  # for one step a graph is not worth its making
        advice = km.SlowInputAdvice(dataset)
        model.fit(dataset, verbose=0, callbacks=[advice])
        print(f"waited {advice.fraction:.0%} of the time")
        ```
    """

    def __init__(self, dataset: tf.data.Dataset, threshold: float = 0.2):
        super().__init__()
        check_is_for_training(dataset, "SlowInputAdvice")
        self.dataset: Any = dataset
        self.threshold = threshold
        self._waited = self._spent = self._began = 0.0
        self._steps = -1  # the first one traces
        self._said = False

    @property
    def fraction(self) -> float:
        """Fraction of the time so far, 0..1, in which steps waited for their batch."""
        return self._waited / self._spent if self._spent else 0.0

    def on_train_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Note when the step asks for its batch."""
        self._began = time.time()

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Add the step to the totals."""
        float((logs or {}).get("loss", 0))  # the step has ended when its loss is known
        self._steps += 1
        if self._steps:
            self._spent += time.time() - self._began
            self._waited += max(0.0, float(self.dataset.clock.delivered) - self._began)
        if self._steps == _ENOUGH:
            self._advise()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Advise after a short epoch too."""
        if self._steps >= _FEWEST:
            self._advise()

    def _advise(self) -> None:
        if self._said or self.fraction < self.threshold:
            return
        self._said = True
        _log.warning(
            "The network waited for its images %.0f%% of the time.%s make_dataset's parallel_calls sets how many are "
            "loaded at a time (left out: as many as tf.data finds useful); a file system over a network, and records "
            "that compute much when asked, are slow too",
            100 * self.fraction,
            self._about_sizes(),
        )

    def _about_sizes(self) -> str:
        """Return a sentence on images that are much larger than the network's input, or nothing."""
        config, records = self.dataset.config, self.dataset.records
        chosen = np.unique(np.linspace(0, len(records) - 1, 20).astype(int))
        sample = [records[int(i)] for i in chosen]
        sizes = [(record.height, record.width) for record in sample]
        seen = [largest_size(record, config).resized for record in sample]
        height, width = np.mean(sizes, axis=0)
        seen_height, seen_width = np.mean(seen, axis=0)
        if height * width < 2 * seen_height * seen_width:
            return ""
        return (
            f" The images have {width:.0f} x {height:.0f} pixels on average, of which the network sees "
            f"{seen_width:.0f} x {seen_height:.0f} at most: files of that size are decoded sooner."
        )
