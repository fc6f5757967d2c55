"""How well a config's anchors fit the objects of a dataset, and which would fit more of them.

M objects, boxes in pixels of the network's input image; crowds are left out.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_maskrcnn.config.config import Config
from keras_maskrcnn.data.pipeline.sizes import typical_sizes
from keras_maskrcnn.diagnostics.anchor_matching import (
    ResizedObjects,
    best_overlaps,
    resized_objects,
    trains_none,
)
from keras_maskrcnn.utils.counted import counted

if TYPE_CHECKING:
    from keras_maskrcnn.data.records import Record

SCALES = tuple(2 ** (step / 2) for step in (0, 1, -1, 2, -2, 3, -3, 4, -4))
"""Factors of all anchor sizes that are tried, half octaves apart; of equally good ones the first is taken."""
WORTH_A_CHANGE = 0.01
"""What another choice must match more, as a fraction of the objects."""
USUAL_MATCHED, USUAL_LOST = 0.37, 0.006
"""What `anchor_advice` computes of 619 objects of COCO's val2017 and the default anchors, which are COCO's own."""
FITTING = 0.3
"""Matched fraction of the objects from which anchors fit as well as is usual."""
MANY_LOST = 0.1
"""Fraction of objects that train no anchor from which on something should be changed."""
NEW_ANCHORS = "a pretrained RPN has to learn them anew"
NEW_HEAD = "more anchors per cell: a pretrained RPN's outputs do not fit, and start from random weights"
LARGER_IMAGES = "four times the memory and time"


@dataclasses.dataclass(frozen=True)
class SideBin:
    """The objects of one range of sizes."""

    low: float
    """Square root of the box's area in pixels of the resized image: at least this, and less than `high`."""
    high: float
    objects: int
    matched: float
    """Fraction of them, 0..1, that some anchor overlaps by rpn_positive_iou."""


@dataclasses.dataclass(frozen=True)
class AnchorChoice:
    """Fields of a Config that would match more objects."""

    changes: dict[str, Any]
    """For `dataclasses.replace(config, **changes)`."""
    matched: float
    """As in `AnchorAdvice`, computed with these changes."""
    note: str = ""
    """What it costs."""

    def __str__(self) -> str:
        fields = ", ".join(f"{name}={value!r}" for name, value in self.changes.items())
        return f"{self.matched:.0%} with {fields}" + (f" ({self.note})" if self.note else "")


