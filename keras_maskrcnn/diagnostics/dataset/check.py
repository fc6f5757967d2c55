"""`check_dataset`: everything that can be known of a dataset before a training."""

import collections
import dataclasses
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple

import keras
import numpy as np

from keras_maskrcnn.config.config import Config
from keras_maskrcnn.data.augment.random import composes_images
from keras_maskrcnn.data.checks import has_area
from keras_maskrcnn.data.fields import vanishing
from keras_maskrcnn.data.pipeline.sizes import smallest_size
from keras_maskrcnn.data.records import Record, check_names, check_record
from keras_maskrcnn.diagnostics.anchors import anchor_advice
from keras_maskrcnn.diagnostics.dataset.areas import area_issues
from keras_maskrcnn.diagnostics.dataset.class_names import class_name_issues
from keras_maskrcnn.diagnostics.dataset.crowds import crowd_issues
from keras_maskrcnn.diagnostics.dataset.exposure import Exposure
from keras_maskrcnn.diagnostics.dataset.images import content_key, image_issues
from keras_maskrcnn.diagnostics.dataset.issues import Issue
from keras_maskrcnn.diagnostics.dataset.objects import box_issues, keypoint_issues, mask_issues
from keras_maskrcnn.diagnostics.dataset.pixel_centres import PixelCentres
from keras_maskrcnn.diagnostics.dataset.reader_notes import reader_notes
from keras_maskrcnn.diagnostics.dataset.readers import left_out, refused
from keras_maskrcnn.diagnostics.dataset.report import DatasetReport
from keras_maskrcnn.diagnostics.dataset.sizes import anchor_issues, limit_issues, memory_issues
from keras_maskrcnn.diagnostics.dataset.splits import Tally, split_issues
from keras_maskrcnn.diagnostics.memory import training_memory
from keras_maskrcnn.images.doubts import Brightness

_AT_A_TIME = 8
"""Images that are decoded at a time, each in its own thread."""


@dataclasses.dataclass(frozen=True)
class _Look:
    """How a record is looked at, which returns what is `_Seen` of it."""

    config: Config | None
    names: Sequence[str]
    quick: bool

    def __call__(self, record: Record) -> "_Seen":
        content = content_key(record, by_path=self.quick)
        found: list[Issue] = []
        bright = None
        if not self.quick:
            reading = (self.config.channels, bool(self.config.intensity_percentiles)) if self.config else (3,)
            found, bright = image_issues(record, *reading)
        return _Seen(self._objects(record, found), content, bright)

    def _objects(self, record: Record, found: list[Issue]) -> list[Issue]:
        """Add what is wrong with the objects of a record to what is wrong with its image."""
        try:
            check_record(record, None, needs_masks=False)
        except (
            ValueError
        ) as error:  # boxes, classes, masks differ in number, so nothing can be said of the objects
            return [*found, Issue("error", "record", _reason(error, record))]
        found += [*self._unfit(record), *box_issues(record), *keypoint_issues(record), *area_issues(record)]
        if not self.quick:
            found += mask_issues(record)
        return found

    def _unfit(self, record: Record) -> Iterator[Issue]:
        """Yield what a model of the config cannot learn from."""
        try:
            check_names(record, self.names, self.config.keypoint_names if self.config else ())
        except ValueError as error:
            yield Issue("error", "other names", _reason(error, record))
        for index in np.flatnonzero(record.class_ids > len(self.names)) if self.names else ():
            reason = f"class id {record.class_ids[index]} is outside 1..{len(self.names)}, the classes that have names"
            yield Issue("error", "unknown class", reason, object=int(index))
        if self.config is None:
            return
        needs_masks, keypoints = self.config.mask_head != "none", len(self.config.keypoint_names)
        try:
            check_record(record, None, needs_masks, keypoints)
        except ValueError as error:
            yield Issue("error", "not what the model learns", _reason(error, record))
        if not composes_images(self.config):  # or what vanishes is dropped and counted
            height, width = smallest_size(record, self.config).resized
            for index in vanishing(record, (height, width)):
                if has_area(record.boxes[index]):
                    reason = f"its box has no area left in the image resized to {width} x {height}"
                    yield Issue("error", "box that vanishes", reason, object=int(index))


class _Seen(NamedTuple):
    """What one record shows."""

    issues: list[Issue]
    content: str
    """The `content_key` of its image."""
    bright: Brightness | None
    """Of its image; None if that was not read."""


