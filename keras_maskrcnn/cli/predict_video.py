"""`maskrcnn predict` of a video: it with its detections drawn, a line for each frame, and tables out."""

import argparse
import importlib.metadata
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_maskrcnn.cli.common import open_detector
from keras_maskrcnn.cli.drawing import drawing_options
from keras_maskrcnn.cli.evaluate_parser import tiling
from keras_maskrcnn.cli.progress import in_terminal
from keras_maskrcnn.cli.stopping import stop_on_interrupt
from keras_maskrcnn.cli.video_arguments import drawn_video
from keras_maskrcnn.cli.video_tables import Totals, totals, write_counts, write_tracks
from keras_maskrcnn.models.mask_rcnn import MaskRCNN
from keras_maskrcnn.runtime.model import ExportedModel
from keras_maskrcnn.utils.counted import counted
from keras_maskrcnn.utils.display import message
from keras_maskrcnn.utils.files import written_whole
from keras_maskrcnn.video.detecting import detect_frames, tracked
from keras_maskrcnn.video.joining import Sound, join
from keras_maskrcnn.video.reading import Selection, Video
from keras_maskrcnn.video.tracking import Tracker
from keras_maskrcnn.video.work import SEGMENT, Drawing, Row, Work


def run(args: argparse.Namespace, source: str | int) -> int:
    """Detect in each frame, write all of it, and return the exit code: 1 if something was wrong with the video."""
    task = _Task(args, source)
    try:
        is_whole = task.detect()
        if not is_whole and task.is_file:
            print(
                f"Stopped after {counted(task.frames, 'frame')}; --resume goes on from there", file=sys.stderr
            )
            return 130
        written = task.write()
        problems = [*task.video.problems(), *task.left_out]
    finally:
        task.close()
    print(f"{task.totals}\nWritten: {' and '.join(str(path) for path in written)}")
    if task.totals.untracked and args.track:
        print(f"{counted(task.totals.untracked, 'object')} without a track: too short, or not sure enough")
    for problem in problems:
        print(f"maskrcnn: error: {message(f'{task.video.name}: {problem}')}", file=sys.stderr)
    return 1 if problems else 0


