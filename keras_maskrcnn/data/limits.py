"""Images with more objects than a config lets be found in one."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from keras_maskrcnn.config.config import Config
from keras_maskrcnn.utils.counted import counted

if TYPE_CHECKING:
    from keras_maskrcnn.data.records import Record

ROOM = 1.25
"""Room for how many times the objects of the fullest image: others may be fuller, and some detections are wrong."""
_STEP = 10
"""What the advice is rounded up to a multiple of."""


@dataclasses.dataclass(frozen=True)
class LimitAdvice:
    """How many objects images have, beside the config's limit of detections; `str(advice)` says it in a sentence.

    Example:

    ```python
    import numpy as np

    import keras_maskrcnn as km

    boxes = [[8 * n, 4, 8 * n + 6, 10] for n in range(12)]
    record = km.make_record(np.zeros((32, 96, 3), np.uint8), boxes, [1] * 12, image_id="full")
    advice = km.limit_advice([record], km.Config(class_names=("cell",), max_detections=10))
    print(advice.beyond, advice.changes)  # 2 {'max_detections': 20}
    print(advice)
    ```
    """

    limit: int
    """The config's max_detections."""
    most: int
    """Objects of the fullest image; crowds are not counted anywhere here."""
    image: str
    """Its name."""
    images: int
    """How many have more objects than the limit."""
    objects: int
    """Of all images."""
    beyond: int
    """Objects that cannot be found, however good the model is."""
    changes: dict[str, Any]
    """Fields of a Config with room for all, for `dataclasses.replace(config, **changes)`; empty where there is room."""

    def apply(self, config: Config) -> Config:
        """Return the config with room for all objects of these images."""
        return dataclasses.replace(config, **self.changes)

    @property
    def advised(self) -> str:
        """The changes as they are written in Python."""
        return ", ".join(f"{name}={value}" for name, value in self.changes.items())

    def __str__(self) -> str:
        if not self.images:
            return f"no image has more than {counted(self.most, 'object')}; max_detections is {self.limit}"
        return f"{self.image}: {self.reason}"

    @property
    def reason(self) -> str:
        """What is to be said of the fullest image, without its name."""
        return (
            f"of {counted(self.most, 'object')} at most {self.limit} (max_detections) can be found; "
            f"{counted(self.images, 'image')} in all {'has' if self.images == 1 else 'have'} more than that, and "
            f"{self.beyond} of {counted(self.objects, 'object')} are out of reach; {self.advised} has room for them"
        )


def limit_advice(records: Sequence[Record], config: Config) -> LimitAdvice:
    """Compare the number of objects in images with the number of detections that a config allows.

    `max_detections` is advised to be 1.25 times the objects of the fullest image, rounded up to a multiple of 10, and
    numbers of proposals below that are raised to it. Training needs no more: it samples anchors and proposals at
    random, so that the objects of full images take turns.

    Args:
        records: images with ground truth; no image is read.
        config: of the model.

    Returns:
        The advice.

    Raises:
        ValueError: there are no records.

    Example:

    ```python
    import numpy as np

    import keras_maskrcnn as km

    boxes = [[8 * n, 4, 8 * n + 6, 10] for n in range(12)]
    record = km.make_record(np.zeros((32, 96, 3), np.uint8), boxes, [1] * 12, image_id="full")
    config = km.Config(class_names=("cell",), max_detections=10)
    config = km.limit_advice([record], config).apply(config)
    print(config.max_detections)  # 20
    ```
    """
    if not len(records):
        raise ValueError("limit_advice needs records; got none")
    rows = (records[index] for index in range(len(records)))
    return advice_of_counts(((row.name, int((~row.crowd).sum())) for row in rows), config)


def advice_of_counts(counts: Iterable[tuple[str, int]], config: Config) -> LimitAdvice:
    """Return the advice for images of which the names and the numbers of objects are known, at least one."""
    rows = list(counts)
    limit = config.max_detections
    image, most = max(rows, key=lambda row: row[1])
    beyond = [count - limit for _, count in rows if count > limit]
    return LimitAdvice(
        limit=limit,
        most=most,
        image=image,
        images=len(beyond),
        objects=sum(count for _, count in rows),
        beyond=sum(beyond),
        changes=_changes(most, config) if beyond else {},
    )


def _changes(most: int, config: Config) -> dict[str, Any]:
    room = _STEP * math.ceil(ROOM * most / _STEP)
    proposals = {
        name: room for name in ("post_nms_top_k", "post_nms_top_k_train") if getattr(config, name) < room
    }
    return {"max_detections": room, **proposals}
