"""An evaluation's metrics as plots of matplotlib."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from keras_maskrcnn.evaluation.analysis import Analysis

CURVES = 10
"""Classes up to this many have a curve of their own."""
NUMBERED = 30
"""And up to this many the confusion matrix shows its numbers."""


def precision_recall_figure(analysis: Analysis) -> Figure:
    """Plot COCO's precision over recall at IoU 0.50, 0.75 and 0.95, means of the classes, and each class's at 0.50.

    Without ground truth a class has no curve. Of more than 10 classes only the means are drawn.
    """
    kinds = list(analysis.evaluations)
    figure = Figure(figsize=(6 * len(kinds), 5), layout="constrained")
    for kind, axes in zip(kinds, np.atleast_1d(figure.subplots(1, len(kinds))), strict=True):
        evaluation, precision = analysis.evaluations[kind], analysis.precision(kind)
        recalls, thresholds = evaluation.params.recThrs, evaluation.params.iouThrs
        known = ~np.isnan(precision[0, 0])  # [K]
        if len(known) <= CURVES:
            for index in np.flatnonzero(known):
                axes.plot(
                    recalls, precision[0, :, index], linewidth=1, label=_plain(analysis.class_names[index])
                )
        for threshold, style in ((0.5, "-"), (0.75, "--"), (0.95, ":")):
            row = int(np.abs(thresholds - threshold).argmin())
            label = f"mean at {'OKS' if kind == 'keypoint' else 'IoU'} {threshold:.2f}"
            axes.plot(recalls, precision[row][:, known].mean(axis=1), style, color="black", label=label)
        axes.set(xlabel="recall", ylabel="precision", xlim=(0, 1), ylim=(0, 1.02), title=kind)
        axes.grid(alpha=0.3)
        axes.legend(fontsize=8)
    return figure


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


def confusion_figure(counts: np.ndarray, class_names: tuple[str, ...]) -> Figure:
    """Plot a confusion matrix `[K + 1, K + 1]`, each row's colours as fractions of its sum.

    Of more than 30 classes those that occur nowhere are left out, and the numbers too.
    """
    names = np.array(["(none)", *map(_plain, class_names)], object)
    if len(class_names) > NUMBERED:
        kept = np.flatnonzero(counts.any(axis=0) | counts.any(axis=1))
        counts, names = counts[np.ix_(kept, kept)], names[kept]
    side = 2.5 + 0.32 * len(names)
    figure = Figure(figsize=(side + 1, side), layout="constrained")
    axes = figure.subplots()
    fractions = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    axes.imshow(fractions, cmap="Blues", vmin=0, vmax=1)
    axes.set_xticks(np.arange(len(names)), names, rotation=90, fontsize=8)
    axes.set_yticks(np.arange(len(names)), names, fontsize=8)
    axes.set(xlabel="predicted (none: missed)", ylabel="true (none: no object there)")
    if len(names) <= NUMBERED + 1:
        _write_numbers(axes, counts, fractions)
    return figure


def _plain(name: str) -> str:
    """A name of which matplotlib reads nothing as mathematics."""
    return name.replace("$", r"\$")


def _write_numbers(axes: Axes, counts: np.ndarray, fractions: np.ndarray) -> None:
    for row, column in zip(*np.nonzero(counts), strict=True):
        color = "white" if fractions[row, column] > 0.5 else "black"
        axes.text(column, row, str(counts[row, column]), ha="center", va="center", color=color, fontsize=8)
