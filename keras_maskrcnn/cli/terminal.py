"""Nothing that stands in data steers the terminal, whichever line of the command line prints it."""

import contextlib
import sys
from collections.abc import Iterator
from typing import Any

from keras_maskrcnn.utils.display import harmless


class _Harmless:
    """A stream that writes what is harmless; all else is the stream's."""

    def __init__(self, stream: Any):
        self._stream = stream

    def write(self, text: str) -> int:
        self._stream.write(harmless(text))
        return len(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextlib.contextmanager
def harmless_output() -> Iterator[None]:
    """Escape control characters in all that the block prints, but for those of progress bars."""
    out: Any = _Harmless(sys.stdout)
    errors: Any = _Harmless(sys.stderr)
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(errors):
        yield
