"""Encodes drawn frames, with the times at which they are shown."""

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from keras_maskrcnn.video.opening import import_av

WRITTEN_SUFFIXES = (".mp4", ".mov", ".mkv")
"""Of the videos that can be written."""
H264 = {"crf": "18", "bf": "0"}
"""libx264's options: drawn lines stay sharp; without B-frames packets come in the order in which frames are shown."""
MPEG4 = {"qmin": "2", "qmax": "4"}


class Encoder:
    """A video file that is being written: H.264, or MPEG-4 where the build of PyAV has no encoder of that.

    Args:
        path: of the file, whose name says the container.
        time_base: seconds of a tick.
        rate: frames per second, on average, for players that ask.
        pixel_aspect: width of a pixel by its height; None for square ones.
    """

    def __init__(self, path: Path, time_base: Fraction, rate: Fraction | None, pixel_aspect: Fraction | None):
        self._av = import_av()
        self.path, self._time_base, self._rate = path, time_base, rate or Fraction(25)
        self._pixel_aspect = pixel_aspect
        self._container: Any = self._av.open(str(path), "w")
        self._stream: Any = None
        self._first = 0

    def add(self, image: np.ndarray, ticks: int, name: str) -> None:
        """Encode an image `[H, W, 3]` uint8 RGB; `ticks` are above those of the one before, `name` is for messages.

        Raises:
            ValueError: it has another size than those before.
        """
        height, width = image.shape[:2]
        if self._stream is None:
            self._stream, self._first = self._opened(height, width), ticks
        elif (height, width) != (self._stream.height, self._stream.width):
            raise ValueError(
                f"{name} has {width} x {height} pixels, and those before {self._stream.width} x "
                f"{self._stream.height}: one file cannot hold both; draw in parts (--start, --stop)"
            )
        frame = self._av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
        frame.pts, frame.time_base = ticks - self._first, self._time_base
        self._container.mux(self._stream.encode(frame))

    def close(self) -> None:
        """Write what the encoder has kept, and the file's end."""
        if self._stream is not None:
            self._container.mux(self._stream.encode())
        self._container.close()

    def _opened(self, height: int, width: int) -> Any:
        codec, options = encoder(self._av)
        stream = self._container.add_stream(codec, rate=self._rate, options=dict(options))
        stream.height, stream.width = height, width
        # Colours at half the resolution, which every player shows, need even sizes in H.264.
        is_odd = bool(height % 2 or width % 2) and codec != "mpeg4"
        stream.pix_fmt = "yuv444p" if is_odd else "yuv420p"
        stream.codec_context.time_base = self._time_base
        if self._pixel_aspect:
            stream.codec_context.sample_aspect_ratio = self._pixel_aspect
        return stream


def encoder(av: Any) -> tuple[str, dict[str, str]]:
    """Return the name of the encoder that is used, and its options."""
    try:
        av.Codec("libx264", "w")
    except av.codec.codec.UnknownCodecError:
        return "mpeg4", MPEG4
    return "libx264", H264
