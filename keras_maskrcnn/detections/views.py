"""The views of an image that test-time augmentation detects in: flipped, rotated and scaled, and the way back.

S pixels along a mask's side.
"""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_maskrcnn.config.config import Config

Augment = str | float | Sequence[str | float] | None
"""What `augment` may be: names of ORIENTATIONS, "d4" and scale factors; None is none."""
ORIENTATIONS = {
    "horizontal_flip": (False, False, True),
    "vertical_flip": (False, True, False),
    "rotate90": (True, True, False),
    "rotate180": (False, True, True),
    "rotate270": (True, False, True),
    "transpose": (True, False, False),
    "transverse": (True, True, True),
}
"""The other seven ways in which an image can lie: whether it is transposed, then flipped in y, then in x. Rotations are
counter-clockwise, as `numpy.rot90`."""
ALL_ORIENTATIONS = "d4"
"""The name of all of them, after the dihedral group of the square."""


@dataclasses.dataclass(frozen=True)
class View:
    """One augmented image of an image: transposed, then flipped; and how much larger than usual it is resized."""

    transpose: bool = False
    flip_y: bool = False
    flip_x: bool = False
    scale: float = 1.0

    def config(self, config: Config) -> Config:
        """Return the config by which the augmented image is resized."""
        if self.scale == 1:
            return config
        if config.image_scale:
            return dataclasses.replace(config, image_scale=config.image_scale * self.scale)
        sizes = {name: round(getattr(config, name) * self.scale) for name in ("min_size", "max_size")}
        return dataclasses.replace(config, **sizes)

    def image(self, image: np.ndarray) -> np.ndarray:
        """Return the augmented image of `[H, W, C]`, not yet resized."""
        if self.transpose:
            image = image.swapaxes(0, 1)
        return image[:: -1 if self.flip_y else 1, :: -1 if self.flip_x else 1]

    def boxes(self, boxes: np.ndarray, size: tuple[int, int]) -> np.ndarray:
        """Return where boxes `[N, 4]` of an image of (height, width) lie in the augmented one."""
        height, width = size
        if self.transpose:
            boxes, height, width = boxes[:, [1, 0, 3, 2]], width, height
        return self._flipped(boxes, height, width)

    def original_boxes(self, boxes: np.ndarray, size: tuple[int, int]) -> np.ndarray:
        """Return the boxes that lie at `boxes [N, 4]` of the augmented image of one of (height, width)."""
        height, width = size[::-1] if self.transpose else size
        boxes = self._flipped(boxes, height, width)
        return boxes[:, [1, 0, 3, 2]] if self.transpose else boxes

    def original_masks(self, masks: np.ndarray) -> np.ndarray:
        """Return masks `[N, S, S]`, predicted in boxes of the augmented image, in those of the image."""
        masks = masks[:, :: -1 if self.flip_y else 1, :: -1 if self.flip_x else 1]
        return masks.swapaxes(1, 2) if self.transpose else masks

    def _flipped(self, boxes: np.ndarray, height: int, width: int) -> np.ndarray:
        x1, y1, x2, y2 = boxes.T
        if self.flip_x:
            x1, x2 = width - x2, width - x1
        if self.flip_y:
            y1, y2 = height - y2, height - y1
        return np.stack([x1, y1, x2, y2], axis=1)


def make_views(augment: Augment) -> tuple[View, ...]:
    """Return the views that `augment` of `MaskRCNN.detect` asks for, the image as it is first.

    They are the image as it is and each orientation that is named, at the usual scale and each scale that is named.

    Raises:
        ValueError: a name is not known, a scale is not a finite number above 0, or one is given twice.
    """
    if augment is None:
        return (View(),)
    entries = [augment] if isinstance(augment, (str, int, float)) else list(augment)
    orientations, scales = [(False, False, False)], [1.0]
    for entry in entries:
        if isinstance(entry, str):
            new = list(ORIENTATIONS.values()) if entry == ALL_ORIENTATIONS else [_orientation(entry)]
            _refuse_repeated(entry, new, orientations)
            orientations += new
        else:
            scale = _scale(entry)
            _refuse_repeated(entry, [scale], scales)
            scales.append(scale)
    return tuple(View(*orientation, scale) for scale in scales for orientation in orientations)


def _orientation(name: str) -> tuple[bool, bool, bool]:
    if name not in ORIENTATIONS:
        known = ", ".join((*ORIENTATIONS, ALL_ORIENTATIONS))
        raise ValueError(f"augment takes {known} and scales like 1.5; got {name!r}")
    return ORIENTATIONS[name]


def _scale(value: Any) -> float:
    number = isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)
    if not number or not 0 < value < math.inf:
        raise ValueError(f"augment takes names and scales, finite numbers above 0; got {value!r}")
    return float(value)


def _refuse_repeated(entry: Any, new: list[Any], known: list[Any]) -> None:
    if any(value in known for value in new):
        raise ValueError(
            f"augment has {entry!r} twice: the image as it is, at scale 1, is always detected in"
        )


def check_views(views: Sequence[View], config: Config) -> None:
    """Raise a ValueError unless a model of this config can detect in augmented images such as these."""
    if len(views) > 1 and config.keypoint_names:
        raise ValueError("augment is for boxes and masks; this model detects keypoints")
    for view in views:
        if view.scale == 1:
            continue
        if config.square:
            raise ValueError(
                f"augment={view.scale:g}: images of this model are resized to a square of max_size "
                f"{config.max_size} (Config.square), at no other scale"
            )
        if not config.image_scale and round(config.min_size * view.scale) < 1:
            raise ValueError(f"augment={view.scale:g} leaves nothing of min_size {config.min_size}")
