"""Ctrl-C as a wish to end well, for work that has to be written up."""

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator


@contextlib.contextmanager
def stop_on_interrupt() -> Iterator[Callable[[], bool]]:
    """Yield what tells whether Ctrl-C was pressed in the block; pressed again, it interrupts as it did before."""
    previous = signal.getsignal(signal.SIGINT)
    pressed = False

    def note(number: int, frame: object) -> None:
        nonlocal pressed
        pressed = True
        signal.signal(signal.SIGINT, previous)

    # As in `interruptible`: a process in the background ignores Ctrl-C, and only the main thread may handle signals.
    heeded = callable(previous) and threading.current_thread() is threading.main_thread()
    if heeded:
        signal.signal(signal.SIGINT, note)
    try:
        yield lambda: pressed
    finally:
        if heeded:
            signal.signal(signal.SIGINT, previous)
