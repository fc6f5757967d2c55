"""A training that writes down its losses and can be killed: `python killed_training.py FOLDER KIND`."""

import sys
import time
from pathlib import Path

import keras
import tensorflow as tf
from examples import drawn_records, tiny

from keras_maskrcnn.data.pipeline.dataset import make_dataset
from keras_maskrcnn.models.mask_rcnn import MaskRCNN
from keras_maskrcnn.training.averages import WithAveragedWeights
from keras_maskrcnn.training.backup import TrainingBackup
from keras_maskrcnn.training.optimizers import sgd
from keras_maskrcnn.training.schedules import WarmUp

EPOCHS, STEPS = 2, 5


class WriteLosses(keras.callbacks.Callback):
    """Appends "epoch step loss" to a file after every step; the loss is the mean over the epoch so far."""

    def __init__(self, path, clock):
        super().__init__()
        self.path, self.clock = path, clock

    def on_train_batch_end(self, batch, logs=None):
        epoch, first = self.clock.begun.numpy()
        time.sleep(0.02)
        with open(self.path, "a") as file:
            file.write(f"{epoch} {first + batch} {float(logs['loss'])!r}\n")


def read_losses(path):
    """{(epoch, step): loss} of the whole lines of a file; what a killed training wrote twice counts as it was last."""
    lines = path.read_text().split("\n")[:-1] if path.exists() else []
    return {(int(e), int(s)): float(loss) for e, s, loss in map(str.split, lines)}


class MeanColor(keras.Model):
    """Stands for a network: a loss of the images and of what each image's seed draws, as `MaskRCNN` has."""

    def __init__(self):
        super().__init__()
        self.dense = keras.layers.Dense(1)

    def call(self, inputs):
        drawn = tf.random.stateless_uniform([], inputs["seeds"][0])
        colors = tf.reduce_mean(inputs["images"], axis=(1, 2)) / 255
        self.add_loss(tf.reduce_mean(tf.square(self.dense(colors) + drawn)))
        return colors


def train(folder, kind):
    """Train, or go on, with all that an optimizer can remember: momentum, averages, half an accumulated gradient."""
    keras.utils.set_random_seed(3)
    config = tiny(mask_head="none")
    model = {"small": MeanColor, "maskrcnn": lambda: MaskRCNN(config)}[kind]()
    optimizer = sgd(WarmUp(0.01, steps=4), use_ema=True, ema_momentum=0.9, gradient_accumulation_steps=2)
    model.compile(optimizer=optimizer, run_eagerly=True)
    data = make_dataset(drawn_records(STEPS), config, training=True, seed=1)
    if kind == "small":
        model(next(iter(make_dataset(drawn_records(1), config))))  # makes its weights
    callbacks = [
        WriteLosses(folder / "losses.txt", data.clock),
        WithAveragedWeights([keras.callbacks.Callback()]),
        TrainingBackup(folder / "backup.weights.h5", data, save_freq=1, delete_checkpoint=False),
    ]
    model.fit(data, epochs=EPOCHS, verbose=0, shuffle=False, callbacks=callbacks)
    return [weight.numpy() for weight in model.weights]


if __name__ == "__main__":
    train(Path(sys.argv[1]), sys.argv[2])
