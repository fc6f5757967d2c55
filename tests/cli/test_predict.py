import json
import re
from argparse import ArgumentTypeError
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from command_line import error, model
from PIL import Image

from keras_maskrcnn.cli.arguments import model_or_name, source
from keras_maskrcnn.cli.main import main
from keras_maskrcnn.cli.predict import _check_masks
from keras_maskrcnn.data.formats.label_images import read_labels
from keras_maskrcnn.data.formats.mask_folders import load_masks
from keras_maskrcnn.masks.rle import rle_to_mask
from keras_maskrcnn.models.mask_rcnn import MaskRCNN
from keras_maskrcnn.utils.counted import counted


def test_predict_writes_a_drawing_per_image_and_coco_results(trained, tmp_path, capsys):
    out = tmp_path / "detected"
    inputs = [
        str(trained / "images"),
        "--output",
        str(out),
        "--score-threshold",
        "0",
        "--max-detections",
        "3",
    ]
    assert main(["predict", model(trained), *inputs]) == 0
    rows = json.loads((out / "detections.json").read_text())
    assert {row["image_id"] for row in rows} <= {1, 2, 3, 4} and len(rows) <= 12
    assert rows[0]["category_name"] in ("circle", "square")
    assert Path(rows[0]["file_name"]).parent == trained / "images"
    assert rows[0]["segmentation"]["size"] == [64, 64]
    assert sorted(path.name for path in out.glob("*.png")) == ["1.png", "2.png", "3.png", "4.png"]
    assert Image.open(out / "1.png").size == (64, 64)
    assert f"{counted(len(rows), 'object')} in 4 images" in capsys.readouterr().out
    assert {row["drawing"] for row in rows} <= {"1.png", "2.png", "3.png", "4.png"}


def test_drawings_are_made_as_asked(trained, tmp_path, capsys):
    inputs = [str(trained / "images" / "1.png"), "--score-threshold", "0"]
    for name, options in (("usual", []), ("strip", ["--labels", "strip", "--outlines"])):
        assert main(["predict", model(trained), *inputs, "--output", str(tmp_path / name), *options]) == 0
    usual, strip = (Image.open(tmp_path / name / "1.png") for name in ("usual", "strip"))
    assert usual.size == (64, 64) and strip.width == 64 and strip.height > 74
    line = error(capsys, "predict", model(trained), *inputs, "--output", "x", "--no-drawings", "--outlines")
    assert "--outlines is for drawings" in line


def test_images_of_the_same_name_get_drawings_of_their_own(trained, tmp_path):
    (tmp_path / "other").mkdir()
    for name in ("1.png", "1_2.png", "1.bmp"):
        Image.new("RGB", (40, 30)).save(tmp_path / "other" / name)
    inputs = [str(trained / "images" / "1.png"), str(tmp_path / "other")]
    assert main(["predict", model(trained), *inputs, "--output", str(tmp_path / "out")]) == 0
    names = sorted(path.name for path in (tmp_path / "out").glob("*.png"))
    assert names == ["1.png", "1_2.png", "1_3.png", "1_4.png"]


@pytest.mark.parametrize("suffix", ["tif", "png"])
def test_label_images_are_read_back_as_the_masks_of_the_detections(suffix, trained, tmp_path, capsys):
    options = ["--score-threshold", "0", "--max-detections", "5", "--no-drawings", "--label-images", suffix]
    out = tmp_path / "out"
    assert main(["predict", model(trained), str(trained / "images"), "--output", str(out), *options]) == 0
    assert {path.name for path in out.iterdir()} == {"detections.json", "label_images"}
    rows = json.loads((out / "detections.json").read_text())
    hidden = sum(row["label"] is None for row in rows)
    said = capsys.readouterr().out
    assert said.endswith("detections.json and 4 label images\n")
    assert ("wholly under better ones" in said) == (hidden > 0)
    records, _ = load_masks(out / "label_images", trained / "images")
    assert len(records) == 4 and sum(len(record.boxes) for record in records) == len(rows) - hidden > 4
    for number, record in enumerate(records, start=1):
        found = [row for row in rows if row["image_id"] == number]
        assert {row["label_image"] for row in found} == {f"label_images/{number}.{suffix}"}
        labels = read_labels(out / "label_images" / f"{number}.{suffix}")
        np.testing.assert_array_equal(record.to_label_image(), labels)
        covered = np.any([rle_to_mask(row["segmentation"]) for row in found], axis=0)
        np.testing.assert_array_equal(labels > 0, covered)
        for row in (row for row in found if row["label"] is not None):
            assert not (labels == row["label"])[~rle_to_mask(row["segmentation"])].any()


def test_the_model_may_be_an_option_and_images_must_be_given(trained, tmp_path, capsys):
    images = [str(trained / "images" / f"{number}.png") for number in (1, 2)]
    options = ["--model", model(trained), "--output", str(tmp_path / "out")]
    assert main(["predict", *options, *images]) == 0
    assert sorted(path.name for path in (tmp_path / "out").glob("*.png")) == ["1.png", "2.png"]
    assert "images must be given" in error(
        capsys, "predict", model(trained), "--output", str(tmp_path / "out")
    )


