"""Detection in the frames of a video, one after the other, by any model that detects in images."""

import collections
import dataclasses
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from keras_maskrcnn.detections.detections import Detections
from keras_maskrcnn.video.reading import Frame, Selection, Video
from keras_maskrcnn.video.tracking import Tracker


@dataclasses.dataclass(frozen=True, eq=False)
class FrameDetections:
    """What was detected in a frame of a video, as `detect_video` yields it.

    Example:
        ```python
        import keras_maskrcnn as km

        cat = km.Detections([[5, 5, 15, 15]], [0.9], [1], ["cat"], height=48, width=64, track_ids=[0])
        frame = km.FrameDetections(number=12, time=0.4, detections=cat)
        print(frame.number, frame.time, frame.detections.track_ids)  # 12 0.4 [0]
        ```
    """

    number: int
    """Of the frame in the video, from 0; frames count that could not be decoded or were not asked for."""
    time: float
    """When the frame is shown, in seconds from the video's beginning."""
    detections: Detections
    """In pixels of the frame, which is their image; with `track_ids` if a tracker was asked for."""
    is_damaged: bool = False
    """Whether the decoder said that parts of the frame are guessed, because the file is damaged."""


class DetectsVideo:
    """The part of a model that detects in videos; a model has `detect_iter`."""

    detect_iter: Callable[..., Iterator[Detections]]

    def detect_video(
        self,
        source: Any,
        every: int = 1,
        start: float = 0.0,
        stop: float | None = None,
        track: Any = None,
        **options: Any,
    ) -> Iterator[FrameDetections]:
        """Find the objects in the frames of a video, one frame at a time, so that memory does not grow with its length.

        Frames are decoded by PyAV (`pip install "keras3-maskrcnn[video]"`), as RGB and turned as the video says. Their
        times are the video's own, also where these are not regular. A frame that cannot be decoded is left out, and its
        number is not given to another; when the frames end, a warning names all that was wrong.

        Args:
            source: the path of a video; the number of a camera (0 is /dev/video0 of Linux); an address, such as
                "rtsp://..."; or a container that PyAV has opened, which is closed at the end.
            every: only frames whose number is a multiple of this.
            start: only frames shown at or after it, in seconds. Those before are decoded, to know their numbers.
            stop: only frames shown before it; None for all.
            track: gives `Detections.track_ids`: "bytetrack", "ocsort" or "sort", or a tracker of the package `trackers`
                (`pip install "keras3-maskrcnn[track]"`) with your own arguments. None for no ids.
            options: of `detect_iter`: `batch_size`, `score_threshold`, `max_detections`, `masks`, `tile`, ...

        Returns:
            An iterator of `FrameDetections`, in the order in which frames are shown.

        Raises:
            FileNotFoundError: there is no such file or camera.
            ValueError: it is no video, or its codec is not known; an argument is out of range.
            ImportError: a package is missing; the message says how to install it.
        """
        selection = Selection(every, start, stop)
        video = Video(source)
        rate = None if video.rate is None else float(video.rate / every)
        tracker = None if track is None else Tracker(track, rate)
        return _followed(self, video, video.frames(selection), tracker, options)


def _followed(
    model: Any, video: Video, frames: Iterator[Frame], tracker: Tracker | None, options: dict[str, Any]
) -> Iterator[FrameDetections]:
    try:
        for frame, detections in detect_frames(model, frames, options):
            if tracker is not None:
                detections = tracked(detections, tracker, frame.time)
            yield FrameDetections(frame.number, frame.time, detections, frame.is_damaged)
    finally:
        video.close()
        for problem in video.problems():
            warnings.warn(f"{video.name}: {problem}", stacklevel=2)


def detect_frames(
    model: Any, frames: Iterator[Frame], options: dict[str, Any]
) -> Iterator[tuple[Frame, Detections]]:
    """Yield frames with what a model detects in each; at most a batch of them is in memory."""
    waiting: collections.deque[Frame] = collections.deque()

    def images() -> Iterator[np.ndarray]:
        for frame in frames:
            waiting.append(frame)
            yield frame.image

    for detections in model.detect_iter(images(), **options):
        yield waiting.popleft(), detections


def tracked(detections: Detections, tracker: Tracker, time: float) -> Detections:
    """Return the detections of a frame with the ids of their tracks."""
    rows = detections.boxes, detections.scores, detections.class_ids
    return dataclasses.replace(detections, track_ids=tracker.ids(*rows, time, detections.image))
