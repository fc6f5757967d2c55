"""Reads the frames of a video one by one: upright, RGB, with their numbers and times."""

import dataclasses
import math
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import numpy as np

from keras_maskrcnn.utils.counted import counted
from keras_maskrcnn.video.numbering import FrameNumbers, ranges
from keras_maskrcnn.video.opening import import_av, open_video, video_name
from keras_maskrcnn.video.orientation import display_matrix, is_turned, upright


@dataclasses.dataclass(frozen=True, eq=False)
class Frame:
    """A frame that has been decoded."""

    number: int
    """From 0, those before it included that could not be decoded."""
    ticks: int
    """When it is shown, in the video's `time_base`, from its beginning."""
    time: float
    """The same in seconds."""
    image: np.ndarray
    """[H, W, 3] uint8 RGB, turned as the video says."""
    pixel_aspect: Fraction | None
    """Width of a pixel by its height; None for square ones."""
    is_damaged: bool
    """Whether the decoder said that parts of it are guessed."""


@dataclasses.dataclass(frozen=True)
class Selection:
    """Which frames of a video are wanted.

    Raises:
        ValueError: a number is out of range.
    """

    every: int = 1
    """Those whose number is a multiple of this."""
    start: float = 0.0
    """Those shown at or after it, in seconds."""
    stop: float | None = None
    """And before it; None for the end of the video."""

    def __post_init__(self) -> None:
        if self.every < 1:
            raise ValueError(f"every must be at least 1; got {self.every}")
        if not 0 <= self.start < math.inf:
            raise ValueError(f"start must be seconds from 0; got {self.start}")
        if self.stop is not None and not self.stop > self.start:
            raise ValueError(f"stop must be above start, {self.start} s; got {self.stop}")


