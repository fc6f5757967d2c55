"""What a reader of annotations took otherwise than the file says, or hardly as it is meant."""

from collections.abc import Iterator, Sequence

from keras_maskrcnn.data.records import Record
from keras_maskrcnn.data.report import Records
from keras_maskrcnn.diagnostics.dataset.issues import Issue


def reader_notes(records: Sequence[Record], split: str) -> Iterator[Issue]:
    """Yield the warnings and the notes of the report that came with the records."""
    if not isinstance(records, Records):
        return
    for reason in records.report.warnings:
        yield Issue("warning", "doubtful annotations", reason, split=split)
    for note in records.report.notes:
        yield Issue("note", "said by the reader", note, split=split)
