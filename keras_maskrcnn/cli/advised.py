"""`--anchors auto` and `--max-detections auto` of `maskrcnn train`: fields of the Config by the training images."""

import argparse
import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from keras_maskrcnn.config.config import Config
from keras_maskrcnn.data.limits import limit_advice

if TYPE_CHECKING:
    from keras_maskrcnn.data.records import Record

ADVISED = {
    "anchors": ("anchor_sizes", "anchor_ratios"),
    "max_detections": ("max_detections", "post_nms_top_k", "post_nms_top_k_train"),
}
"""The options, and the fields that each chooses."""


def add_options(group: Any) -> None:
    """Add the options."""
    group.add_argument(
        "--anchors",
        choices=("auto",),
        help="choose anchor_sizes and anchor_ratios by the training objects, of those that maskrcnn check advises: the "
        "best, or with --weights the best that its RPN fits (default: the Config's)",
    )
    group.add_argument(
        "--max-detections",
        choices=("auto",),
        help="raise max_detections, and the numbers of proposals if they are below it, where images have more objects "
        "(default: the Config's)",
    )


def check(args: argparse.Namespace) -> None:
    """Refuse fields that are chosen twice; what --config says may be changed, as by --set.

    Raises:
        ValueError: one of them is set.
    """
    for option, fields in ADVISED.items():
        chosen = [name for name, _ in args.set if name in fields]
        if getattr(args, option) is not None and chosen:
            raise ValueError(
                f"--{option.replace('_', '-')} auto chooses {chosen[0]}, and so does --set {chosen[0]}: leave out one"
            )


def advised_config(
    config: Config, records: "Sequence[Record]", settings: dict[str, Any], weights: str | None
) -> Config:
    """Return the config with the fields that the settings leave to the data, and print which and why.

    Args:
        config: with the classes.
        records: to train on.
        settings: of the run.
        weights: what the model starts from, if anything.
    """
    limits = limit_advice(records, config)
    if settings["max_detections"]:
        print(f"--max-detections auto: {limits}")
        config = limits.apply(config)
    elif limits.images:
        print(f"Warning: {limits} (--max-detections auto)")
    return _with_anchors(config, records, weights) if settings["anchors"] else config


def _with_anchors(config: Config, records: "Sequence[Record]", weights: str | None) -> Config:
    # Here, because the command line must be parsed without TensorFlow.
    from keras_maskrcnn.diagnostics.anchors import anchor_advice

    advice = anchor_advice(records, config)
    chosen, best = advice.best(pretrained_rpn=weights is not None), advice.best()
    print(f"--anchors auto: {advice.summary.removeprefix('Anchors: ')}")
    if chosen is not None:
        print(f"  chosen: {chosen}")
    else:
        why = "they fit" if advice.fits else "no others that were tried match clearly more"
        print(f"  anchor_sizes stay {config.anchor_sizes}: {why}")
    if best != chosen:
        print(f"  not chosen, since {weights} has learned others: {best}")
    return dataclasses.replace(config, **chosen.changes) if chosen is not None else config