@dataclasses.dataclass(frozen=True)
class AnchorAdvice:
    """How anchors fit the objects of a dataset; `str(advice)` is a readable report.

    Example:

    ```python
    import numpy as np

    import keras_maskrcnn as km

    image = np.zeros((480, 640, 3), np.uint8)
    records = [
        km.make_record(image, [[20, 30, 20 + 18 * k, 30 + 20 * k]], [1], image_id=f"{k}") for k in range(1, 9)
    ]
    advice = km.anchor_advice(records, km.Config(class_names=("square",)))
    print(advice.verdict, [f"{one.matched:.0%} of {one.objects} from {one.low:g} px" for one in advice.bins])
    ```
    """

    objects: int
    """Crowds not counted."""
    positive_iou: float
    matched: float
    """Fraction of the objects, 0..1, that some anchor overlaps by `positive_iou` or more."""
    lost: float
    """Fraction of the objects, 0..1, that train no anchor at all: none overlaps them by `positive_iou`, and those that
    overlap them most overlap another object more. What is neither matched nor lost trains the anchors that overlap it
    most, whatever their IoU."""
    bins: tuple[SideBin, ...]
    """By size, in octaves; ranges without objects between others are there."""
    choices: tuple[AnchorChoice, ...]
    """What would match more, the smallest changes first, each better than those before it."""

    @property
    def fits(self) -> bool:
        """Whether the anchors match as many objects as is usual, and nearly all train some."""
        return self.matched >= FITTING and self.lost < MANY_LOST

    def best(self, pretrained_rpn: bool = False) -> AnchorChoice | None:
        """Return the choice of other anchors that matches most, None where none is advised.

        With `pretrained_rpn`, for an RPN that starts from weights, anchors that fit stay, and others are as many.
        """
        if pretrained_rpn and self.fits:
            return None
        notes = (NEW_ANCHORS,) if pretrained_rpn else (NEW_ANCHORS, NEW_HEAD)
        return next((choice for choice in reversed(self.choices) if choice.note in notes), None)

    def apply(self, config: Config, pretrained_rpn: bool = False) -> Config:
        """Return the config that the advice is for with the anchors of the best choice, or as it is; see `best`."""
        choice = self.best(pretrained_rpn)
        return config if choice is None else dataclasses.replace(config, **choice.changes)

    @property
    def summary(self) -> str:
        """What was counted, in a sentence."""
        if not self.objects:
            return "Anchors: there are no objects to match"
        weak = 1 - self.matched - self.lost
        return (
            f"Anchors: {self.matched:.0%} of {counted(self.objects, 'object')} overlap one by an IoU of "
            f"{self.positive_iou:g} or more; {weak:.0%} train only those that fit them best, {self.lost:.1%} none"
        )

    @property
    def verdict(self) -> str:
        """Whether that is good enough, beside what is usual."""
        usual = (
            f"of COCO's photographs and anchors these are {USUAL_MATCHED:.0%}, "
            f"{1 - USUAL_MATCHED - USUAL_LOST:.0%} and {USUAL_LOST:.1%}"
        )
        if self.lost >= MANY_LOST:
            return f"Too many objects train no anchor: other anchors or larger images are needed ({usual})"
        if self.fits:
            return f"These anchors fit: keep them ({usual})"
        return (
            "These anchors fit less well than is usual, yet nearly all objects train some: keep them with a pretrained "
            f"RPN, change them if you train from scratch ({usual})"
        )

    def __str__(self) -> str:
        if not self.objects:
            return self.summary
        lines = [
            self.summary,
            f"  {self.verdict}",
            "  side in the resized image, objects, fraction that overlaps an anchor so much:",
        ]
        for one in self.bins:
            fraction = f"{one.matched:.0%}" if one.objects else "-"
            lines.append(f"  {f'{one.low:g}-{one.high:g} px':>12}{one.objects:>9}{fraction:>6}")
        if self.choices:
            lines.append("  what would match more, and what it costs:")
        lines += [f"  {choice}" for choice in self.choices]
        if not self.choices:
            lines.append("  no other anchor_sizes, anchor_ratios or min_size that were tried match more")
        return "\n".join(lines)


def anchor_advice(records: Sequence[Record], config: Config) -> AnchorAdvice:
    """Compare objects with a config's anchors, and with others that could be had.

    An anchor learns an object that it overlaps by config.rpn_positive_iou or more; an object without such an anchor
    has only those that overlap it most, if these overlap no other object more (Faster R-CNN, section 3.1.2). Each
    object is compared with all anchors of its image: at their real places, in the image resized as in training and
    padded alone. With config.train_min_sizes or scale_jitter, each size counts alike, and with crop_size the image is
    cut into crops. `AnchorAdvice.verdict` compares with what is
    usual: 37% of COCO's objects overlap one of COCO's anchors by 0.7, and 0.6% train none.

    Other choices are computed in the same way: all anchor sizes times a factor (`SCALES`); with ratios at quantiles of
    the objects' own; with two sizes per level; and images of twice the size.

    Args:
        records: images with ground truth; no image is read.
        config: says sizes of images and anchors, and rpn_positive_iou.

    Returns:
        The advice, with a verdict, the objects by size, and what else would match more.

    Raises:
        ValueError: there are no records.

    Example:

    ```python
    import numpy as np

    import keras_maskrcnn as km

    image = np.zeros((480, 640, 3), np.uint8)
    records = [
        km.make_record(image, [[20, 30, 20 + 18 * k, 30 + 20 * k]], [1], image_id=f"{k}") for k in range(1, 9)
    ]
    config = km.Config(class_names=("square",))
    advice = km.anchor_advice(records, config)
    print(advice)
    print(advice.apply(config).anchor_sizes)
    ```
    """
    if not len(records):
        raise ValueError("anchor_advice needs records; got none")
    resized = resized_objects(records, config)
    overlaps = best_overlaps(resized, config)
    matched = overlaps.max(axis=1) >= config.rpn_positive_iou
    count = len(matched)
    times = len(typical_sizes(records[0], config))
    return AnchorAdvice(
        objects=count // times,
        positive_iou=config.rpn_positive_iou,
        matched=float(matched.mean()) if count else 0.0,
        lost=float(trains_none(resized, overlaps, config).mean()) if count else 0.0,
        bins=_bins(_sides(resized.boxes), matched, times),
        choices=_choices(records, config, resized, float(matched.mean())) if count else (),
    )


