"""The optimizers of the published recipes: weights of normalisations do not decay.

Clipping (`global_clipnorm`), averages of the weights (`use_ema`) and accumulation of gradients over several batches
(`gradient_accumulation_steps`) are arguments of every Keras optimizer, and so of these.
"""

import re
from typing import Any, TypeAlias

import keras
import tensorflow as tf
from keras import ops

from keras_maskrcnn.utils.keras_internals import batches_seen, decays

NORM_WEIGHTS = ("gamma", "beta")
"""Detectron2 (WEIGHT_DECAY_NORM 0), Matterport and Swin do not decay them; biases decay."""
_OF_A_NORM = re.compile(rf"(^|/)({'|'.join(NORM_WEIGHTS)})\b")

Rate: TypeAlias = float | keras.optimizers.schedules.LearningRateSchedule


# Saved models call it "keras_maskrcnn>SGD", which was its name in version 0.1.0.
@keras.saving.register_keras_serializable("keras_maskrcnn", name="SGD")
class CoupledSGD(keras.optimizers.SGD):
    """Stochastic gradient descent whose weight decay is coupled, as in Detectron and torchvision.

    The decay joins the gradient, and so the momentum; `keras.optimizers.SGD(weight_decay=...)` decays weights apart
    from it, which at momentum 0.9 is about ten times weaker. It joins after the gradients were accumulated and clipped.

    Args:
        learning_rate: a number or a schedule.
        coupled_weight_decay: times the weight, added to its gradient.
        decay_norms: whether gamma and beta of normalisations decay too; Detectron2's and Matterport's do not.
        kwargs: further arguments of `keras.optimizers.SGD`, such as `momentum`.

    Raises:
        ValueError: Keras refuses one of its arguments.

    Example:
        ```python
        import keras
        import keras_maskrcnn as km

        weight = keras.Variable(2.0)
        optimizer = km.CoupledSGD(0.1, coupled_weight_decay=0.5)
        optimizer.apply([keras.ops.convert_to_tensor(0.0)], [weight])
        print(round(float(weight), 3))  # 1.9: without a gradient, 0.1 * 0.5 * 2.0 is subtracted
        ```
    """

    def __init__(
        self,
        learning_rate: Any = 0.01,
        coupled_weight_decay: float = 0.0,
        decay_norms: bool = False,
        **kwargs: Any,
    ):
        super().__init__(learning_rate, **kwargs)
        self.coupled_weight_decay, self.decay_norms = coupled_weight_decay, decay_norms

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Apply one gradient to one variable."""
        # All of the update waits for its gradient. TensorFlow would otherwise multiply every weight and momentum at the
        # beginning of the step, and hold both, as large as the model, until the end.
        with tf.control_dependencies([gradient]):
            if self._decays(variable):
                gradient = gradient + self.coupled_weight_decay * ops.cast(variable, gradient.dtype)
            super().update_step(gradient, variable, learning_rate)

    def _decays(self, variable: Any) -> bool:
        return decays(self, variable) and (self.decay_norms or not _OF_A_NORM.search(variable.name))

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        own = {"coupled_weight_decay": self.coupled_weight_decay, "decay_norms": self.decay_norms}
        return {**super().get_config(), **own}


def sgd(
    learning_rate: Rate = 0.02, momentum: float = 0.9, weight_decay: float = 1e-4, **kwargs: Any
) -> CoupledSGD:
    """Return the published recipes' optimizer: momentum 0.9 and coupled weight decay 1e-4.

    Weights of normalisations do not decay.

    Args:
        learning_rate: a number or a schedule; 0.02 is for 16 images per update, and in proportion for other batches.
        momentum: in [0, 1].
        weight_decay: times the weight, added to its gradient.
        kwargs: further arguments of `CoupledSGD` and `keras.optimizers.SGD` (`global_clipnorm`, `use_ema`,
            `gradient_accumulation_steps`, ...).

    Returns:
        The optimizer, for `model.compile(optimizer=...)`.

    Raises:
        ValueError: Keras refuses one of its arguments.

    Example:
        ```python
        import keras_maskrcnn as km

        optimizer = km.sgd(km.WarmUp(0.02, steps=1000, drops=(60_000, 80_000)), global_clipnorm=10.0)
        print(optimizer.momentum, optimizer.coupled_weight_decay)  # 0.9 0.0001
        ```
    """
    return CoupledSGD(learning_rate, weight_decay, momentum=momentum, **kwargs)


def adamw(learning_rate: Rate = 1e-4, weight_decay: float = 0.05, **kwargs: Any) -> keras.optimizers.AdamW:
    """Return Keras' AdamW as Swin Transformer's Mask R-CNN was trained with it (Liu et al. 2021, section 4.2).

    Weights of normalisations do not decay. Keras does not save that with a model: compile a loaded one anew.

    Args:
        learning_rate: a number or a schedule; 1e-4 is for 16 images per update.
        weight_decay: decoupled: times the learning rate and the weight, subtracted from it.
        kwargs: further arguments of `keras.optimizers.AdamW` (`beta_1`, `global_clipnorm`, `use_ema`, ...).

    Returns:
        The optimizer, for `model.compile(optimizer=...)`.

    Raises:
        ValueError: Keras refuses one of its arguments.

    Example:
        ```python
        import keras_maskrcnn as km

        optimizer = km.adamw(1e-4, weight_decay=0.05)
        print(optimizer.weight_decay)  # 0.05
        ```
    """
    optimizer = keras.optimizers.AdamW(learning_rate, weight_decay=weight_decay, **kwargs)
    optimizer.exclude_from_weight_decay(var_names=list(NORM_WEIGHTS))
    return optimizer


def steps_taken(optimizer: keras.optimizers.Optimizer) -> int:
    """Return the number of batches that an optimizer has seen.

    Its `iterations` are its updates, of which there are fewer where gradients accumulate. Schedules count batches.
    """
    # What scales a loss for float16 does not count.
    return batches_seen(getattr(optimizer, "inner_optimizer", optimizer))
