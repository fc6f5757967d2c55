"""What several commands need: tables, the models that a command line names, and Ctrl-C wherever it hits."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from keras_maskrcnn.presets import PRESETS
from keras_maskrcnn.runtime.description import is_artefact

if TYPE_CHECKING:
    from keras_maskrcnn.models.mask_rcnn import MaskRCNN
    from keras_maskrcnn.runtime.model import ExportedModel


def aligned(rows: Sequence[Sequence[str]], left: Collection[int] = (0,)) -> str:
    """Lay out rows in columns: those of the given numbers aligned left, the others right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        cells = [
            cell.ljust(width) if column in left else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def open_model(
    model: str | Path, weights: Path | None = None, class_names: Sequence[str] | None = None
) -> MaskRCNN:
    """Return the model of a `.keras` file, or the published one of this name.

    Args:
        model: a path, or a name that `maskrcnn models` lists; a name goes before a file of the same name.
        weights: with a name, a checkpoint to use instead of the published one.
        class_names: with a name, as in `load_pretrained`; of a backbone it may be left out, and is one class then.

    Raises:
        ValueError: see `load_pretrained` and `load_model`.
    """
    # Here, because the command line must be parsed without TensorFlow.
    from keras_maskrcnn.models.load import load_model, load_pretrained

    if str(model) not in PRESETS:
        return load_model(model, compile=False)
    if PRESETS[str(model)].is_backbone and class_names is None:
        class_names = PRESETS[str(model)].config.class_names
    return load_pretrained(str(model), weights, class_names)


def open_detector(model: str | Path, weights: Path | None = None) -> MaskRCNN | ExportedModel:
    """Return what `open_model` does, or what `maskrcnn export` has written, of a path to that."""
    if str(model) in PRESETS or not is_artefact(model):
        return open_model(model, weights)
    from keras_maskrcnn.runtime.model import ExportedModel

    return ExportedModel(model)


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
