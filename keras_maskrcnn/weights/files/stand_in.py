"""What the pickle machine handles besides plain values: names, and objects that stand in for a framework's."""

import dataclasses
from collections.abc import Callable
from typing import Any

from keras_maskrcnn.weights.files.refusal import RefusedError


@dataclasses.dataclass(frozen=True)
class Named:
    """A name that a file may use.

    Attributes:
        name: as the file has it.
        call: what stands in for it when the file calls it, or None if it may only be mentioned.
        item: an element type of arrays, if that is what the name stands for.
    """

    name: str
    call: Callable[..., object] | None = None
    item: str | None = None


class StandIn:
    """What the machine builds for an object of the file that is no plain container."""

    def set_state(self, state: Any) -> None:
        """Take over the state that the file gives to the object."""
        raise RefusedError(f"gives a state to {type(self).__name__}, which has none")


def hashable(key: Any) -> Any:
    """Return `key` if it is a number, a text, bytes or None: hashing nested tuples can take for ever.

    Raises:
        RefusedError: it is anything else.
    """
    if key is not None and type(key) not in (str, int, float, bool, bytes):
        raise RefusedError(f"uses {kind_of(key)} as a key")
    return key


def kind_of(value: Any) -> str:
    """Return how a message speaks of `value`."""
    return value.name if isinstance(value, Named) else f"a {type(value).__name__}"


def dict_of(items: list[Any]) -> dict:
    """Return the dict of keys and values by turns.

    Raises:
        ValueError: the last key has no value.
        RefusedError: a key is no plain value.
    """
    if len(items) % 2:
        raise ValueError("a key has no value")
    return {hashable(key): value for key, value in zip(items[::2], items[1::2], strict=True)}
