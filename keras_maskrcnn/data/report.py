"""What a reader of annotations found, and what it left out."""

import dataclasses
from collections.abc import Sequence
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
    with_keypoints: int = 0
    """Objects of which at least one keypoint is labelled."""
    unusable: dict[str, list[Any]] = dataclasses.field(default_factory=dict)
    """Annotation ids, or names like "region 2 of a.jpg", of the objects left out, by the reason why."""
    category_ids: list[int] = dataclasses.field(default_factory=list)
    """[K]: the file's own id of each class, for writing results; classes that the file lacks get, in their order,
    the next ids above its largest."""
    keypoint_names: tuple[str, ...] = ()
    """[J]: what the file calls an object's keypoints, ready for `Config.keypoint_names`; empty where it has none or
    does not name them."""
    notes: list[str] = dataclasses.field(default_factory=list)

    def __str__(self) -> str:
        counts = (
            f"{self.images} images ({self.empty_images} without objects), "
            f"{self.objects} objects ({self.crowds} crowds)"
        )
        if self.with_keypoints:
            counts += f", {self.with_keypoints} with keypoints"
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
        points = [record.keypoints for record in records if record.keypoints is not None]
        report.with_keypoints = sum(int((p[..., 2] > 0).any(axis=1).sum()) for p in points)


def check_keypoint_names(records: Sequence[Record], names: Sequence[str]) -> None:
    """Check that records that know the names of their keypoints, as `load_coco`'s do, agree with a config's.

    Raises:
        ValueError: they are other names, or in another order.
    """
    found = records.report.keypoint_names if isinstance(records, Records) else ()
    if found and names and list(found) != list(names):
        raise ValueError(
            f"the records' keypoints are {', '.join(found)}; Config.keypoint_names says {', '.join(names)}"
        )


def _listed(ids: list[Any]) -> str:
    noun = "" if all(isinstance(one, str) for one in ids) else "annotation "
    shown = ", ".join(map(str, ids[:_IDS_SHOWN]))
    return f"{noun}{shown}" + (", ..." if len(ids) > _IDS_SHOWN else "")
