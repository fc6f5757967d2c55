"""This package's own names for the tensors of its models: the paths of Keras' variables."""

from keras_maskrcnn.network.network import Network
from keras_maskrcnn.weights.sources.table import Entry, refuse_parts

IGNORED: tuple[str, ...] = ()


def table(network: Network) -> list[Entry]:
    """Return the name table of a model of any architecture.

    Raises:
        ValueError: the model has a custom backbone, which no Config can make again.
    """
    refuse_parts("The Config", {"a custom backbone": network.has_custom_backbone})
    return [Entry(weight.path, weight) for layer in network.layers for weight in layer.weights]
