"""Whether objects that could be learned are marked as crowds."""

from collections.abc import Iterator, Sequence

from keras_maskrcnn.data.formats.coco_flags import many_crowds
from keras_maskrcnn.diagnostics.dataset.issues import Issue
from keras_maskrcnn.diagnostics.dataset.splits import Tally


def crowd_issues(tallies: Sequence[Tally]) -> Iterator[Issue]:
    """Yield that many objects are crowds; that all are is an error elsewhere."""
    for tally in tallies:
        reason = many_crowds(tally.crowds, tally.objects)
        if reason is not None and tally.crowds < tally.objects:
            yield Issue("warning", "many crowds", reason, count=tally.crowds, split=tally.split)
