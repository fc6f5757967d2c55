"""The report of a dataset check: as text, as JSON, as a page with images."""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from keras_maskrcnn.data.records import Record
from keras_maskrcnn.diagnostics.anchors import AnchorAdvice
from keras_maskrcnn.diagnostics.dataset.issues import SEVERITIES, Issue, grouped
from keras_maskrcnn.diagnostics.dataset.page import write_page
from keras_maskrcnn.diagnostics.dataset.splits import Tally, class_name
from keras_maskrcnn.utils.counted import counted
from keras_maskrcnn.utils.display import printable

_SHOWN = {"error": 20, "warning": 5, "note": 5}
"""Issues of each kind in the text."""


@dataclasses.dataclass
class DatasetReport:
    """The issues of a dataset and what was counted in it; `str(report)` is a text to read.

    Example:

    ```python
    import tempfile
    from pathlib import Path

    import numpy as np

    import keras_maskrcnn as km

    record = km.make_record(np.zeros((64, 96, 3), np.uint8), [[20, 10, 60, 40]], [1], image_id="one")
    record.boxes[0] = [60, 40, 20, 10]  # as a mistake would leave it
    report = km.check_dataset([record], class_names=["square"])
    print(report.count("error"), report.issues[0].place, report.issues[0].reason)
    with tempfile.TemporaryDirectory() as folder:
        report.write_html(Path(folder) / "check.html", about={"dataset": "train.json"})
    print(report.to_dict()["counts"])
    ```
    """

    issues: list[Issue]
    """Those of the readers first, then image by image, then those of the dataset as a whole."""
    tallies: list[Tally]
    """What was counted in the training split, and in the validation split where there is one."""
    class_names: list[str]
    splits: dict[str, Sequence[Record]] = dataclasses.field(repr=False)
    """The records by the names of the splits, for the images."""
    anchors: AnchorAdvice | None = None
    """How the config's anchors fit the objects; None without a config or objects, or where the check was quick."""
    batch_size: int | None = None
    memory: int | None = None
    """Bytes that a training step takes with this many images, beyond an idle TensorFlow's; None where unknown."""

    @property
    def ok(self) -> bool:
        """Whether there is no error."""
        return not self.count("error")

    def count(self, severity: str) -> int:
        """Return how many issues are of a severity."""
        return sum(issue.severity == severity for issue in self.issues)

    def record_of(self, issue: Issue) -> Record | None:
        """Return the record that an issue is about; None if there is none, as a reader leaves out what it refuses."""
        if issue.split is not None and issue.position is not None:
            return self.splits[issue.split][issue.position]
        if issue.image is None:
            return None
        rows = (records[index] for records in self.splits.values() for index in range(len(records)))
        return next((record for record in rows if issue.image in (record.image, _file_name(record))), None)

    @property
    def class_counts(self) -> dict[str, list[int]]:
        """How many objects, without crowds, each class has in each split."""
        known = range(1, len(self.class_names) + 1)
        ids = sorted({*known, *(class_id for tally in self.tallies for class_id in tally.class_counts)})
        return {
            class_name(class_id, self.class_names): [tally.class_counts[class_id] for tally in self.tallies]
            for class_id in ids
        }

    @property
    def summary(self) -> str:
        """What was looked at and what came of it, in two lines."""
        looked_at = " and ".join(
            f"{counted(tally.images, f'{tally.split} image')} with {counted(tally.objects, 'object')} "
            f"({counted(tally.crowds, 'crowd')})"
            for tally in self.tallies
        )
        counts = [counted(count, severity) for severity in SEVERITIES if (count := self.count(severity))]
        return f"{looked_at}\n{', '.join(counts) or 'no issues'}"

    @property
    def memory_line(self) -> str:
        """What a training step takes, in words."""
        images = counted(self.batch_size or 0, "image")
        return f"Memory: a training step of {images} takes about {(self.memory or 0) / 2**30:.1f} GiB"

    def __str__(self) -> str:
        lines = [self.summary]
        for (severity, kind), issues in grouped(self.issues).items():
            lines.append(f"\n{severity}: {kind} ({len(issues)})")
            shown = _SHOWN[severity]
            lines += [f"  {issue}" for issue in issues[:shown]]
            if len(issues) > shown:
                lines.append(f"  ... and {len(issues) - shown} more")
        if self.anchors is not None:
            lines.append(f"\n{self.anchors}")
        if self.memory is not None:
            lines.append(f"\n{self.memory_line}")
        return printable("\n".join(lines))

    def to_dict(self) -> dict[str, Any]:
        """Return everything but the records as JSON-ready values."""
        return {
            "splits": {
                tally.split: {"images": tally.images, "objects": tally.objects, "crowds": tally.crowds}
                for tally in self.tallies
            },
            "classes": self.class_counts,
            "counts": {severity: self.count(severity) for severity in SEVERITIES},
            "anchors": None if self.anchors is None else dataclasses.asdict(self.anchors),
            "memory": None if self.memory is None else {"batch_size": self.batch_size, "bytes": self.memory},
            "issues": [dataclasses.asdict(issue) for issue in self.issues],
        }

    def to_json(self) -> str:
        """Return everything but the records as JSON text."""
        return json.dumps(self.to_dict(), indent=1)

    def write_html(self, path: str | Path, about: Mapping[str, str] | None = None) -> None:
        """Write one page that needs no other file: the issues, with images of some of each kind.

        Args:
            path: the file to write.
            about: what stands below the title, between the splits and the date, like {"model": "config.json"}.
        """
        write_page(self, path, about)


def _file_name(record: Record) -> str | None:
    return Path(record.image).name if isinstance(record.image, str) else None
