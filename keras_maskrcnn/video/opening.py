"""Opens a video file, a camera or a stream by PyAV, or says why it cannot be."""

import os
import sys
from pathlib import Path
from typing import Any

from keras_maskrcnn.utils.files import check_regular

VIDEO_SUFFIXES = (
    *(".mp4", ".mov", ".m4v", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".ts", ".mts", ".m2ts"),
    *(".wmv", ".flv", ".ogv", ".3gp"),
)
"""By these a command line tells videos from images; `open_video` takes a file whatever its name."""
TIMEOUT = 30.0
"""Seconds after which a stream that sends nothing is given up."""


def import_av() -> Any:
    """Return the module of PyAV.

    Raises:
        ImportError: it is not installed; the message says how to.
    """
    try:
        import av
    except ModuleNotFoundError as error:
        raise ImportError(
            "videos need PyAV: pip install 'keras3-maskrcnn[video]'", name=error.name
        ) from error
    return av


def is_url(text: str) -> bool:
    """Whether a text is an address, as of a camera in a network."""
    return "://" in text


def video_name(source: Any) -> str:
    """Return what messages call a source."""
    if isinstance(source, int):
        return f"camera {source}"
    return str(source) if isinstance(source, (str, os.PathLike)) else str(getattr(source, "name", source))


def open_video(source: Any) -> tuple[Any, Any]:
    """Open a source, and choose its best video.

    Args:
        source: a path, the number of a camera (of Linux), an address such as rtsp://..., or a container that PyAV has
            opened, which may be any other device.

    Returns:
        PyAV's container and stream.

    Raises:
        FileNotFoundError: there is no such file or camera.
        ValueError: it is no video, it is cut off where its table of contents would be, or its codec is not known.
        ImportError: PyAV is not installed.
    """
    av = import_av()
    container = source
    if not hasattr(source, "demux"):
        file, options = _file_and_options(source)
        try:
            container = av.open(file, **options)
        except FileNotFoundError:
            raise FileNotFoundError(f"{video_name(source)}: there is no such video") from None
        except av.error.FFmpegError as error:
            cut = "" if options else ", or it is cut off: its end, or its table of contents, is missing"
            raise ValueError(
                f"{video_name(source)}: this is no video that can be read{cut} ({error.strerror})"
            ) from error
    stream = container.streams.best("video")
    if stream is None:
        streams = ", ".join(sorted({one.type for one in container.streams})) or "nothing"
        raise ValueError(f"{video_name(source)}: there is no video in it, only {streams}")
    if stream.codec_context is None:
        raise ValueError(f"{video_name(source)}: its codec is none that this build of PyAV can decode")
    return container, stream


def _file_and_options(source: Any) -> tuple[str, dict[str, Any]]:
    if isinstance(source, bool) or not isinstance(source, (int, str, os.PathLike)):
        raise ValueError(
            "a video is a path, a camera's number, an address or a container of PyAV; got "
            f"{type(source).__name__}"
        )
    if isinstance(source, int):
        if not sys.platform.startswith("linux"):
            raise ValueError(
                f"camera {source}: cameras have numbers on Linux alone; open yours by PyAV, as av.open('0', "
                "format='avfoundation') does on macOS, and pass the container"
            )
        return f"/dev/video{source}", {"format": "v4l2"}
    if isinstance(source, str) and is_url(source):
        return source, {"timeout": TIMEOUT}
    try:
        check_regular(source)
    except FileNotFoundError:
        raise FileNotFoundError(f"{source}: there is no such video") from None
    except ValueError as error:
        raise ValueError(f"{source}: {error}") from None
    return str(Path(source)), {}