def test_label_images_need_masks_and_a_folder_without_images(trained, tmp_path, capsys):
    with pytest.raises(ValueError, match="--label-images needs a model with masks"):
        _check_masks(SimpleNamespace(config=SimpleNamespace(mask_head="none")), "tif")
    (tmp_path / "label_images").mkdir()
    Image.new("RGB", (40, 30)).save(tmp_path / "label_images" / "a.png")
    command = ["predict", model(trained), tmp_path / "label_images", "--output", tmp_path]
    assert "must be another than the images' own" in error(capsys, *command, "--label-images", "png")


def test_a_run_folder_stands_for_its_best_model_or_else_its_last(trained, tmp_path):
    assert model_or_name(str(trained / "run")) == trained / "run" / "best.keras"
    (tmp_path / "model.keras").write_bytes(b"PK")
    assert model_or_name(str(tmp_path)) == source(str(tmp_path)) == tmp_path / "model.keras"
    with pytest.raises(ArgumentTypeError, match=r"images: the folder has no best\.keras and no model\.keras"):
        model_or_name(str(trained / "images"))


def test_where_no_score_is_high_enough_the_highest_is_told(trained, tmp_path, capsys):
    image = str(trained / "images" / "1.png")
    options = ["--output", str(tmp_path / "out"), "--no-drawings", "--score-threshold", "1"]
    assert main(["predict", model(trained), image, *options]) == 0
    first, *_, last = capsys.readouterr().out.splitlines()
    assert first == "0 objects in 1 image"
    assert re.fullmatch(
        rf"No score is above 1; the highest in {image}: 0\.\d{{3}} \(--score-threshold\)", last
    )


def test_annotations_are_no_images(trained, capsys):
    line = error(capsys, "predict", model(trained), trained / "annotations.json", "--output", "out")
    assert "annotations.json: this is no image; maskrcnn evaluate takes annotations" in line


def test_an_unreadable_image_is_named_and_the_others_are_kept(trained, tmp_path, capsys):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.jpg").write_text("no image")
    Image.new("RGB", (40, 30)).save(tmp_path / "in" / "b.png")
    assert main(["predict", model(trained), str(tmp_path / "in"), "--output", str(tmp_path / "out")]) == 1
    captured = capsys.readouterr()
    assert "a.jpg: the image cannot be read" in captured.err
    assert captured.err.endswith("1 of 2 images could not be read\n")
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"b.png", "detections.json"}


def test_predict_refuses_folders_without_images_and_to_write_beside_its_inputs(trained, tmp_path, capsys):
    line = error(capsys, "predict", model(trained), tmp_path, "--output", tmp_path / "out")
    assert "the folder has no image files" in line
    images = trained / "images"
    assert "must be another" in error(capsys, "predict", model(trained), images, "--output", images)
    links = tmp_path / "links"
    links.mkdir()
    for image in images.iterdir():
        (links / image.name).symlink_to(image)  # drawing through it would spoil the original
    assert "must be another" in error(capsys, "predict", model(trained), links, "--output", links)


def test_large_images_are_searched_in_tiles(trained, tmp_path):
    options = ["--tile", "40", "--tile-overlap", "8", "--score-threshold", "0", "--no-drawings"]
    images, out = str(trained / "images" / "1.png"), tmp_path / "detected"
    assert main(["predict", model(trained), images, "--output", str(out), *options]) == 0
    rows = json.loads((out / "detections.json").read_text())
    assert len(rows) > 5  # the most that the model detects in one image, or tile
    assert all(
        x + width <= 64.001 and y + height <= 64.001 for x, y, width, height in (r["bbox"] for r in rows)
    )


def test_images_are_augmented_as_asked(trained, tmp_path, capsys, monkeypatch):
    asked, detect = [], MaskRCNN.detect

    def plain(model, images, augment=None, **options):
        asked.append(augment)
        return detect(model, images, **options)

    monkeypatch.setattr(MaskRCNN, "detect", plain)
    command = ["predict", model(trained), str(trained / "images" / "1.png"), "--output", str(tmp_path)]
    assert main([*command, "--score-threshold", "0", "--augment", "horizontal_flip,1.25"]) == 0
    assert asked == [["horizontal_flip", 1.25]]
    assert "d4 and scales like 1.5; got 'sideways'" in error(capsys, *command, "--augment", "sideways")
    assert "augment has 'rotate90' twice" in error(capsys, *command, "--augment", "rotate90,rotate90")


def test_tile_options_that_do_not_go_together_are_refused(trained, tmp_path, capsys):
    command = ["predict", model(trained), str(trained / "images"), "--output", str(tmp_path / "out")]
    assert "--tiles-only need --tile" in error(capsys, *command, "--tiles-only")
    assert "--tile-overlap 64 must be less than --tile 64" in error(
        capsys, *command, "--tile", 64, "--tile-overlap", 64
    )
