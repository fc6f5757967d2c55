"""A lower bound of a network's weights, computed from its Config alone."""

from keras_maskrcnn.config.config import Config
from keras_maskrcnn.network.network import feature_channels


def least_weights(config: Config) -> int:
    """Return a number of weights that the network of a config has at least, without making any of them.

    Counted are the kernels of the pyramid, of the RPN and of all heads, not those of the backbone: it may be custom.
    """
    channels = feature_channels(config)
    pyramid = 4 * 9 * channels**2 if config.architecture == "fpn" else 0
    stages = 1 + len(config.cascade_ious)
    return pyramid + _rpn(config, channels) + stages * _box_head(config, channels) + _others(config, channels)


def _rpn(config: Config, channels: int) -> int:
    hidden = config.rpn_channels or channels
    anchors = len(config.anchor_sizes[0]) * len(config.anchor_ratios)
    return _convs(config.rpn_convs, channels, hidden) + 5 * anchors * hidden


def _box_head(config: Config, channels: int) -> int:
    outputs = config.num_classes + 1 + 4 * (1 if config.class_agnostic_boxes else config.num_classes)
    if config.architecture == "c4":  # no layers between res5 and the predictors
        return channels * outputs
    convs = _convs(config.box_convs, channels, config.fpn_channels)
    width = config.fpn_channels if config.box_convs else channels
    if not config.box_fcs:
        return convs + width * outputs
    hidden = config.box_head_channels
    return convs + hidden * (config.box_pool_size**2 * width + (config.box_fcs - 1) * hidden + outputs)


def _others(config: Config, channels: int) -> int:
    count = 0
    if config.mask_head == "fcn" and config.architecture != "c4":
        count += _convs(config.mask_convs, channels, config.mask_head_channels)
    if config.mask_head == "fcn":
        count += 4 * config.mask_head_channels * min(config.mask_head_channels, channels)
    if config.mask_head == "mlp":
        count += config.box_head_channels * (config.mask_pool_size**2 + config.box_head_channels)
    if config.keypoint_names:
        count += _convs(config.keypoint_convs, channels, config.keypoint_head_channels)
    return count


def _convs(number: int, channels: int, hidden: int) -> int:
    """The kernels of 3x3 convolutions in a row."""
    return 9 * hidden * (channels + (number - 1) * hidden) if number else 0
