"""Weights of ImageNet classifiers, from which the training of a detector starts."""

import re
from collections.abc import Mapping

import numpy as np

from keras_maskrcnn.network.network import Network
from keras_maskrcnn.weights.sources import detectron2, torchvision
from keras_maskrcnn.weights.sources.table import load_weights

IGNORED = {
    "torchvision": ("fc.*", "*.num_batches_tracked"),
    "detectron2": (
        *("fc1000_*", "pred_*", "stem.fc.*"),
        *("conv1_b", "*_momentum", "*.num_batches_tracked"),
    ),
}
"""The classifier itself; counters; what Caffe2's optimizer kept; a bias in front of a batch norm, which Detectron2
does not use either."""

BRANCHES = {"1": "shortcut", "2a": "conv1", "2b": "conv2", "2c": "conv3"}
CAFFE2 = re.compile(
    r"(?:(?:res_)?(?P<stem>conv1)|res(?P<block>\d_\d+)_branch(?P<branch>1|2[abc]))_(?P<rest>\w+)"
)
CAFFE2_ENDINGS = {"w": "weight"} | {
    f"{norm}_{ending}": f"norm.{name}"
    for norm in ("bn", "gn")
    for name, endings in {
        "weight": ("s", "gamma"),
        "bias": ("b", "beta"),
        "running_mean": ("rm", "running_mean"),
        "running_var": ("riv", "running_var"),
    }.items()
    for ending in endings
}


def load_backbone(network: Network, state: Mapping[str, np.ndarray], source: str) -> tuple[str, ...]:
    """Set the ResNet of `network` from a classifier's weights, all of it or, if an error is raised, nothing.

    A "c4" model's res5 is the classifier's. The classifier sees what it was trained with only if the config says
    so: torchvision's are for RGB with the default mean and std and have the stride in the 3x3 convolution;
    Detectron2's of MSRA and FAIR are for BGR (`bgr=True`), MSRA's without std (`pixel_std` of ones) and with
    `stride_in_1x1=True`.

    Args:
        network: with batch norm in its backbone, or with group norm for such a classifier.
        state: the file's tensors by name.
        source: "torchvision" for its .pth files, "detectron2" for the .pkl files of Detectron2's model zoo, whether
            their names are Caffe2's or its own.

    Returns:
        The names of the layers that are left as they were.

    Raises:
        ValueError: the source is unknown, or the weights are not those of this ResNet; the message lists why.
    """
    layers = [network.backbone] + ([network.res5] if network.res5 is not None else [])
    stages = network.backbone.stages + ([network.res5.blocks] if network.res5 is not None else [])
    if source == "torchvision":
        tensors, entries = dict(state), torchvision.resnet(network.backbone.stem, stages, "")
    elif source == "detectron2":
        tensors, entries = _detectron2_names(state), detectron2.resnet(network.backbone.stem, stages, "")
    else:
        raise ValueError(f'source must be "torchvision" or "detectron2"; got {source!r}')
    weights = [weight for layer in layers for weight in layer.weights]
    load_weights(list(entries), tensors, weights, IGNORED[source])
    return tuple(layer.name for layer in network.layers if layer not in layers)


def _detectron2_names(state: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    renamed = {}
    for key, array in state.items():
        match = CAFFE2.fullmatch(key)
        ending = CAFFE2_ENDINGS.get(match["rest"]) if match else None
        if match is None or ending is None:
            renamed[key] = array
            continue
        at = (
            "stem.conv1"
            if match["stem"]
            else f"res{match['block'].replace('_', '.')}.{BRANCHES[match['branch']]}"
        )
        renamed[f"{at}.{ending}"] = array
        if match["rest"] == "bn_s":  # some files have folded the statistics into scale and bias
            renamed.setdefault(f"{at}.norm.running_mean", np.zeros_like(array))
            renamed.setdefault(f"{at}.norm.running_var", np.ones_like(array))
    return renamed
