"""A run's log as curves."""

from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from keras_maskrcnn.utils.files import written_whole

Row = dict[str, str]


def save_curves(rows: Sequence[Row], path: Path) -> None:
    """Draw losses, average precisions and learning rate against epochs, as a PNG.

    Args:
        rows: of log.csv; metrics that a row lacks are gaps.
        path: the file to write.
    """
    names = list(dict.fromkeys(name for row in rows for name in row))
    losses = [name for name in names if name == "loss" or name.endswith("_loss")]
    precisions = [name for name in names if name.startswith("val_") and name.endswith("AP")]
    panels = {
        "loss": losses,
        "average precision on validation": precisions,
        "learning rate": ["learning_rate"],
    }
    panels = {title: shown for title, shown in panels.items() if shown}
    figure = Figure(
        figsize=(5 * len(panels), 4), layout="constrained"
    )  # without pyplot there is no global state
    for axes, (title, shown) in zip(
        figure.subplots(1, len(panels), squeeze=False)[0], panels.items(), strict=True
    ):
        for name in shown:
            _draw(axes, rows, name)
        axes.set(title=title, xlabel="epoch", ylim=(0, None))
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(alpha=0.3)
        if len(shown) > 1:
            axes.legend()
    with written_whole(path) as part:
        figure.savefig(part, dpi=100, format="png")


def _draw(axes: Axes, rows: Sequence[Row], name: str) -> None:
    epochs = [int(row["epoch"]) for row in rows]
    values = [float(row[name]) if row.get(name) else float("nan") for row in rows]
    label = name.removeprefix("val_").replace("_", " ")
    axes.plot(epochs, values, marker=".", linewidth=2.5 if name == "loss" else 1.2, label=label)
