"""What is known of a published file of weights."""

import dataclasses
from typing import Literal

from keras_maskrcnn.config.config import Config


@dataclasses.dataclass(frozen=True)
class Preset:
    """A published file of weights, and the model that it belongs to."""

    name: str
    """What its publishers call it."""
    config: Config
    """The model as it was published, with its conventions and its recipe's rules of training."""
    source: Literal["torchvision", "detectron2", "matterport"]
    """Whose names its tensors have."""
    url: str
    hash: str = ""
    """The algorithm and how its hash of the file begins, such as "sha256:bf2d0c1e"; empty where none is published."""
    size: float | None = None
    """Of the file in MiB; None where it is not published."""
    licence: str = "unknown"
    """Of the weights, as published; "unknown" where it is not."""
    dataset: str = "COCO"
    """What it was trained on. A classifier of "ImageNet" is a backbone to start training from."""
    parity: Literal["kit", "names", "none"] = "none"
    """How far it was shown that the model is the published one, which needs no published weights: "kit", every stage
    computes what the original code computes with the same made-up weights; "names", the names and shapes of its tensors
    are those that the original code makes; "none", neither."""
    box_ap: float | None = None
    """Published average precision in %, on the validation images of its dataset; so are the next two."""
    mask_ap: float | None = None
    keypoint_ap: float | None = None
    published: str = ""
    """Where these figures are published."""
    evaluated_above: float | None = None
    """The score threshold that they were measured with, if it is not the config's."""

    @property
    def is_backbone(self) -> bool:
        """Whether the file holds a classifier, of which a detector uses the backbone."""
        return self.dataset == "ImageNet"

    @property
    def file_name(self) -> str:
        """The published name of the file."""
        return self.url.rsplit("/", 1)[-1]
