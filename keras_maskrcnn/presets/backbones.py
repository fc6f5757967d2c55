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


def _torchvision(name: str, digest: str, size: float, **changes: Any) -> Preset:
    return Preset(
        name=name,
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
    _detectron2("MSRA/R-50", MSRA),
    _detectron2("MSRA/R-101", dataclasses.replace(MSRA, **detectron2.R101)),
    _detectron2("FAIR/X-101-32x8d", dataclasses.replace(MSRA, **detectron2.X101)),
)
