"""ImageNet classifiers, whose backbones training starts from: torchvision's, and those that Detectron2 publishes."""

import dataclasses
from typing import Any

from keras_maskrcnn.config.config import Config
from keras_maskrcnn.presets import detectron2, torchvision
from keras_maskrcnn.presets.preset import Preset

# The one class takes the place of those that `load_pretrained` is given.
PLAIN = Config(class_names=("object",))
MSRA = dataclasses.replace(detectron2.MASK, class_names=("object",))
X50: dict[str, Any] = {"groups": 32, "group_width": 4}
X101: dict[str, Any] = {"depth": 101, "groups": 32, "group_width": 8}
X101_64: dict[str, Any] = {"depth": 101, "groups": 64, "group_width": 4}
V2 = "_v2"
"""Of weights that torchvision calls IMAGENET1K_V2: trained longer and with more augmentation, for the same ResNets."""


def _torchvision(name: str, digest: str, size: float, version: str = "", **changes: Any) -> Preset:
    return Preset(
        name=name + version,
        config=dataclasses.replace(PLAIN, **changes),
        source="torchvision",
        url=f"{torchvision.URL}{name}-{digest}.pth",
        hash=f"sha256:{digest}",
        size=size,
        dataset="ImageNet",
        published="https://docs.pytorch.org/vision/stable/models.html",
    )


def _detectron2(path: str, config: Config) -> Preset:
    return Preset(
        name=f"ImageNetPretrained/{path}",
        config=config,
        source="detectron2",
        url=f"{detectron2.URL}ImageNetPretrained/{path}.pkl",
        licence=detectron2.LICENCE,
        dataset="ImageNet",
        published=detectron2.ZOO,
    )


PRESETS = (
    _torchvision("resnet18", "f37072fd", 44.661, depth=18),
    _torchvision("resnet34", "b627a593", 83.275, depth=34),
    _torchvision("resnet50", "0676ba61", 97.781),
    _torchvision("resnet101", "63fe2227", 170.511, depth=101),
    _torchvision("resnext50_32x4d", "7cdf4587", 95.789, **X50),
    _torchvision("resnext101_32x8d", "8ba56ff5", 339.586, **X101),
    _torchvision("resnet152", "394f9c45", 230.434, depth=152),
    _torchvision("resnet50", "11ad3fa6", 97.79, V2),
    _torchvision("resnet101", "cd907fc2", 170.53, V2, depth=101),
    _torchvision("resnet152", "f82ba261", 230.474, V2, depth=152),
    _torchvision("resnext50_32x4d", "1a0047aa", 95.833, V2, **X50),
    _torchvision("resnext101_32x8d", "110c445d", 339.673, V2, **X101),
    _torchvision("resnext101_64x4d", "173b62eb", 319.318, **X101_64),
    _detectron2("MSRA/R-50", MSRA),
    _detectron2("MSRA/R-101", dataclasses.replace(MSRA, **detectron2.R101)),
    _detectron2("FAIR/X-101-32x8d", dataclasses.replace(MSRA, **detectron2.X101)),
)
