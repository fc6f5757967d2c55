"""Batches that know what they were made for."""

from typing import Any

import tensorflow as tf

from keras_maskrcnn.config.config import Config


class BatchDataset(tf.data.Dataset):
    """A dataset of batches, and the Config and the batch size that it was made with.

    Args:
        dataset: of batches.
        config: says what they mean.
        batch_size: images per batch; the last one may have fewer.
    """

    def __init__(self, dataset: tf.data.Dataset, config: Config, batch_size: int) -> None:
        self._dataset, self.config, self.batch_size = dataset, config, batch_size
        super().__init__(dataset._variant_tensor)

    def _inputs(self) -> list[tf.data.Dataset]:
        return [self._dataset]

    def __deepcopy__(self, memo: Any) -> "BatchDataset":
        return self  # copies of callbacks, as tuners make them, steer the dataset that is trained on

    @property
    def element_spec(self) -> Any:
        """Shapes and dtypes of a batch by key."""
        return self._dataset.element_spec
