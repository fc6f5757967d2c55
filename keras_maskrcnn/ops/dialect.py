"""Which operations graphs are made of: the fastest here, or only those that a format of export has."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Literal

Dialect = Literal["native", "tensorflow", "elementary", "marked"]
"""What may be in a graph that is being made.

- "native": this package's compiled operations, where there are any, and TensorFlow's.
- "tensorflow": TensorFlow's own, so that any TensorFlow runs the graph.
- "elementary": such as converters know: no non-maximum suppression, no RoIAlign, no mapped function.
- "marked": these, and marks for RoIAlign and group normalisation, of which converters make their own format's.
"""

_current: ContextVar[Dialect] = ContextVar("dialect", default="native")


def dialect() -> Dialect:
    """Return the dialect in which graphs are made here and now."""
    return _current.get()


def elementary() -> bool:
    """Whether only elementary operations may be in a graph that is made here and now."""
    return dialect() in ("elementary", "marked")


@contextmanager
def write_in(chosen: Dialect) -> Iterator[None]:
    """Make graphs in another dialect, within a `with` block."""
    token = _current.set(chosen)
    try:
        yield
    finally:
        _current.reset(token)
