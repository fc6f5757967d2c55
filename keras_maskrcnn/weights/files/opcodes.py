"""The pickle opcodes that stand for a value of their own: constants, numbers, texts and places in the memo."""

import codecs
import dataclasses
import pickle
from collections.abc import Callable
from typing import Any

LONG = 2**16
"""Texts of more bytes stay undecoded: they are an array's data, which protocols 0 to 2 keep as text."""


@dataclasses.dataclass(frozen=True)
class LongText:
    """A long text as it is in the file.

    Attributes:
        data: its UTF-8 bytes.
    """

    data: bytes


def _text(data: bytes) -> str | LongText:
    return LongText(data) if len(data) > LONG else data.decode("utf-8", "surrogatepass")


def _old_text(data: bytes) -> str | bytes:
    """Return a text of Python 2, which was bytes and is an array's data if it is long."""
    return data if len(data) > LONG else data.decode("latin1")


def _quoted(line: bytes) -> str | bytes:
    if len(line) < 2 or line[:1] != line[-1:] or line[:1] not in (b"'", b'"'):
        raise ValueError("a text is not in quotes")
    return _old_text(codecs.escape_decode(line[1:-1])[0])  # type: ignore[attr-defined]


def _integer(line: bytes) -> int | bool:
    return {b"00": False, b"01": True}[line] if line in (b"00", b"01") else int(line)


def _signed(data: bytes) -> int:
    return int.from_bytes(data, "little", signed=True)


CONSTANTS: dict[bytes, Any] = {
    pickle.NONE: None,
    pickle.NEWTRUE: True,
    pickle.NEWFALSE: False,
    pickle.EMPTY_TUPLE: (),
}

EMPTY: dict[bytes, Callable[[], Any]] = {
    pickle.EMPTY_DICT: dict,
    pickle.EMPTY_LIST: list,
    pickle.EMPTY_SET: set,
}

NUMBERS = {pickle.BININT: "<i", pickle.BININT1: "<B", pickle.BININT2: "<H", pickle.BINFLOAT: ">d"}

SIZED: dict[bytes, tuple[str, Callable[[bytes], Any]]] = {
    pickle.LONG1: ("<B", _signed),
    pickle.BINSTRING: ("<i", _old_text),
    pickle.SHORT_BINSTRING: ("<B", _old_text),
    pickle.BINUNICODE: ("<I", _text),
    pickle.SHORT_BINUNICODE: ("<B", _text),
    pickle.BINUNICODE8: ("<Q", _text),
    pickle.BINBYTES: ("<I", bytes),
    pickle.SHORT_BINBYTES: ("<B", bytes),
    pickle.BINBYTES8: ("<Q", bytes),
    pickle.BYTEARRAY8: ("<Q", bytes),
}
"""How the length is written, and what becomes of that many bytes."""

LINES: dict[bytes, Callable[[bytes], Any]] = {
    pickle.INT: _integer,
    pickle.LONG: lambda line: int(line.removesuffix(b"L")),
    pickle.FLOAT: float,
    pickle.STRING: _quoted,
    pickle.UNICODE: lambda line: line.decode("raw-unicode-escape"),
}

PUT = {pickle.PUT: "", pickle.BINPUT: "<B", pickle.LONG_BINPUT: "<I"}
GET = {pickle.GET: "", pickle.BINGET: "<B", pickle.LONG_BINGET: "<I"}
"""How the place is written; "" is a line of text."""

TUPLES = {pickle.TUPLE1: 1, pickle.TUPLE2: 2, pickle.TUPLE3: 3}
