"""`maskrcnn check`: exit codes, reports, and the check before a training."""

import json
import re

import numpy as np
import pytest
from command_line import data, draw_images, error
from dataset_files import WRITERS
from examples import drawn_records, tiny
from made_images import made_images
from PIL import Image

from keras_maskrcnn.cli.main import main
from keras_maskrcnn.cli.train import refuse_errors

FIELDS = (
    "min_size=64",
    "max_size=96",
    "depth=18",
    "fpn_channels=32",
    "box_head_channels=32",
    "box_batch_size=16",
)
SMALL = [part for field in FIELDS for part in ("--set", field)]


@pytest.fixture
def quick_estimate(monkeypatch):
    """The memory without the seconds that its estimate takes."""
    monkeypatch.setattr("keras_maskrcnn.diagnostics.dataset.check.training_memory", lambda *arguments: 2**29)


@pytest.fixture
def folder(tmp_path):
    draw_images(tmp_path, count=20)
    return tmp_path


def change(folder, **fields):
    """Change the first annotation of a dataset."""
    content = json.loads((folder / "annotations.json").read_text())
    content["annotations"][0].update(fields)
    (folder / "annotations.json").write_text(json.dumps(content))


def test_a_clean_dataset_ends_with_0(folder, capsys):
    assert main(["check", *data(folder), *SMALL, "--set", "anchor_sizes=[[16],[24],[32],[64],[96]]"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("20 training images with 20 objects (0 crowds)\nno issues\n")
    assert re.search(
        r"\nAnchors: .*\n(.*\n)+\nMemory: a training step of 2 images takes about 0\.\d GiB\n$", out
    )


def test_where_nothing_is_left_the_reasons_are_told(tmp_path, capsys):
    line = {"label": "crack", "shape_type": "linestrip", "points": [[1, 1], [9, 9]]}
    draw_images(tmp_path, count=2)
    for number in (1, 2):
        content = {"imagePath": f"{number}.png", "shapes": [line]}
        (tmp_path / "images" / f"{number}.json").write_text(json.dumps(content))
    assert main(["check", "--annotations", str(tmp_path / "images"), *SMALL]) == 1
    out = capsys.readouterr().out
    assert "error: refused (3)" in out and "1.json" in out and "2.json" in out and out.count("linestrip") == 2
    assert "there are no objects, so its classes must be named: class_names" in out


def test_a_validation_set_of_which_nothing_is_left_is_told_of_too(folder, capsys, quick_estimate):
    (folder / "masks").mkdir()
    (folder / "masks" / "1.png").write_bytes(b"no image")
    validation = "--val-annotations", str(folder / "masks")
    (folder / "train").mkdir()
    Image.fromarray(np.eye(64, dtype=np.uint8)).save(folder / "train" / "1.png")
    train = "--annotations", str(folder / "train"), "--images", str(folder / "images")
    assert main(["check", *train, *validation, *SMALL]) == 1
    out = capsys.readouterr().out
    assert (
        "1 training image with" in out
        and "1.png: the mask cannot be read" in out
        and "there are no images" in out
    )


def test_masks_are_found_by_their_suffix(folder, capsys, quick_estimate):
    (folder / "masks").mkdir()
    labels = np.zeros((64, 64), np.uint8)
    labels[10:40, 10:40] = 1
    for number in range(1, 21):
        Image.fromarray(np.roll(labels, number, axis=1)).save(folder / "masks" / f"{number}-seg.png")
    masks = "--annotations", str(folder / "masks"), "--images", str(folder / "images")
    assert main(["check", *masks, *SMALL, "--mask-suffix=-seg"]) == 0
    assert "20 training images with 20 objects" in capsys.readouterr().out
    assert "yolo annotations take no" not in error(capsys, "check", *data(folder), "--mask-suffix", "_x")


def test_errors_end_with_1_and_all_of_them_are_told(folder, capsys, quick_estimate):
    change(folder, bbox=[10, 10, -5, 5])
    (folder / "images" / "2.png").write_bytes(b"no image")
    pages = "--json", str(folder / "report.json"), "--html", str(folder / "report.html")
    assert main(["check", *data(folder), *SMALL, *pages]) == 1
    out = capsys.readouterr().out
    assert "1.png, annotation 1: " in out and "2.png: the image cannot be read" in out
    assert json.loads((folder / "report.json").read_text())["counts"]["error"] == 2
    assert "1.png, annotation 1" in (folder / "report.html").read_text()


def test_warnings_end_with_1_only_if_strict(folder, capsys, quick_estimate):
    first = folder / "images" / "1.png"
    (folder / "images" / "2.png").write_bytes(first.read_bytes())
    assert main(["check", *data(folder), *SMALL]) == 0
    assert "warning: image twice (1)" in capsys.readouterr().out
    assert main(["check", *data(folder), *SMALL, "--strict"]) == 1


def test_what_cannot_be_run_ends_with_2(folder, capsys):
    assert "no field 'anchors'" in error(capsys, "check", *data(folder), "--set", "anchors=3")
    assert "--val-images needs" in error(capsys, "check", *data(folder), "--val-images", folder)
    assert "min_size" in error(capsys, "check", *data(folder), "--set", "min_size=0")
    (folder / "annotations.json").write_text("{")
    assert "annotations.json: this is no valid JSON" in error(capsys, "check", *data(folder))


@pytest.mark.parametrize("name", ["via", "labelme", "label images", "yolo", "voc", "cvat"])
def test_every_format_is_checked(name, tmp_path, capsys, quick_estimate):
    annotations, images = WRITERS[name](tmp_path, made_images(8))
    arguments = ["check", "--annotations", str(annotations), *SMALL]
    assert main(arguments + ([] if images is None else ["--images", str(images)])) == 0
    out = capsys.readouterr().out
    notes = "2 notes" if name == "yolo" else "1 note"  # its reader says that an image has no text file
    assert out.startswith(f"9 training images with 32 objects (0 crowds)\n{notes}\n")
    assert "note: image without objects (1)\n" in out and "nothing." in out


def test_a_training_does_not_begin_with_errors(folder, capsys):
    content = json.loads((folder / "annotations.json").read_text())
    (folder / "annotations.json").write_text(json.dumps({**content, "annotations": []}))
    arguments = ["train", *data(folder), "--output", folder / "run", "--set", "mask_head=none"]
    message = error_at_the_end(capsys, arguments)
    assert "none of the 20 images has an object; `maskrcnn check` lists all" in message
    assert not (folder / "run").exists()


def error_at_the_end(capsys, arguments):
    assert main([str(argument) for argument in arguments]) == 2
    return capsys.readouterr().err.splitlines()[-1]


def test_the_check_before_a_training_says_its_warnings(capsys):
    records = drawn_records(4)
    refuse_errors(records, tiny(), validation=records)
    assert capsys.readouterr().out == (
        "Warning: image in both splits: image 'drawn 0': it is trained on and validated on (and 3 more)\n"
    )
    refuse_errors(records, tiny(), validation=drawn_records(4, seed=1))
    assert capsys.readouterr().out == ""
