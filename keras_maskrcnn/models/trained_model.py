"""How a MaskRCNN is compiled, trained and given weights: Keras' methods, which refuse what they could not heed."""

import warnings
from collections.abc import Mapping
from typing import Any

import keras
import tensorflow as tf

from keras_maskrcnn.config.config import Config
from keras_maskrcnn.data.pipeline.batches import BatchDataset
from keras_maskrcnn.models.call_checks import check_compile, check_dataset_argument, check_no_targets
from keras_maskrcnn.models.fit_checks import check_fit, memory_advice
from keras_maskrcnn.models.recipe import Recipe
from keras_maskrcnn.models.saving import WholeFiles
from keras_maskrcnn.network.network import Network
from keras_maskrcnn.training.workers import callbacks_of_worker
from keras_maskrcnn.utils.finite import check_finite, not_finite
from keras_maskrcnn.utils.heap import gives_back_once
from keras_maskrcnn.utils.keras_internals import check_compiled, clip_after_sum, set_first_epoch, strategy_of
from keras_maskrcnn.utils.replicas import has_replicas, has_workers, is_chief, mean_of_replicas


class TrainedModel(WholeFiles):
    """A model whose losses are the layers of a `Network`, and whose batches hold their own ground truth."""

    network: Network
    train_function: Any
    """Of Keras."""
    _recipe: Recipe

    @property
    def config(self) -> Config:
        """Everything about the model, which cannot be changed: its layers and graphs were made so."""
        return self.network.config

    @config.setter
    def config(self, config: Config) -> None:
        raise AttributeError(
            "A model's config cannot be changed, since its layers and graphs are made of it. Make another model with "
            "the same weights: new = MaskRCNN(dataclasses.replace(model.config, ...)); "
            "new.set_weights(model.get_weights()). model.freeze(stages) changes frozen_stages, and detect takes "
            "score_threshold and max_detections"
        )

    def compile(
        self,
        optimizer: Any = None,
        loss: None = None,
        loss_weights: Mapping[str, float] | None = None,
        metrics: None = None,
        weighted_metrics: None = None,
        **options: Any,
    ) -> None:
        """Configure the model for training; without arguments by the published recipe.

        Args:
            optimizer: of Keras, or its name. None is the published recipe: SGD with momentum 0.9 and coupled weight
                decay 1e-4, at a learning rate of 0.02 for 16 images per step, scaled to `fit`'s batches, that warms up
                and is divided by ten after 8/12 and 11/12 of the steps.
            loss_weights: {loss name: factor}, 1 for those that are not named; the logs show each loss without its
                factor, and their sum with.
            loss, metrics, weighted_metrics: must be None: the losses are layers of the model, and `CocoEvaluation`
                computes the metrics.
            options: `run_eagerly`, `steps_per_execution`, `jit_compile` and `auto_scale_loss`, as in Keras.

        Raises:
            ValueError: an argument that means nothing here is given, or a loss has no such name.
        """
        check_compile(loss, metrics, weighted_metrics, loss_weights, self.network.losses_by_name)
        strategy = strategy_of(self)
        if has_replicas(strategy) and options.get("jit_compile") is True:  # on one device Keras warns
            raise ValueError(
                f"jit_compile=True does not work under a {type(strategy).__name__}: RoIAlign has no XLA kernel. Leave "
                "it out"
            )
        self._recipe = Recipe(is_wanted=optimizer is None)
        chosen = self._recipe.optimizer() if optimizer is None else optimizer
        super().compile(optimizer=chosen, loss_weights=loss_weights, **options)
        if has_replicas(strategy):
            clip_after_sum(getattr(self.optimizer, "inner_optimizer", self.optimizer))
        for name, layer in self.network.losses_by_name.items():
            layer.weight = (loss_weights or {}).get(name, 1.0)

    def compile_from_config(self, config: dict[str, Any]) -> None:
        """Compile as the model was that was saved; Keras asks it of models with a `compile` of their own."""
        self.compile(**keras.saving.deserialize_keras_object(config))
        self.optimizer.build(self.trainable_variables)

    def fit(self, x: Any = None, *args: Any, **kwargs: Any) -> keras.callbacks.History:
        """Train as `keras.Model.fit` does, with a dataset that `make_dataset(..., training=True)` returned.

        Raises:
            ValueError: `x` is no such dataset; the message says how to make one. Or the weights are NaN.
        """
        check_compiled(self)
        check_dataset_argument("fit", x, args, kwargs, self.config)
        epochs = check_fit(self, self.network.backbone, (x, *args), kwargs)
        check_finite(self.weights, "fit")
        self._recipe.adapt(self.optimizer, x, epochs)
        self._build_optimizer()
        set_first_epoch(self, None)  # a resumed run that was interrupted leaves its own
        kwargs.setdefault("shuffle", False)  # such a dataset has its own order, and Keras would warn of that
        validation = kwargs.get("validation_data")
        if not is_chief(strategy_of(self)):
            kwargs["callbacks"] = callbacks_of_worker(kwargs.get("callbacks"))
        try:
            history = super().fit(
                self._distributed(x), *args, **{**kwargs, "validation_data": self._distributed(validation)}
            )
        except tf.errors.ResourceExhaustedError as error:
            error.add_note(memory_advice(self.config, self.optimizer))
            raise
        if not_finite(self.weights):
            warnings.warn(
                "The weights hold NaN or Inf after this fit: the training diverged. StopOnNaN ends it at the first "
                "such loss and names the images",
                stacklevel=2,
            )
        return history

    def _build_optimizer(self) -> None:
        """Make what the optimizer keeps before the first step, which TensorFlow would else trace twice."""
        if strategy_of(self) is None and not self.optimizer.built:
            self.optimizer.build(self.trainable_variables)

    def evaluate(self, x: Any = None, *args: Any, **kwargs: Any) -> Any:
        """Compute the losses of a dataset that `make_dataset` returned; `evaluate_coco` computes COCO's metrics.

        Raises:
            ValueError: `x` is no such dataset; the message says how to make one.
        """
        check_dataset_argument("evaluate", x, args, kwargs, self.config)
        return super().evaluate(self._distributed(x), *args, **kwargs)

    def make_train_function(self, force: bool = False) -> None:
        """Make what takes Keras' steps, of which the first leaves the memory that tracing needed."""
        before = self.train_function
        super().make_train_function(force)
        if self.train_function is not before:
            self.train_function = gives_back_once(self.train_function)

    def train_step(self, data: Any) -> Any:
        """Train on one batch, as Keras does."""
        return self._each_with_an_axis(super().train_step(data))

    def test_step(self, data: Any) -> Any:
        """Compute the losses of one batch, as Keras does."""
        return self._each_with_an_axis(super().test_step(data))

    def _each_with_an_axis(self, logs: dict[str, Any]) -> dict[str, Any]:
        """Give each value the axis along which Keras takes the mean of the workers' (keras-team/keras#20585)."""
        if not has_workers(strategy_of(self)):
            return logs
        return {name: tf.reshape(value, [1]) for name, value in logs.items()}

    def _distributed(self, dataset: Any) -> Any:
        """Return a dataset of `make_dataset` for this model's replicas, if there are several."""
        strategy = strategy_of(self)
        if strategy is None or not has_replicas(strategy) or not isinstance(dataset, BatchDataset):
            return dataset
        return dataset.distributed(strategy)

    def train_on_batch(self, x: Any, *args: Any, **kwargs: Any) -> Any:
        """Train on one batch, as `keras.Model.train_on_batch` does.

        Raises:
            ValueError: targets or weights of samples or classes are given, or `x` is no batch.
        """
        check_no_targets("train_on_batch", args, kwargs)
        if self.compiled:  # else Keras says what is missing
            self._build_optimizer()
        return super().train_on_batch(x, *args, **kwargs)

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
    ) -> Any:
        """Return the sum of the losses, each with its weight, and of what a backbone's weights add, as regularizers do.

        Under a strategy it is a replica's part of that sum, which Keras' optimizers add up.
        """
        check_no_targets("a dataset of this model", (y, sample_weight), {})
        # Not by `add_loss`: layers collect what it is given in all replicas of a process.
        weighted = [layer.weight * y_pred[name] for name, layer in self.network.losses_by_name.items()]
        others = [keras.ops.sum(keras.ops.cast(loss, weighted[0].dtype)) for loss in self.losses]
        loss = keras.ops.sum([*weighted, *others]) / tf.distribute.get_strategy().num_replicas_in_sync
        # Keras logs the mean of what replicas return, by the images of each: so each returns the same, and its own
        # gradient.
        return mean_of_replicas(tf.stop_gradient(loss)) + loss - tf.stop_gradient(loss)
