"""Which epoch a training dataset delivers next, so that any epoch can be had at any time."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import tensorflow as tf


class Clock:
    """The place in training at which the next iteration over a dataset begins.

    Each iteration delivers `epoch` from `first_step` on, then `epoch` is one more and `first_step` 0. To resume,
    assign both before the iteration begins. `begun` holds the epoch and the first step of the iteration that began
    last, `delivered` the time at which its last batch was taken, in seconds as `time.time()` has them.
    """

    def __init__(self) -> None:
        # A distribution strategy's scope would put the variables on its devices, where the input pipeline cannot
        # reach them; scopes belong to a thread.
        with ThreadPoolExecutor(1) as outside_scopes:
            self.epoch: tf.Variable = outside_scopes.submit(_variable, "epoch", 0).result()
            self.first_step: tf.Variable = outside_scopes.submit(_variable, "first_step", 0).result()
            self.begun: tf.Variable = outside_scopes.submit(_variable, "begun", [0, 0]).result()
            self.delivered: tf.Variable = outside_scopes.submit(
                _variable, "delivered", 0.0, tf.float64
            ).result()

    def __deepcopy__(self, memo: Any) -> "Clock":
        return self  # there is one time: a copied callback sets that of its dataset

    def start(self) -> tuple[tf.Tensor, tf.Tensor]:
        """Return (epoch, first step) for one iteration, and move on to the next epoch."""
        epoch, first_step = self.epoch.read_value(), self.first_step.read_value()
        with tf.control_dependencies([epoch, first_step]):
            moved = [
                self.epoch.assign_add(1),
                self.first_step.assign(0),
                self.begun.assign([epoch, first_step]),
            ]
        with tf.control_dependencies(moved):
            return tf.identity(epoch), tf.identity(first_step)

    def watched(self, dataset: tf.data.Dataset) -> tf.data.Dataset:
        """Return the dataset, which notes in `delivered` when a batch is taken from it."""

        def note(batch: Any) -> Any:
            with tf.control_dependencies([self.delivered.assign(tf.timestamp())]):
                return tf.nest.map_structure(tf.identity, batch)

        # Batches that TensorFlow fetched ahead, as it does behind a last map, would be taken before anybody asks.
        options = tf.data.Options()
        options.experimental_optimization.inject_prefetch = False
        return dataset.map(note).with_options(options)


def _variable(name: str, value: Any, dtype: tf.DType = tf.int64) -> tf.Variable:
    with tf.device("CPU:0"):
        return tf.Variable(value, trainable=False, dtype=dtype, name=name)
