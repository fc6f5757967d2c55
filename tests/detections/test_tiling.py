import itertools

import numpy as np
import pytest

from keras_maskrcnn.detections.detections import Detections
from keras_maskrcnn.detections.tiling import merge_tiles, tile_windows
from keras_maskrcnn.masks.rle import mask_to_rle, rle_to_mask

WIDTH, HEIGHT = 160, 100
LEFT, RIGHT = (0, 0, 100, 100), (60, 0, 160, 100)  # tiles of 100 pixels with 40 in common
WHOLE = (0, 0, 160, 100)


def rectangle(box):
    mask = np.zeros((HEIGHT, WIDTH), bool)
    x1, y1, x2, y2 = (round(value) for value in box)
    mask[y1:y2, x1:x2] = True
    return mask


def detections(*rows, keypoints=None):
    """Rows of (window, box, score) or (window, box, score, class), each mask filling its box; and their windows."""
    rows = [row if len(row) == 4 else (*row, 1) for row in rows]
    windows = np.array([window for window, *_ in rows]).reshape(-1, 4)
    found = Detections(
        boxes=np.array([box for _, box, *_ in rows], np.float32).reshape(-1, 4),
        scores=np.array([score for *_, score, _ in rows], np.float32),
        class_ids=np.array([class_id for *_, class_id in rows], np.int32),
        class_names=["coin" if class_id == 1 else "hole" for *_, class_id in rows],
        height=HEIGHT,
        width=WIDTH,
        masks=[mask_to_rle(rectangle(box)) for _, box, *_ in rows],
        keypoints=keypoints,
    )
    return found, windows


def merged(*rows, **options):
    return merge_tiles(*detections(*rows), nms_iou=0.5, **options)


@pytest.mark.parametrize(
    ("height", "width", "tile", "overlap"),
    [(100, 160, 100, 40), (1000, 999, 256, 64), (300, 50, 100, 0), (7, 9, 4, 3), (257, 256, 256, 64)],
)
def test_tiles_cover_the_image_and_neighbours_overlap(height, width, tile, overlap):
    windows = tile_windows(height, width, tile, overlap)
    covered = np.zeros((height, width), int)
    for x1, y1, x2, y2 in windows:
        assert 0 <= x1 < x2 <= width and 0 <= y1 < y2 <= height
        assert (x2 - x1, y2 - y1) == (min(tile, width), min(tile, height))
        covered[y1:y2, x1:x2] += 1
    assert covered.min() >= 1
    assert len(set(windows)) == len(windows)
    for axis in (0, 1):
        starts = sorted({window[axis] for window in windows})
        assert all(later - start <= tile - overlap for start, later in itertools.pairwise(starts))
        # one tile fewer would not reach
        side = (width, height)[axis]
        assert len(starts) == 1 or (len(starts) - 2) * (tile - overlap) + tile < side


def test_an_image_no_larger_than_a_tile_is_one():
    assert tile_windows(100, 70, 100, 25) == [(0, 0, 70, 100)]


def test_an_object_that_two_tiles_see_whole_is_detected_once_with_the_better_score():
    found = merged((LEFT, [65, 20, 85, 40], 0.8), (RIGHT, [66, 20, 86, 41], 0.9))
    np.testing.assert_allclose(found.boxes, [[66, 20, 86, 41]])
    np.testing.assert_allclose(found.scores, [0.9])


def test_detections_of_one_tile_are_not_suppressed_again():
    found = merged((LEFT, [10, 20, 30, 40], 0.8), (LEFT, [11, 20, 31, 40], 0.9))
    assert len(found) == 2 and found.scores[0] > found.scores[1]


def test_different_classes_stay_apart_unless_suppression_ignores_classes():
    rows = (LEFT, [65, 20, 85, 40], 0.8, 1), (RIGHT, [65, 20, 85, 40], 0.9, 2)
    assert merged(*rows).class_names == ["hole", "coin"]
    assert merged(*rows, class_agnostic=True).class_names == ["hole"]


