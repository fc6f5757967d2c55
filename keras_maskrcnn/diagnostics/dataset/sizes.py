"""Whether the sizes and the number of the objects suit the model, and the model the machine."""

import os
from collections.abc import Iterator, Sequence

import tensorflow as tf

from keras_maskrcnn.config.config import Config
from keras_maskrcnn.data.limits import advice_of_counts
from keras_maskrcnn.diagnostics.anchors import MANY_LOST, AnchorAdvice
from keras_maskrcnn.diagnostics.dataset.issues import Issue
from keras_maskrcnn.diagnostics.dataset.splits import Tally


def anchor_issues(advice: AnchorAdvice) -> Iterator[Issue]:
    """Yield that many objects train no anchor."""
    if advice.lost < MANY_LOST:
        return
    reason = f"{advice.lost:.0%} of the objects train no anchor, so that they may never be proposed"
    if advice.choices:
        reason += f"; by {advice.positive_iou:g} or more, {advice.matched:.0%} overlap one, and {advice.choices[-1]}"
    lost = round(advice.lost * advice.objects)
    yield Issue("warning", "objects without anchors", reason, count=lost, split="training")


def limit_issues(tallies: Sequence[Tally], config: Config) -> Iterator[Issue]:
    """Yield that images of a split have more objects than may be found."""
    for tally in tallies:
        if not tally.per_image:
            continue
        advice = advice_of_counts(tally.per_image, config)
        if advice.images:
            yield Issue(
                "note",
                "more objects than detections",
                advice.reason,
                image=advice.image,
                count=advice.images,
                split=tally.split,
            )


def memory_issues(needed: int, batch_size: int) -> Iterator[Issue]:
    """Yield that a training step needs more memory than this machine has, if it trains on its processor."""
    there = _memory_of_machine()
    if there is None or needed <= there:
        return
    reason = (
        f"a training step of {batch_size} images needs about {needed / 2**30:.1f} GiB, and this machine has "
        f"{there / 2**30:.1f} GiB: try smaller batches, min_size or box_batch_size"
    )
    yield Issue("warning", "memory", reason, split="training")


def _memory_of_machine() -> int | None:
    """Bytes of memory; None where a GPU trains, or the system does not say."""
    if tf.config.list_physical_devices("GPU") or "SC_PHYS_PAGES" not in getattr(os, "sysconf_names", {}):
        return None
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
