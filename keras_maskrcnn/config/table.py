"""All fields of a Config with type, default, range and meaning: as Markdown for the docs, as text for a terminal."""

import dataclasses
import json
import textwrap
from collections.abc import Iterator
from typing import Any, get_args, get_origin

from keras_maskrcnn.config.config import Config
from keras_maskrcnn.config.fields import descriptions, expected, rule_of

PARTS = {
    "class_names": "Images",
    "vertical_flip_probability": "Augmentation",
    "architecture": "Backbone",
    "anchor_sizes": "RPN",
    "level_rule": "Second stage",
    "mask_head": "Masks",
    "keypoint_names": "Keypoints",
    "score_threshold": "Detections",
}
"""The parts of the model, by the first field of each."""


def config_table() -> str:
    """Return the fields as Markdown: a heading and a table for each part of the model.

    Example:
        >>> from keras_maskrcnn.config.table import config_table
        >>> config_table().splitlines()[0]
        '### Images'
    """
    texts, lines = descriptions(Config), []
    for part, fields in _parts():
        lines += [
            f"### {part}",
            "",
            "| field | type | default | range | description |",
            "|---|---|---|---|---|",
        ]
        for field in fields:
            cells = [
                f"`{field.name}`",
                f"`{_type(field.type)}`",
                _default(field, "`"),
                expected(field.type, rule_of(field)),
            ]
            lines.append(f"| {' | '.join([*cells, texts.get(field.name, '')])} |")
        lines.append("")
    return "\n".join(lines)


def config_help(width: int = 100) -> str:
    """Return the fields as text, grouped by part of the model; values are as `--set` takes them."""
    texts, lines = descriptions(Config), []
    for part, fields in _parts():
        lines += [part, ""]
        for field in fields:
            default = _default(field)
            what = expected(field.type, rule_of(field))
            lines.append(f"  {field.name}" + (f" = {default}" if default else ""))
            text = f"{what[0].upper()}{what[1:]}. {texts.get(field.name, '')}"
            lines += textwrap.wrap(text, width, initial_indent=" " * 6, subsequent_indent=" " * 6)
        lines.append("")
    return "\n".join(lines).rstrip()


def _parts() -> Iterator[tuple[str, list[dataclasses.Field]]]:
    """The fields of each part of the model."""
    fields = dataclasses.fields(Config)
    starts = [number for number, field in enumerate(fields) if field.name in PARTS]
    for start, end in zip(starts, [*starts[1:], len(fields)], strict=True):
        yield PARTS[fields[start].name], list(fields[start:end])


def _type(kind: Any) -> str:
    if get_origin(kind) is tuple:
        return f"tuple[{_type(get_args(kind)[0])}, ...]"
    return kind.__name__ if isinstance(kind, type) else type(get_args(kind)[0]).__name__


def _default(field: dataclasses.Field, quote: str = "") -> str:
    """The default as JSON; empty if there is none."""
    if field.default is dataclasses.MISSING:
        return ""
    value = round(field.default, 6) if isinstance(field.default, float) else field.default
    return f"{quote}{json.dumps(value)}{quote}"
