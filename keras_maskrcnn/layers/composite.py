"""A layer that is made of layers."""

from typing import Any

import keras


class Composite(keras.layers.Layer):
    """A layer whose weights are those of its layers, which build themselves when it calls them first.

    Keras would else trace `call` to build it and trace it again to run it, at every depth anew: three times the work
    for the convolutions of a ResNet's blocks.
    """

    def build(self, input_shape: Any) -> None:
        """Nothing is left to build."""
