"""What the command line shows of logs and warnings: a line each, behind no progress bar."""

import contextlib
import logging
import sys
import warnings
from collections.abc import Iterator


@contextlib.contextmanager
def log_shown() -> Iterator[None]:
    """Show what the package logs: reports of what was read and which layers are new, warnings of everything else."""
    package = logging.getLogger("keras_maskrcnn")
    reports = [logging.getLogger(f"keras_maskrcnn.{name}") for name in ("data", "weights")]
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter(f"{fresh_line()}%(message)s"))
    levels = [logger.level for logger in reports]
    package.addHandler(handler)
    for logger in reports:
        logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        package.removeHandler(handler)
        for logger, level in zip(reports, levels, strict=True):
            logger.setLevel(level)


@contextlib.contextmanager
def warnings_shown() -> Iterator[None]:
    """Show warnings as a line each, without the place in the code that they come from."""
    previous = warnings.formatwarning
    warnings.formatwarning = lambda message, *_, **__: (
        f"{fresh_line()}Warning: {message}{_fields_hint(message)}\n"
    )
    try:
        yield
    finally:
        warnings.formatwarning = previous


def _fields_hint(message: Warning | str) -> str:
    """What an argument of Config in a message is on the command line."""
    return " (Config(x=...) is --set x=VALUE here)" if "Config(" in str(message) else ""


def fresh_line() -> str:
    """What clears a progress bar that the cursor may stand behind."""
    return "\r\x1b[K" if sys.stdout.isatty() and sys.stderr.isatty() else ""
