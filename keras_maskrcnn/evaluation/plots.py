"""An evaluation's metrics as plots of matplotlib."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from keras_maskrcnn.evaluation.analysis import Analysis
from keras_maskrcnn.evaluation.instance_matching import MatchingScores

CURVES = 10
"""Classes up to this many have a curve of their own."""
NUMBERED = 30
"""And up to this many the confusion matrix shows its numbers."""
FEW = 10
"""Objects or detections to which a row of the confusion matrix is normalised at least."""


def precision_recall_figure(analysis: Analysis) -> Figure:
    """Plot COCO's precision over recall at IoU 0.50, 0.75 and 0.95, means of the classes, and each class's at 0.50.

    The legend has the mean precision of each curve. Classes without ground truth have no curve; the only class that
    has one is the mean. Of more than 10 classes only the means are drawn.
    """
    kinds = list(analysis.evaluations)
    figure = Figure(figsize=(6 * len(kinds), 6.5), layout="constrained")
    for kind, axes in zip(kinds, np.atleast_1d(figure.subplots(1, len(kinds))), strict=True):
        recalls = analysis.evaluations[kind].params.recThrs
        for name, values, look in _curves(analysis, kind):
            axes.plot(recalls, values, label=f"{_plain(name)} ({values.mean():.2f})", **look)
        axes.set(xlabel="recall", ylabel="precision", xlim=(0, 1), ylim=(0, 1.02), title=kind)
        axes.grid(alpha=0.3)
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.1), ncols=2, fontsize=10, handlelength=3)
    return figure


def _curves(analysis: Analysis, kind: str) -> Iterator[tuple[str, np.ndarray, dict[str, Any]]]:
    """Yield the name of each curve, its precision [101], and how its line looks."""
    precision = analysis.precision(kind)  # [IoUs, recalls, K]
    known = np.flatnonzero(~np.isnan(precision[0, 0]))
    if len(known) > 1 and precision.shape[2] <= CURVES:
        for index in known:
            yield analysis.class_names[index], precision[0, :, index], {"linewidth": 1.5}
    similarity = "OKS" if kind == "keypoint" else "IoU"
    for threshold, style in ((0.5, "-"), (0.75, "--"), (0.95, ":")):
        row = int(np.abs(analysis.evaluations[kind].params.iouThrs - threshold).argmin())
        name = f"{'mean at ' if len(known) > 1 else ''}{similarity} {threshold:.2f}"
        look = {"linestyle": style, "linewidth": 2.5, "color": "black"}
        yield name, precision[row][:, known].mean(axis=1), look


def class_figure(analysis: Analysis) -> Figure:
    """Plot each class's AP as bars, best first; classes without ground truth are left out."""
    scores = analysis.scores
    kinds = [kind for kind in ("mask", "box", "keypoint") if kind in analysis.evaluations]
    aps = {kind: np.array([scores[f"{kind}_AP/{name}"] for name in analysis.class_names]) for kind in kinds}
    known = np.flatnonzero(~np.isnan(aps[kinds[0]]))
    order = known[np.argsort(aps[kinds[0]][known], kind="stable")]  # the lowest bar is the first
    figure = Figure(figsize=(7, 1.5 + 0.28 * len(order)), layout="constrained")
    axes = figure.subplots()
    height = 0.8 / len(kinds)
    for number, kind in enumerate(kinds):
        places = np.arange(len(order)) + (len(kinds) - 1 - 2 * number) / 2 * height
        bars = axes.barh(places, aps[kind][order], height, label=kind)
        axes.bar_label(bars, fmt="%.2f", fontsize=7, padding=2)
    axes.set_yticks(
        np.arange(len(order)), [_plain(analysis.class_names[index]) for index in order], fontsize=8
    )
    axes.set(xlabel="AP", xlim=(0, 1.08), ylim=(-0.6, len(order) - 0.4))
    axes.legend(loc="lower right", fontsize=8)
    axes.grid(axis="x", alpha=0.3)
    return figure


def matching_figure(scores: MatchingScores) -> Figure:
    """Plot precision, recall, F1 and TP / (TP + FP + FN) of matching over the IoU thresholds."""
    figure = Figure(figsize=(6, 4.5), layout="constrained")
    axes = figure.subplots()
    named = {
        "TP / (TP + FP + FN)": scores.accuracy,
        "F1": scores.f1,
        "precision": scores.precision,
        "recall": scores.recall,
    }
    for (name, values), style in zip(named.items(), ("-", "--", ":", "-."), strict=True):
        axes.plot(scores.iou_thresholds, values, label=name, linestyle=style, marker=".", linewidth=2)
    axes.set(xlabel="IoU threshold", ylim=(0, 1.02))
    axes.grid(alpha=0.3)
    axes.legend(loc="lower left")
    return figure


def confusion_figure(counts: np.ndarray, class_names: tuple[str, ...]) -> Figure:
    """Plot a confusion matrix `[K + 1, K + 1]` with its counts, shaded by `confusion_fractions`.

    Of more than 30 classes those that occur nowhere are left out, and the numbers too.
    """
    names = np.array(["(none)", *map(_plain, class_names)], object)
    fractions = confusion_fractions(counts)
    if len(class_names) > NUMBERED:
        kept = np.flatnonzero(counts.any(axis=0) | counts.any(axis=1))
        counts, fractions, names = counts[np.ix_(kept, kept)], fractions[np.ix_(kept, kept)], names[kept]
    side = 2.5 + 0.35 * len(names)
    figure = Figure(figsize=(side + 2.2, side + 0.8), layout="constrained")
    axes = figure.subplots()
    image = axes.imshow(fractions, cmap="Blues", vmin=0, vmax=1)
    figure.colorbar(image, ax=axes, shrink=0.8, label="fraction")
    axes.set_xticks(np.arange(len(names)), names, rotation=90, fontsize=8)
    totals = counts.sum(axis=1)
    axes.set_yticks(
        np.arange(len(names)), [f"{n}: {c}" for n, c in zip(names, totals, strict=True)], fontsize=8
    )
    axes.set(xlabel="predicted (none: missed)", ylabel="true (none: no object), how many")
    axes.set_title(
        f"counts; rows are normalised in the shading (by {FEW} at least),\nrow (none) by the columns' sums",
        fontsize=8,
    )
    if len(names) <= NUMBERED + 1:
        _write_numbers(axes, counts, fractions)
    return figure


def confusion_fractions(counts: np.ndarray) -> np.ndarray:
    """Return a confusion matrix `[K + 1, K + 1]` as fractions 0..1: of the objects of each true class.

    In the first row, of detections where no object is, they are of all detections of the predicted class: one among a
    hundred is 0.01, though it be the only one of its row. Fewer than 10 objects or detections are taken for 10, or one
    mistake with a rare class would look like a class that is always wrong.
    """
    totals = np.repeat(counts.sum(axis=1, keepdims=True), counts.shape[1], axis=1)
    totals[0] = counts.sum(axis=0)
    return counts / np.maximum(totals, FEW)


def _plain(name: str) -> str:
    """A name of which matplotlib reads nothing as mathematics."""
    return name.replace("$", r"\$")


def _write_numbers(axes: Axes, counts: np.ndarray, fractions: np.ndarray) -> None:
    for row, column in zip(*np.nonzero(counts), strict=True):
        color = "white" if fractions[row, column] > 0.5 else "black"
        axes.text(column, row, str(counts[row, column]), ha="center", va="center", color=color, fontsize=8)
