"""Every private name of Keras that this package uses, so that one file tells what a new version of Keras may break.

All of them are in Keras 3.15; its upper bound in setup.py is there because of them. Of TensorFlow,
`data/pipeline/batches.py` uses `Dataset._variant_tensor` and `_inputs`, and `utils/onednn.py` `_pywrap_util_port`.
"""

import io
import os
from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf
from keras.src.utils import io_utils


class BuiltModel(keras.Model):
    """A Keras model that has all its weights once it is made, and losses of its own: no batch is needed to build it.

    Private: `Model._maybe_symbolic_build`, which `fit`, `evaluate` and `predict` call first, and `_symbolic_build`.
    Under a distribution strategy Keras would first take a batch and add the replicas' parts up, which fails for flags
    and for parts of different sizes. Without these names strategies would fail so again.
    """

    def _maybe_symbolic_build(self, iterator: Any = None, data_batch: Any = None) -> None:
        strategy = strategy_of(self)
        if strategy is not None:
            with strategy.scope():
                self._symbolic_build()  # of the optimizer


def strategy_of(made: keras.Model | keras.optimizers.Optimizer) -> tf.distribute.Strategy | None:
    """Return the distribution strategy in whose scope a model or an optimizer was made.

    Private: `Model._distribute_strategy`, None without one, whose public sibling returns TensorFlow's default strategy
    then; and `Optimizer._distribution_strategy`, which is that default. Without them a model under a strategy would not
    be told from others: accumulated gradients would fail in the midst of `fit`.
    """
    return made._distribute_strategy if isinstance(made, keras.Model) else made._distribution_strategy


def clip_after_sum(optimizer: keras.optimizers.Optimizer) -> None:
    """Let an optimizer clip gradients once they are summed over the replicas, as on one device.

    Private: `_clip_gradients` and `_all_reduce_sum_gradients`, which Keras calls in this order. Without them each
    replica's part would be clipped by itself, by a norm that is another one.
    """
    if optimizer.clipnorm is None and optimizer.global_clipnorm is None and optimizer.clipvalue is None:
        return
    clip, add_up = optimizer._clip_gradients, optimizer._all_reduce_sum_gradients

    def summed_and_clipped(gradients: list[Any]) -> list[Any]:
        return clip([gradient for gradient, _ in add_up([(gradient, None) for gradient in gradients])])

    optimizer._clip_gradients = summed_and_clipped
    optimizer._all_reduce_sum_gradients = list


def read_only_backup(backup: keras.callbacks.BackupAndRestore) -> None:
    """Let Keras' backup restore a worker as it does the chief, and read with it what the chief writes.

    Private: `BackupAndRestore._save_model`. Without it all workers would write the same files at once.
    """
    backup.delete_checkpoint = False
    backup._save_model = lambda: weights_in_memory(backup.model)


def may_replace(path: str | os.PathLike) -> bool:
    """Ask the user whether a file that is there may be replaced, as Keras does when it is told not to overwrite.

    Private: `ask_to_proceed_with_overwrite`. Without it `save(..., overwrite=False)` would fail.
    """
    return not os.path.exists(path) or io_utils.ask_to_proceed_with_overwrite(str(path))


def set_initial_values(variables: Sequence[keras.Variable], initializer: keras.Initializer) -> None:
    """Give variables that have no value yet, made within a `keras.StatelessScope`, another initializer.

    Private: `Variable._initializer`. Without it a model that is loaded would first draw random weights.
    """
    for variable in variables:
        variable._initializer = initializer


class _WeightsFile(io.BytesIO):
    """A file in memory with a name that `save_weights` takes."""

    def __str__(self) -> str:
        return "memory.weights.h5"


def weights_in_memory(model: keras.Model) -> io.BytesIO:
    """Return what `save_weights` would write.

    HDF5's library ends the process, in a later call, if the disk is full while it writes; in memory it cannot be.

    Private: that `save_weights` asks for the name by `str` and gives the file to h5py, which takes open ones. Without
    it saving weights and backups would fail.
    """
    file = _WeightsFile()
    keras.Model.save_weights(model, file)
    return file


def check_compiled(model: keras.Model) -> None:
    """Raise Keras' ValueError unless `compile` was called, before anything else is done with the optimizer.

    Private: `Model._assert_compile_called`. Without it there would be an error about None in place of its message.
    """
    model._assert_compile_called("fit")


def all_layers(model: keras.Model) -> list[keras.layers.Layer]:
    """Return the layers of a model at all depths.

    Private: `Layer._flatten_layers`. Without it nothing would say which layers of a model are quantized.
    """
    return model._flatten_layers(include_self=False)


def set_first_epoch(model: keras.Model, epoch: int | None) -> None:
    """Let `fit` begin at this epoch, counted from 0, whatever it was asked; None lets it begin where it was asked to.

    Private: `Model._initial_epoch`, which Keras' own BackupAndRestore sets and `fit` reads after `on_train_begin`.
    Without it a resumed run would begin at epoch 0 with the weights of a later one.
    """
    model._initial_epoch = epoch


def batches_seen(optimizer: keras.optimizers.Optimizer) -> int:
    """Return the number of batches whose gradients an optimizer was given.

    Private: `Optimizer._iterations`. The public `iterations` are updates, of which there are fewer where gradients
    accumulate. Without it, what is logged against steps would be wrong for accumulated gradients.
    """
    return int(keras.ops.convert_to_numpy(optimizer._iterations))


def decays(optimizer: keras.optimizers.Optimizer, variable: Any) -> bool:
    """Return whether a variable is none of those that were given to `exclude_from_weight_decay`.

    Private: `Optimizer._use_weight_decay`. Without it those variables would decay like all others.
    """
    return optimizer._use_weight_decay(variable)
