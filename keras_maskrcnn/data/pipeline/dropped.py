"""How many objects augmentation has dropped."""

import logging
import threading
from collections.abc import Callable

Counts = dict[int, tuple[int, int]]
logger = logging.getLogger(__name__)


class DroppedObjects:
    """Counts, image by image, the objects of a training dataset and those of them that were dropped.

    An image counts when it is loaded, which may be some batches before it is delivered, and once per epoch, also if
    the epoch is iterated over again. A line is logged when the last image of an epoch is loaded.

    Args:
        images: in an epoch.
        logged: whether anything can be dropped, so that the line says something.
    """

    def __init__(self, images: int, logged: bool = True) -> None:
        self._images, self._logged = images, logged
        self.is_here: Callable[[int], bool] = lambda position: True
        """Whether the image at a position of an epoch is loaded by this process."""
        self._lock = threading.Lock()
        self._begun: dict[int, Counts] = {}  # by epoch and position
        self._missing: dict[
            int, dict[int, int]
        ] = {}  # by epoch and first position: images still to be loaded
        self._done: Counts = {}  # by epoch

    def add(self, epoch: int, position: int, first: int, objects: int, dropped: int) -> None:
        """Note one image; called from several threads at once.

        Args:
            epoch: counted from 0.
            position: of the image in the epoch.
            first: position at which this iteration over the epoch began.
            objects: in the image's record.
            dropped: of these.
        """
        with self._lock:
            counts = self._begun.setdefault(epoch, {})
            missing = self._missing.setdefault(epoch, {})
            if first not in missing:
                places = filter(self.is_here, range(first, self._images))
                missing[first] = sum(place not in counts for place in places)
            if position not in counts:
                for begin in missing:
                    missing[begin] -= begin <= position
            counts[position] = objects, dropped
            if missing[first]:
                return
            del self._missing[epoch]
            self._done[epoch] = _sums(self._begun.pop(epoch))
        if self._logged:
            logger.info(self._line(epoch))

    def by_epoch(self) -> Counts:
        """Return (objects, dropped) of each epoch begun, as far as it was loaded here."""
        with self._lock:
            begun = {epoch: _sums(counts) for epoch, counts in self._begun.items()}
            return dict(sorted({**begun, **self._done}.items()))

    @property
    def objects(self) -> int:
        """Objects in all images loaded so far, crowds included."""
        return sum(objects for objects, _ in self.by_epoch().values())

    @property
    def dropped(self) -> int:
        """How many of these were dropped."""
        return sum(dropped for _, dropped in self.by_epoch().values())

    @property
    def fraction(self) -> float:
        """`dropped` over `objects`; 0 where there are none."""
        return self.dropped / max(self.objects, 1)

    def _line(self, epoch: int) -> str:
        objects, dropped = self._done[epoch]
        fraction = dropped / max(objects, 1)
        return (
            f"epoch {epoch + 1}: augmentation dropped {dropped} of {objects} objects ({fraction:.1%}), which were "
            "outside of the image, covered, too small or left out"
        )


def _sums(counts: Counts) -> tuple[int, int]:
    return sum(objects for objects, _ in counts.values()), sum(dropped for _, dropped in counts.values())
