"""What a reader of annotations took otherwise than the file says, as notes."""

from collections.abc import Iterator, Sequence

from keras_maskrcnn.data.records import Record
from keras_maskrcnn.data.report import Records
from keras_maskrcnn.diagnostics.dataset.issues import Issue


def reader_notes(records: Sequence[Record], split: str) -> Iterator[Issue]:
    """Yield the notes of the report that came with the records."""
    for note in records.report.notes if isinstance(records, Records) else ():
        yield Issue("note", "said by the reader", note, split=split)
