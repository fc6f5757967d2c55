"""What is known of a published file of weights."""

import dataclasses
from pathlib import Path
from typing import Literal

from keras_maskrcnn.config.config import Config


@dataclasses.dataclass(frozen=True)
class Preset:
    """A published file of weights, and the model that it belongs to.

    Attributes:
        name: what its publishers call it.
        config: the model as it was published, with its conventions and its recipe's rules of training.
        source: whose names its tensors have.
        url: of the file; "" if it comes with this package.
        hash: the algorithm and how its hash of the file begins, such as "sha256:bf2d0c1e"; "" where none is published.
        size: of the file in MiB; None where it is not published.
        licence: of the weights, as published; "unknown" where it is not.
        dataset: what it was trained on. A classifier of "ImageNet" is a backbone to start training from.
        parity: how far it was shown, without the published weights, that the model is the published one. "kit": every
            stage computes what the original code computes with the same randomly generated weights; "names": the names
            and shapes of its tensors are those that the original code makes; "none": neither, or there is
            no other code.
        box_ap: published average precision of boxes, 0..100, on the validation images of its dataset; None without.
        mask_ap: of masks.
        keypoint_ap: of keypoints.
        published: where these metrics are published; "" of a file that comes with this package, whose `card` has them.
        evaluated_above: the score threshold, 0..1, that they were measured with; None is the config's.

    Example:
        ```python
        import dataclasses

        import keras_maskrcnn as km

        published = km.list_pretrained()["maskrcnn_resnet50_fpn_coco"]
        print(published.box_ap, published.mask_ap, published.config.num_classes)
        elsewhere = dataclasses.replace(published, url="https://example.org/weights.pth")  # for km.load_pretrained
        print(elsewhere.file_name)  # weights.pth
        ```
    """

    name: str
    config: Config
    source: Literal["keras_maskrcnn", "torchvision", "detectron2", "mmdet", "matterport"]
    url: str
    hash: str = ""
    size: float | None = None
    licence: str = "unknown"
    dataset: str = "COCO"
    parity: Literal["kit", "names", "none"] = "none"
    box_ap: float | None = None
    mask_ap: float | None = None
    keypoint_ap: float | None = None
    published: str = ""
    evaluated_above: float | None = None

    @property
    def is_backbone(self) -> bool:
        """Whether the file holds a classifier, of which a detector uses the backbone."""
        return self.dataset == "ImageNet"

    @property
    def packaged_file(self) -> Path | None:
        """The file, if it comes with this package."""
        file = Path(__file__).with_name(f"{self.name}.safetensors")
        return file if not self.url and file.is_file() else None

    @property
    def card(self) -> str:
        """What a file that comes with this package was trained on and is good for, in Markdown; "" for others."""
        file = self.packaged_file
        return "" if file is None else file.with_suffix(".md").read_text(encoding="utf-8")

    @property
    def file_name(self) -> str:
        """The published name of the file."""
        return self.url.rsplit("/", 1)[-1] if self.packaged_file is None else self.packaged_file.name
