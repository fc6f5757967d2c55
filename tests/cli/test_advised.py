"""--anchors auto and --max-detections auto."""

import json

import numpy as np
import pytest
from command_line import data, error
from examples import tiny

from keras_maskrcnn.cli.advised import advised_config
from keras_maskrcnn.cli.main import main
from keras_maskrcnn.data.records import make_record
from keras_maskrcnn.models.mask_rcnn import MaskRCNN

AUTO = {"anchors": "auto", "max_detections": "auto"}


def squares(side, count=9):
    """An image of 128 x 128 with so many squares of a side, four to a row."""
    places = [(4 + 40 * (n % 3), 4 + 40 * (n // 3)) for n in range(count)]
    boxes = [[x, y, x + side, y + side] for x, y in places]
    return make_record(np.zeros((128, 128, 3), np.uint8), boxes, [1] * count, image_id="squares")


@pytest.mark.parametrize(
    ("option", "field", "value"),
    [
        ("--anchors", "anchor_sizes", "[[8],[16],[32],[64],[128]]"),
        ("--max-detections", "max_detections", "300"),
    ],
)
def test_what_is_chosen_twice_is_refused(tmp_path, capsys, option, field, value):
    line = error(capsys, "train", "--output", tmp_path, option, "auto", "--set", f"{field}={value}")
    assert f"{option} auto chooses {field}, and so does --set {field}: leave out one" in line


def test_only_what_is_asked_for_is_chosen(capsys):
    config = tiny(min_size=128, max_size=128, max_detections=5)
    assert advised_config(config, [squares(22)], dict.fromkeys(AUTO), None) == config
    said = capsys.readouterr().out
    assert said.startswith("Warning: image 'squares': of 9 objects at most 5 (max_detections)")
    assert said.endswith("(--max-detections auto)\n") and len(said.splitlines()) == 1


def test_from_scratch_the_anchors_are_those_that_match_most(capsys):
    config = tiny(min_size=128, max_size=128, max_detections=5)
    changed = advised_config(config, [squares(22)], AUTO, None)
    assert (changed.max_detections, changed.post_nms_top_k) == (20, config.post_nms_top_k)
    assert changed.anchor_sizes != config.anchor_sizes
    said = capsys.readouterr().out
    assert "--max-detections auto: image 'squares': of 9 objects at most 5 (max_detections)" in said
    assert "--anchors auto: 0% of 9 objects overlap one by an IoU of 0.7 or more" in said
    assert f"  chosen: 100% with anchor_sizes={changed.anchor_sizes}" in said


def test_anchors_that_fit_stay_where_an_rpn_has_learned_them(capsys):
    """Of the sides of 16 and 23 pixels half fit anchors of 16, and all fit two sizes per level."""
    config = tiny(min_size=128, max_size=128, max_detections=10)
    records = [squares(16), squares(23)]
    assert advised_config(config, records, AUTO, "start.keras") == config
    said = capsys.readouterr().out
    assert f"  anchor_sizes stay {config.anchor_sizes}: they fit" in said
    assert "  not chosen, since start.keras has learned others: 100% with anchor_sizes=" in said
    changed = advised_config(config, records, AUTO, None)
    assert {len(sizes) for sizes in changed.anchor_sizes} == {2 * len(config.anchor_sizes[0])}
    assert "  chosen: 100% with anchor_sizes=" in capsys.readouterr().out


def test_the_choice_is_kept_in_the_run_and_on_resume(trained, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(MaskRCNN, "fit", lambda *_, **__: None)
    start = [
        "train",
        *data(trained),
        "--config",
        str(trained / "config.json"),
        "--output",
        str(tmp_path / "run"),
    ]
    small = [
        "--set",
        "min_size=128",
        "--set",
        "max_size=128",
    ]  # squares of 48 pixels; anchors are of 16, 32, 64, ...
    assert main([*start, *small, "--anchors", "auto", "--max-detections", "auto"]) == 0
    said = capsys.readouterr().out
    assert "--anchors auto: " in said and "--max-detections auto: no image has more than 1 object;" in said
    config, settings = (tmp_path / "run" / name for name in ("config.json", "settings.json"))
    chosen = json.loads(config.read_text())["anchor_sizes"]
    assert chosen != json.loads((trained / "config.json").read_text())["anchor_sizes"]
    assert json.loads(settings.read_text())["anchors"] == "auto"
    assert main(["train", "--output", str(tmp_path / "run"), "--resume"]) == 0
    assert "--anchors auto" not in capsys.readouterr().out
    assert json.loads(config.read_text())["anchor_sizes"] == chosen
