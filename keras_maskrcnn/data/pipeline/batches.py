"""Batches that know what they were made for."""

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from keras_maskrcnn.config.config import Config
from keras_maskrcnn.data.pipeline.parts import Part


class BatchDataset(tf.data.Dataset):
    """A dataset of batches, and the Config and the batch size that it was made with.

    Args:
        batches: makes those of a process' replicas, one after the other: of each batch as many as it has replicas.
        config: says what they mean.
        batch_size: images per batch, of all replicas together; the last one may have fewer.
        count: images of an epoch.
    """

    def __init__(
        self, batches: Callable[[Part], tf.data.Dataset], config: Config, batch_size: int, count: int
    ) -> None:
        self._batches, self._count = batches, count
        self._dataset, self.config, self.batch_size = batches(Part()), config, batch_size
        super().__init__(self._dataset._variant_tensor)

    def distributed(self, strategy: tf.distribute.Strategy) -> Any:
        """Return the dataset for a strategy's replicas, of which each process loads only its own images."""

        def own(context: tf.distribute.InputContext) -> tf.data.Dataset:
            replicas = context.num_replicas_in_sync // context.num_input_pipelines
            part = Part(context.input_pipeline_id * replicas, replicas, context.num_replicas_in_sync)
            return _Counted(self._batches(part), int(self.cardinality()))

        return strategy.distribute_datasets_from_function(own)

    def _inputs(self) -> list[tf.data.Dataset]:
        return [self._dataset]

    def __deepcopy__(self, memo: Any) -> "BatchDataset":
        return self  # copies of callbacks, as tuners make them, steer the dataset that is trained on

    def cardinality(self) -> tf.Tensor:
        """Return the number of batches of a whole epoch.

        An epoch resumed at its middle must end where it ended before. TensorFlow's `assert_cardinality` refuses that.
        """
        return tf.constant(-(-self._count // self.batch_size), tf.int64)

    @property
    def element_spec(self) -> Any:
        """Shapes and dtypes of a batch by key."""
        return self._dataset.element_spec


class _Counted(tf.data.Dataset):
    """A dataset that is as long as the epochs of which it is a part: Keras counts its steps by it."""

    def __init__(self, dataset: tf.data.Dataset, steps: int) -> None:
        self._dataset, self._steps = dataset, steps
        super().__init__(dataset._variant_tensor)

    def _inputs(self) -> list[tf.data.Dataset]:
        return [self._dataset]

    def cardinality(self) -> tf.Tensor:
        return tf.constant(self._steps, tf.int64)

    @property
    def element_spec(self) -> Any:
        return self._dataset.element_spec
