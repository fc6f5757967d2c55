import json

import numpy as np
import pycocotools.mask as coco_mask
import pytest
from parity import Kit
from PIL import Image

from keras_maskrcnn.detections.detections import Detections, make_detections
from keras_maskrcnn.masks.rle import mask_to_rle


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


@pytest.mark.parametrize("paste", ["exact", "torchvision", "matterport"])
def test_rle_masks_are_the_same_masks(paste):
    dense, encoded = made(paste=paste), made(masks="rle", paste=paste)
    assert [mask_to_rle(mask) for mask in dense.masks] == encoded.masks


@pytest.mark.parametrize(
    ("paste", "last"),
    [("exact", 29), ("torchvision", 30), ("matterport", 29)],
)
def test_masks_are_pasted_into_boxes_rounded_as_the_source_rounds_them(paste, last):
    moved = {**outputs(), "boxes": outputs()["boxes"] + np.float32(0.6)}  # x from 10.4 to 30.4
    found = make_detections(moved, (40, 100), (61, 150), ("cat", "dog"), paste=paste)
    assert found.boxes[0, [0, 2]] == pytest.approx([10.4, 30.4])  # these stay as they are
    assert found.masks[0].any(0).nonzero()[0].max() == last


def test_boxes_left_without_area_in_the_image_are_dropped():
    beyond = {**outputs(), "boxes": np.array([[150, 6, 170, 30], [15, 6, 45, 30], [0, 0, 0, 0]], np.float32)}
    found = make_detections(beyond, (40, 100), (61, 150), ("cat", "dog"))
    assert found.class_names == ["cat"] and found.masks.shape == (1, 40, 100)


def test_matterport_drops_boxes_that_are_rounded_to_nothing():
    thin = {**outputs(), "boxes": np.array([[15, 6, 15.6, 30], [15, 6, 45, 30], [0, 0, 0, 0]], np.float32)}
    assert len(make_detections(thin, (40, 100), (61, 150), ("cat", "dog"))) == 2
    found = make_detections(thin, (40, 100), (61, 150), ("cat", "dog"), None, paste="matterport")
    assert found.class_names == ["cat"]


def test_boxes_that_end_on_their_last_pixel_are_scaled_between_pixel_centres():
    # The last of 150 pixels becomes the last of 100, and so does the one at 2/3 of the way: 50 of 149 is 33.2 of 99.
    one = {**outputs(), "boxes": np.array([[0, 0, 51, 61], [50, 0, 150, 61], [0, 0, 0, 0]], np.float32)}
    found = make_detections(one, (40, 100), (61, 150), ("cat", "dog"), square=True)
    middle = 50 * 99 / 149
    assert found.boxes == pytest.approx(np.array([[0, 0, middle + 1, 40], [middle, 0, 100, 40]]))


def test_keypoints_come_back_to_the_original_image_per_axis():
    keypoints = np.array([[[75, 30.5, 0.9], [150, 61, -2]]] * 3, np.float32)
    found = make_detections(
        {**outputs(), "keypoints": keypoints},
        (40, 100),
        (61, 150),
        ("cat", "dog"),
        keypoint_offset=0.5,
        keypoint_names=("nose", "tail"),
    )
    assert found.keypoints.shape == (2, 2, 3)
    assert found[1:].keypoint_offset == 0.5 and found[1:].keypoint_names == ("nose", "tail")
    assert found.keypoints[0] == pytest.approx(np.array([[50, 20, 0.9], [100, 40, -2]]))


@pytest.mark.parametrize("image", [0, 1])
def test_matterports_own_boxes_and_masks_come_out_whole(image):
    kit = Kit("matterport_mask_rcnn_coco")
    side = kit[f"{image}.molded_shape"][1]
    top, left, bottom, right = kit[f"{image}.window"]
    y1, x1, y2, x2, classes, scores = kit[f"{image}.detections_normalised"][:20].T
    # Normalised coordinates reach from the centre of the square's first pixel to that of the last.
    corners = np.stack([x1, y1, x2, y2], axis=1).astype(np.float64) * (side - 1) + [0, 0, 1, 1]
    rows = {
        "boxes": corners - [left, top, left, top],
        "classes": classes.astype(int),
        "scores": scores,
        "masks": kit[f"{image}.mask_probs28"],
    }
    photo = Image.open(kit.photos[image])
    names = [str(number) for number in range(80)]
    size, resized = (photo.height, photo.width), (bottom - top, right - left)
    found = make_detections(rows, size, resized, names, paste="matterport", square=True)
    np.testing.assert_array_equal(np.around(found.boxes), kit[f"{image}.rois"][:20, [1, 0, 3, 2]])
    np.testing.assert_array_equal(found.masks.sum(axis=(1, 2)), kit[f"{image}.mask_area"][:20])


