"""Several datasets as one, such as the COCO files of several labelling rounds."""

import dataclasses
import logging
from collections import Counter
from collections.abc import Sequence

import numpy as np

from keras_maskrcnn.data.formats.coco_categories import near_name
from keras_maskrcnn.data.records import Record
from keras_maskrcnn.data.report import LoadReport, Records
from keras_maskrcnn.utils.counted import counted

_log = logging.getLogger(__name__)

Dataset = tuple[Sequence[Record], Sequence[str]]
"""Records and class names, as the loaders return them."""


def join_datasets(
    datasets: Sequence[Dataset], class_names: Sequence[str] | None = None
) -> tuple[Records, list[str]]:
    """Join what loaders returned, of any formats, to one dataset.

    Classes of one name are one class. Images are numbered from 1, in the order given, since files may use the same ids;
    `records.report.category_ids` is 1..K. The report warns of names that differ in case or blanks alone, and of images
    that are in several datasets.

    Args:
        datasets: pairs of records and class names.
        class_names: names and order of the classes, among which those of all datasets must be. Left out: the classes of
            the first dataset in its order, then those of the second that the first does not have, and so on.

    Returns:
        (records, class names), as the loaders do.

    Raises:
        ValueError: there are no datasets, a class is not among class_names, or keypoints differ in number or names; the
            message says of which dataset, counted from 1.

    Example:
        ```python
        import keras_maskrcnn as km
        import numpy as np

        image = np.zeros((40, 60, 3), np.uint8)
        nut = km.make_record(image, boxes=[[10, 5, 30, 35]], class_ids=[1], image_id="a")
        bolt = km.make_record(image, boxes=[[5, 5, 20, 20]], class_ids=[1], image_id="a")
        records, class_names = km.join_datasets([([nut], ["nut"]), ([bolt], ["bolt"])])
        print(class_names, records[1].class_ids, records[1].image_id)  # ['nut', 'bolt'] [2] 2
        ```
    """
    if not datasets:
        raise ValueError("there are no datasets to join")
    every = [list(names) for _, names in datasets]
    joined = list(dict.fromkeys(name for names in every for name in names))
    if class_names is not None:
        _check_known(every, class_names)
        joined = list(class_names)
    points = _keypoint_names(datasets)
    ids = {name: number for number, name in enumerate(joined, start=1)}
    report = LoadReport(
        category_ids=list(ids.values()),
        class_names=tuple(joined),
        keypoint_names=points,
        warnings=_doubts(datasets, joined),
    )
    records: list[Record] = []
    for number, (part, names) in enumerate(datasets, start=1):
        _add_report(report, part, number)
        mapped = np.array([0, *(ids[name] for name in names)], np.int32)
        for index in range(len(part)):
            class_ids = mapped[part[index].class_ids]
            fields = {"class_ids": class_ids, "image_id": len(records) + 1, "class_names": tuple(joined)}
            records.append(dataclasses.replace(part[index], **fields))
    found = Records(records, report)
    level = logging.WARNING if report.warnings else logging.INFO
    _log.log(level, "%s joined: %s", counted(len(datasets), "dataset"), report)
    return found, joined


def _check_known(every: list[list[str]], class_names: Sequence[str]) -> None:
    if len(set(class_names)) < len(class_names):
        raise ValueError(f"class_names has a name twice: {list(class_names)}")
    for number, names in enumerate(every, start=1):
        if unknown := [name for name in names if name not in class_names]:
            raise ValueError(
                f"dataset {number}: its classes {', '.join(unknown)} are not among the class_names "
                f"{', '.join(class_names)}"
            )


def _keypoint_names(datasets: Sequence[Dataset]) -> tuple[str, ...]:
    """The names of the keypoints that all datasets have in common, if any have some."""
    known: tuple[str, ...] = ()
    count = 0
    for number, (records, _) in enumerate(datasets, start=1):
        for index in range(len(records)):
            record = records[index]
            own = 0 if record.keypoints is None else record.keypoints.shape[1]
            if own and count and own != count:
                raise ValueError(
                    f"dataset {number}: {record.name} has {own} keypoints, others before it {count}"
                )
            if record.keypoint_names and known and record.keypoint_names != known:
                raise ValueError(
                    f"dataset {number}: {record.name} has the keypoints {', '.join(record.keypoint_names)}, others "
                    f"before it {', '.join(known)}"
                )
            count, known = own or count, record.keypoint_names or known
    return known


def _doubts(datasets: Sequence[Dataset], class_names: list[str]) -> list[str]:
    """What may be one thing and is not said to be."""
    alike: dict[str, list[str]] = {}
    for name in class_names:
        alike.setdefault(near_name(name), []).append(name)
    doubts = [
        f"classes {' and '.join(map(repr, names))} are nearly the same name"
        for names in alike.values()
        if len(names) > 1
    ]
    files = Counter(
        image
        for records, _ in datasets
        for image in {
            records[index].image for index in range(len(records)) if isinstance(records[index].image, str)
        }
    )
    repeated = [image for image, count in files.items() if count > 1]
    if repeated:
        listed = ", ".join(map(str, repeated[:3])) + (", ..." if len(repeated) > 3 else "")
        doubts.append(f"{counted(len(repeated), 'image')} in several datasets: {listed}")
    return doubts


def _add_report(report: LoadReport, records: Sequence[Record], number: int) -> None:
    """Add what the loading of a dataset has left out and noted."""
    own = records.report if isinstance(records, Records) else LoadReport()
    for why, ids in own.unusable.items():
        named = [one if isinstance(one, str) else f"annotation {one}" for one in ids]
        report.unusable.setdefault(why, []).extend(f"{one} of dataset {number}" for one in named)
    report.notes.extend(f"dataset {number}: {note}" for note in own.notes)
    report.warnings.extend(f"dataset {number}: {warning}" for warning in own.warnings)
