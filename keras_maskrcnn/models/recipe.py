"""Fits the published recipe to a training: its learning rate goes with the batch and the number of steps."""

import dataclasses
import logging
from typing import Any

import keras

from keras_maskrcnn.training.recipe import published_recipe, recipe_schedule

_log = logging.getLogger(__name__)


@dataclasses.dataclass
class Recipe:
    """Whether a model was compiled without an optimizer, and so by the published recipe."""

    is_wanted: bool = False

    def optimizer(self) -> keras.optimizers.Optimizer:
        """Return the recipe's optimizer, for the batches of two images of which it will be told otherwise."""
        return published_recipe()

    def adapt(self, optimizer: keras.optimizers.Optimizer, dataset: Any, epochs: int) -> None:
        """Set the learning rate for a first `fit` on a dataset of `make_dataset`; later ones go on with it."""
        batch_size = getattr(dataset, "batch_size", None)
        if not self.is_wanted or batch_size is None:
            return
        self.is_wanted = False
        schedule = recipe_schedule(batch_size, epochs * int(dataset.cardinality()))
        optimizer.learning_rate = schedule
        _log.info(
            "The published recipe: SGD at %g for batches of %d, warm-up of %d steps, divided by ten at steps %s",
            schedule.learning_rate,
            batch_size,
            schedule.steps,
            " and ".join(map(str, schedule.drops)),
        )
