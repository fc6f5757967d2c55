"""What a report is about: the line below its title."""

import datetime
import html
from collections.abc import Mapping, Sequence
from pathlib import Path

from keras_maskrcnn.data.records import Record
from keras_maskrcnn.utils.counted import counted


def about_line(about: Mapping[str, str]) -> str:
    """Return "model: best.keras; dataset: val/; 2026-05-31 14:05" as a paragraph of HTML, with the time of now."""
    now = datetime.datetime.now().strftime("%Y-%m-%d %H:%M")
    said = [f"{html.escape(name)}: {html.escape(value)}" for name, value in about.items()]
    return f"<p>{'; '.join([*said, now])}</p>"


def described_records(records: Sequence[Record]) -> str:
    """Return how many images records have and, if the first is a file, its folder."""
    count = counted(len(records), "image")
    first = records[0].image if len(records) else None
    return f"{count} in {Path(first).parent}" if isinstance(first, str) else count
