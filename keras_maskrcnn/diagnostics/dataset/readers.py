"""What the readers of annotations refused or left out, as issues."""

import os
import re
from collections.abc import Iterator, Sequence

from PIL import Image

from keras_maskrcnn.data.formats import FORMATS
from keras_maskrcnn.data.records import Record
from keras_maskrcnn.data.report import Records, listed_ids
from keras_maskrcnn.diagnostics.dataset.issues import Issue

_OBJECT = re.compile(rf"(object|{'|'.join(row.object_name for row in FORMATS)}) \S")
"""What the readers call an object."""


def refused(problem: str) -> Issue:
    """Return what a reader wrote into its list of problems; image and object are taken from its message."""
    source, *parts = problem.split(": ")
    named = next((part for part in parts if _OBJECT.match(part)), None)
    rest = [part for part in parts if part != named]
    images = [part for part in rest if _is_image(part.removeprefix("image "))]
    if images:
        rest.remove(images[0])
        image = images[0].removeprefix("image ")
    else:  # "region 3 of street.jpg"
        image = named.partition(" of ")[2] if named else ""
    return Issue("error", "refused", f"{': '.join(rest)} (in {source})", image=image or None, object=named)


def left_out(records: Sequence[Record], split: str) -> Iterator[Issue]:
    """Yield what a reader left out as well-formed but of no use, an issue per reason."""
    unusable = records.report.unusable if isinstance(records, Records) else {}
    for why, ids in unusable.items():
        reason = f"left out for having {why}: {listed_ids(ids)}"
        yield Issue("warning", "object left out", reason, count=len(ids), split=split)


def _is_image(text: str) -> bool:
    ending = os.path.splitext(text)[1].lower()
    return ending == ".npy" or ending in Image.registered_extensions()
