"""An evaluation as a folder to look at: a page with the worst mistakes, plots, and the confusion matrix as a table."""

import base64
import csv
import html
import io
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from keras_maskrcnn.evaluation.about import about_line, described_records
from keras_maskrcnn.evaluation.analysis import Analysis
from keras_maskrcnn.evaluation.instance_matching import MatchingScores, matching_rows
from keras_maskrcnn.evaluation.matching import Match
from keras_maskrcnn.evaluation.mistakes import describe_mistake, draw_mistake
from keras_maskrcnn.evaluation.plots import (
    class_figure,
    confusion_figure,
    matching_figure,
    precision_recall_figure,
)
from keras_maskrcnn.utils.counted import counted
from keras_maskrcnn.utils.display import spreadsheet_cell
from keras_maskrcnn.utils.files import write_text, written_whole

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
    about: Mapping[str, str] | None = None,
    matching: MatchingScores | None = None,
) -> Path:
    """Write an evaluation as report.html, which holds its images, and beside it the plots and the confusion matrix.

    The plots are precision_recall.png, class_ap.png and confusion.png, and matching.png if there is `matching`;
    confusion.csv has a row for each true class and a column for each predicted class, "(none)" standing for no object
    and for missed. Files of an earlier report are replaced; a matching.png that does not belong to this one is removed.

    Args:
        folder: where to write; made if need be.
        analysis: what `analyse` returned.
        iou_threshold: from which an object counts as detected, above 0 to 1.
        score_threshold: from which a detection counts, 0..1.
        count: the most false positives and the most misses that are shown, worst first.
        about: what stands below the title, before the date, like {"model": "best.keras"}; "dataset" is the images'
            number and folder if it is left out.
        matching: what `score_matching` returned, to be shown as a table and a plot; None shows neither.

    Returns:
        The path of report.html.

    Raises:
        FileNotFoundError, ValueError: an image that is to be shown cannot be read, or a threshold is out of range.

    Example:

    ```python
    import tempfile

    import numpy as np

    import keras_maskrcnn as km

    image = np.zeros((64, 96, 3), np.uint8)
    image[10:40, 20:60] = 255
    record = km.make_record(image, masks=[image[:, :, 0] > 0], class_ids=[1], image_id="square")
    found = km.Detections(
        boxes=[[20, 10, 60, 40]], scores=[0.9], class_ids=[1], class_names=["square"], height=64, width=96,
        masks=[dict(record.masks[0])],
    )
    analysis = km.analyse([record], [found], ["square"])
    with tempfile.TemporaryDirectory() as folder:
        page = km.write_report(folder, analysis, about={"model": "best.keras", "dataset": "val.json"})
        print(page.name, sorted(file.name for file in page.parent.iterdir()))
    ```
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    about = {**(about or {})}
    about.setdefault("dataset", described_records(analysis.records))
    thresholds = iou_threshold, score_threshold
    counts = analysis.confusion_matrix(*thresholds)
    _write_csv(folder / "confusion.csv", counts, analysis.class_names)
    _save_plots(folder, analysis, counts, matching)
    kind = "masks" if analysis.kind == "mask" else "boxes"
    rule = f"at IoU {iou_threshold:g} of {kind}, scores from {score_threshold:g}"
    wrong, missed = analysis.false_positives(*thresholds), analysis.misses(*thresholds)
    sections = [
        "<h1>Evaluation</h1>",
        about_line(about),
        f"<p>{counted(len(analysis.records), 'image')}, {counted(int(counts[1:].sum()), 'object')}.</p>",
        _score_table(analysis),
        _plot("Precision and recall", folder / "precision_recall.png"),
        *([] if matching is None else _matching(matching, folder / "matching.png")),
        _mistakes("False positives", f"most confident first, {rule}", analysis, wrong, count),
        _mistakes("Missed objects", f"largest first, {rule}", analysis, missed, count),
        _plot(f"Confusion, {rule}", folder / "confusion.png"),
        _plot("AP of each class", folder / "class_ap.png"),
    ]
    page = folder / "report.html"
    write_text(
        page,
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>Evaluation</title>'
        f"<style>{STYLE}</style></head><body>\n" + "\n".join(sections) + "\n</body></html>\n",
    )
    return page


def _save_plots(
    folder: Path, analysis: Analysis, counts: np.ndarray, matching: MatchingScores | None
) -> None:
    figures = {
        "precision_recall": precision_recall_figure(analysis),
        "class_ap": class_figure(analysis),
        "confusion": confusion_figure(counts, analysis.class_names),
    }
    if matching is None:
        (folder / "matching.png").unlink(missing_ok=True)  # of an earlier report
    else:
        figures["matching"] = matching_figure(matching)
    for name, figure in figures.items():
        with written_whole(folder / f"{name}.png") as part:
            figure.savefig(part, dpi=100)


def _write_csv(path: Path, counts: np.ndarray, class_names: Sequence[str]) -> None:
    names = ["(none)", *map(spreadsheet_cell, class_names)]
    with written_whole(path) as part, part.open("w", newline="", encoding="utf-8") as file:
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


def _matching(scores: MatchingScores, plot: Path) -> list[str]:
    head, *rows = matching_rows(scores.to_dict())
    cells = [f"<tr>{''.join(f'<th>{cell}</th>' for cell in head)}</tr>"]
    cells += [f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows]
    rule = "label images of both, objects and detections of all classes together"
    contest = f"2018 Data Science Bowl: {scores.dsb2018:.3f}"
    return [_plot("Matching", plot), f"<p>{rule}</p><table>{''.join(cells)}</table><p>{contest}</p>"]


def _mistakes(title: str, rule: str, analysis: Analysis, matches: Sequence[Match], count: int) -> str:
    shown = "".join(_mistake(analysis, match) for match in matches[:count])
    some = f", {count} shown" if len(matches) > count else ""
    return f'<h2>{title}: {len(matches)}{some}</h2><p>{rule}</p><div class="mistakes">{shown}</div>'


def _mistake(analysis: Analysis, match: Match) -> str:
    path = html.escape(analysis.records[match.image].name)
    name = path.rsplit("/", 1)[-1]
    encoded = io.BytesIO()
    draw_mistake(analysis, match).save(encoded, "JPEG", quality=85)
    text = html.escape(describe_mistake(analysis, match))
    caption = f'<figcaption>{text}<br><small title="{path}">{name}</small></figcaption>'
    return f"<figure>{_image(encoded.getvalue(), 'jpeg', text)}{caption}</figure>"


def _plot(title: str, path: Path) -> str:
    return f"<h2>{title}</h2>{_image(path.read_bytes(), 'png', title)}"


def _image(content: bytes, kind: str, text: str) -> str:
    return f'<img alt="{text}" src="data:image/{kind};base64,{base64.b64encode(content).decode()}">'
