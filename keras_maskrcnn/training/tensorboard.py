"""TensorBoard: curves whose axes go on after a resume, and pictures of what is found beside what is there."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from PIL import Image

from keras_maskrcnn.data.records import Record
from keras_maskrcnn.drawing import draw_instances
from keras_maskrcnn.images import read_image
from keras_maskrcnn.masks import segmentation_to_rle
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
    """Shows, at the end of epochs, pictures with their annotations on the left and what the model finds on the right.

    Args:
        log_dir: folder of the event files; the pictures come under "pictures" in it.
        records: pictures with ground truth.
        count: of the pictures, which are spread evenly over the records.
        every: epochs from one time to the next; the last epoch is always shown.
        score_threshold: detections must score more, 0..1.
        side: pictures with a longer side, in pixels, are shown smaller.
    """

    def __init__(
        self,
        log_dir: str | os.PathLike,
        records: Sequence[Record],
        count: int = 4,
        every: int = 1,
        score_threshold: float = 0.5,
        side: int = 800,
    ):
        super().__init__()
        if min(count, every, side) < 1 or not len(records):
            raise ValueError("TensorBoardPictures needs records, and a count, every and side of at least 1")
        self.folder = Path(log_dir) / "pictures"
        self.records, self.every, self.score_threshold, self.side = records, every, score_threshold, side
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
        names = self.model.config.class_names
        (found,) = self.model.detect(record.image, score_threshold=self.score_threshold)
        masks = record.masks and [
            segmentation_to_rle(mask, record.height, record.width) for mask in record.masks
        ]
        annotated = draw_instances(
            read_image(record.image, self.model.config.channels),
            record.boxes,
            [names[class_id - 1] for class_id in record.class_ids],
            masks=masks,
            keypoints=record.keypoints,
            keypoint_names=self.model.config.keypoint_names or None,
        )
        both = [annotated, found.draw(min_score=self.score_threshold)]
        for one in both:
            one.thumbnail((self.side, self.side))
        (width, height), gap = both[0].size, 4
        canvas = Image.new("RGB", (2 * width + gap, height), "white")
        canvas.paste(both[0], (0, 0))
        canvas.paste(both[1], (width + gap, 0))
        return canvas
