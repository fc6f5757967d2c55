"""Numbers the frames of a video as they are shown, those included that could not be decoded."""

import heapq
import math
from collections.abc import Sequence


class FrameNumbers:
    """Counts frames, and finds the numbers of those that never came out of the decoder.

    A decoder takes packets in one order and returns frames in another, that of their times. So what is lost is known
    when a later frame arrives, by the times of the packets that have had no frame until then.

    Args:
        one_each: whether each packet is for a frame of its own. Where it is not, a packet without a frame means nothing
            unless there was an error, and until the next key frame behind it.
    """

    def __init__(self, one_each: bool):
        self.lost: list[int] = []
        self._one_each = one_each
        self._next = 0
        self._waiting: list[int] = []
        self._failed_at = math.inf  # infinity is for no error

    def sent(self, time: int | None) -> None:
        """Note the time of a packet that goes to the decoder."""
        if time is not None:
            heapq.heappush(self._waiting, time)

    def failed(self, time: int | None) -> None:
        """Note that the decoder has refused a packet; without a time, its frame is the next."""
        if time is None:
            self._lose()
        else:
            self._failed_at = min(self._failed_at, time)

    def number(self, time: int | None, is_key: bool, one_each: bool = True) -> int:
        """Return the number of a frame that has been decoded, from 0.

        Args:
            time: of the frame, of which later frames have later ones.
            is_key: whether it needs no other.
            one_each: whether it is of one packet; two fields may be of two.
        """
        if time is not None:
            while self._waiting and self._waiting[0] <= time:
                sent = heapq.heappop(self._waiting)
                if sent < time and ((self._one_each and one_each) or sent >= self._failed_at):
                    self._lose()
            if is_key and time > self._failed_at:
                self._failed_at = math.inf
        self._next += 1
        return self._next - 1

    def end(self) -> None:
        """Count what the decoder has kept to itself."""
        for sent in sorted(self._waiting):
            if self._one_each or sent >= self._failed_at:
                self._lose()
        self._waiting = []

    def _lose(self) -> None:
        self.lost.append(self._next)
        self._next += 1


def ranges(numbers: Sequence[int], most: int = 20) -> str:
    """Return ascending numbers as "3, 7-9", with dots after so many parts."""
    parts: list[list[int]] = []
    for number in numbers:
        if parts and number == parts[-1][1] + 1:
            parts[-1][1] = number
        else:
            parts.append([number, number])
    texts = [str(first) if first == last else f"{first}-{last}" for first, last in parts[:most]]
    return ", ".join(texts + ["..."] * (len(parts) > most))