def check_dataset(
    records: Sequence[Record],
    config: Config | None = None,
    class_names: Sequence[str] | None = None,
    validation: Sequence[Record] | None = None,
    problems: Sequence[str] = (),
    batch_size: int | None = None,
    quick: bool = False,
    progress: bool = False,
) -> DatasetReport:
    """Look at every image and object of a dataset before a training, and report its issues.

    Args:
        records: to train on; `load_coco` and the other readers leave out what is broken where they are given a list
            for it, and records built by hand may have any fault. Images are decoded whole, a few at a time.
        config: of the model, for its classes, channels, masks and keypoints; left out: images of three channels,
            and whatever the records have.
        class_names: left out: the config's.
        validation: records to validate on.
        problems: what the readers wrote into their lists, of both splits.
        batch_size: images per step of one device, for an estimate of the memory, which builds the config's model; left
            out: no estimate.
        quick: whether to leave out what takes long: the pixels of the images and the masks of the objects.
        progress: whether to show a progress bar.

    Returns:
        The report. Its issues are errors, on which training fails or learns what is wrong, warnings and notes.

    Raises:
        ValueError: there are neither records nor problems, or the config has another number of classes.

    Example:

    ```python
    import numpy as np

    import keras_maskrcnn as km

    record = km.make_record(np.zeros((64, 96, 3), np.uint8), [[20, 10, 60, 40]], [1], image_id="one")
    record.boxes[0] = [60, 40, 20, 10]  # as a mistake would leave it
    report = km.check_dataset([record], class_names=["square"])
    print(report)  # error: inverted box (1) ...
    print(report.ok, [issue.kind for issue in report.issues])
    ```
    """
    if not len(records) and not problems:
        raise ValueError("check_dataset needs records; got none")
    names = list(class_names or (config.class_names if config else ()))
    if config is not None and len(names) != config.num_classes:
        raise ValueError(f"class_names has {len(names)} names; the config has {config.num_classes} classes")
    splits = {"training": records} | ({} if validation is None else {"validation": validation})
    bar = keras.utils.Progbar(sum(map(len, splits.values())), unit_name="image") if progress else None
    look = _Look(config, names, quick)
    issues = [refused(problem) for problem in problems]
    tallies = [Tally(split, frozenset(one.image for one in issues)) for split in splits]
    for tally in tallies:
        issues += [
            *left_out(splits[tally.split], tally.split),
            *reader_notes(splits[tally.split], tally.split),
        ]
        centres, exposure = PixelCentres(tally.split), Exposure(tally.split)
        for position, (record, seen) in enumerate(_looked_at(splits[tally.split], look)):
            sound = all(issue.kind != "record" for issue in seen.issues)
            found = [*seen.issues, *tally.add(record, seen.content, sound)]
            if sound and not quick:
                centres.add(record)
            issues += [_placed(issue, record.name, tally.split, position) for issue in found]
            if seen.bright is not None:
                exposure.add(seen.bright)
            if bar is not None:
                bar.add(1)
        issues += [*centres.issues(), *exposure.issues()]
    issues += split_issues(tallies, names, keypoints=config is not None and bool(config.keypoint_names))
    issues += [*crowd_issues(tallies), *class_name_issues(names)]
    if config is not None:
        issues += limit_issues(tallies, config)
    report = DatasetReport(issues, tallies, names, splits)
    if config is not None and not quick:
        _compare_sizes(report, config, batch_size)
    return report


def _compare_sizes(report: DatasetReport, config: Config, batch_size: int | None) -> None:
    """Add to a report how its training images, those in which nothing is broken, suit the model and the machine."""
    records = report.splits["training"]
    broken = {one.position for one in report.issues if one.severity == "error" and one.split == "training"}
    whole = [
        record
        for index in range(len(records))
        if index not in broken and len((record := records[index]).boxes)
    ]
    if not whole:
        return
    report.anchors = anchor_advice(whole, config)
    report.issues += anchor_issues(report.anchors)
    if batch_size is not None:
        report.batch_size, report.memory = batch_size, training_memory(config, batch_size, whole)
        report.issues += memory_issues(report.memory, batch_size)


def _placed(issue: Issue, image: str, split: str, position: int) -> Issue:
    return dataclasses.replace(issue, image=image, split=split, position=position)


def _looked_at(records: Sequence[Record], look: _Look) -> Iterator[tuple[Record, _Seen]]:
    """Look at records in threads, as many as wait for the disk at a time; only those are held."""
    waiting: collections.deque[tuple[Record, Future[_Seen]]] = collections.deque()
    with ThreadPoolExecutor(_AT_A_TIME) as pool:
        for index in range(len(records)):
            record = records[index]
            waiting.append((record, pool.submit(look, record)))
            if len(waiting) >= 2 * _AT_A_TIME:
                record, future = waiting.popleft()
                yield record, future.result()
        for record, future in waiting:
            yield record, future.result()


def _reason(error: ValueError, record: Record) -> str:
    return str(error).removeprefix(f"{record.name}: ")
