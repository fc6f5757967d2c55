"""What Python and the C library keep of memory that nothing needs any more."""

import ctypes
import functools
import gc
import sys
from collections.abc import Callable
from typing import Any


def give_back() -> None:
    """Let go what only refers to itself and, where the C library is glibc, give the system the pages that are free."""
    gc.collect()
    if sys.platform != "linux":  # elsewhere None names no library, or one without this function
        return
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def gives_back_once(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that gives back what its first call leaves, as TensorFlow's tracing leaves a tenth of a GiB."""
    first = True

    @functools.wraps(function)
    def run(*args: Any, **kwargs: Any) -> Any:
        nonlocal first
        result = function(*args, **kwargs)
        if first:
            first = False
            give_back()
        return result

    return run
