"""Ctrl-C, wherever it hits."""

import contextlib
import signal
import threading
from collections.abc import Iterator


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """Let Ctrl-C end the block with KeyboardInterrupt, also where a library makes another exception of it.

    Keras and TensorFlow do, while they trace a model, which takes many seconds.
    """
    previous = signal.getsignal(signal.SIGINT)
    pressed = False

    def note(number: int, frame: object) -> None:
        nonlocal pressed
        pressed = True
        raise KeyboardInterrupt

    # A process in the background ignores Ctrl-C, and only the main thread may handle signals.
    heeded = callable(previous) and threading.current_thread() is threading.main_thread()
    if heeded:
        signal.signal(signal.SIGINT, note)
    try:
        yield
    except Exception as error:
        if pressed:
            raise KeyboardInterrupt from error
        raise
    finally:
        if heeded:
            signal.signal(signal.SIGINT, previous)
