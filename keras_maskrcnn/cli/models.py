"""`maskrcnn models`: the published models as a table, or all that is known of one."""

import argparse

from keras_maskrcnn.cli.common import aligned
from keras_maskrcnn.presets import PRESETS
from keras_maskrcnn.presets.preset import Preset

LEGEND = """
AP in % and size in MiB as published. Parity: how the model was compared with the original one, without its published
weights. kit: every stage, with the same randomly generated weights; names: the names and shapes of its tensors; none:
not. `maskrcnn models NAME` shows where a model is from and where its metrics are published."""


def run(args: argparse.Namespace) -> int:
    """Print the table, or one of its rows in full; return the exit code."""
    if args.name:
        print("\n\n".join(filter(None, (description(PRESETS[args.name]), PRESETS[args.name].card))))
    else:
        print(table(list(PRESETS.values())))
    return 0


def table(presets: list[Preset]) -> str:
    """Lay out the models by what they were trained on; "-" is not published."""
    head = ["trained on", "name", "box AP", "mask AP", "keypoint AP", "MiB", "licence", "parity"]
    rows = [
        [preset.dataset, preset.name, *_aps(preset), _number(preset.size), preset.licence, preset.parity]
        for preset in presets
    ]
    return f"{aligned([head, *rows], left=(0, 1, 6, 7))}\n{LEGEND}"


def description(preset: Preset) -> str:
    """Return all that is known of a model, a line each."""
    box, mask, keypoint = _aps(preset)
    threshold = preset.evaluated_above
    rows = {
        "name": preset.name,
        "trained on": preset.dataset,
        "classes": "any" if preset.is_backbone else str(preset.config.num_classes),
        "file": preset.url or f"comes with this package: {preset.file_name}",
        "hash": preset.hash or "not published",
        "size": "not published" if preset.size is None else f"{preset.size} MiB",
        "licence": preset.licence,
        "AP in %": f"box {box}, mask {mask}, keypoint {keypoint}",
        "measured": f"with scores above {preset.config.score_threshold if threshold is None else threshold:g}",
        "published": preset.published or "in the card below",
        "parity": preset.parity,
    }
    if preset.is_backbone:
        del rows["AP in %"], rows["measured"]
    return aligned([[name, value] for name, value in rows.items()], left=(0, 1))


def _aps(preset: Preset) -> list[str]:
    return [_number(ap) for ap in (preset.box_ap, preset.mask_ap, preset.keypoint_ap)]


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"
