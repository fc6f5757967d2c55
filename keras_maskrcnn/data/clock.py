"""Which epoch a training dataset delivers next, so that any epoch can be had at any time."""

from concurrent.futures import ThreadPoolExecutor

import tensorflow as tf


class Clock:
    """The place in training at which the next iteration over a dataset begins.

    Each iteration delivers `epoch` from `first_step` on, then `epoch` is one more and `first_step` 0. To resume,
    assign both before the iteration begins.
    """

    def __init__(self) -> None:
        # A distribution strategy's scope would put the variables on its devices, where the input pipeline cannot
        # reach them; scopes belong to a thread.
        with ThreadPoolExecutor(1) as outside_scopes:
            self.epoch: tf.Variable = outside_scopes.submit(_counter, "epoch").result()
            self.first_step: tf.Variable = outside_scopes.submit(_counter, "first_step").result()

    def start(self) -> tuple[tf.Tensor, tf.Tensor]:
        """Return (epoch, first step) for one iteration, and move on to the next epoch."""
        epoch, first_step = self.epoch.read_value(), self.first_step.read_value()
        with tf.control_dependencies([epoch, first_step]):
            moved = [self.epoch.assign_add(1), self.first_step.assign(0)]
        with tf.control_dependencies(moved):
            return tf.identity(epoch), tf.identity(first_step)


def _counter(name: str) -> tf.Variable:
    with tf.device("CPU:0"):
        return tf.Variable(0, trainable=False, dtype=tf.int64, name=name)
