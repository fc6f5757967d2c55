"""An evaluation as a folder to look at: a page with the worst mistakes, plots, and the confusion matrix as a table."""

import base64
import csv
import html
import io
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from keras_maskrcnn.drawing.instances import displayable, draw_instances
from keras_maskrcnn.evaluation.analysis import Analysis
from keras_maskrcnn.evaluation.matching import Match
from keras_maskrcnn.evaluation.plots import class_figure, confusion_figure, precision_recall_figure
from keras_maskrcnn.images.io import read_image

THUMBNAIL = 260
NEAR = 0.1
"""IoU from which two things are called near each other."""
SUMMARY = ("AP", "AP50", "AP75", "AP_small", "AP_medium", "AP_large")
STYLE = """
body { font-family: sans-serif; margin: 2em auto; max-width: 1200px; padding: 0 1em; color: #222; }
img { max-width: 100%; }
table { border-collapse: collapse; }
td, th { padding: 0.2em 0.8em; border: 1px solid #ccc; text-align: right; }
.mistakes { display: flex; flex-wrap: wrap; gap: 12px; }
figure { margin: 0; width: 260px; font-size: 0.85em; overflow-wrap: anywhere; }
"""


def write_report(
    folder: str | Path,
    analysis: Analysis,
    iou_threshold: float = 0.5,
    score_threshold: float = 0.5,
    count: int = 24,
) -> Path:
    """Write an evaluation as report.html, which holds its images, and beside it the plots and the confusion matrix.

    The plots are precision_recall.png, class_ap.png and confusion.png; confusion.csv has a row for each true class and
    a column for each predicted class, "(none)" standing for no object and for missed. Files of an earlier report are
    replaced.

    Args:
        folder: where to write; made if need be.
        analysis: what `analyse` returned.
        iou_threshold: from which an object counts as detected, above 0 to 1.
        score_threshold: from which a detection counts, 0..1.
        count: the most false positives and the most misses that are shown, worst first.

    Returns:
        The path of report.html.

    Raises:
        FileNotFoundError, ValueError: an image that is to be shown cannot be read, or a threshold is out of range.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    thresholds = iou_threshold, score_threshold
    counts = analysis.confusion_matrix(*thresholds)
    _write_csv(folder / "confusion.csv", counts, analysis.class_names)
    figures = {
        "precision_recall": precision_recall_figure(analysis),
        "class_ap": class_figure(analysis),
        "confusion": confusion_figure(counts, analysis.class_names),
    }
    for name, figure in figures.items():
        figure.savefig(folder / f"{name}.png", dpi=100)
    kind = "masks" if analysis.kind == "mask" else "boxes"
    rule = f"at IoU {iou_threshold:g} of {kind}, scores from {score_threshold:g}"
    wrong, missed = analysis.false_positives(*thresholds), analysis.misses(*thresholds)
    sections = [
        "<h1>Evaluation</h1>",
        f"<p>{len(analysis.records)} images, {int(counts[1:].sum())} objects.</p>",
        _score_table(analysis),
        _plot("Precision and recall", folder / "precision_recall.png"),
        _mistakes("False positives", f"most confident first, {rule}", analysis, wrong, count),
        _mistakes("Missed objects", f"the largest first, {rule}", analysis, missed, count),
        _plot(f"Confusion, {rule}", folder / "confusion.png"),
        _plot("AP of each class", folder / "class_ap.png"),
    ]
    page = folder / "report.html"
    page.write_text(
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>Evaluation</title>'
        f"<style>{STYLE}</style></head><body>\n" + "\n".join(sections) + "\n</body></html>\n",
        encoding="utf-8",
    )
    return page


def _write_csv(path: Path, counts: np.ndarray, class_names: Sequence[str]) -> None:
    names = ["(none)", *class_names]
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["true / predicted", *names])
        writer.writerows([name, *row] for name, row in zip(names, counts.tolist(), strict=True))


def _score_table(analysis: Analysis) -> str:
    scores, kinds = analysis.scores, list(analysis.evaluations)
    rows = ["<tr><th></th>" + "".join(f"<th>{kind}</th>" for kind in kinds) + "</tr>"]
    for name in SUMMARY:
        values = [scores.get(f"{kind}_{name}", math.nan) for kind in kinds]
        cells = "".join(f"<td>{'-' if math.isnan(value) else f'{value:.3f}'}</td>" for value in values)
        rows.append(f"<tr><th>{name.replace('_', ' ')}</th>{cells}</tr>")
    return f"<table>{''.join(rows)}</table>"


def _mistakes(title: str, rule: str, analysis: Analysis, matches: Sequence[Match], count: int) -> str:
    shown = "".join(_mistake(analysis, match) for match in matches[:count])
    some = f", {count} shown" if len(matches) > count else ""
    return f'<h2>{title}: {len(matches)}{some}</h2><p>{rule}</p><div class="mistakes">{shown}</div>'


def _mistake(analysis: Analysis, match: Match) -> str:
    path = html.escape(analysis.records[match.image].name)
    name = path.rsplit("/", 1)[-1]
    encoded = io.BytesIO()
    _thumbnail(analysis, match).save(encoded, "JPEG", quality=85)
    text = html.escape(describe(analysis, match))
    caption = f'<figcaption>{text}<br><small title="{path}">{name}</small></figcaption>'
    return f"<figure>{_image(encoded.getvalue(), 'jpeg', text)}{caption}</figure>"


def describe(analysis: Analysis, match: Match) -> str:
    """Say in one line what is wrong with a match."""
    names = ("(none)", *analysis.class_names)
    record, found = analysis.records[match.image], analysis.detections[match.image]
    if match.detection is None:
        said = f"missed {names[analysis.true_class(match)]}"
        if match.nearest is None or match.iou < NEAR:
            return f"{said}: no detection there"
        near = f"{found.class_names[match.nearest]} {found.scores[match.nearest]:.2f}"
        return f"{said}: nearest is {near}, IoU {match.iou:.2f}"
    said = f"{names[analysis.predicted_class(match)]} {analysis.score(match):.2f}"
    if match.object is not None:
        return f"{said}: true {names[analysis.true_class(match)]}, IoU {match.iou:.2f}"
    if match.nearest is None or match.iou < NEAR:
        return f"{said}: no object there"
    return f"{said}: nearest is {names[int(record.class_ids[match.nearest])]}, IoU {match.iou:.2f}"


def _thumbnail(analysis: Analysis, match: Match) -> Image.Image:
    """The surroundings of a mistake: the prediction in red, the truth in green."""
    record, found = analysis.records[match.image], analysis.detections[match.image]
    image = read_image(record.image, channels=None) if isinstance(record.image, str) else record.image
    near = match.nearest if match.detection is not None and match.iou >= NEAR else None
    actual = near if match.object is None else match.object
    boxes, names = [], ["", ""]
    if match.detection is not None:
        boxes.append(found.boxes[match.detection])
        names[0] = f"predicted {found.class_names[match.detection]}"
    if actual is not None:
        boxes.append(record.boxes[actual])
        names[1] = f"true {analysis.class_names[int(record.class_ids[actual]) - 1]}"
    x1, y1, x2, y2 = _surroundings(np.array(boxes), record.height, record.width)
    crop = Image.fromarray(displayable(image)[y1:y2, x1:x2])
    factor = THUMBNAIL / max(crop.size)
    width, height = (max(1, round(factor * side)) for side in crop.size)
    return draw_instances(
        crop.resize((width, height)),
        factor * (np.array(boxes) - [x1, y1, x1, y1]),
        [name for name in names if name],
        color_by="class",
        class_names=[names[0], "", "", names[1]],  # the palette's red and green
    )


def _surroundings(boxes: np.ndarray, height: int, width: int) -> tuple[int, int, int, int]:
    """The boxes' hull and half of its size around it, at least 16 pixels, within the image."""
    x1, y1 = boxes[:, :2].min(axis=0)
    x2, y2 = boxes[:, 2:].max(axis=0)
    margin = max(16.0, 0.5 * max(x2 - x1, y2 - y1))
    return (
        max(0, math.floor(x1 - margin)),
        max(0, math.floor(y1 - margin)),
        min(width, math.ceil(x2 + margin)),
        min(height, math.ceil(y2 + margin)),
    )


def _plot(title: str, path: Path) -> str:
    return f"<h2>{title}</h2>{_image(path.read_bytes(), 'png', title)}"


def _image(content: bytes, kind: str, text: str) -> str:
    return f'<img alt="{text}" src="data:image/{kind};base64,{base64.b64encode(content).decode()}">'
