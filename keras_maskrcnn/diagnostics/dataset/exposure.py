"""Whether the images of a split are nearly black as they are read: values of few bits among those of many."""

import dataclasses
from collections.abc import Iterator

from keras_maskrcnn.diagnostics.dataset.issues import Issue
from keras_maskrcnn.images.doubts import Brightness
from keras_maskrcnn.utils.counted import counted


@dataclasses.dataclass
class Exposure:
    """How bright the images of one split are; one that is dark among others tells nothing, all of them do."""

    split: str
    largest: dict[int, float] = dataclasses.field(default_factory=dict)
    """By what white is among the values of an image: the largest value of any."""
    images: dict[int, int] = dataclasses.field(default_factory=dict)
    """By what white is: how many images there are."""

    def add(self, bright: Brightness) -> None:
        """Take one image into account."""
        self.largest[bright.white] = max(self.largest.get(bright.white, 0), bright.largest)
        self.images[bright.white] = self.images.get(bright.white, 0) + 1

    def issues(self) -> Iterator[Issue]:
        """Yield that all images of a type are nearly black."""
        for white, largest in self.largest.items():
            doubt = Brightness(largest, white).doubt_of_all
            if doubt is not None:
                count = self.images[white]
                reason = f"in {counted(count, 'image')} with values 0..{white}, {doubt}"
                yield Issue("warning", "dark images", reason, count=count, split=self.split)
