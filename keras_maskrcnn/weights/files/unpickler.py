"""An unpickler that builds plain containers and calls nothing but the functions it is given.

Python's own unpickler imports and calls whatever a file names. This one has no import, no attribute access and no
classes: a name in the file is looked up in a table of proxies, and what is not there is refused by its name.
The opcodes are those of Python's `pickletools`, protocols 0 to 5.
"""

import codecs
import os
import pickle
import struct
from collections.abc import Callable, Mapping, Sized
from typing import Any, BinaryIO

from keras_maskrcnn.weights.files.proxies import LeftOut, LongString, Named, Proxy, hashable, kind_of
from keras_maskrcnn.weights.files.refusal import RefusedError, one_line

MAX_INSTRUCTIONS = 5_000_000
"""A detector's checkpoint with its optimizer takes about 100,000."""

LONG = 2**16
"""Strings of more bytes stay undecoded: they are an array's data, which protocols 0 to 2 keep as strings."""

CREATES = "creates an object of a class, where only arrays and plain containers are read"

MAX_COPIES = 4
"""How often on average a file may pass each of its bytes to a proxy, which may copy it."""


def load(
    stream: BinaryIO,
    names: Mapping[tuple[str, str], Named],
    outside: Callable[[Any], object] | None = None,
) -> Any:
    """Return what one pickle holds; the stream is then behind it.

    Args:
        stream: a file or buffer open for reading bytes that can be sought.
        names: module and name of all that the file may name.
        outside: returns the object to which a persistent id refers; without it no id is accepted.

    Raises:
        RefusedError: the pickle is broken or asks for anything else.
    """
    return _Unpickler(stream, names, outside).run()


def _string(data: bytes) -> str | LongString:
    return LongString(data) if len(data) > LONG else data.decode("utf-8", "surrogatepass")


def _old_string(data: bytes) -> str | bytes:
    """Return a string of Python 2, which was bytes and is an array's data if it is long."""
    return data if len(data) > LONG else data.decode("latin1")


def _quoted(line: bytes) -> str | bytes:
    if len(line) < 2 or line[:1] != line[-1:] or line[:1] not in (b"'", b'"'):
        raise ValueError("a string is not in quotes")
    return _old_string(codecs.escape_decode(line[1:-1])[0])  # type: ignore[attr-defined]


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
    pickle.BINSTRING: ("<i", _old_string),
    pickle.SHORT_BINSTRING: ("<B", _old_string),
    pickle.BINUNICODE: ("<I", _string),
    pickle.SHORT_BINUNICODE: ("<B", _string),
    pickle.BINUNICODE8: ("<Q", _string),
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
"""How the memo index is written; "" is a line of digits."""

TUPLES = {pickle.TUPLE1: 1, pickle.TUPLE2: 2, pickle.TUPLE3: 3}


def _dict_of(items: list[Any]) -> dict:
    """Return the dict of keys and values by turns."""
    if len(items) % 2:
        raise ValueError("a key has no value")
    return {hashable(key): value for key, value in zip(items[::2], items[1::2], strict=True)}


