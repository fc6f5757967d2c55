"""The elements of CVAT's XML one by one, so that memory does not grow with the file, and nothing in it is expanded."""

import os
from collections.abc import Iterator
from pathlib import Path
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

from keras_maskrcnn.utils.files import check_regular

ROOT = "annotations"
_CHUNK = 1 << 18
_SNIFFED = 1 << 12
"""Bytes in which the first element of a file begins."""


def top_elements(path: str | os.PathLike) -> Iterator[Element]:
    """Yield the elements directly below a file's <annotations>, each when it is complete.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no XML, its outermost element is another, or it has a document type, by which XML can name
            other files and grow without bounds; the message leaves the file to the caller.
    """
    try:
        check_regular(path)
    except FileNotFoundError:
        raise FileNotFoundError(f"{path}: there is no such annotation file") from None
    parts = _Parts()
    with Path(path).open("rb") as file:
        while chunk := file.read(_CHUNK):
            parts.feed(chunk)
            yield from parts.taken()
    parts.feed(b"", last=True)
    yield from parts.taken()


def root_name(path: str | os.PathLike) -> str | None:
    """Return the name of a file's outermost element, or None if it does not begin as XML does."""
    names: list[str] = []
    parser = expat.ParserCreate()
    parser.StartElementHandler = lambda name, attributes: names.append(name)
    parser.StartDoctypeDeclHandler = lambda name, *others: names.append(name)
    with Path(path).open("rb") as file:
        try:
            while not names and file.tell() < _SNIFFED and (line := file.readline(_SNIFFED)):
                parser.Parse(line)
        except (expat.ExpatError, LookupError, ValueError):
            pass  # what was read before may tell
    return names[0] if names else None


class _Parts:
    """Builds the elements below the outermost one."""

    def __init__(self) -> None:
        self._parser = expat.ParserCreate()
        self._parser.buffer_text = True
        self._parser.StartDoctypeDeclHandler = self._refuse
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._text
        self._depth = 0
        self._builder = TreeBuilder()
        self._done: list[Element] = []

    def feed(self, data: bytes, last: bool = False) -> None:
        try:
            self._parser.Parse(data, last)
        except (expat.ExpatError, LookupError) as error:  # LookupError: an encoding that Python does not know
            raise ValueError(f"this is no valid XML: {error}") from None

    def taken(self) -> list[Element]:
        done, self._done = self._done, []
        return done

    def _refuse(self, name: str, *others: object) -> None:
        raise ValueError(
            f"it has a document type (<!DOCTYPE {name}>), which CVAT never writes and which is not read: by it XML can "
            "name other files and grow without bounds"
        )

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        if self._depth == 0 and name != ROOT:
            raise ValueError(f"this is no XML of CVAT: its outermost element is <{name}>, not <{ROOT}>")
        if self._depth > 0:
            self._builder.start(name, attributes)
        self._depth += 1

    def _text(self, text: str) -> None:
        if self._depth > 1:
            self._builder.data(text)

    def _end(self, name: str) -> None:
        self._depth -= 1
        if self._depth > 0:
            self._builder.end(name)
        if self._depth == 1:
            self._done.append(self._builder.close())
            self._builder = TreeBuilder()
