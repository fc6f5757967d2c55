"""The learning rate schedule of the published recipes; a cosine is `keras.optimizers.schedules.CosineDecay`."""

from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable("keras_maskrcnn")
class WarmUp(keras.optimizers.schedules.LearningRateSchedule):
    """A learning rate that rises linearly to `learning_rate` and is divided by ten at each of `drops`.

    The schedule of the paper and of every published recipe ("1x", "3x").

    Args:
        learning_rate: reached after `steps` training steps (batches).
        steps: length of the warm-up; 0 for none.
        drops: training steps at which the rate is divided by ten.
        start: fraction of `learning_rate` at step 0 (Detectron's 1 / 1000).

    Example:
        ```python
        import keras_maskrcnn as km

        rate = km.WarmUp(0.02, steps=1000, drops=(60_000, 80_000))
        print([round(float(rate(step)), 6) for step in (0, 1000, 60_000, 80_000)])  # [2e-05, 0.02, 0.002, 0.0002]
        ```
    """

    def __init__(self, learning_rate: float, steps: int, drops: tuple[int, ...] = (), start: float = 1e-3):
        self.learning_rate, self.steps, self.drops, self.start = learning_rate, steps, tuple(drops), start

    def __call__(self, step: keras.KerasTensor) -> keras.KerasTensor:
        step = ops.cast(step, "float32")
        progress = ops.minimum(step / max(self.steps, 1), 1.0) if self.steps else 1.0
        passed = sum(ops.cast(step >= drop, "float32") for drop in self.drops)
        return self.learning_rate * (self.start + (1 - self.start) * progress) * ops.power(0.1, passed)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {
            "learning_rate": self.learning_rate,
            "steps": self.steps,
            "drops": self.drops,
            "start": self.start,
        }
