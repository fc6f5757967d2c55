"""TensorBoard: curves whose axes continue after a resume, and images with predicted beside true objects."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from PIL import Image

from keras_maskrcnn.data.draw_records import draw_comparison
from keras_maskrcnn.data.records import Record
from keras_maskrcnn.training.optimizers import steps_taken

SCALAR, BLOBS = 1, 3
"""TensorBoard's data classes."""


class TensorBoardScalars(keras.callbacks.Callback):
    """Writes curves of losses, learning rate and what callbacks before it put into the logs, for TensorBoard to show.

    "step/..." has the means over the epoch so far against the number of batches, "epoch/..." and "validation/..." the
    metrics of whole epochs against their number. After a resume all continue. (In `keras.callbacks.TensorBoard` batches
    begin at 0 again, and epochs are left out that do not end with a batch that is written.)

    Args:
        log_dir: folder of the event files.
        every: batches from one point to the next, at least 1.

    Raises:
        ValueError: `every` is below 1.

    Example:
        ```python
        import keras
        import numpy as np

        import keras_maskrcnn as km

        model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])  # any Keras model will do
        model.compile(optimizer=km.sgd(0.01), loss="mse")
        x = np.ones((8, 2), "float32")
        model.fit(x, x[:, :1], epochs=2, verbose=0, callbacks=[km.TensorBoardScalars("run/tensorboard", every=1)])
        ```
    """

    def __init__(self, log_dir: str | os.PathLike, every: int = 20):
        super().__init__()
        if every < 1:
            raise ValueError(f"TensorBoardScalars needs an every of at least 1; got {every}")
        self.log_dir, self.every = str(log_dir), every
        self._writer: Any = None

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Open a file."""
        self._writer = tf.summary.create_file_writer(self.log_dir)

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Write a point when it is time."""
        step = steps_taken(self.model.optimizer)
        if step % self.every == 0:
            self._write("step/", {**(logs or {}), **self._rate()}, step)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Write the metrics of the epoch."""
        judged = {name: value for name, value in (logs or {}).items() if name.startswith("val_")}
        trained = {name: value for name, value in (logs or {}).items() if name not in judged}
        self._write("epoch/", {**trained, **self._rate()}, epoch + 1)
        self._write("validation/", {n.removeprefix("val_"): v for n, v in judged.items()}, epoch + 1)
        self._writer.flush()

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """Close the file."""
        self._writer.close()

    def _rate(self) -> dict[str, Any]:
        optimizer = self.model.optimizer
        rate = getattr(optimizer, "inner_optimizer", optimizer).learning_rate
        return {"learning_rate": float(keras.ops.convert_to_numpy(rate))}

    def _write(self, prefix: str, values: dict[str, Any], step: int) -> None:
        with self._writer.as_default():
            for name, value in values.items():
                _write(prefix + name, tf.constant(value, tf.float32), step, "scalars", SCALAR)


class TensorBoardImages(keras.callbacks.Callback):
    """Shows images with the model's detections, beside them the ground truth, at the end of epochs.

    Args:
        log_dir: folder of the event files; the images are written to its subfolder "images".
        records: images with ground truth.
        count: number of images, which are spread evenly over the records.
        every: epochs from one time to the next; the last epoch is always shown.
        min_score: detections that score less, 0..1, are left out.
        side: longest side of what is shown, in pixels; larger ones are shrunk.

    Raises:
        ValueError: there are no records, or `count`, `every` or `side` is below 1.

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
        images = km.TensorBoardImages("run/tensorboard", records, count=1)
        model.fit(dataset, verbose=0, callbacks=[images])
        ```
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
            raise ValueError("TensorBoardImages needs records, and a count, every and side of at least 1")
        self.folder = Path(log_dir) / "images"
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
                image = self._draw(record)
                png = tf.io.encode_png(np.asarray(image))
                values = tf.stack([str(image.width), str(image.height), png])
                _write(f"{index} {Path(record.name).name}", values, epoch + 1, "images", BLOBS)
        writer.close()

    def _draw(self, record: Record) -> Image.Image:
        (detections,) = self.model.detect(record.image)
        names = self.model.config.class_names
        drawn = draw_comparison(detections, record, names, detections.image, self.min_score)
        drawn.thumbnail((self.side, self.side))
        return drawn


def _write(tag: str, value: tf.Tensor, step: int, plugin: str, data_class: int) -> None:
    """Write a value as TensorBoard's plugins read it.

    `tf.summary.scalar` and `tf.summary.image` do so too, but only where TensorBoard is installed, which TensorFlow does
    not bring along.
    """
    metadata = tf.compat.v1.SummaryMetadata(data_class=data_class)
    metadata.plugin_data.plugin_name = plugin
    tf.summary.write(tag, value, step=step, metadata=metadata)
