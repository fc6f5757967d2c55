"""What a `tf.distribute` strategy is: how many replicas of a model there are, and which process writes its files."""

import numpy as np
import tensorflow as tf


def has_replicas(strategy: tf.distribute.Strategy | None) -> bool:
    """Whether a model made in this strategy's scope is on several devices or machines."""
    return strategy is not None and strategy.num_replicas_in_sync > 1


def has_workers(strategy: tf.distribute.Strategy | None) -> bool:
    """Whether other processes train the same model, on this machine or on others."""
    return isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy)


def is_chief(strategy: tf.distribute.Strategy | None) -> bool:
    """Whether this process is the one that writes files: the only one, the chief, or where there is none worker 0."""
    resolver = strategy.cluster_resolver if strategy is not None and has_workers(strategy) else None
    if resolver is None or not resolver.task_type:
        return True
    if resolver.task_type == "chief":
        return True
    has_chief = "chief" in resolver.cluster_spec().jobs
    return resolver.task_type == "worker" and resolver.task_id == 0 and not has_chief


def mean_of_replicas(value: tf.Tensor) -> tf.Tensor:
    """Return the mean of a value over the replicas that run this step together; on one device the value itself."""
    context = tf.distribute.get_replica_context()
    if context is None or context.num_replicas_in_sync == 1:
        return value
    return context.all_reduce(tf.distribute.ReduceOp.MEAN, value)


def sum_over_replicas(value: tf.Tensor) -> tf.Tensor:
    """Return the sum of a value over the replicas that run this step together; on one device the value itself."""
    context = tf.distribute.get_replica_context()
    if context is None or context.num_replicas_in_sync == 1:
        return value
    return context.all_reduce(tf.distribute.ReduceOp.SUM, value)


def from_chief(values: np.ndarray, strategy: tf.distribute.Strategy | None) -> np.ndarray:
    """Return what the chief gave; every worker must call it, with an array of the same shape."""
    if strategy is None or not has_workers(strategy):
        return values
    with strategy.scope():
        return _of_replica_zero(tf.constant(values)).numpy()


@tf.function
def _of_replica_zero(values: tf.Tensor) -> tf.Tensor:
    strategy = tf.distribute.get_strategy()
    return strategy.reduce(tf.distribute.ReduceOp.SUM, strategy.run(_if_zero, (values,)), axis=None)


def _if_zero(values: tf.Tensor) -> tf.Tensor:
    is_zero = tf.equal(tf.distribute.get_replica_context().replica_id_in_sync_group, 0)
    return tf.where(is_zero, values, tf.zeros_like(values))  # not a product with zero: values may be NaN