class _Task:
    """A video, the model, and the work that is done on the one by the other."""

    totals: Totals

    def __init__(self, args: argparse.Namespace, source: str | int):
        self.args, self.source = args, source
        self.drawing = {**drawing_options(args), "stretch": False}  # frames by themselves would flicker
        self.is_file = isinstance(source, str) and Path(source).exists()
        self.selection = Selection(args.every or 1, args.start or 0.0, args.stop)
        self.target = drawn_video(args.output, source)
        self.video = Video(source)
        rate = self.rate = None if self.video.rate is None else self.video.rate / self.selection.every
        self.tracker = (
            None if args.track is None else Tracker(args.track, None if rate is None else float(rate))
        )
        look = None if args.no_drawings else Drawing(self.video.time_base, rate)
        self.work = Work(self.target.parent / f"{self.target.stem}.unfinished", look)
        self.frames, self.last = 0, -1
        self.left_out: list[str] = []
        self._take_up()
        self.model: MaskRCNN | ExportedModel = open_detector(args.model)

    def _take_up(self) -> None:
        """Go on with the work that is there, if there is some."""
        if not self.work.segments:
            return
        settings = self._settings()
        if not self.args.resume:
            raise ValueError(
                f"{self.work.folder}: an earlier call was interrupted; --resume goes on with its work, or remove "
                "the folder to begin anew"
            )
        differences = self.work.differences(settings)
        if differences:
            raise ValueError(
                f"--resume goes on as the work began, in {self.work.folder}: {'; '.join(differences)}"
            )
        for row in self.work.rows():
            self.frames, self.last = self.frames + 1, row["frame"]
            if self.tracker is not None:
                _retrack(self.tracker, row, self.work.folder)

    def _settings(self) -> dict[str, Any]:
        """All that the results depend on."""
        names = (
            "track",
            "every",
            "start",
            "stop",
            "score_threshold",
            "max_detections",
            "augment",
            "no_drawings",
        )
        packages = ("av", "trackers") if self.tracker is not None else ("av",)
        return {
            "video": _identity(self.source),
            "model": _identity(self.args.model),
            **{name: getattr(self.args, name) for name in names},
            **tiling(self.args),
            **self.drawing,
            **{name: importlib.metadata.version(name) for name in packages},
        }

    def detect(self) -> bool:
        """Work off the video, segment by segment; return whether to its end, and not only until Ctrl-C."""
        if not self.work.segments:
            self.work.begin(self._settings())
        found, bar, before = self._found(), self._bar(), self.frames
        with stop_on_interrupt() as is_stopped:
            is_over = False
            while not is_over:
                with self.work.segment() as segment:
                    while len(segment) < SEGMENT and not is_stopped():
                        frame, row, image = next(found, (None, {}, None))
                        if frame is None:
                            is_over = True
                            break
                        segment.add(frame, row, image)
                        self.frames += 1
                        if bar is not None:
                            bar.update(self.frames - before)
                if is_stopped():
                    return is_over
        return True

    def _bar(self) -> Any:
        """A bar of the frames that are left, on a terminal."""
        if not in_terminal():
            return None
        total = self.video.expected(self.selection)
        return keras.utils.Progbar(None if total is None else max(1, total - self.frames), unit_name="frame")

    def _found(self) -> Iterator[tuple[Any, Row, np.ndarray | None]]:
        """Yield each frame that is left, its line, and what is drawn of it."""
        args = self.args
        options = {"score_threshold": args.score_threshold, "max_detections": args.max_detections}
        options |= {"masks": "rle", "augment": args.augment, **tiling(args)}
        for frame, detections in detect_frames(
            self.model, self.video.frames(self.selection, self.last), options
        ):
            if self.tracker is not None:
                detections = tracked(detections, self.tracker, frame.time)
            objects = detections.to_coco(frame.number)
            for found, name in zip(objects, detections.class_names, strict=True):
                found["category_name"] = name
            row: Row = {"frame": frame.number, "time": frame.time, "objects": objects}
            if frame.is_damaged:
                row["damaged"] = True
            drawn = None
            if not args.no_drawings:
                drawn = np.asarray(detections.draw(frame.image, min_score=0, **self.drawing))
            yield frame, row, drawn

    def write(self) -> list[Path]:
        """Write the video and the tables from the segments, and remove these; return the files."""
        rows, stem = self.work.rows, self.target.with_suffix("")
        self.totals = totals(rows())
        if not self.totals.frames:
            wrong = "; ".join(self.video.problems()) or "none is between --start and --stop"
            raise ValueError(f"{self.video.name}: no frame was read: {wrong}")
        lines, counts, tracks = (Path(f"{stem}{end}") for end in (".jsonl", ".counts.csv", ".tracks.csv"))
        with written_whole(lines) as part, part.open("wb") as file:
            for segment in self.work.segments:
                file.write(segment.read_bytes())
        write_counts(
            counts, rows, [name for name in self.model.config.class_names if self.totals.objects[name]]
        )
        written = [lines, counts]
        if self.tracker is not None:
            write_tracks(tracks, rows)
            written.append(tracks)
        if self.work.drawing is not None:
            sound = Sound(self.source, self.video.begin, self.selection.stop) if self.is_file else None
            with written_whole(self.target) as part:
                self.left_out += join(self.work.pictures(), part, self.video.time_base, self.rate, sound)
            written.insert(0, self.target)
        self.work.remove()
        return written

    def close(self) -> None:
        """Close the video, and remove what is left of work in which there is nothing."""
        self.video.close()
        if self.work.folder.exists() and not self.work.segments:
            self.work.remove()


def _retrack(tracker: Tracker, row: Row, folder: Path) -> None:
    """Let the tracker see the objects of a frame again, so that it goes on as if it had never stopped."""
    objects = row["objects"]
    boxes = np.array([found["bbox"] for found in objects], np.float64).reshape(-1, 4)
    boxes[:, 2:] += boxes[:, :2]
    scores = np.array([found.get("box_score", found["score"]) for found in objects])
    ids = tracker.ids(boxes, scores, np.array([found["category_id"] for found in objects]), row["time"])
    if ids.tolist() != [found.get("track_id", -1) for found in objects]:
        raise ValueError(
            f"{folder}: frame {row['frame']} gets other tracks than it had; remove the folder to begin anew"
        )


def _identity(source: Any) -> str:
    """What tells a file, a folder or a name from another."""
    path = Path(str(source))
    if not path.exists():
        return str(source)
    status = path.stat()
    return f"{path.resolve()}, {status.st_size} bytes, of {status.st_mtime_ns}"
