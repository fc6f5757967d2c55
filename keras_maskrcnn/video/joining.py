"""Joins the segments of a video into one file without encoding again, with the sound of the original."""

import dataclasses
import heapq
from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

from keras_maskrcnn.utils.counted import counted
from keras_maskrcnn.video.opening import import_av, open_video

MP4 = {"movflags": "faststart", "movie_timescale": "90000"}
"""Options of MP4 and MOV; by their usual timescale of milliseconds, sound would begin up to one too early."""


@dataclasses.dataclass(frozen=True)
class Sound:
    """Where the sound of a video comes from: its streams are copied as they are, from the first joined frame on."""

    source: Any
    begin: float
    """Seconds that the original's own clock shows when it begins."""
    stop: float | None
    """Seconds of the original at which it ends; None for all."""


def join(
    segments: Sequence[tuple[Path, Sequence[int]]],
    target: Path,
    time_base: Fraction,
    rate: Fraction | None,
    sound: Sound | None,
) -> list[str]:
    """Write segments, each with the ticks of its frames, as one video that begins with the first of these.

    Returns:
        What could not be copied: sentences for messages.
    """
    av = import_av()
    options = {} if target.suffix.lower() == ".mkv" else MP4
    with av.open(str(target), "w", options=options) as out, av.open(str(segments[0][0])) as first:
        video = out.add_stream_from_template(first.streams.video[0])
        video.time_base, video.codec_context.framerate = time_base, rate or Fraction(25)
        streams = [_pictures(segments, video, time_base, rate)]
        original = None if sound is None else _Original(sound, float(segments[0][1][0] * time_base), out)
        if original is not None:
            streams.append(original.packets())
        for _, packet in heapq.merge(*streams, key=lambda pair: pair[0]):
            out.mux(packet)
    if original is None:
        return []
    original.close()
    left_out = [
        f"its sound ({name}) is none that {target.suffix} can hold: left out" for name in original.refused
    ]
    if original.backwards:
        left_out.append(f"{counted(original.backwards, 'packet')} of its sound left out, whose times go back")
    return left_out


def _pictures(
    segments: Iterable[tuple[Path, Sequence[int]]], stream: Any, time_base: Fraction, rate: Fraction | None
) -> Iterator[tuple[float, Any]]:
    """Yield the packets of all segments with their times, and each as long as until the next."""
    av, origin, last, length = import_av(), None, None, 0
    for path, ticks in segments:
        origin = ticks[0] if origin is None else origin
        with av.open(str(path)) as container:
            packets = (packet for packet in container.demux(video=0) if packet.size)
            for packet, tick in zip(packets, ticks, strict=True):
                if last is not None:
                    length = tick - origin - last.pts
                    last.duration = length
                    yield float(last.pts * time_base), last
                packet.stream, packet.time_base = stream, time_base
                packet.pts = packet.dts = tick - origin
                last = packet
    if last is not None:
        last.duration = length or max(1, round(1 / ((rate or 25) * time_base)))
        yield float(last.pts * time_base), last


class _Original:
    """The sound of the original from `start` on, in seconds, opened to be copied."""

    def __init__(self, sound: Sound, start: float, out: Any):
        self._container, _ = open_video(sound.source)
        self._begin, self._start, self._stop = sound.begin, start, sound.stop
        self._streams: dict[int, Any] = {}
        self.refused: list[str] = []
        self.backwards = 0
        for stream in self._container.streams.audio:
            try:
                self._streams[stream.index] = out.add_stream_from_template(stream)
            except (ValueError, import_av().error.FFmpegError):
                self.refused.append(stream.name or "of an unknown codec")

    def packets(self) -> Iterator[tuple[float, Any]]:
        """Yield packets with their times from `start`; those that began before are left out."""
        if not self._streams:
            return
        last: dict[int, int] = {}
        for packet in self._container.demux([self._container.streams[index] for index in self._streams]):
            if packet.dts is None or packet.pts is None:
                continue
            index, time = packet.stream.index, float(packet.pts * packet.time_base) - self._begin
            if packet.dts <= last.get(index, packet.dts - 1):
                self.backwards += 1
                continue
            last[index] = packet.dts
            if time >= self._start and (self._stop is None or time < self._stop):
                shift = round((self._begin + self._start) / packet.time_base)
                packet.pts, packet.dts = packet.pts - shift, packet.dts - shift
                packet.stream = self._streams[index]
                yield time - self._start, packet

    def close(self) -> None:
        """Close the original."""
        self._container.close()
