"""The arguments of `maskrcnn predict` for a video, and what does not go with one."""

import argparse
import urllib.parse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from keras_maskrcnn.cli import arguments, numbers
from keras_maskrcnn.video.encoding import WRITTEN_SUFFIXES
from keras_maskrcnn.video.opening import VIDEO_SUFFIXES, is_url
from keras_maskrcnn.video.tracking import TRACKERS


def output(text: str) -> Path:
    """Return the path of a folder that exists or can be made, or of a video to write."""
    return arguments.new_file(text) if names_video(Path(text)) else arguments.output_folder(text)


def names_video(path: Path) -> bool:
    """Whether an output is a video, and not a folder for it."""
    return path.suffix.lower() in WRITTEN_SUFFIXES and not path.is_dir()


def drawn_video(output: Path, video: str | int) -> Path:
    """Return where the drawn video goes: into the file that `output` names, or into the folder, as NAME.mp4."""
    if names_video(output):
        return output
    if isinstance(video, int):
        name = f"camera{video}"
    else:
        name = Path(urllib.parse.urlparse(video).path).stem or "stream" if is_url(video) else Path(video).stem
    return output / f"{name}.mp4"


def add_video(command: Any) -> None:
    """Add the arguments that are for videos alone."""
    command.add_argument(
        "--track",
        nargs="?",
        choices=tuple(TRACKERS),
        const="bytetrack",
        metavar="NAME",
        help=f"of a video: give objects ids that stay from frame to frame, by {', '.join(TRACKERS)} (without a NAME: "
        "bytetrack); needs pip install 'keras3-maskrcnn[track]'",
    )
    command.add_argument(
        "--every", type=numbers.count, metavar="N", help="of a video: every Nth frame alone (default: all)"
    )
    command.add_argument(
        "--start", type=numbers.not_negative, metavar="SECONDS", help="of a video: from there (default: 0)"
    )
    command.add_argument(
        "--stop", type=numbers.positive, metavar="SECONDS", help="of a video: until there (default: its end)"
    )
    command.add_argument(
        "--resume", action="store_true", help="of a video: go on where an interrupted call has left off"
    )


def video_among(inputs: Sequence[str]) -> str | int | None:
    """Return the video, camera or address among the inputs; None if they are images.

    Raises:
        ValueError: there is something beside it.
    """
    found = [text for text in inputs if _is_video(text)]
    if not found:
        return None
    if len(inputs) > 1:
        raise ValueError(f"{found[0]}: a video is predicted alone, without other videos or images")
    return int(found[0]) if found[0].isdecimal() and not Path(found[0]).exists() else found[0]


def _is_video(text: str) -> bool:
    path = Path(text)
    is_file = path.suffix.lower() in VIDEO_SUFFIXES and not path.is_dir()
    return is_file or is_url(text) or (text.isdecimal() and not path.exists())


def check_images(args: argparse.Namespace) -> None:
    """Refuse what is for videos, where the inputs are images."""
    for name in ("track", "every", "start", "stop", "resume"):
        if getattr(args, name) not in (None, False):
            raise ValueError(f"--{name} is for a video, and the inputs are images")
    if args.color_by == "track":
        raise ValueError("--color-by track is for a video, and the inputs are images")
    if names_video(args.output):
        raise ValueError(f"{args.output}: this names a video, and the inputs are images: name a folder")


def check_video(args: argparse.Namespace, video: str | int) -> None:
    """Refuse what does not go with a video.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: an argument is for images, or two do not go together.
    """
    if isinstance(video, str) and not is_url(video) and not Path(video).exists():
        raise FileNotFoundError(f"{video}: there is no such file")
    if args.label_images is not None:
        raise ValueError("--label-images is for images, and the input is a video")
    if args.labels == "strip":
        raise ValueError(
            "--labels strip makes images higher by their legend; all frames of a video have one size"
        )
    if args.no_drawings and names_video(args.output):
        raise ValueError(f"{args.output}: --no-drawings writes no video; name a folder for the tables")
    is_file = Path(str(video)).exists()
    if is_file and drawn_video(args.output, video).resolve() == Path(str(video)).resolve():
        raise ValueError(f"{args.output}: the video itself is there; name another file or folder")
    if args.stop is not None and args.stop <= (args.start or 0):
        raise ValueError(f"--stop {args.stop:g} must be above --start {args.start or 0:g}")
    if args.color_by == "track" and args.track is None:
        raise ValueError("--color-by track needs --track")
    if args.resume and not is_file:
        raise ValueError(f"--resume is for video files: {video} does not begin again")
