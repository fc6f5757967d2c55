"""The page on which a model is tried on one's own images: what is on it, and what happens there. Needs Gradio."""

from __future__ import annotations

import html
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr

from keras_maskrcnn.drawing.choices import BOXES, COLOR_BY, LABELS
from keras_maskrcnn.serving import trial
from keras_maskrcnn.serving.requests import Limits
from keras_maskrcnn.serving.trials import Trials
from keras_maskrcnn.utils.counted import counted

if TYPE_CHECKING:
    from keras_maskrcnn.models.mask_rcnn import MaskRCNN
    from keras_maskrcnn.runtime.model import ExportedModel

KEPT = 3600
"""Seconds after which images and results are deleted."""
WAITING = 20
"""Detections that may wait; one runs at a time."""
SHOW_RESULT = """() => {
  const show = () => document.getElementById("summary").scrollIntoView({behavior: "smooth"});
  if (matchMedia("(max-width: 700px)").matches) setTimeout(show, 300);
}"""
"""On a phone what is found is below the settings."""


def make_page(
    model: MaskRCNN | ExportedModel,
    name: str,
    limits: Limits,
    score_threshold: float,
    examples: Sequence[tuple[Path, Path]] = (),
) -> gr.Blocks:
    """Return the page for a model; `app.make_demo` serves it.

    Args:
        model: the model, or an artefact.
        name: what the page calls it.
        limits: of images.
        score_threshold: where its slider stands at first.
        examples: image files to try it on, each with a small image of it.
    """
    least = trial.least_threshold(model)
    has_masks = model.config.mask_head != "none"
    with gr.Blocks(title=f"{name}: try it", analytics_enabled=False, delete_cache=(KEPT // 6, KEPT)) as page:
        gr.HTML(_heading(name, model.config.class_names))
        with gr.Row():
            with gr.Column(scale=1, min_width=300):
                picture = gr.UploadButton("Choose, drop or paste an image", elem_id="picture", size="lg")
                _take_uploads_alone(picture)
                threshold = gr.Slider(
                    least, 1, max(score_threshold, least), step=0.01, label="Score threshold"
                )
                most = gr.Number(model.config.max_detections, label="Max detections", precision=0)
                drawing = _drawing_inputs(has_masks)
                gallery = _gallery(examples)
            with gr.Column(scale=2, min_width=300):
                outputs = _outputs(has_masks)
        trials = Trials(model, limits, [path for path, _ in examples], Path(picture.GRADIO_CACHE))
        _connect(trials, picture, gallery, [threshold, most], drawing, outputs)
    page.queue(max_size=WAITING, default_concurrency_limit=1)
    return page


def _take_uploads_alone(button: Any) -> None:
    """Let a button take files that were uploaded, and no other.

    Of a URL that a client names, Gradio would fetch the content, and where a page is mounted in an application, it
    would take any file of this machine. Beside the source of a subclass it would write a file.
    """
    take, uploads = button.async_move_resource_to_block_cache, Path(button.GRADIO_CACHE).resolve()

    async def take_upload(path: str | Path | None) -> str | None:
        if path is not None and not Path(path).resolve().is_relative_to(uploads):
            raise gr.Error("an image file must be uploaded; no other is read", print_exception=False)
        return await take(path)

    button.async_move_resource_to_block_cache = take_upload


def _heading(name: str, class_names: Sequence[str]) -> str:
    classes = ", ".join(map(html.escape, class_names))
    if len(class_names) > 10:
        summary = f"It detects {counted(len(class_names), 'class', 'classes')}"
        classes = f"<details><summary>{summary}</summary>{classes}</details>"
    else:
        classes = f"<p>It detects: {classes}</p>"
    return f'<div id="heading"><h1>{html.escape(name)}</h1>{classes}</div>'


def _drawing_inputs(has_masks: bool) -> list[Any]:
    """In the order of `trial.Drawing`'s fields."""
    with gr.Accordion("How it is drawn", open=False):
        return [
            gr.Radio(list(LABELS), value="auto", label="Labels"),
            gr.Radio(list(BOXES), value="auto", label="Boxes"),
            gr.Radio(list(COLOR_BY), value="auto", label="Colors by"),
            gr.Checkbox(False, label="Outlines alone, without a tint", visible=has_masks),
        ]


def _gallery(examples: Sequence[tuple[Path, Path]]) -> gr.Gallery | None:
    if not examples:
        return None
    gr.HTML("<p>Or try an example:</p>")
    return gr.Gallery(
        [(str(small), path.name) for path, small in examples],
        label="Examples",
        show_label=False,
        elem_id="examples",
        columns=3,
        height="auto",
        allow_preview=False,
        interactive=False,
        object_fit="contain",
        buttons=[],
    )


def _outputs(has_masks: bool) -> list[Any]:
    """In the order of what `Trials` returns, the states last."""
    summary = gr.HTML("<p>Nothing has been tried yet.</p>", elem_id="summary")
    drawn = gr.Image(
        show_label=False,
        type="filepath",
        format="png",
        interactive=False,
        buttons=["fullscreen"],
        elem_id="drawn",
        alt_text="The image with its detections drawn",
    )
    button: dict[str, Any] = {"interactive": False, "size": "sm", "min_width": 90}
    with gr.Row():
        downloads = [
            gr.DownloadButton("Save PNG", **button),
            gr.DownloadButton("Save COCO JSON", **button),
            gr.DownloadButton("Save label image", **button, visible=has_masks),
        ]
    columns = [*trial.COLUMNS, trial.LABEL] if has_masks else list(trial.COLUMNS)
    kinds: list[Any] = ["str", *["number"] * (len(columns) - 1)]
    table = gr.Dataframe(
        headers=columns,
        datatype=kinds,
        label="Objects",
        interactive=False,
        max_height=400,
        elem_id="objects",
        buttons=[],
    )
    return [summary, table, *downloads[1:], drawn, downloads[0], gr.State(time_to_live=KEPT), gr.State()]


def _connect(
    trials: Trials,
    picture: gr.UploadButton,
    gallery: gr.Gallery | None,
    limits: list[Any],
    drawing: list[Any],
    outputs: list[Any],
) -> None:
    """Say what runs when: detections one at a time, and drawings of what has been found already beside them."""
    *_, drawn, png, found, current = outputs
    settings = [*limits, *drawing]
    detects: dict[str, Any] = {
        "outputs": outputs,
        "concurrency_id": "model",
        "concurrency_limit": 1,
        "show_progress_on": [drawn],
    }
    new = [picture.upload(trials.upload, [picture, *settings], api_name="detect", **detects)]
    for setting in limits:
        setting.change(
            trials.again,
            [current, *settings],
            trigger_mode="always_last",
            api_visibility="private",
            **detects,
        )
    if gallery is not None:
        new.append(gallery.select(trials.example, settings, api_visibility="private", **detects))
    for event in new:
        event.then(None, js=SHOW_RESULT)
    for choice in drawing:
        choice.input(
            trials.redraw,
            [found, *drawing],
            [drawn, png],
            trigger_mode="always_last",
            api_visibility="private",
            show_progress_on=[drawn],
        )
