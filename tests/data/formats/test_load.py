"""One function for all formats: it finds out which it is, and asks for what it lacks."""

import json
import shutil

import pytest
from command_line import error
from dataset_files import WRITERS, write_coco, write_labelme, write_via, write_voc, write_yolo
from made_images import CLASSES

from keras_maskrcnn.cli.main import main
from keras_maskrcnn.data.formats import FORMATS
from keras_maskrcnn.data.formats.coco import load_coco
from keras_maskrcnn.data.formats.detect import checked_format, find_format
from keras_maskrcnn.data.formats.load import load_dataset

NAMES = {
    "via 1": "via",
    "label images": "masks",
    "mask files": "masks",
    "bowl folders": "masks",
    "results": "coco-results",
}


@pytest.mark.parametrize("name", WRITERS)
def test_every_format_is_found(tmp_path, name):
    annotations, images = WRITERS[name](tmp_path)
    assert find_format(annotations).name == checked_format(annotations, images).name == NAMES.get(name, name)


def test_every_format_is_tried():
    assert {NAMES.get(name, name) for name in WRITERS} == {row.name for row in FORMATS}


def test_a_split_file_of_voc_is_its_dataset(tmp_path):
    root, _ = write_voc(tmp_path)
    split = root / "ImageSets" / "Segmentation" / "train.txt"
    split.write_text("image 1\n")
    records, names = load_dataset(split)
    assert names == CLASSES and len(records) == 1 and len(records[0].boxes) == 4


def test_what_may_be_two_formats_is_asked_for(tmp_path):
    labels, _ = write_yolo(tmp_path)
    folder, _ = write_labelme(tmp_path)
    shutil.copy(labels / "image 0.txt", folder)
    with pytest.raises(ValueError, match=r"labelled may be labelme or yolo; format \(--format\) must say"):
        load_dataset(folder)
    assert load_dataset(folder, format="labelme")[1] == CLASSES


def test_a_broken_file_among_others_does_not_hide_the_format(tmp_path):
    folder, _ = write_labelme(tmp_path)
    (folder / "a first one.json").write_text("{")
    with pytest.raises(ValueError, match=r"a first one.json: this is no valid JSON"):
        load_dataset(folder)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("{", "a.json: this is no valid JSON"),
        ('{"some": "thing"}', "a.json has no known format"),
        ("3", "a.json has no known format"),
    ],
)
def test_unknown_files_are_named(tmp_path, content, reason):
    (tmp_path / "a.json").write_text(content)
    with pytest.raises(ValueError, match=reason):
        find_format(tmp_path / "a.json")


def test_folders_and_files_that_hold_no_annotations_are_named(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "data.toml").write_text("names = ['a']")
    with pytest.raises(ValueError, match="empty has no known format"):
        find_format(tmp_path / "empty")
    with pytest.raises(ValueError, match=r"data.toml has no known format"):
        find_format(tmp_path / "data.toml")
    with pytest.raises(FileNotFoundError, match=r"none.json: there is no such"):
        find_format(tmp_path / "none.json")


def test_the_folder_of_a_file_is_not_the_file(tmp_path):
    write_via(tmp_path)
    with pytest.raises(
        ValueError, match=r"this is a folder; its file .*via.json is via, and may be given itself"
    ):
        find_format(tmp_path)


@pytest.mark.parametrize(
    ("writer", "options", "reason"),
    [
        (write_coco, {"images": None}, "coco annotations need the folder of their images"),
        (write_coco, {"format": "tfrecord"}, "format must be one of coco, via"),
        (write_coco, {"class_key": "kind"}, "coco annotations take no class_key, nor other options"),
        (write_coco, {"score_threshold": 0.5}, "coco annotations take no score_threshold"),
        (write_via, {"classes": {1: "bolt"}}, "via annotations take no classes, but class_key"),
        (write_voc, {"images": "."}, "voc annotations have their images in JPEGImages"),
    ],
)
def test_options_that_a_format_needs_or_has_no_use_for(tmp_path, writer, options, reason):
    annotations, images = writer(tmp_path)
    with pytest.raises(ValueError, match=reason):
        load_dataset(annotations, **{"images": images, **options})


def test_options_reach_the_loaders(tmp_path):
    annotations, images = write_via(tmp_path)
    records, names = load_dataset(
        annotations, images, class_key="part", class_names=CLASSES[::-1], masks=False
    )
    assert names == CLASSES[::-1] and records[0].masks is None
    problems = []
    next(images.iterdir()).unlink()
    assert len(load_dataset(annotations, images, problems=problems)[0]) == 3 and len(problems) == 1


def test_what_only_one_format_takes_reaches_its_loader(tmp_path):
    labels, _ = write_yolo(tmp_path)
    assert load_dataset(labels, label_names=CLASSES[::-1], class_key=None)[1] == CLASSES[::-1]


@pytest.mark.parametrize("name", WRITERS)
def test_a_command_writes_every_format_as_coco(tmp_path, name, capsys):
    annotations, images = WRITERS[name](tmp_path)
    target, saved = tmp_path / "out.json", tmp_path / "saved"
    options = [] if images is None else ["--images", str(images)]
    assert main(["to-coco", str(annotations), str(target), *options, "--save-images", str(saved)]) == 0
    said = capsys.readouterr()
    assert "4 images (1 without objects), 12 objects" in said.err
    assert "3 classes: bolt, nut, washer" in said.out
    assert f"--annotations {target} --images {saved}" in said.out
    records, names = load_coco(target, saved)
    assert names == CLASSES and sum(len(record.boxes) for record in records) == 12


def test_the_command_needs_a_folder_for_embedded_images(tmp_path, capsys):
    folder, _ = write_labelme(tmp_path)
    assert main(["to-coco", str(folder), str(tmp_path / "out.json")]) == 2
    said = capsys.readouterr().err
    assert "nothing.json is no image file of its own" in said and "--save-images" in said
    assert not (tmp_path / "out.json").exists()


def test_commands_ask_for_the_images_before_they_start(tmp_path, capsys):
    annotations, _ = write_coco(tmp_path)
    commands = (
        ["train", "--annotations", annotations, "--output", tmp_path / "run"],
        ["evaluate", "--model", "maskrcnn_resnet50_fpn_coco", "--annotations", annotations],
        ["to-coco", annotations, tmp_path / "out.json"],
    )
    for command in commands:
        assert "coco annotations need the folder of their images (--images)" in error(capsys, *command)


def test_scores_of_results_are_an_option(tmp_path, capsys):
    annotations, images = WRITERS["results"](tmp_path)
    target = tmp_path / "out.json"
    command = ["to-coco", str(annotations), str(target), "--images", str(images), "--score-threshold", "0.95"]
    assert main(command) == 0
    assert "12 detections score less than 0.95" in capsys.readouterr().err
    assert json.loads(target.read_text())["annotations"] == []
