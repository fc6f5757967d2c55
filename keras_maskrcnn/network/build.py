"""Makes the weights of a network without running it: a graph of all its layers takes seconds, and is not needed."""

import math

import keras

from keras_maskrcnn.layers.composite import Shape
from keras_maskrcnn.layers.resnet import ResNet
from keras_maskrcnn.network.backbone import LEVELS
from keras_maskrcnn.network.network import Network


def build_network(network: Network) -> list[keras.Variable]:
    """Build every layer of a network, in the order in which training runs them: so they draw their random numbers.

    A backbone that was given was built when it was checked.

    Returns:
        The weights of the layers that were built here.
    """
    config = network.config
    if not network.backbone.built:
        network.backbone.build((None, None, None, config.channels))
    maps: dict[str, Shape] = {
        level: (None, None, None, channels) for level, channels in _taken_channels(network).items()
    }
    if network.fpn is not None:
        network.fpn.build(maps)
        maps = {"P2": (None, None, None, config.fpn_channels)}
    network.rpn_head.build(maps)
    (channels,) = {shape[-1] for shape in maps.values()}
    if network.res5 is not None:
        network.res5.build((None, config.box_pool_size, config.box_pool_size, channels))
    for head in network.box_heads:
        head.build(_pooled_shape(network, config.box_pool_size, channels))
    for roi_head in network.roi_heads:
        roi_head.layer.build(_pooled_shape(network, roi_head.pool_size(config), channels))
    for loss in network.losses_by_name.values():
        loss.build(())
    built = network.layers[1:] if network.has_custom_backbone else network.layers
    return [variable for layer in built for variable in layer.variables]


def _taken_channels(network: Network) -> dict[str, int]:
    """Return the channels of the levels that are taken of the backbone."""
    config, backbone = network.config, network.backbone
    if isinstance(backbone, ResNet):
        found = backbone.channels
    else:
        outputs = backbone(keras.KerasTensor((1, 128, 128, config.channels)))
        found = {level: x.shape[-1] for level, x in outputs.items()}
    return {level: found[level] for level in LEVELS[config.architecture]}


def _pooled_shape(network: Network, size: int, channels: int | None) -> Shape:
    """Return what a head is given of boxes that are pooled into `size` x `size` bins."""
    if network.res5 is None:
        return None, size, size, channels
    first, *_, last = network.res5.blocks
    side = math.ceil(size / first.strides)
    return None, side, side, last.filters
