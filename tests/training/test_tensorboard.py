"""Event files, read back with TensorFlow."""

import io
from types import SimpleNamespace

import keras
import numpy as np
import pytest
import tensorflow as tf
from examples import drawn_records
from PIL import Image

from keras_maskrcnn.detections.detections import Detections
from keras_maskrcnn.training.optimizers import sgd
from keras_maskrcnn.training.schedules import WarmUp
from keras_maskrcnn.training.tensorboard import TensorBoardImages, TensorBoardScalars


def events(folder):
    """{tag: {step: value}} of all event files in a folder."""
    found = {}
    for path in sorted(folder.rglob("events.*")):
        for serialized in tf.data.TFRecordDataset(str(path)):
            event = tf.compat.v1.Event.FromString(serialized.numpy())
            for value in event.summary.value:
                found.setdefault(value.tag, {})[event.step] = tf.make_ndarray(value.tensor)
    return found


def fit(folder, initial_epoch, epochs):
    """Train a model of one weight, three batches an epoch, as if it were resumed at `initial_epoch`."""

    class Evaluation(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            logs["val_mask_AP"] = 0.1 * (epoch + 1)

    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile(optimizer=sgd(WarmUp(0.1, steps=0, drops=(5,))), loss="mse")
    model.optimizer.iterations.assign(3 * initial_epoch)
    model.fit(
        np.ones((6, 1)),
        np.ones((6, 1)),
        batch_size=2,
        initial_epoch=initial_epoch,
        epochs=epochs,
        verbose=0,
        callbacks=[Evaluation(), TensorBoardScalars(folder, every=2)],
    )


def test_losses_precision_and_learning_rate_go_on_where_a_resumed_training_does(tmp_path):
    fit(tmp_path, 0, 2)
    fit(tmp_path, 2, 3)
    found = events(tmp_path)
    assert sorted(found["epoch/loss"]) == [1, 2, 3]
    assert {step: float(value) for step, value in found["validation/mask_AP"].items()} == pytest.approx(
        {1: 0.1, 2: 0.2, 3: 0.3}
    )
    assert [float(found["epoch/learning_rate"][epoch]) for epoch in (1, 2, 3)] == pytest.approx(
        [0.1, 0.01, 0.01]
    )
    assert sorted(found["step/loss"]) == [2, 4, 6, 8]  # of nine, every second
    assert float(found["step/learning_rate"][4]) == pytest.approx(0.1)


class Finder:
    """Takes the place of a model: it detects the first object of each image."""

    config = SimpleNamespace(class_names=("circle", "square"), channels=3)

    def __init__(self, records):
        self.records = records

    def detect(self, image):
        (record,) = (r for r in self.records if r.image is image)
        found = Detections(
            boxes=record.boxes[:1],
            scores=np.array([0.9], np.float32),
            class_ids=record.class_ids[:1],
            class_names=["square"],
            masks=None,
            height=record.height,
            width=record.width,
            image=image,
        )
        return [found]


def images(folder):
    """{tag: {step: image}}; an image summary holds width, height and PNGs."""
    return {
        tag: {step: Image.open(io.BytesIO(value[2])) for step, value in by_step.items()}
        for tag, by_step in events(folder).items()
    }


def test_images_show_predicted_beside_true_objects(tmp_path):
    records = drawn_records(5)
    callback = TensorBoardImages(tmp_path, records, count=2, every=2, side=400)
    callback.set_model(Finder(records))
    callback.set_params({"epochs": 5})
    for epoch in range(5):
        callback.on_epoch_end(epoch)
    found = images(tmp_path)
    assert set(found) == {"0 image 'drawn 0'", "4 image 'drawn 4'"}  # the first and the last
    for by_step in found.values():
        assert sorted(by_step) == [2, 4, 5]  # every second epoch, and the last
        for image in by_step.values():
            assert image.size[0] == 400 and image.size[1] < 400
    colors = np.asarray(found["0 image 'drawn 0'"][5].convert("RGB")).reshape(-1, 3)
    assert len(np.unique(colors, axis=0)) > 50


def test_no_images_are_refused(tmp_path):
    for options in ({"records": []}, {"records": drawn_records(1), "every": 0}):
        with pytest.raises(ValueError, match="TensorBoardImages needs records"):
            TensorBoardImages(tmp_path, **options)
