"""Downloads of published files: shown by a bar, tried again when interrupted, checked, and whole or not there."""

import logging
import time
import urllib.error
from collections.abc import Callable
from pathlib import Path

import keras

from keras_maskrcnn.utils.files import file_hash, written_whole

_log = logging.getLogger(__name__)

ATTEMPTS = 3


def fetch(url: str, folder: Path, check: Callable[[Path], object], pause: float = 1.0) -> Path:
    """Return the file of this URL in the folder, after downloading it if it is not there.

    Args:
        url: of the file; its last part is the file's name.
        folder: where downloads are kept; it is made if it is not there.
        check: raises a ValueError if a file is not what it should be. One that lies in the folder is then removed and
            downloaded again.
        pause: seconds to wait before another attempt.

    Raises:
        ConnectionError: it cannot be downloaded; the message names the URL and where to put the file by hand.
        ValueError: what was downloaded is not what it should be; nothing of it is kept.
    """
    target = folder / url.rsplit("/", 1)[-1]
    if target.exists():
        try:
            check(target)
        except ValueError as error:
            _log.warning("%s It is removed, and downloaded again.", error)
            target.unlink()
        else:
            return target
    folder.mkdir(parents=True, exist_ok=True)
    with written_whole(target) as part:
        _download(url, part, target, pause)
        try:
            check(part)
        except ValueError as error:
            raise ValueError(f"{url}: the download was removed. {error} {_by_hand(target)}") from error
    return target


def check_hash(path: Path, published: str) -> None:
    """Raise a ValueError unless the file's hash begins as published, such as "md5:f10217"."""
    algorithm, _, prefix = published.partition(":")
    found = file_hash(path, algorithm)[: len(prefix)]
    if found != prefix:
        raise ValueError(
            f"{path} is not the published file: its {algorithm} begins with {found}, not {prefix}."
        )


def _download(url: str, part: Path, target: Path, pause: float) -> None:
    for attempt in range(1, ATTEMPTS + 1):
        try:
            keras.utils.get_file(part.name, url, cache_dir=part.parent, cache_subdir="", force_download=True)
            return
        except Exception as error:  # Keras raises Exception itself, with what it caught as its context
            cause = error.__context__ or error
            reason = " ".join(str(getattr(cause, "reason", None) or cause or type(cause).__name__).split())
            final = False
            if isinstance(cause, urllib.error.HTTPError):
                reason, final = f"HTTP {cause.code} {reason}", cause.code < 500
            if final or attempt == ATTEMPTS:
                raise ConnectionError(f"{url} cannot be downloaded: {reason}. {_by_hand(target)}") from error
            _log.warning("The download broke off (%s); attempt %d of %d.", reason, attempt + 1, ATTEMPTS)
            time.sleep(pause)


def _by_hand(target: Path) -> str:
    return f"If you get the file another way, put it at {target}."
