"""What a reader of annotations found, and what it left out."""

import dataclasses
from typing import Any

from keras_maskrcnn.data.records import Record

_IDS_SHOWN = 5


@dataclasses.dataclass
class LoadReport:
    """Counts of one load; `str(report)` is the line that is logged."""

    images: int = 0
    empty_images: int = 0
    """Images without objects: they train the region proposals on background."""
    objects: int = 0
    """Objects kept, crowds included."""
    crowds: int = 0
    unusable: dict[str, list[Any]] = dataclasses.field(default_factory=dict)
    """Annotation ids of the objects left out, by the reason why."""
    category_ids: list[int] = dataclasses.field(default_factory=list)
    """[K]: the file's own id of each class, for writing results; classes that the file lacks get, in their order,
    the next ids above its largest."""
    notes: list[str] = dataclasses.field(default_factory=list)

    def __str__(self) -> str:
        counts = (
            f"{self.images} images ({self.empty_images} without objects), "
            f"{self.objects} objects ({self.crowds} crowds)"
        )
        left_out = [f"left out: {len(ids)} with {why} ({_listed(ids)})" for why, ids in self.unusable.items()]
        return "; ".join([counts, *left_out, *self.notes])


class Records(list[Record]):
    """A list of records with the `report` of how they were read."""

    def __init__(self, records: list[Record], report: LoadReport) -> None:
        super().__init__(records)
        self.report = report
        report.images = len(records)
        report.empty_images = sum(not len(record.boxes) for record in records)
        report.objects = sum(len(record.boxes) for record in records)
        report.crowds = sum(int(record.crowd.sum()) for record in records)


def _listed(ids: list[Any]) -> str:
    shown = ", ".join(map(str, ids[:_IDS_SHOWN]))
    return f"annotation {shown}" if len(ids) <= _IDS_SHOWN else f"annotation {shown}, ..."
