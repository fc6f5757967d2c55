"""What is behind the demo's page, without the page."""

import json

import numpy as np
import pycocotools.mask as coco_mask
import pytest
from made_up_engine import made_up
from PIL import Image
from small_model import small_model

from keras_maskrcnn.serving import trial
from keras_maskrcnn.serving.requests import Limits, RefusedError
from keras_maskrcnn.serving.trial import Drawing

LIMITS = Limits(pixels=4000)


@pytest.fixture
def model(tmp_path, monkeypatch):
    return made_up(tmp_path, monkeypatch)[0]


def image(folder, name="gray.png", value=100):
    Image.fromarray(np.full((32, 48, 3), value, np.uint8)).save(folder / name)
    return folder / name


def find(model, path, score_threshold=0.05, most=None):
    return trial.find(model, path, LIMITS, score_threshold, most)


def test_an_image_file_in_and_what_predict_finds_in_it(model, tmp_path):
    found = find(model, image(tmp_path))
    (expected,) = model.detect([tmp_path / "gray.png"], score_threshold=0.05, masks="rle")
    np.testing.assert_array_equal(found.detections.boxes, expected.boxes)
    assert found.detections.masks == expected.masks
    assert found.name == "gray.png" and found.seconds > 0 and found.notes == () and found.best_score is None


def test_the_table_has_areas_of_masks_and_numbers_of_the_label_image(model, tmp_path):
    found = find(model, image(tmp_path))
    rows = trial.table(found)
    masks = coco_mask.decode(found.detections.masks).transpose(2, 0, 1)
    assert [row[:3] for row in rows] == [
        ["square", 0.9, masks[0].sum()],
        ["circle", 0.4, masks[1].sum()],
    ]
    assert rows[0][3:7] == [4, 4, 16, 20]
    labels = np.asarray(Image.open(trial.write_labels(found, tmp_path)))
    assert labels.shape == (32, 48) and labels.max() == 2
    assert {row[7] for row in rows} == {1, 2}
    for row, mask in zip(rows, masks, strict=True):
        assert (mask[labels == row[7]] == 1).all()


def test_a_model_without_masks_has_areas_of_boxes_and_no_label_image(tmp_path, monkeypatch):
    model, engine = made_up(tmp_path, monkeypatch, mask_head="none")
    boxes_alone = ("boxes", "scores", "classes")
    monkeypatch.setattr(model, "_engine", lambda inputs: {name: engine(inputs)[name] for name in boxes_alone})
    found = find(model, image(tmp_path))
    assert [len(row) for row in trial.table(found)] == [len(trial.COLUMNS)] * 2
    assert trial.table(found)[0][2] == 12 * 16
    assert trial.write_labels(found, tmp_path) is None
    assert "label" not in json.loads(trial.write_coco(found, tmp_path).read_text())[0]


def test_coco_results_say_file_class_and_label(model, tmp_path):
    path = trial.write_coco(find(model, image(tmp_path)), tmp_path)
    assert path.name == "gray_detections.json"
    first, second = json.loads(path.read_text())
    assert first["bbox"] == [4, 4, 12, 16] and first["segmentation"]["size"] == [32, 48]
    assert (first["file_name"], first["category_name"]) == ("gray.png", "square")
    assert sorted([first["label"], second["label"]]) == [1, 2]


@pytest.mark.parametrize(
    ("drawing", "options"),
    [
        (Drawing(), {}),
        (Drawing(outlines=True), {"fill": False}),
        (Drawing(labels="none", boxes="all"), {"labels": False, "show_boxes": True}),
        (Drawing(labels="strip", boxes="none"), {"labels": "strip", "show_boxes": False}),
        (Drawing(labels="legend", color_by="class"), {"labels": "legend", "color_by": "class"}),
    ],
)
def test_the_drawing_is_what_draw_makes_of_the_choices(model, tmp_path, drawing, options):
    found = find(model, image(tmp_path))
    path = trial.write_drawing(found, drawing, tmp_path)
    assert path.name == "gray_detections.png"
    np.testing.assert_array_equal(
        np.asarray(Image.open(path)), np.asarray(found.detections.draw(min_score=0, **options))
    )


def test_threshold_and_most_detections_hold(model, tmp_path):
    path = image(tmp_path)
    assert len(find(model, path, 0.5).detections) == 1
    assert len(find(model, path, 0.05, most=1).detections) == 1


def test_where_nothing_is_found_the_best_score_is_told(model, tmp_path):
    found = find(model, image(tmp_path), score_threshold=0.95)
    assert len(found.detections) == 0 and found.best_score == pytest.approx(0.9)
    assert trial.table(found) == []
    assert json.loads(trial.write_coco(found, tmp_path).read_text()) == []


def test_pages_and_transparency_are_noted(model, tmp_path):
    pages = [Image.new("L", (48, 32), 100)] * 3
    pages[0].save(tmp_path / "stack.tif", save_all=True, append_images=pages[1:])
    (note,) = find(model, tmp_path / "stack.tif").notes
    assert note.startswith("it has 3 pages or frames, of which only the first is read")
    Image.new("RGBA", (48, 32), (9, 99, 199, 50)).save(tmp_path / "clear.png")
    (note,) = find(model, tmp_path / "clear.png").notes
    assert "transparent" in note


def test_16_bits_are_read_as_predict_reads_them(model, tmp_path):
    values = np.linspace(0, 60000, 32 * 48).astype(np.uint16).reshape(32, 48)
    Image.fromarray(values).save(tmp_path / "deep.tif")
    found = find(model, tmp_path / "deep.tif")
    np.testing.assert_allclose(found.detections.image[..., 0], values / 257, rtol=1e-6)
    Image.fromarray(values // 60).save(tmp_path / "dark.tif")
    (note,) = find(model, tmp_path / "dark.tif").notes
    assert note.startswith("it has no value above 1023 of 65535")


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("text.png", b"this is no image", "text.png: the image cannot be read: this is no image of a format"),
        ("cut.png", None, "cut.png: the image cannot be read: "),
        ("gone.png", None, "gone.png: there is no such image file"),
    ],
)
def test_what_is_no_image_is_refused_by_its_name_alone(model, tmp_path, name, content, reason):
    if name == "cut.png":
        content = image(tmp_path).read_bytes()[:60]
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(RefusedError) as refused:
        find(model, tmp_path / name)
    assert refused.value.reason.startswith(reason) and str(tmp_path) not in refused.value.reason


def test_an_image_of_too_many_pixels_is_refused_before_it_is_decoded(model, tmp_path):
    Image.new("L", (90, 50)).save(tmp_path / "large.png")
    with pytest.raises(RefusedError, match=r"large.png: the image has 90 x 50 pixels, more than 4000"):
        find(model, tmp_path / "large.png")


def test_what_can_be_asked_of_an_artefact_and_of_a_model(model, tmp_path):
    path, most = image(tmp_path), model.config.max_detections
    assert trial.least_threshold(model) == model.config.score_threshold > 0
    with pytest.raises(RefusedError, match="score_threshold must be from the artefact's"):
        find(model, path, score_threshold=0.01)
    with pytest.raises(
        RefusedError, match=f"max_detections must be from 1 to the artefact's {most}; got {most + 1}"
    ):
        find(model, path, most=most + 1)
    other = small_model(max_size=96)
    assert trial.least_threshold(other) == 0
    assert len(find(other, path, 0.0, most=7).detections) <= 7
    with pytest.raises(RefusedError, match="max_detections"):
        find(other, path, 0.0, most=0)
