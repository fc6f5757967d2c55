"""How the readers of checkpoints say no: one sentence that names the file and the reason."""

import contextlib
import math
import os
from collections.abc import Iterator, Sequence

TENSORS_PER_BYTE = 4
"""How much larger than its file all tensors together may be: views may share memory, but not without end."""

SPARE = 2**20
"""Bytes of tensors that any file may declare, however small it is."""


class RefusedError(ValueError):
    """A file is not read; the message is the reason, as a sentence without its subject."""


def one_line(error: Exception) -> str:
    """Return the beginning of a library's message, which may quote the file at length, as one line."""
    return " ".join(str(error).split())[:200]


@contextlib.contextmanager
def error_prefix(path: str | os.PathLike) -> Iterator[None]:
    """Put the file's name in front of the reason of a refusal.

    Raises:
        ValueError: the file was refused within the block.
    """
    try:
        yield
    except RefusedError as refusal:
        raise ValueError(f"{os.fspath(path)} {refusal}.") from refusal


class Budget:
    """Keeps what a file declares in proportion to what it holds.

    Args:
        file_size: bytes of the file.
    """

    def __init__(self, file_size: int) -> None:
        self.limit = TENSORS_PER_BYTE * file_size + SPARE
        self.used = 0

    def spend(self, name: str, shape: Sequence[int], item_size: int) -> None:
        """Count a tensor before memory is taken for it.

        Args:
            name: of the tensor.
            shape: sizes of its axes; an axis of 0 counts as 1, so that the others are bounded too.
            item_size: bytes of one element.

        Raises:
            RefusedError: the tensors so far are too large for the file.
        """
        self.used += math.prod(max(size, 1) for size in shape) * item_size
        if self.used > self.limit:
            raise RefusedError(
                f"declares more tensors than it can hold: with {name!r} more than {self.limit} bytes"
            )