class _Unpickler:
    def __init__(
        self,
        stream: BinaryIO,
        names: Mapping[tuple[str, str], Named],
        outside: Callable[[Any], object] | None,
    ) -> None:
        self.stream, self.names, self.outside = stream, names, outside
        self.stack: list[Any] = []
        self.marked: list[list[Any]] = []
        self.memo: dict[int, Any] = {}
        self.copied = 0
        start = stream.tell()
        self.size = stream.seek(0, os.SEEK_END)
        stream.seek(start)

    def run(self) -> Any:
        for _ in range(MAX_INSTRUCTIONS):
            code = self.read(1)
            if code == pickle.STOP:
                break
            try:
                self.step(code)
            except RefusedError:
                raise
            except (LookupError, TypeError, ValueError, ArithmeticError, struct.error) as error:
                raise RefusedError(
                    f"is a broken pickle: instruction {code!r} at byte {self.stream.tell()} fails ({one_line(error)})"
                ) from error
        else:
            raise RefusedError(f"has more than {MAX_INSTRUCTIONS} pickle instructions, so is no checkpoint")
        if len(self.stack) != 1 or self.marked:
            raise RefusedError("is a broken pickle: it ends with other than one value")
        return self.stack.pop()

    def step(self, code: bytes) -> None:
        if code in CONSTANTS:
            self.stack.append(CONSTANTS[code])
        elif code in EMPTY:
            self.stack.append(EMPTY[code]())
        elif code in NUMBERS:
            self.stack.append(self.number(NUMBERS[code]))
        elif code in SIZED:
            length, make = SIZED[code]
            self.stack.append(make(self.read(self.number(length))))
        elif code in LINES:
            self.stack.append(LINES[code](self.line()))
        elif code in PUT:
            self.memo[self.index(PUT[code])] = self.stack[-1]
        elif code in GET:
            self.stack.append(self.memo[self.index(GET[code])])
        elif code in TUPLES:
            self.take(TUPLES[code], tuple)
        elif code in OPERATIONS:
            OPERATIONS[code](self)
        else:
            self.refuse(code)

    def read(self, count: int) -> bytes:
        if count < 0:
            raise RefusedError(f"is a broken pickle: it holds a string of {count} bytes")
        # A buffered reader takes the memory before it looks how much there is to read.
        if count > LONG and count > self.size - self.stream.tell():
            raise RefusedError(
                f"is cut off: {count} bytes are announced behind its last part, which has fewer"
            )
        data = self.stream.read(count)
        if len(data) < count:
            raise RefusedError("is cut off in the middle of a pickle")
        return data

    def line(self) -> bytes:
        line = self.stream.readline()
        if not line.endswith(b"\n"):
            raise RefusedError("is cut off in the middle of a pickle")
        return line[:-1]

    def number(self, layout: str) -> Any:
        return struct.unpack(layout, self.read(struct.calcsize(layout)))[0]

    def index(self, layout: str) -> int:
        return self.number(layout) if layout else int(self.line())

    def take(self, count: int, make: Callable[[list], Any]) -> None:
        if count > len(self.stack):
            raise IndexError("the stack is empty")
        items = self.stack[len(self.stack) - count :]
        del self.stack[len(self.stack) - count :]
        self.stack.append(make(items))

    def since_mark(self) -> list[Any]:
        items, self.stack = self.stack, self.marked.pop()
        return items

    def mark(self) -> None:
        self.marked.append(self.stack)
        self.stack = []

    def pop(self) -> None:
        if self.stack:
            self.stack.pop()
        else:
            self.stack = self.marked.pop()

    def memoize(self) -> None:
        self.memo[len(self.memo)] = self.stack[-1]

    def collect(self, make: Callable[[list], Any]) -> None:
        items = self.since_mark()
        self.stack.append(make(items))

    def append(self, items: list[Any]) -> None:
        if not isinstance(self.stack[-1], list):
            raise TypeError(f"cannot append to {kind_of(self.stack[-1])}")
        self.stack[-1].extend(items)

    def update(self, items: list[Any]) -> None:
        if not isinstance(self.stack[-1], dict):
            raise TypeError(f"cannot set items of {kind_of(self.stack[-1])}")
        self.stack[-1].update(_dict_of(items))

    def add(self) -> None:
        items = self.since_mark()
        if not isinstance(self.stack[-1], set):
            raise TypeError(f"cannot add to {kind_of(self.stack[-1])}")
        self.stack[-1].update(map(hashable, items))

    def append_one(self) -> None:
        item = self.stack.pop()
        self.append([item])

    def update_one(self) -> None:
        value, key = self.stack.pop(), self.stack.pop()
        self.update([key, value])

    def named(self, module: Any, name: Any) -> Named:
        if not isinstance(module, str) or not isinstance(name, str):
            raise RefusedError("asks for a name that is not a string")
        found = self.names.get((module, name))
        if found is None:
            raise RefusedError(
                f"asks for {f'{module}.{name}'[:100]!r}, which is not an array, a tensor or a plain container; "
                "nothing of the file was run"
            )
        return found

    def name(self) -> None:
        module, name = self.line().decode(), self.line().decode()
        self.stack.append(self.named(module, name))

    def name_on_stack(self) -> None:
        name, module = self.stack.pop(), self.stack.pop()
        self.stack.append(self.named(module, name))

    def reduce(self) -> None:
        arguments, called = self.stack.pop(), self.stack.pop()
        if not isinstance(called, Named) or called.call is None:
            raise RefusedError(f"calls {kind_of(called)}")
        if not isinstance(arguments, tuple):
            raise TypeError(f"the arguments are {kind_of(arguments)}")
        self.count_copies(arguments)
        self.stack.append(called.call(*arguments))

    def create(self) -> None:
        _, kind = self.stack.pop(), self.stack.pop()
        if not isinstance(kind, Named) or not kind.left_out:
            raise RefusedError(CREATES)
        self.stack.append(LeftOut())

    def count_copies(self, values: Any) -> None:
        """Count what a proxy receives: from the memo it can be the same string again and again."""
        for value in values if isinstance(values, tuple) else ():
            data = value.data if isinstance(value, LongString) else value
            self.copied += len(data) if isinstance(data, Sized) else 1
        if self.copied > MAX_COPIES * self.size + MAX_INSTRUCTIONS:
            raise RefusedError("uses its parts again and again, so is no checkpoint")

    def build(self) -> None:
        state = self.stack.pop()
        target = self.stack[-1]
        if isinstance(target, Proxy):
            self.count_copies(state)
            target.set_state(state)
        elif not isinstance(target, dict) or not isinstance(state, dict):
            # A dict's attributes, such as torch's versions of the modules, are left out.
            raise RefusedError(f"sets attributes of {kind_of(target)}")

    def persistent(self) -> None:
        if self.outside is None:
            raise RefusedError("refers to data outside the pickle, which only torch's files do")
        self.stack.append(self.outside(self.stack.pop()))

    def refuse(self, code: bytes) -> None:
        if code == pickle.INST:
            module, name = self.line().decode(), self.line().decode()
            self.named(module, name)
        if code in CREATE:
            raise RefusedError(CREATES)
        raise RefusedError(f"uses the pickle instruction {code!r}, which checkpoints do not need")


