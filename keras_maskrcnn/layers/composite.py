"""A layer that is made of layers."""

import abc
from collections.abc import Iterable
from typing import Any

import keras

Shape = tuple[int | None, ...]


class Composite(keras.layers.Layer, abc.ABC):
    """A layer whose weights are those of its layers, which its `build` makes without running them.

    Keras would else trace `call` to build it and trace it again to run it, at every depth anew: three times the work
    for the convolutions of a ResNet's blocks. Layers are built in the order in which they run, so that each draws the
    random numbers that it would draw if it were.
    """

    @abc.abstractmethod
    def build(self, input_shape: Any) -> None:
        """Build all layers for inputs of this shape."""


def build_flat(flatten: Any, shape: Shape) -> Shape:
    """Build a layer that returns `[N, C]`, and return that shape: Keras wants layers without weights built too."""
    flatten.build(shape)
    return flatten.compute_output_shape(shape)


def build_in_turn(convolutions: Iterable[Any], shape: Shape) -> Shape:
    """Build convolutions of which each takes the outputs of the one before it.

    Args:
        convolutions: layers that pad by half a kernel, with `strides` and `filters`.
        shape: `[B, H, W, I]` of the inputs of the first.

    Returns:
        `[B, H', W', O]` of the outputs of the last.
    """
    for one in convolutions:
        one.build(shape)
        batch, *sides, _ = shape
        shape = (batch, *(side and -(-side // one.strides) for side in sides), one.filters)
    return shape