def test_a_truncated_object_gives_way_to_the_whole_one_even_with_a_better_score():
    # x 90 to 130: the left tile ends at 100
    found = merged((LEFT, [90, 20, 100, 40], 0.95), (RIGHT, [90, 20, 130, 40], 0.6))
    np.testing.assert_allclose(found.boxes, [[90, 20, 130, 40]])


def test_a_truncated_object_that_no_other_tile_detects_is_kept():
    found = merged((LEFT, [90, 20, 100, 40], 0.7), (RIGHT, [130, 60, 150, 80], 0.6))
    assert len(found) == 2


def test_a_truncated_object_does_not_vanish_under_a_much_larger_one():
    assert len(merged((LEFT, [90, 20, 100, 40], 0.7), (WHOLE, [10, 0, 150, 95], 0.9))) == 2


def test_a_sliver_at_the_border_gives_way_though_it_is_thinner_than_it_should_be():
    found = merged((LEFT, [97, 20, 100, 40], 0.7), (RIGHT, [92, 20, 130, 40], 0.6))
    np.testing.assert_allclose(found.boxes, [[92, 20, 130, 40]])


def test_an_object_at_the_images_own_border_is_not_truncated():
    # beside each other; if the first were truncated, the second would cover it
    rows = (LEFT, [0, 20, 20, 40], 0.9), (WHOLE, [0, 18, 60, 42], 0.8)
    assert len(merged(*rows)) == 2


def test_parts_of_an_object_larger_than_the_overlap_are_joined():
    left, right = [20, 20, 100, 40], [60, 22, 150, 40]
    found = merged((LEFT, left, 0.7), (RIGHT, right, 0.8))
    np.testing.assert_allclose(found.boxes, [[20, 20, 150, 40]])
    np.testing.assert_allclose(found.scores, [0.8])
    np.testing.assert_array_equal(rle_to_mask(found.masks[0]), rectangle(left) | rectangle(right))


def test_the_whole_image_replaces_parts():
    whole = [20, 20, 150, 41]
    found = merged((LEFT, [20, 20, 100, 40], 0.7), (RIGHT, [60, 22, 150, 40], 0.8), (WHOLE, whole, 0.5))
    np.testing.assert_allclose(found.boxes, [whole])


def test_objects_one_above_the_other_at_a_border_are_not_joined():
    found = merged((LEFT, [20, 20, 100, 40], 0.7), (RIGHT, [60, 45, 150, 65], 0.8))
    assert len(found) == 2


def test_parts_are_joined_along_a_row_of_tiles():
    tiles = [(0, 0, 60, 100), (50, 0, 110, 100), (100, 0, 160, 100)]
    boxes = [[5, 10, 60, 30], [50, 10, 110, 30], [100, 10, 155, 30]]
    scores = [0.9, 0.5, 0.8]  # the part in the middle comes last
    found = merged(*zip(tiles, boxes, scores, strict=True))
    np.testing.assert_allclose(found.boxes, [[5, 10, 155, 30]])
    np.testing.assert_allclose(found.scores, [0.9])


def test_joined_keypoints_are_those_of_the_best_score():
    keypoints = np.array([[[30, 30, 0.9], [99, 30, 0.1]], [[61, 30, 0.2], [140, 30, 0.8]]], np.float32)
    rows = (LEFT, [20, 20, 100, 40], 0.7), (RIGHT, [60, 20, 150, 40], 0.8)
    found = merge_tiles(*detections(*rows, keypoints=keypoints), nms_iou=0.5)
    np.testing.assert_allclose(found.keypoints, [[[30, 30, 0.9], [140, 30, 0.8]]])


def test_mask_scores_stay_with_their_rows_and_a_joined_mask_has_that_of_its_best_part():
    rows = (LEFT, [20, 20, 100, 40], 0.7), (RIGHT, [60, 22, 150, 40], 0.8), (LEFT, [5, 60, 25, 80], 0.75)
    found, windows = detections(*rows)
    found.mask_scores = np.array([0.9, 0.5, 0.25], np.float32)
    result = merge_tiles(found, windows, nms_iou=0.5)
    np.testing.assert_allclose(result.boxes, [[20, 20, 150, 40], [5, 60, 25, 80]])
    assert result.mask_scores.tolist() == [0.5, 0.25]


def test_no_detections():
    assert len(merged()) == 0
