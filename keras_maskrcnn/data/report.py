"""What a reader of annotations found, and what it left out."""

import dataclasses
from typing import Any

from keras_maskrcnn.data.records import Record
from keras_maskrcnn.utils.display import printable

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
    with_keypoints: int = 0
    """Objects of which at least one keypoint is labelled."""
    unusable: dict[str, list[Any]] = dataclasses.field(default_factory=dict)
    """Annotation ids, or names like "region 2 of a.jpg", of the objects left out, by the reason why."""
    category_ids: list[int] = dataclasses.field(default_factory=list)
    """[K]: the file's own id of each class, for writing results; classes that the file lacks get, in their order,
    the next ids above its largest."""
    class_names: tuple[str, ...] = ()
    """[K]: the classes in the order of their ids."""
    keypoint_names: tuple[str, ...] = ()
    """[J]: what the file calls an object's keypoints, ready for `Config.keypoint_names`; empty where it has none or
    does not name them."""
    notes: list[str] = dataclasses.field(default_factory=list)
    warnings: list[str] = dataclasses.field(default_factory=list)
    """What was read but hardly means what it says; `check_dataset` reports it."""

    def __str__(self) -> str:
        counts = (
            f"{self.images} images ({self.empty_images} without objects), "
            f"{self.objects} objects ({self.crowds} crowds)"
        )
        if self.with_keypoints:
            counts += f", {self.with_keypoints} with keypoints"
        left_out = [
            f"left out: {len(ids)} with {why} ({listed_ids(ids)})" for why, ids in self.unusable.items()
        ]
        return printable("; ".join([counts, *left_out, *self.notes, *self.warnings]))


class Records(list[Record]):
    """A list of records with the `report` of how they were read; a slice of it has a report of its own."""

    def __init__(self, records: list[Record], report: LoadReport) -> None:
        super().__init__(records)
        self.report = report
        report.images = len(records)
        report.empty_images = sum(not len(record.boxes) for record in records)
        report.objects = sum(len(record.boxes) for record in records)
        report.crowds = sum(int(record.crowd.sum()) for record in records)
        points = [record.keypoints for record in records if record.keypoints is not None]
        report.with_keypoints = sum(int((p[..., 2] > 0).any(axis=1).sum()) for p in points)

    def __getitem__(self, index: Any) -> Any:
        """Return a record, or of a slice `Records`, with the names but not with what the whole left out."""
        if not isinstance(index, slice):
            return super().__getitem__(index)
        return Records(
            super().__getitem__(index), dataclasses.replace(self.report, unusable={}, notes=[], warnings=[])
        )

    @property
    def class_names(self) -> tuple[str, ...]:
        """[K]: the classes in the order of their ids."""
        return self.report.class_names

    @property
    def keypoint_names(self) -> tuple[str, ...]:
        """[J]: what an object's keypoints are called; empty where nobody said it."""
        return self.report.keypoint_names


def listed_ids(ids: list[Any]) -> str:
    """Name a few of many annotations, of which readers without ids have names like "region 2 of a.jpg"."""
    noun = "" if all(isinstance(one, str) for one in ids) else "annotation "
    shown = ", ".join(map(str, ids[:_IDS_SHOWN]))
    return f"{noun}{shown}" + (", ..." if len(ids) > _IDS_SHOWN else "")