def _sides(boxes: np.ndarray) -> np.ndarray:
    return np.sqrt(np.prod(boxes[:, 2:] - boxes[:, :2], axis=1))


def _bins(sides: np.ndarray, matched: np.ndarray, times: int) -> tuple[SideBin, ...]:
    if not len(sides):
        return ()
    octave = np.floor(np.log2(sides)).astype(int)
    return tuple(
        SideBin(
            low=2.0**number,
            high=2.0 ** (number + 1),
            objects=round((octave == number).sum() / times),
            matched=float(matched[octave == number].mean()) if (octave == number).any() else 0.0,
        )
        for number in range(octave.min(), octave.max() + 1)
    )


def _choices(
    records: Sequence[Record], config: Config, resized: ResizedObjects, matched: float
) -> tuple[AnchorChoice, ...]:
    """Try other fields, those that change least first, and keep what matches clearly more than all before."""
    ratios = {"anchor_ratios": _own_ratios(resized.boxes, len(config.anchor_ratios))}
    groups: list[tuple[str, list[dict[str, Any]]]] = [
        (NEW_ANCHORS, [{"anchor_sizes": _scaled(config, [factor])} for factor in SCALES]),
        (NEW_ANCHORS, [{"anchor_sizes": _scaled(config, [factor]), **ratios} for factor in SCALES]),
        (NEW_HEAD, [{"anchor_sizes": _scaled(config, [factor, factor * 2**0.5])} for factor in SCALES]),
    ]
    found: list[AnchorChoice] = []
    for note, group in groups:
        choices = [
            AnchorChoice(changes, _matched_fraction(resized, config, changes), note) for changes in group
        ]
        found.append(max(choices, key=lambda choice: choice.matched))
    larger = _larger_images(config)
    objects = resized_objects(records, dataclasses.replace(config, **larger))
    found.append(AnchorChoice(larger, _matched_fraction(objects, config, larger), LARGER_IMAGES))
    kept: list[AnchorChoice] = []
    for choice in found:
        if choice.matched >= matched + WORTH_A_CHANGE:
            kept.append(choice)
            matched = choice.matched
    return tuple(kept)


def _matched_fraction(objects: ResizedObjects, config: Config, changes: dict[str, Any]) -> float:
    overlaps = best_overlaps(objects, dataclasses.replace(config, **changes))
    return float((overlaps.max(axis=1) >= config.rpn_positive_iou).mean())


def _scaled(config: Config, factors: Sequence[float]) -> tuple[tuple[int, ...], ...]:
    return tuple(
        tuple(max(1, round(size * factor)) for size in sizes for factor in factors)
        for sizes in config.anchor_sizes
    )


def _own_ratios(boxes: np.ndarray, count: int) -> tuple[float, ...]:
    """The ratios in the middle of `count` equally large parts of the objects."""
    logs = np.log((boxes[:, 3] - boxes[:, 1]) / (boxes[:, 2] - boxes[:, 0]))
    middles = np.quantile(logs, (np.arange(count) + 0.5) / count)
    return tuple(round(float(ratio), 2) or 0.01 for ratio in np.exp(middles))


def _larger_images(config: Config) -> dict[str, Any]:
    changes: dict[str, Any] = {"min_size": 2 * config.min_size, "max_size": 2 * config.max_size}
    if config.image_scale:
        changes = {"image_scale": 2 * config.image_scale}
    if config.crop_size:
        changes["crop_size"] = 2 * config.crop_size
    if config.train_min_sizes:
        changes["train_min_sizes"] = tuple(2 * size for size in config.train_min_sizes)
    return changes
