"""What callbacks need that know which images a step has."""

from typing import Any


def check_epochs_are_whole(params: dict[str, Any], steps: int, name: str) -> None:
    """Raise a ValueError unless `fit` goes through the whole dataset in each epoch.

    Args:
        params: a callback's, of this `fit`.
        steps: of an epoch of the dataset.
        name: of the callback.
    """
    asked = params.get("steps")
    if asked is not None and asked != steps:
        raise ValueError(
            f"{name} counts the dataset's epochs of {steps} steps, and fit was asked for epochs of {asked}: leave out "
            "steps_per_epoch"
        )
