"""Gives detections the ids of their tracks, by the package `trackers`, from one frame of a video to the next."""

import importlib
from typing import Any

import numpy as np

TRACKERS = {"bytetrack": "ByteTrackTracker", "ocsort": "OCSORTTracker", "sort": "SORTTracker"}
"""The trackers that have names here, and their classes in `trackers`."""


class Tracker:
    """A tracker at the beginning of a video.

    Args:
        tracker: a name of TRACKERS, or a tracker of `trackers` with arguments of your own.
        rate: frames per second, on average; None if it is not known.

    Raises:
        ValueError: it is neither.
        ImportError: `trackers` or `supervision` is not installed.
    """

    def __init__(self, tracker: Any, rate: float | None):
        self._sv = _imported("supervision")
        if isinstance(tracker, str):
            if tracker not in TRACKERS:
                names = ", ".join(f'"{name}"' for name in TRACKERS)
                raise ValueError(
                    f"track must be {names} or a tracker of the package trackers; got {tracker!r}"
                )
            tracker = getattr(_imported("trackers"), TRACKERS[tracker])(frame_rate=rate or 30.0)
        elif not (hasattr(tracker, "update") and hasattr(tracker, "reset")):
            raise ValueError(
                f"track must be a name or a tracker of the package trackers; got {tracker!r:.80}"
            )
        tracker.reset()
        self._tracker = tracker
        # BoT-SORT follows the camera's motion in the frames themselves; others warn if they are given any.
        self._sees_frames = bool(getattr(tracker, "enable_cmc", False))

    def ids(
        self,
        boxes: np.ndarray,
        scores: np.ndarray,
        class_ids: np.ndarray,
        time: float,
        image: np.ndarray | None = None,
    ) -> np.ndarray:
        """Return the track ids [N] int64 of a frame's detections, -1 for none yet.

        Args:
            boxes, scores, class_ids: as in `Detections`.
            time: of the frame in seconds.
            image: the frame `[H, W, 3]` RGB, for trackers that look at it.
        """
        given = self._sv.Detections(
            xyxy=np.asarray(boxes, np.float32).reshape(-1, 4),
            confidence=np.asarray(scores, np.float32),
            class_id=np.asarray(class_ids, int),
            data={"row": np.arange(len(scores))},
        )
        frame = image[..., ::-1] if image is not None and self._sees_frames else None  # BGR
        tracked = self._tracker.update(given, frame=frame, timestamp=time)
        ids = np.full(len(scores), -1, np.int64)
        if len(tracked):
            ids[tracked.data["row"]] = tracked.tracker_id  # which are in another order
        return ids


def _imported(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise ImportError(
            f"tracking needs {error.name}: pip install 'keras3-maskrcnn[track]'", name=error.name
        ) from error