def test_masks_are_left_out_on_request_and_without_a_mask_head():
    assert made(masks=None).masks is None
    without = {name: value for name, value in outputs().items() if name != "masks"}
    assert make_detections(without, (40, 100), (61, 150), ("cat", "dog")).masks is None


@pytest.mark.parametrize("masks", ["bool", "rle", None])
def test_no_detections_are_empty_arrays(masks):
    empty = {name: np.zeros_like(value) for name, value in outputs().items()}
    found = make_detections(
        empty, (40, 100), (61, 150), ("cat", "dog"), masks, np.zeros((40, 100, 3), np.uint8)
    )
    assert len(found) == 0 and found.boxes.shape == (0, 4) and found.class_names == []
    assert found.to_coco(1) == [] and list(found) == []
    assert found.draw().size == (100, 40)
    assert repr(found) == "Detections(0 in 100 x 40 pixels: nothing)"


def test_misspelt_choices_are_refused():
    with pytest.raises(ValueError, match='"bool", "rle" or None; got \'polygon\''):
        made(masks="polygon")
    with pytest.raises(
        ValueError, match='paste must be "exact", "torchvision" or "matterport"; got \'whole\''
    ):
        made(paste="whole")


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


def test_rows_of_rle_are_chosen_too():
    found = detections(masks=[mask_to_rle(mask) for mask in detections().masks])
    assert found[found.class_ids == 1].masks == [found.masks[1]]


def test_repr_names_the_detections():
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


def test_coco_results_hold_keypoints_as_indices_of_pixels():
    keypoints = np.array([[[7.5, 3.5, 0.25]]] * 3, np.float32)
    results = detections(keypoints=keypoints, keypoint_offset=0.5)[:1].to_coco("a.jpg")
    assert results[0]["keypoints"] == [7.0, 3.0, 0.25]


def test_draw_shows_confident_instances_on_the_image():
    found = detections()
    image = found.draw()
    assert isinstance(image, Image.Image) and image.size == (30, 20)
    assert found.draw(min_score=0.95).tobytes() == found.image.tobytes()
    assert found.draw(image=Image.new("L", (30, 20)), min_score=1).getextrema() == ((0, 0),) * 3


def test_draw_shows_keypoints_and_limbs_of_confident_instances():
    keypoints = np.array([[[80, 20, 0.9], [80, 60, 0.9]]], np.float32)
    names = ("left_wrist", "left_elbow")
    black = np.zeros((90, 100, 3), np.uint8)
    found = Detections([[0, 80, 9, 90]], [0.9], [1], ["a"], 90, 100, None, keypoints, black, names)
    assert found.draw().getpixel((80, 20)) != (0, 0, 0) != found.draw().getpixel((80, 40))
    assert found.draw(keypoint_names=()).getpixel((80, 40)) == (0, 0, 0)
    assert found.draw(keypoint_threshold=0.95).getpixel((80, 20)) == (0, 0, 0)
    assert found.draw(min_score=1).getextrema() == ((0, 0),) * 3


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
        ("keypoints", np.zeros((3, 17, 2))),
        ("image", np.zeros((30, 20, 3), np.uint8)),
    ],
)
def test_fields_that_disagree_are_named(field, value):
    with pytest.raises(ValueError, match=rf"Detections\.{field} "):
        detections(**{field: value})


def test_keypoint_names_that_disagree_are_refused():
    with pytest.raises(
        ValueError, match=r"Detections\.keypoint_names must name 2 keypoints; got \('nose',\)"
    ):
        detections(keypoints=np.zeros((3, 2, 3)), keypoint_names=("nose",))
