"""What is wrong with a dataset as a whole: ids, images and classes within and between training and validation."""

import dataclasses
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from keras_maskrcnn.data.records import Record
from keras_maskrcnn.diagnostics.dataset.issues import Issue
from keras_maskrcnn.utils.counted import counted

FEW = 10
"""A class with fewer objects is hardly learned."""


@dataclasses.dataclass
class Tally:
    """What is counted of one split, record by record."""

    split: str
    refused: frozenset[str | None] = frozenset()
    """Images of which a reader refused something, so that they may have no objects left."""
    images: int = 0
    objects: int = 0
    """Crowds included."""
    crowds: int = 0
    class_counts: Counter[int] = dataclasses.field(default_factory=Counter)
    """Objects of each class id, without crowds."""
    with_keypoints: int | None = None
    """Objects of which a keypoint is labelled, without crowds; None where no object has keypoints, labelled or not."""
    per_image: list[tuple[str, int]] = dataclasses.field(default_factory=list)
    """Name and objects, without crowds, of each image."""
    ids: dict[Any, str] = dataclasses.field(default_factory=dict)
    """Name of the first image with each id."""
    contents: dict[str, str] = dataclasses.field(default_factory=dict)
    """Name of the first image with each `content_key`."""

    def add(self, record: Record, content: str, sound: bool) -> Iterator[Issue]:
        """Count one record, and yield what it has in common with an earlier one, or that it has no objects.

        Args:
            record: to count.
            content: its `content_key`.
            sound: whether its fields fit together; otherwise nothing is known of its objects but their number.
        """
        if record.image_id in self.ids:
            reason = f"its id {record.image_id!r} is that of {self.ids[record.image_id]} too"
            yield Issue("error", "image id twice", reason)
        elif content in self.contents:
            yield Issue("warning", "image twice", f"it is the same image as {self.contents[content]}")
        if not len(record.boxes) and record.name not in self.refused:
            yield Issue("note", "image without objects", "it has no objects, and is trained on as background")
        self.images += 1
        self.objects += len(record.boxes)
        self.ids.setdefault(record.image_id, record.name)
        self.contents.setdefault(content, record.name)
        if not sound:
            return
        self.crowds += int(np.sum(record.crowd))
        self.per_image.append((record.name, int(np.sum(~record.crowd))))
        self.class_counts.update(record.class_ids[~record.crowd].tolist())
        if record.keypoints is not None and len(record.keypoints):
            labelled = (record.keypoints[..., 2] > 0).any(axis=1) & ~record.crowd
            self.with_keypoints = (self.with_keypoints or 0) + int(np.sum(labelled))


def split_issues(tallies: Sequence[Tally], names: Sequence[str], keypoints: bool) -> Iterator[Issue]:
    """Yield what is wrong with the splits, of which the first is trained on and a second validated on.

    Args:
        tallies: of the splits.
        names: of the classes.
        keypoints: whether keypoints are to be learned.
    """
    for tally in tallies:
        if not tally.refused:
            yield from _nothing_to_learn(tally)
        if keypoints and tally.with_keypoints == 0 and tally.objects > tally.crowds:
            reason = "no object has a labelled keypoint: the visibility of all is 0, and the loss will be"
            yield Issue("error", "no labelled keypoints", reason, split=tally.split)
    training = tallies[0]
    if training.objects > training.crowds:
        yield from _rare_classes(training, names)
    for validation in tallies[1:]:
        if validation.objects > validation.crowds:
            yield from _other_classes(training, validation, names)
        for content, name in training.contents.items():
            if content in validation.contents:
                other = validation.contents[content]
                reason = "it is trained on and validated on" + (
                    "" if other == name else f", there as {other}"
                )
                yield Issue("warning", "image in both splits", reason, image=name)


def class_name(class_id: int, names: Sequence[str]) -> str:
    """Return the name of a class, or its id where it has none."""
    return names[class_id - 1] if 1 <= class_id <= len(names) else f"class {class_id}"


def _nothing_to_learn(tally: Tally) -> Iterator[Issue]:
    if not tally.objects:
        yield Issue(
            "error", "no objects", f"none of the {tally.images} images has an object", split=tally.split
        )
    elif tally.objects == tally.crowds:
        reason = (
            f"all {tally.objects} objects are marked as crowds, so there is nothing to learn from; single objects need "
            '"iscrowd": 0, also where their masks are RLE'
        )
        yield Issue("error", "everything is a crowd", reason, count=tally.objects, split=tally.split)


def _rare_classes(training: Tally, names: Sequence[str]) -> Iterator[Issue]:
    for class_id, name in enumerate(names, start=1):
        count = training.class_counts[class_id]
        if not count:
            reason = f"{name} has no object to train on"
            yield Issue("warning", "class without objects", reason, count=0, split=training.split)
        elif count < FEW:
            reason = f"{name} has only {counted(count, 'object')} to train on"
            yield Issue("note", "class with few objects", reason, count=count, split=training.split)


def _other_classes(training: Tally, validation: Tally, names: Sequence[str]) -> Iterator[Issue]:
    """Classes of which one split has objects and the other none."""
    one, other = training.class_counts, validation.class_counts
    for class_id in sorted(one.keys() ^ other.keys()):
        name = class_name(class_id, names)
        if one[class_id]:
            objects = counted(one[class_id], "object")
            reason = f"{name} has {objects} to train on and none to validate on: it will have no AP"
            yield Issue("note", "class not validated", reason, count=one[class_id], split=validation.split)
        else:
            reason = f"{name} has {counted(other[class_id], 'object')} to validate on and none to train on"
            yield Issue("warning", "class not trained", reason, count=other[class_id], split=validation.split)
