"""Whether the sizes of the objects suit the model."""

from collections.abc import Iterator

from keras_maskrcnn.advice import AnchorAdvice
from keras_maskrcnn.checking.findings import Finding

MANY_LOST = 0.1
"""Share of objects that train no anchor from which on something should be changed; of COCO's it is 0.006."""


def anchor_findings(advice: AnchorAdvice) -> Iterator[Finding]:
    """Yield that many objects train no anchor."""
    if advice.lost < MANY_LOST:
        return
    reason = f"{advice.lost:.0%} of the objects train no anchor, so that they may never be proposed"
    if advice.choices:
        reason += f"; by {advice.positive_iou:g} or more, {advice.matched:.0%} overlap one, and {advice.choices[-1]}"
    lost = round(advice.lost * advice.objects)
    yield Finding("warning", "objects without anchors", reason, count=lost, split="training")
