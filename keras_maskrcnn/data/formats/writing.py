"""What the writers of all formats do: records are checked, and what a format cannot say is told."""

import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from keras_maskrcnn.data.records import Record, check_named, check_record

_log = logging.getLogger(__name__)


def checked_records(
    records: Sequence[Record], class_names: Sequence[str], scores: Sequence[np.ndarray | None] | None
) -> Iterator[tuple[Record, np.ndarray | None]]:
    """Yield each record with its scores, after all have been checked: a wrong one leaves nothing half written.

    Raises:
        ValueError: a class id is outside 1..K, a record's own names are in another order, or there are not as many
            scores as objects; the message names the image.
    """
    if scores is not None and len(scores) != len(records):
        raise ValueError(f"scores must be one array for each record; got {len(scores)} for {len(records)}")
    own_scores = [None] * len(records) if scores is None else scores
    for index, own in enumerate(own_scores):
        record = records[index]
        check_record(record, len(class_names), needs_masks=False)
        check_named(record, class_names)
        if own is not None and np.shape(own) != (len(record.boxes),):
            raise ValueError(
                f"{record.name}: scores must be [{len(record.boxes)}], one for each object; got {np.shape(own)}"
            )
    for index, own in enumerate(own_scores):
        yield records[index], own


def tell(target: str | Path, not_said: Counter[str]) -> None:
    """Warn of what a format cannot say, if there is anything: what it is, and how often."""
    if told := [f"{what}: {count}" for what, count in not_said.items() if count]:
        _log.warning("%s: %s", target, "; ".join(told))
