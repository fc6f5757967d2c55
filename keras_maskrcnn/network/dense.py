"""What is computed on whole images: features, RPN outputs and anchors, and the proposals that they give."""

from typing import Any, NamedTuple

import keras
from keras import KerasTensor, ops

from keras_maskrcnn.config.config import Config
from keras_maskrcnn.layers.inputs import Normalize, Windows
from keras_maskrcnn.layers.rpn import Anchors, Proposals
from keras_maskrcnn.layers.square import CenterInSquare, SquareWindows
from keras_maskrcnn.network.backbone import SINGLE_STRIDE
from keras_maskrcnn.network.network import Network, feature_maps

Tensors = dict[str, KerasTensor]

FPN_STRIDES = (4, 8, 16, 32, 64)
"""Of P2..P6."""


class DenseOutputs(NamedTuple):
    """Features, RPN outputs and anchors, each by level, and the windows.

    `normalized [B, H, W, C]` is what the backbone is given.

    Boxes from here on lie in the network's frame; `windows [B, 4]` are the images' own boxes in it, and proposals may
    reach to `limits [B, 4]`.
    """

    features: Tensors
    logits: Tensors
    deltas: Tensors
    anchors: Tensors
    windows: KerasTensor
    limits: KerasTensor
    normalized: KerasTensor


def image_inputs(config: Config) -> Tensors:
    """Return the inputs of both graphs: `images [B, H, W, C]` float32 raw pixels, `sizes [B, 2]` int32."""
    return {
        "images": keras.Input((None, None, config.channels), dtype="float32", name="images"),
        "sizes": keras.Input((2,), dtype="int32", name="sizes"),
    }


def dense_outputs(network: Network, images: dict[str, Any]) -> DenseOutputs:
    """Run backbone, pyramid and RPN on `images [B, H, W, C]` with `sizes [B, 2]`."""
    config = network.config
    pixels, sizes = images["images"], images["sizes"]
    windows = limits = Windows(name="windows")(sizes)
    if config.square:
        side = config.max_size
        pixels = CenterInSquare(side=side, name="center_in_square")(pixels, sizes)
        windows = SquareWindows(side=side, name="square_windows")(sizes)
        sizes = ops.full_like(sizes, side)  # what surrounds an image is black, not blank
        limits = SquareWindows(side=side, name="square_limits")(sizes)
    normalize = Normalize(mean=config.pixel_mean, std=config.pixel_std, bgr=config.bgr, name="normalize")
    normalized = normalize(pixels, sizes)
    features = feature_maps(network, normalized)
    logits, deltas = network.rpn_head(features)
    anchors = anchor_layer(config)(features, normalized)
    return DenseOutputs(features, logits, deltas, anchors, windows, limits, normalized)


def level_strides(config: Config) -> tuple[int, ...]:
    """Return the image pixels per feature pixel of the levels that have anchors."""
    return FPN_STRIDES if config.architecture == "fpn" else (SINGLE_STRIDE,)


def anchor_layer(config: Config) -> Anchors:
    """Return the layer that lays the anchors."""
    return Anchors(
        sizes=config.anchor_sizes,
        ratios=config.anchor_ratios,
        rounded=config.round_anchors,
        strides=level_strides(config) if config.fixed_anchor_strides else (),
        last_pixel=config.square,
        name="anchors",
    )


def proposal_layer(config: Config, training: bool) -> Proposals:
    """Return the layer that makes proposals of the RPN's outputs."""
    return Proposals(
        pre_nms_top_k=config.pre_nms_top_k_train if training else config.pre_nms_top_k,
        post_nms_top_k=config.post_nms_top_k_train if training else config.post_nms_top_k,
        nms_iou=config.rpn_nms_iou,
        min_size=config.rpn_min_size,
        delta_weights=config.rpn_delta_weights,
        clamp=config.clamp_deltas,
        clamp_shrinking=config.clamp_shrinking,
        joint=config.joint_proposals,
        rank_probabilities=config.rpn_softmax,
        name="proposals",
    )
