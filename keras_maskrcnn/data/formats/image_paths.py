"""One rule for all readers: which file the path of an image means, on whatever system and by whatever tool written;
and how writers name it."""

import os
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path, PureWindowsPath
from urllib.parse import parse_qs, unquote, urlsplit

from keras_maskrcnn.data.checks import collect_errors, error_prefix
from keras_maskrcnn.utils.counted import counted

_LOCAL_FILES = "d"
"""The part of a query in which Label Studio writes the path: /data/local-files/?d=scans/a.png."""

_PLAIN = re.compile(r"\w[\w-]*(\.\w+)?", re.ASCII)
"""Names of files that can be read in one way alone."""


class ImageFolder:
    """The images below a folder, found by the paths that annotations say.

    Args:
        folder: that paths are relative to.
    """

    def __init__(self, folder: str | os.PathLike) -> None:
        self.folder = Path(folder)
        self._names: dict[Path, dict[str, list[str]]] = {}

    def find(self, path: str) -> Path | None:
        r"""Return the file that a path means: the one in the folder, or else what most of the end of the path leads to.

        Of C:\scans\s1\a.png that is s1/a.png, if there is such a file, or else a.png; likewise of a server's path and
        of a URL. A %20 may stand for a blank, an accented letter may be composed or not, and the case of the file's
        ending does not matter.

        Raises:
            ValueError: several files may be meant; the message names them.
        """
        exact = self.folder / path
        if os.path.isfile(exact):
            return exact
        # Both kinds of slashes, also of paths that leave the folder.
        posix = path if _PLAIN.fullmatch(path) else PureWindowsPath(path).as_posix()
        exact = self.folder / posix
        return exact if posix != path and os.path.isfile(exact) else self.find_inside(path)

    def find_inside(self, path: str) -> Path | None:
        """Return what `find` does, but never a file outside the folder, to which a path may lead as it is."""
        for parts in _readings(path):
            for start in range(len(parts)):
                found = self._below(parts[start:])
                if found is not None and os.path.isfile(found):
                    return found
        return None

    def _below(self, parts: list[str]) -> Path | None:
        place = self.folder
        for part in parts:
            if not os.path.exists(place / part):
                names = self._listing(place).get(_key(part), [])
                if len(names) > 1:
                    raise ValueError(f"{part} may be {' or '.join(names)} in {place}")
                if not names:
                    return None
                part = names[0]
            place = place / part
        return place

    def _listing(self, place: Path) -> dict[str, list[str]]:
        """The names in a folder by their keys."""
        if place not in self._names:
            names = self._names[place] = {}
            for name in sorted(os.listdir(place)) if os.path.isdir(place) else ():
                names.setdefault(_key(name), []).append(name)
        return self._names[place]


def find_images(images: ImageFolder, paths: Iterable[str], problems: list[str]) -> dict[str, Path | None]:
    """Return the file that each path means, None where there is none.

    A path does not mean a file elsewhere that is another path's own. Paths that may mean several files, or that lead to
    one file together, are left out: objects of several images must not land on one.

    Args:
        images: where the files are.
        paths: different ones.
        problems: what is unclear is added to it.
    """
    found: dict[str, Path | None] = {}
    for path in paths:
        with collect_errors(problems), error_prefix(f"image {path}"):
            found[path] = images.find(path)
    moved = _moved(found, images.folder)
    files = (file for path, file in found.items() if moved and file is not None and path not in moved)
    own = set(map(os.path.normpath, files))
    elsewhere: dict[str, list[str]] = {}
    for path, file in moved.items():
        elsewhere.setdefault(os.path.normpath(file), []).append(path)
    for name, several in elsewhere.items():
        if name in own:
            found.update(dict.fromkeys(several))
        elif len(several) > 1:
            problems.append(f"{' and '.join(several[:3])} all lead to one file, {name}")
            for path in several:
                del found[path]
    return found


def note_of_moved(found: Mapping[str, Path | None], folder: str | os.PathLike) -> list[str]:
    """Say how many paths lead to files elsewhere than they say; nothing if none does."""
    moved = _moved(found, Path(folder))
    if not moved:
        return []
    path, file = next(iter(moved.items()))
    return [f"{counted(len(moved), 'image')} found by the end of their path: {path} as {file}"]


def _moved(found: Mapping[str, Path | None], folder: Path) -> dict[str, Path]:
    """Those of the paths that lead to files elsewhere than they say."""
    beginning = os.path.join(folder, "")
    return {
        path: file
        for path, file in found.items()
        if file is not None and str(file) != beginning + path and file != folder / path
    }


def _readings(path: str) -> Iterator[list[str]]:
    """The parts of a path, by each of the ways in which it may be written."""
    if _PLAIN.fullmatch(path):
        yield [path]
        return
    texts = [path, unquote(path)]
    if "://" in path or "?" in path:
        try:
            url = urlsplit(path)
        except ValueError:  # a host in brackets that is none
            url = urlsplit("")
        texts += [*parse_qs(url.query).get(_LOCAL_FILES, []), unquote(url.path)]
    for text in dict.fromkeys(texts):
        windows = PureWindowsPath(text)  # which takes both kinds of slashes
        yield [part for part in windows.parts if part not in (windows.anchor, "..")]


def _key(name: str) -> str:
    """What a name has in common with those that mean the same file."""
    stem, ending = os.path.splitext(name)
    return unicodedata.normalize("NFC", stem) + ending.casefold()
