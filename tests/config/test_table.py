"""The table of the Config's fields, for the docs and for a terminal."""

import dataclasses

from keras_maskrcnn.config.config import Config
from keras_maskrcnn.config.table import PARTS, config_help, config_table

NAMES = [field.name for field in dataclasses.fields(Config)]


def test_the_table_has_a_row_per_field_grouped_by_part_of_the_model():
    lines = config_table().splitlines()
    assert [line[4:] for line in lines if line.startswith("### ")] == list(PARTS.values())
    rows = [line for line in lines if line.startswith("| `")]
    assert [row.split("`")[1] for row in rows] == NAMES
    assert all(row.count("|") == 6 for row in rows)
    assert (
        "| `brightness` | `float` | `0.0` | a number in 0..1 | Brightness delta b, sampled from [-b, b] * 255. |"
        in rows
    )
    (sizes,) = (row for row in rows if "`anchor_sizes`" in row)
    assert "| `tuple[tuple[float, ...], ...]` | `[[32], [64], [128], [256], [512]]` |" in sizes


def test_the_text_has_the_same_with_defaults_as_the_command_line_takes_them():
    text = config_help(width=80)
    assert all(f"\n  {name}" in text for name in NAMES)
    assert (
        "\nRPN\n\n  anchor_sizes = [[32], [64], [128], [256], [512]]\n      A sequence of non-empty" in text
    )
    assert "  clamp_deltas = true\n      True or false. Whether a box grows" in text
    assert max(map(len, text.splitlines())) <= 80
