"""TensorBoard: curves whose axes go on after a resume, and pictures of what is found beside what is there."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from PIL import Image

from keras_maskrcnn.data.pictures import draw_comparison
from keras_maskrcnn.data.records import Record
from keras_maskrcnn.training.optimizers import steps_taken


class TensorBoard(keras.callbacks.TensorBoard):
    """Keras' callback of this name, whose axis of batches goes on after a resume instead of beginning anew.

    It writes the losses, the learning rate and whatever callbacks before it, like `CocoEvaluation`, put into the logs.

    Args:
        log_dir: folder of the event files.
        update_freq: "epoch", or also every this many batches.
        kwargs: further arguments of `keras.callbacks.TensorBoard`.
    """

    def __init__(self, log_dir: str | os.PathLike, update_freq: str | int = "epoch", **kwargs: Any):
        super().__init__(log_dir, update_freq=update_freq, **{"write_graph": False, **kwargs})

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Go on counting where the optimizer is."""
        super().on_epoch_begin(epoch, logs)
        self._global_train_batch = steps_taken(self.model.optimizer)


class TensorBoardPictures(keras.callbacks.Callback):
    """Shows, at the end of epochs, what the model finds on pictures, and beside it what is annotated.

    Args:
        log_dir: folder of the event files; the pictures come under "pictures" in it.
        records: pictures with ground truth.
        count: of the pictures, which are spread evenly over the records.
        every: epochs from one time to the next; the last epoch is always shown.
        min_score: detections that score less are left out.
        side: longest side of what is shown, in pixels; larger ones are shrunk.
    """

    def __init__(
        self,
        log_dir: str | os.PathLike,
        records: Sequence[Record],
        count: int = 4,
        every: int = 1,
        min_score: float = 0.5,
        side: int = 1600,
    ):
        super().__init__()
        if min(count, every, side) < 1 or not len(records):
            raise ValueError("TensorBoardPictures needs records, and a count, every and side of at least 1")
        self.folder = Path(log_dir) / "pictures"
        self.records, self.every, self.min_score, self.side = records, every, min_score, side
        self.chosen = np.unique(np.linspace(0, len(records) - 1, count).astype(int)).tolist()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Detect, draw and write."""
        if (epoch + 1) % self.every and epoch + 1 != self.params.get("epochs"):
            return
        writer = tf.summary.create_file_writer(str(self.folder))
        with writer.as_default():
            for index in self.chosen:
                record = self.records[index]
                picture = np.asarray(self._draw(record))
                tf.summary.image(f"{index} {Path(record.name).name}", picture[None], step=epoch)
        writer.close()

    def _draw(self, record: Record) -> Image.Image:
        (found,) = self.model.detect(record.image)
        drawn = draw_comparison(found, record, self.model.config.class_names, found.image, self.min_score)
        drawn.thumbnail((self.side, self.side))
        return drawn
