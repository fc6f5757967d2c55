import json

import numpy as np
import pycocotools.mask as coco_mask
import pytest
from PIL import Image

from keras_maskrcnn.masks import mask_to_rle
from keras_maskrcnn.results import Detections, make_detections


def detections(**changes):
    masks = np.zeros((3, 20, 30), bool)
    masks[0, 2:8, 3:9] = masks[1, 10:12, 1:3] = masks[2, 5:6, 20:25] = True
    values = {
        "boxes": np.array([[3, 2, 9, 8], [1, 10, 3, 12], [20, 5, 25, 6]], np.float32),
        "scores": np.array([0.9, 0.6, 0.3]),
        "class_ids": np.array([2, 1, 2]),
        "class_names": ["dog", "cat", "dog"],
        "height": 20,
        "width": 30,
        "masks": masks,
        "image": np.full((20, 30, 3), 100, np.uint8),
    }
    return Detections(**{**values, **changes})


def outputs():
    """Two instances and a padded row on an image resized from 40 x 100 (height, width) to 61 x 150."""
    return {
        "boxes": np.array([[15, 6.1, 45, 30.5], [120, 30.5, 160, 70], [0, 0, 0, 0]], np.float32),
        "scores": np.array([0.8, 0.7, 0], np.float32),
        "classes": np.array([2, 1, 0], np.int32),
        "masks": np.ones((3, 28, 28), np.float32),
    }


def made(**changes):
    return make_detections(outputs(), (40, 100), (61, 150), ("cat", "dog"), **changes)


# --- From the model's outputs


def test_boxes_come_back_to_the_original_image_per_axis_and_clipped():
    found = made()
    assert found.boxes == pytest.approx(np.array([[10, 4, 30, 20], [80, 20, 100, 40]]), abs=1e-4)
    assert found.boxes.dtype == found.scores.dtype == np.float32 and found.class_ids.dtype == np.int32


def test_padded_rows_are_dropped_and_the_order_is_kept():
    found = made()
    assert len(found) == 2
    assert found.class_names == ["dog", "cat"]
    assert found.scores.tolist() == pytest.approx([0.8, 0.7])


def test_masks_lie_under_their_boxes_in_the_original_image():
    found = made()
    assert found.masks.shape == (2, 40, 100) and found.masks.dtype == bool
    rows, columns = found.masks[0].nonzero()
    assert (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1) == (10, 4, 30, 20)


@pytest.mark.parametrize("integer_paste", [False, True])
def test_run_lengths_are_the_same_masks(integer_paste):
    dense, encoded = made(integer_paste=integer_paste), made(masks="rle", integer_paste=integer_paste)
    assert [mask_to_rle(mask) for mask in dense.masks] == encoded.masks


def test_integer_paste_covers_the_pixel_that_torchvision_adds():
    moved = {**outputs(), "boxes": outputs()["boxes"] + np.float32(0.6)}  # x from 10.4 to 30.4
    exact = make_detections(moved, (40, 100), (61, 150), ("cat", "dog"))
    rounded = make_detections(moved, (40, 100), (61, 150), ("cat", "dog"), integer_paste=True)
    assert exact.masks[0].any(0).nonzero()[0].max() == 29
    assert rounded.masks[0].any(0).nonzero()[0].max() == 30


def test_masks_are_left_out_on_request_and_without_a_mask_head():
    assert made(masks=None).masks is None
    without = {name: value for name, value in outputs().items() if name != "masks"}
    assert make_detections(without, (40, 100), (61, 150), ("cat", "dog")).masks is None


@pytest.mark.parametrize("masks", ["bool", "rle", None])
def test_nothing_found_gives_empty_arrays(masks):
    empty = {name: np.zeros_like(value) for name, value in outputs().items()}
    found = make_detections(
        empty, (40, 100), (61, 150), ("cat", "dog"), masks, np.zeros((40, 100, 3), np.uint8)
    )
    assert len(found) == 0 and found.boxes.shape == (0, 4) and found.class_names == []
    assert found.to_coco(1) == [] and list(found) == []
    assert found.draw().size == (100, 40)
    assert repr(found) == "Detections(0 in 100 x 40 pixels: nothing)"


