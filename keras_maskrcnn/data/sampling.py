"""Images of rare classes, seen more often."""

import dataclasses
import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_maskrcnn.data.records import Record
from keras_maskrcnn.data.report import Records


def repeat_factor_sampling(records: Sequence[Record], threshold: float, seed: int = 0) -> Sequence[Record]:
    """Repeat the images of rare classes, as the baselines of LVIS do (Gupta et al. 2019).

    A class c in the fraction f(c) of all images asks for r(c) = max(1, sqrt(threshold / f(c))) times as many, and an
    image comes as often as its rarest class asks: r = max of r(c) over its classes. Of a fraction the seed decides
    once, so that every epoch is as long as the other and a resumed run continues exactly. Crowds are ignored.

    Args:
        records: a list or any sequence of N records; each is read once, and again whenever it is used.
        threshold: fraction of images, 0..1, below which a class is rare; 0.001 for LVIS.
        seed: an integer from 0, by which fractions are rounded up or down.

    Returns:
        A sequence of the same records, some of them several times in a row, for `make_dataset`. A list stays a list,
        and keeps its `report`.

    Raises:
        ValueError: there are no records, or the threshold is not in 0..1.

    Example:
        ```python
        import keras_maskrcnn as km
        import numpy as np

        image = np.zeros((40, 60, 3), np.uint8)
        classes = [1] * 9 + [2]  # class 2 is in a tenth of the images
        records = [
            km.make_record(image, boxes=[[10, 5, 30, 35]], class_ids=[k], image_id=i) for i, k in enumerate(classes)
        ]
        repeated = km.repeat_factor_sampling(records, threshold=0.4)
        print(len(repeated), sum(record.class_ids[0] == 2 for record in repeated))  # 11 2
        ```
    """
    if not len(records) or not 0 <= threshold <= 1:
        raise ValueError(
            f"repeat_factor_sampling needs records and a threshold in 0..1; got {len(records)} and {threshold}"
        )
    factors = np.array(repeat_factors([_classes(records[i]) for i in range(len(records))], threshold))
    times = np.floor(factors + np.random.default_rng(seed).random(len(factors))).astype(int)
    chosen = np.repeat(np.arange(len(records)), times)
    if not isinstance(records, (list, tuple)):
        return _Chosen(records, chosen)
    repeated = [records[int(i)] for i in chosen]
    return (
        Records(repeated, dataclasses.replace(records.report)) if isinstance(records, Records) else repeated
    )


def repeat_factors(classes: Sequence[set[int]], threshold: float) -> list[float]:
    """Return how often each image, given by the set of its classes, should come; 1 or more."""
    images_of = Counter(class_id for of_image in classes for class_id in of_image)
    rate = {c: max(1.0, math.sqrt(threshold * len(classes) / count)) for c, count in images_of.items()}
    return [max([1.0, *(rate[class_id] for class_id in of_image)]) for of_image in classes]


def _classes(record: Record) -> set[int]:
    return set(record.class_ids[~record.crowd].tolist())


class _Chosen(Sequence[Record]):
    """The records at some indices, each read when it is asked for."""

    def __init__(self, records: Sequence[Record], indices: np.ndarray) -> None:
        self.records, self.indices = records, indices

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, index: Any) -> Any:
        return self.records[int(self.indices[index])]
