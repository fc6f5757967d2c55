import json

import numpy as np
import pycocotools.mask as coco_mask
import pytest
from PIL import Image

from keras_maskrcnn.detections.detections import Detections
from keras_maskrcnn.drawing.colors import PALETTE, UNTRACKED
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


def test_mask_scores_are_chosen_with_their_rows_and_none_by_default():
    assert detections().mask_scores is None and detections()[1:].mask_scores is None
    scored = detections(mask_scores=[0.5, 0.75, 0.25])
    assert scored.mask_scores.dtype == np.float32
    assert scored[scored.scores > 0.5].mask_scores.tolist() == [0.5, 0.75]
    assert scored[[2, 0]].mask_scores.tolist() == [0.25, 0.5]


def test_coco_results_of_masks_have_the_scores_of_masks():
    results = json.loads(json.dumps(detections(mask_scores=[0.5, 0.75, 0.25]).to_coco("a.jpg")))
    assert [result["score"] for result in results] == [0.5, 0.75, 0.25]
    assert [result["box_score"] for result in results] == pytest.approx([0.9, 0.6, 0.3])
    boxes = detections(mask_scores=[0.5, 0.75, 0.25], masks=None).to_coco("a.jpg")
    assert [result["score"] for result in boxes] == pytest.approx([0.9, 0.6, 0.3])
    assert "box_score" not in boxes[0] and "box_score" not in detections().to_coco("a.jpg")[0]


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
        ("mask_scores", [0.5, 0.5]),
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


@pytest.mark.parametrize(
    "field, row, value",
    [
        ("boxes", 1, [np.nan, 10, 3, 12]),
        ("boxes", 2, [20, 5, np.inf, 6]),
        ("boxes", 0, [9, 2, 3, 8]),  # ends before it begins
        ("boxes", 0, [3, 2, 1e300, 8]),  # more than float32 can hold
        ("scores", 1, np.nan),
        ("scores", 2, -0.1),
        ("scores", 0, 90),  # in %
        ("mask_scores", 1, 1.5),
        ("mask_scores", 2, np.nan),
        ("keypoints", 0, [[4, np.nan, 1], [5, 5, 1]]),
        ("keypoints", 2, [[4, 4, 1], [5, 5, -np.inf]]),
        ("class_ids", 1, 0),  # the background
        ("class_ids", 2, -1),
        ("class_ids", 0, 1.5),
        ("class_ids", 0, np.nan),
        ("class_ids", 1, 2**32 + 1),  # which a cast would make 1
    ],
)
def test_a_value_that_means_nothing_is_refused_by_its_field_and_row(field, row, value):
    given = {
        "boxes": detections().boxes.astype(float),
        "scores": [0.9, 0.6, 0.3],
        "mask_scores": [0.9, 0.6, 0.3],
        "keypoints": np.ones((3, 2, 3)),
        "class_ids": np.array([2, 1, 2], float if isinstance(value, float) else np.int64),
    }
    given[field] = np.array(given[field])
    given[field][row] = value
    with pytest.raises(ValueError, match=rf"Detections\.{field} must be .*; got .* in row {row}"):
        detections(**given)


def test_values_at_the_ends_of_their_ranges_are_taken():
    found = detections(scores=[1, 0.5, 0], class_ids=[1.0, 2.0, 3.0], boxes=[[1, 1, 1, 1]] * 3)
    assert found.class_ids.dtype == np.int32 and found.class_ids.tolist() == [1, 2, 3]
    empty = detections(boxes=np.zeros((0, 4)), scores=[], class_ids=[], class_names=[], masks=None)
    assert len(empty) == 0


def test_what_is_no_number_is_refused_by_its_field():
    with pytest.raises(ValueError, match=r"Detections\.scores must be numbers"):
        detections(scores=["high", "low", "low"])
    with pytest.raises(ValueError, match=r"Detections\.class_ids must be numbers"):
        detections(class_ids=["dog", "cat", "dog"])


def test_track_ids_are_chosen_with_their_rows_and_none_by_default():
    assert detections().track_ids is None
    found = detections(track_ids=[7, -1, 0])
    assert found.track_ids.dtype == np.int64 and found[found.class_ids == 2].track_ids.tolist() == [7, 0]
    assert [row.get("track_id") for row in found.to_coco(1)] == [7, None, 0]
    assert "track_id" not in detections().to_coco(1)[0]


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        ([1, 2], "track_ids must have 3 rows"),
        ([0, 1.5, 2], r"track_ids must be -1, 0, 1, \.\.\.; got 1.5 in row 1"),
        ([0, 1, -2], "got -2 in row 2"),
        (["a", "b", "c"], "track_ids must be numbers"),
    ],
)
def test_track_ids_that_are_none_are_refused(ids, message):
    with pytest.raises(ValueError, match=message):
        detections(track_ids=ids)


def test_tracks_are_drawn_in_their_colours():
    found = detections(masks=None, track_ids=[4, -1, 0])
    drawn = np.asarray(found.draw(min_score=0, labels=False))
    assert [tuple(drawn[y, x]) for x, y in ((3, 2), (1, 10), (20, 5))] == [PALETTE[4], UNTRACKED, PALETTE[0]]
    by_class = np.asarray(found.draw(min_score=0, labels=False, color_by="class"))
    assert tuple(by_class[2, 3]) == tuple(by_class[5, 20]) != tuple(by_class[10, 1])
    with pytest.raises(ValueError, match='color_by="track" needs track_ids'):
        detections().draw(color_by="track")