OPERATIONS: dict[bytes, Callable[[_Unpickler], object]] = {
    pickle.PROTO: lambda self: self.read(1),
    pickle.FRAME: lambda self: self.read(8),
    pickle.MARK: _Unpickler.mark,
    pickle.POP: _Unpickler.pop,
    pickle.POP_MARK: _Unpickler.since_mark,
    pickle.DUP: lambda self: self.stack.append(self.stack[-1]),
    pickle.TUPLE: lambda self: self.collect(tuple),
    pickle.LIST: lambda self: self.collect(list),
    pickle.DICT: lambda self: self.collect(_dict_of),
    pickle.FROZENSET: lambda self: self.collect(lambda items: frozenset(map(hashable, items))),
    pickle.APPEND: _Unpickler.append_one,
    pickle.APPENDS: lambda self: self.append(self.since_mark()),
    pickle.SETITEM: _Unpickler.update_one,
    pickle.SETITEMS: lambda self: self.update(self.since_mark()),
    pickle.ADDITEMS: _Unpickler.add,
    pickle.MEMOIZE: _Unpickler.memoize,
    pickle.GLOBAL: _Unpickler.name,
    pickle.STACK_GLOBAL: _Unpickler.name_on_stack,
    pickle.REDUCE: _Unpickler.reduce,
    pickle.NEWOBJ: _Unpickler.create,
    pickle.BUILD: _Unpickler.build,
    pickle.BINPERSID: _Unpickler.persistent,
}

CREATE = {pickle.INST, pickle.OBJ, pickle.NEWOBJ_EX}