class Video:
    """A video that has been opened.

    Args:
        source: as `open_video` takes it.

    Raises:
        FileNotFoundError, ValueError, ImportError: as `open_video` says.
    """

    def __init__(self, source: Any):
        self.name = video_name(source)
        self._container, self._stream = open_video(source)
        # Of several threads on frames, some lose an error and what is decoded beside it.
        self._stream.thread_type = "SLICE"
        rate = self._stream.average_rate or self._stream.guessed_rate
        self.rate: Fraction | None = Fraction(rate) if rate else None
        """Frames per second, on average."""
        self.time_base = Fraction(self._stream.time_base)
        """Seconds of a tick."""
        self.seconds = self._duration()
        """How long it is by its own account; None for cameras and endless streams."""
        self.damaged: list[int] = []
        """Numbers of the frames of which the decoder guessed parts, so far."""
        self._numbers = FrameNumbers(_has_a_frame_each(self._stream.codec_context))
        self._clock = _Clock(round(1 / self.time_base))
        self._begin: int | None = None  # its own time of the first frame; start_time may be that of the sound
        self._last = -1  # ticks of the last frame
        self._end = 0.0  # seconds, when that is over
        self._moved = 0
        self._ended, self._failure = False, ""

    def _duration(self) -> float | None:
        if self._stream.duration is not None:
            return float(self._stream.duration * self.time_base)
        hours, _, rest = self._stream.metadata.get("DURATION", "").partition(":")  # of Matroska
        minutes, _, seconds = rest.partition(":")
        if seconds:
            return 3600 * int(hours) + 60 * int(minutes) + float(seconds)
        duration = self._container.duration  # of all that is in it
        return None if duration is None else duration / 1e6

    def expected(self, selection: Selection) -> int | None:
        """Return about how many frames are selected; None if nobody knows."""
        ends = [end for end in (self.seconds, selection.stop) if end is not None]
        if not ends or self.rate is None:
            return None
        return math.ceil(max(0.0, min(ends) - selection.start) * self.rate / selection.every)

    def frames(self, selection: Selection, after: int = -1) -> Iterator[Frame]:
        """Yield the selected frames whose numbers are above `after`.

        All frames before are decoded too, so that numbers and times do not depend on where reading starts.
        """
        for frame, number, ticks in self._decoded():
            time = float(ticks * self.time_base)
            if selection.stop is not None and time >= selection.stop:
                return
            if frame.is_corrupt:
                self.damaged.append(number)
            if number <= after or number % selection.every or time < selection.start:
                continue
            try:
                matrix = display_matrix(frame)
            except ValueError as error:
                raise ValueError(f"{self.name}: {error}") from None
            image = upright(frame.to_ndarray(format="rgb24"), matrix)
            yield Frame(number, ticks, time, image, self._aspect(matrix), bool(frame.is_corrupt))
        self._ended = True

    def _decoded(self) -> Iterator[tuple[Any, int, int]]:
        """Yield PyAV's frames with their numbers and ticks."""
        av = import_av()
        try:
            for packet in self._container.demux(self._stream):
                self._clock.set(packet)
                if packet.size and not packet.is_discard:
                    self._sent(packet.pts)
                try:
                    frames = packet.decode()
                except av.error.InvalidDataError:
                    self._numbers.failed(packet.pts)
                    continue
                for frame in frames:
                    number = self._numbers.number(
                        frame.pts, bool(frame.key_frame), not frame.interlaced_frame
                    )
                    yield frame, number, self._ticks(frame, number)
        except av.error.FFmpegError as error:  # of the file or the device itself
            self._failure = str(error.strerror)
        self._numbers.end()

    def _sent(self, time: int | None) -> None:
        """Note the time of a packet; the earliest before the first frame comes out is the beginning."""
        self._numbers.sent(time)
        if time is not None and self._last < 0:
            self._begin = time if self._begin is None else min(self._begin, time)

    @property
    def begin(self) -> float:
        """The time in seconds that the file itself gives to the beginning, once a frame has been read."""
        return float((self._begin or 0) * self.time_base)

    def _ticks(self, frame: Any, number: int) -> int:
        """When a frame is shown; times that do not rise are moved, because no file can hold such."""
        if frame.pts is None:
            ticks = round(number / (self.rate or 25) / self.time_base)
        else:
            self._begin = frame.pts if self._begin is None else self._begin
            ticks = frame.pts - self._begin
        if ticks <= self._last:
            self._moved += self._last >= 0
            ticks = self._last + 1
        self._last = ticks
        length = (frame.duration or 0) * self.time_base or 1 / (self.rate or 25)
        self._end = float(ticks * self.time_base + length)
        return ticks

    def _aspect(self, matrix: np.ndarray | None) -> Fraction | None:
        aspect = self._stream.sample_aspect_ratio
        if not aspect or aspect == 1:
            return None
        return 1 / Fraction(aspect) if is_turned(matrix) else Fraction(aspect)

    def problems(self) -> list[str]:
        """Return what was wrong with the video as far as it has been read: sentences for messages."""
        found = []
        if self._numbers.lost:
            lost = counted(len(self._numbers.lost), "frame")
            found.append(f"{lost} could not be decoded: {ranges(self._numbers.lost)}")
        if self.damaged:
            damaged = counted(len(self.damaged), "frame")
            found.append(f"{damaged} damaged, with parts that the decoder guessed: {ranges(self.damaged)}")
        if self._moved:
            found.append(
                f"{counted(self._moved, 'frame')} with times that do not rise: each shown after the last"
            )
        if self._clock.restarts:
            found.append(
                f"its times begin anew {counted(self._clock.restarts, 'time')}, as if videos had been joined: taken as "
                "one after the other"
            )
        if self._failure:
            found.append(f"reading ended after {self._end:.2f} s: {self._failure}")
        seconds = self.seconds
        if self._ended and seconds is not None and self._end < seconds - 2.5 / float(self.rate or 25):
            found.append(
                f"it ends after {self._end:.2f} of {seconds:.2f} s: the file is cut off, or says it is longer"
            )
        return found

    def close(self) -> None:
        """Close the file or the device."""
        self._container.close()


class _Clock:
    """Makes one clock of those of videos that were joined by writing one file behind the other.

    Args:
        second: in ticks. Times of packets that go back by more begin anew.
    """

    def __init__(self, second: int):
        self.restarts = 0
        self._second, self._shift = second, 0
        self._last: int | None = None
        self._length = 0

    def set(self, packet: Any) -> None:
        """Change a packet's times, which its frame will have."""
        if packet.dts is None:
            return
        time = packet.dts + self._shift
        if self._last is not None and time < self._last - self._second:
            self.restarts += 1
            self._shift += self._last + self._length - time
            time = self._last + self._length
        self._last, self._length = time, packet.duration or 1
        if self._shift:
            packet.dts = time
            packet.pts = None if packet.pts is None else packet.pts + self._shift


def _has_a_frame_each(codec: Any) -> bool:
    """Whether each packet has a frame: VP8 has hidden ones, and DivX packs two into one packet and none in the next."""
    return codec.name != "vp8" and not (codec.name == "mpeg4" and codec.has_b_frames)
