"""What happens on the demo's page: an image comes in or a setting changes, and everything shown follows."""

from __future__ import annotations

import html
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr

from keras_maskrcnn.serving import trial
from keras_maskrcnn.serving.requests import Limits, RefusedError
from keras_maskrcnn.utils.counted import counted
from keras_maskrcnn.utils.display import message

if TYPE_CHECKING:
    from keras_maskrcnn.models.mask_rcnn import MaskRCNN
    from keras_maskrcnn.runtime.model import ExportedModel


class Trials:
    """The functions behind the page. Each session's image and detections are in the page's states.

    Args:
        model: the model, or an artefact.
        limits: of images.
        examples: the gallery's image files.
        folder: where results are written for the page to show.
    """

    def __init__(
        self, model: MaskRCNN | ExportedModel, limits: Limits, examples: Sequence[Path], folder: Path
    ):
        self._model, self._limits, self._examples, self._folder = model, limits, examples, folder

    def upload(
        self,
        image: str,
        score_threshold: float | None,
        max_detections: int | None,
        labels: str,
        boxes: str,
        color_by: str,
        outlines: bool,
    ) -> list[Any]:
        """Detect in an uploaded file; return the values of all outputs.

        Clients see these names; the other functions take the settings in this order.
        """
        drawing = labels, boxes, color_by, outlines
        return self._detect(Path(image), score_threshold, max_detections, *drawing)

    def example(self, event: gr.SelectData, *settings: Any) -> list[Any]:
        """Detect in the example that was clicked on."""
        return self._detect(self._examples[event.index], *settings)

    def again(self, path: Path | None, *settings: Any) -> Any:
        """Detect in the same image once more, if there is one."""
        return gr.skip() if path is None else self._detect(path, *settings)

    def redraw(self, found: trial.Found | None, *drawing: Any) -> Any:
        """Draw once more what has been found, if anything was."""
        return gr.skip() if found is None else self._drawn(found, trial.Drawing(*drawing), self._new_folder())

    def _detect(
        self, path: Path, score_threshold: float | None, most: int | None, *drawing: Any
    ) -> list[Any]:
        try:
            found = trial.find(self._model, path, self._limits, score_threshold, most)
        except RefusedError as refused:
            nothing = gr.DownloadButton(value=None, interactive=False)
            reason = html.escape(message(refused.reason))
            return [f'<p role="alert">{reason}</p>', None, nothing, nothing, None, nothing, None, None]
        folder = self._new_folder()
        return [
            _summary(found, score_threshold),
            trial.table(found) or None,
            _download(trial.write_coco(found, folder)),
            _download(trial.write_labels(found, folder)),
            *self._drawn(found, trial.Drawing(*drawing), folder),
            found,
            path,
        ]

    def _drawn(self, found: trial.Found, drawing: trial.Drawing, folder: Path) -> list[Any]:
        path = trial.write_drawing(found, drawing, folder)
        return [str(path), _download(path)]

    def _new_folder(self) -> Path:
        """A new folder, so that files keep their names, and no session gets another's."""
        self._folder.mkdir(parents=True, exist_ok=True)
        return Path(tempfile.mkdtemp(dir=self._folder))


def _download(path: Path | None) -> Any:
    return gr.DownloadButton(value=None if path is None else str(path), interactive=path is not None)


def _summary(found: trial.Found, score_threshold: float | None) -> str:
    detections = found.detections
    counts = Counter(detections.class_names).most_common(10)
    listed = ", ".join(f"{count} {name}" for name, count in counts)
    lines = [
        f"<b>{counted(len(detections), 'object')}</b>{f' ({html.escape(listed)})' if listed else ''} in "
        f"{html.escape(found.name)}, {detections.width} x {detections.height} pixels, in {found.seconds:.2f} s"
    ]
    if not len(detections):
        best = (
            "there is none at all" if found.best_score is None else f"the highest is {found.best_score:.3f}"
        )
        lines.append(f"No score is above the threshold; {best}.")
    lines += [f"Note: {html.escape(note)}." for note in found.notes]
    return "".join(f"<p>{line}</p>" for line in lines)
