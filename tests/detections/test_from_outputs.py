import numpy as np
import pytest
from parity import own_kit

from keras_maskrcnn.detections.from_outputs import make_detections
from keras_maskrcnn.masks.rle import mask_to_rle


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
    kit = own_kit("matterport_mask_rcnn_coco")
    side = kit[f"{image}.molded_shape"][1]
    top, left, bottom, right = kit[f"{image}.window"]
    count = len(kit[f"{image}.mask_probs28"])
    y1, x1, y2, x2, classes, scores = kit[f"{image}.detections_normalised"][:count].T
    # Normalised coordinates reach from the centre of the square's first pixel to that of the last.
    corners = np.stack([x1, y1, x2, y2], axis=1).astype(np.float64) * (side - 1) + [0, 0, 1, 1]
    rows = {
        "boxes": corners - [left, top, left, top],
        "classes": classes.astype(int),
        "scores": scores,
        "masks": kit[f"{image}.mask_probs28"],
    }
    names = [str(number) for number in range(80)]
    size, resized = kit.photos[image].shape[:2], (bottom - top, right - left)
    found = make_detections(rows, size, resized, names, paste="matterport", square=True)
    np.testing.assert_array_equal(np.around(found.boxes), kit[f"{image}.rois"][:count, [1, 0, 3, 2]])
    np.testing.assert_array_equal(found.masks.sum(axis=(1, 2)), kit[f"{image}.mask_area"][:count])


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


def test_mask_scores_are_taken_from_the_outputs_if_they_are_there():
    assert made().mask_scores is None
    scored = {**outputs(), "mask_scores": np.array([0.5, 0.25, 0], np.float32)}
    for masks in ("bool", "rle"):
        found = make_detections(scored, (40, 100), (61, 150), ("cat", "dog"), masks)
        assert found.mask_scores.tolist() == [0.5, 0.25]
    beyond = {**scored, "boxes": np.array([[150, 6, 170, 30], [15, 6, 45, 30], [0, 0, 0, 0]], np.float32)}
    assert make_detections(beyond, (40, 100), (61, 150), ("cat", "dog")).mask_scores.tolist() == [0.25]
