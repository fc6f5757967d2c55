"""The published recipe: what `compile()` without an optimizer means."""

from keras_maskrcnn.training.optimizers import CoupledSGD, sgd
from keras_maskrcnn.training.schedules import WarmUp

LEARNING_RATE = 0.02
IMAGES_PER_STEP = 16
"""Of the published trainings; the learning rate goes with the batch (Goyal et al. 2017, the linear scaling rule)."""
WARM_UP_STEPS = 500
DROPS = (8 / 12, 11 / 12)
"""Parts of a training after which the learning rate is divided by ten: the "1x" schedule's epochs 8 and 11 of 12."""


def published_recipe(batch_size: int = 2) -> CoupledSGD:
    """Return the optimizer of the paper and of every published training, for batches of `batch_size` images.

    Momentum 0.9 and coupled weight decay 1e-4; `recipe_schedule` is the learning rate.
    """
    return sgd(recipe_schedule(batch_size))


def recipe_schedule(batch_size: int, total_steps: int | None = None) -> WarmUp:
    """Return the learning rate of the published recipe.

    Args:
        batch_size: images per step.
        total_steps: of the whole training, after parts of which the rate drops; None for no drops. Of a short training
            at most a tenth is warm-up.

    Returns:
        A warm-up to 0.02 x `batch_size` / 16, divided by ten after 8/12 and 11/12 of the steps.
    """
    steps = WARM_UP_STEPS if total_steps is None else min(WARM_UP_STEPS, total_steps // 10)
    drops = () if total_steps is None else tuple(round(part * total_steps) for part in DROPS)
    return WarmUp(LEARNING_RATE * batch_size / IMAGES_PER_STEP, steps=steps, drops=drops)
