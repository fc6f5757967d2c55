"""`maskrcnn to-labels`, and the labels that `maskrcnn predict --write` writes."""

import json

import numpy as np
import pytest
from command_line import error, model
from dataset_files import write_coco, write_labelme, write_results, write_roboflow
from made_images import CLASSES
from written import masks_of

from keras_maskrcnn.cli.main import main
from keras_maskrcnn.data.formats.load import load_dataset
from keras_maskrcnn.masks.rle import rle_to_mask


@pytest.mark.parametrize("format", ["labelme", "yolo", "coco"])
def test_annotations_are_written_for_a_tool(tmp_path, format, capsys):
    annotations, images = write_coco(tmp_path / "given")
    target = tmp_path / ("labels.json" if format == "coco" else "labels")
    assert main(["to-labels", str(annotations), str(target), "--images", str(images), "--write", format]) == 0
    assert f"Written: {target}, {format} (4 images; 3 classes: bolt, nut, washer)" in capsys.readouterr().out
    given, _ = load_dataset(annotations, images)
    again, names = load_dataset(target, images if format == "coco" else None)
    assert names == CLASSES
    by_image = {record.image.rpartition("/")[2]: record for record in again}
    for record in given:
        np.testing.assert_array_equal(masks_of(by_image[record.image.rpartition("/")[2]]), masks_of(record))


def test_what_knows_its_images_needs_no_folder_and_scores_have_a_threshold(tmp_path):
    split, _ = write_roboflow(tmp_path)
    assert main(["to-labels", str(split), str(tmp_path / "a"), "--write", "labelme"]) == 0
    assert len(list((tmp_path / "a").glob("*.json"))) == 4
    results, images = write_results(tmp_path)
    command = ["to-labels", str(results), str(tmp_path / "b"), "--write", "labelme", "--images", str(images)]
    assert main([*command, "--score-threshold", "0.95"]) == 0
    assert all(json.loads(file.read_text())["shapes"] == [] for file in (tmp_path / "b").glob("*.json"))


def test_images_that_are_embedded_are_saved_beside_the_labels(tmp_path):
    annotations, _ = write_labelme(tmp_path / "given")  # the image without objects is in its file only
    before = sorted(annotations.iterdir())
    target = tmp_path / "labels.json"
    command = ["to-labels", str(annotations), str(target), "--images", str(annotations), "--write", "coco"]
    assert main(command) == 0 and (tmp_path / "nothing.png").is_file()
    assert sorted(annotations.iterdir()) == before
    assert len(load_dataset(target, tmp_path)[0]) == 4


def test_wrong_targets_are_named(tmp_path, capsys):
    annotations, images = write_coco(tmp_path / "given")
    common = "to-labels", annotations, "--images", images, "--write"
    assert "this is a folder" in error(capsys, *common, "coco", tmp_path)
    assert "it is among the annotations that are read" in error(capsys, *common, "coco", annotations)
    assert "invalid choice: 'voc' (choose from" in error(capsys, *common, "voc", tmp_path / "x")


def test_predictions_are_written_as_labels(trained, tmp_path, capsys):
    out = tmp_path / "out"
    options = ["--score-threshold", "0", "--max-detections", "3", "--no-drawings"]
    command = ["predict", model(trained), str(trained / "images"), "--output", str(out), *options]
    assert main([*command, "--write", "labelme", "coco", "yolo"]) == 0
    rows = json.loads((out / "detections.json").read_text())
    said = capsys.readouterr().out
    assert all(f"{out}/labels-{format}" in said for format in ("labelme", "coco", "yolo"))
    places = {
        "labelme": (out / "labels-labelme", None),
        "coco": (out / "labels-coco" / "annotations.json", trained / "images"),
        "yolo": (out / "labels-yolo", None),
    }
    truth = {number: [] for number in range(1, 5)}
    for row in rows:
        mask = rle_to_mask(row["segmentation"])
        truth[row["image_id"]] += [mask] if mask.any() else []
    for annotations, images in places.values():
        records, _ = load_dataset(annotations, images, class_names=["circle", "square"])
        for number, record in enumerate(records, start=1):
            np.testing.assert_array_equal(masks_of(record), np.reshape(truth[number], (-1, 64, 64)))
    labelme = json.loads((out / "labels-labelme" / "1.json").read_text())
    assert labelme["shapes"][0]["description"] == f"score {rows[0]['score']:.3f}"
    coco = json.loads((out / "labels-coco" / "annotations.json").read_text())
    assert coco["annotations"][0]["score"] == rows[0]["score"] and coco["images"][0]["file_name"] == "1.png"


def test_labels_do_not_go_where_the_images_are(trained, tmp_path, capsys):
    embedded = tmp_path / "out" / "labels-labelme" / "a.json"
    embedded.parent.mkdir(parents=True)
    embedded.write_text('{"imageData": ""}')
    inputs = model(trained), embedded, "--output", tmp_path / "out", "--write", "labelme"
    assert "must be another than the images' own" in error(capsys, "predict", *inputs)
    line = error(
        capsys, "predict", model(trained), trained / "images", "--output", "x", "--write", "labelme", "voc"
    )
    assert "invalid choice: 'voc'" in line