def test_a_misspelt_kind_of_mask_is_refused():
    with pytest.raises(ValueError, match='"bool", "rle" or None; got \'polygon\''):
        made(masks="polygon")


# --- Detections


def test_rows_are_chosen_by_number_slice_and_booleans():
    found = detections()
    assert found[0].class_names == ["dog"] and len(found[-1]) == 1
    assert found[1:].class_names == ["cat", "dog"]
    best = found[found.scores > 0.5]
    assert best.class_names == ["dog", "cat"] and best.masks.shape == (2, 20, 30)
    assert found[[2, 0]].scores.tolist() == pytest.approx([0.3, 0.9])
    assert [one.class_names[0] for one in found] == ["dog", "cat", "dog"]
    with pytest.raises(IndexError):
        found[3]


def test_rows_of_run_lengths_are_chosen_too():
    found = detections(masks=[mask_to_rle(mask) for mask in detections().masks])
    assert found[found.class_ids == 1].masks == [found.masks[1]]


def test_repr_names_what_was_found():
    assert repr(detections()) == "Detections(3 in 30 x 20 pixels: dog 0.90, cat 0.60, dog 0.30)"
    many = detections()[[0] * 63]
    assert repr(many).startswith("Detections(63 in") and repr(many).endswith("dog 0.90, ...)")
    assert len(repr(many)) < 160


def test_coco_results_are_json_with_the_files_own_ids():
    results = json.loads(json.dumps(detections().to_coco(77, category_ids=[18, 90])))
    assert [result["category_id"] for result in results] == [90, 18, 90]
    assert results[0]["image_id"] == 77 and results[0]["bbox"] == [3, 2, 6, 6]
    assert results[0]["score"] == pytest.approx(0.9)
    assert coco_mask.area(results[0]["segmentation"]) == 36


@pytest.mark.parametrize("category_ids", [[18], [18, None]])
def test_a_class_without_a_category_id_is_named(category_ids):
    with pytest.raises(ValueError, match="category_ids has no id for class 2, 'dog'"):
        detections().to_coco(77, category_ids)
    assert len(detections()[1].to_coco(77, category_ids)) == 1  # the cat alone


def test_coco_results_hold_keypoints_and_default_to_our_class_ids():
    results = detections(masks=None, keypoints=np.ones((3, 2, 3), np.float32)).to_coco("a.jpg")
    assert results[1]["category_id"] == 1 and results[1]["keypoints"] == [1.0] * 6
    assert "segmentation" not in results[1]


def test_draw_shows_confident_instances_on_the_image():
    found = detections()
    picture = found.draw()
    assert isinstance(picture, Image.Image) and picture.size == (30, 20)
    assert found.draw(min_score=0.95).tobytes() == found.image.tobytes()
    assert found.draw(image=Image.new("L", (30, 20)), min_score=1).getextrema() == ((0, 0),) * 3


def test_draw_without_an_image_says_what_to_do():
    with pytest.raises(ValueError, match=r"draw\(image\)"):
        detections(image=None).draw()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("boxes", np.zeros((2, 4))),
        ("class_ids", [1]),
        ("class_names", ["a", "b"]),
        ("masks", np.zeros((3, 30, 20), bool)),
        ("masks", [mask_to_rle(np.zeros((5, 5), bool))] * 3),
        ("keypoints", np.zeros((1, 17, 3))),
        ("image", np.zeros((30, 20, 3), np.uint8)),
    ],
)
def test_fields_that_disagree_are_named(field, value):
    with pytest.raises(ValueError, match=rf"Detections\.{field} "):
        detections(**{field: value})
