"""Runs along the rows are CVAT's, of any mask."""

import numpy as np
import pytest

from keras_maskrcnn.masks.row_runs import part_of_row_runs, row_runs


def masks():
    rng = np.random.default_rng(0)
    sizes = (1, 1, 1), (3, 5, 0), (7, 4, 0.5), (40, 60, 0.3)
    return [rng.random((height, width)) < share for height, width, share in sizes]


def test_runs_go_along_the_rows_and_begin_with_zeros():
    part = np.array([[0, 1, 1, 1], [0, 0, 1, 1]], bool)
    assert row_runs(part) == [1, 3, 2, 2]
    assert row_runs(~part) == [0, 1, 3, 2, 2]


@pytest.mark.parametrize("part", masks())
def test_runs_are_the_mask_again(part):
    runs = row_runs(part)
    assert sum(runs) == part.size and min(runs[1:], default=1) > 0
    np.testing.assert_array_equal(part_of_row_runs(runs, *part.shape), part)


@pytest.mark.parametrize("part", masks())
def test_runs_are_those_of_cvats_own_library(part):
    cvat = pytest.importorskip("cvat_sdk.masks", reason="cvat-sdk[masks] is not installed")
    height, width = part.shape
    image = np.zeros((height + 5, width + 9), bool)
    image[3 : 3 + height, 4 : 4 + width] = part
    corners = [4, 3, 3 + width, 2 + height]  # of which the last is inside
    assert cvat.encode_mask(image, [4, 3, 4 + width, 3 + height]) == row_runs(part) + corners
    decoded = cvat.decode_mask(row_runs(part) + corners, image_width=width + 9, image_height=height + 5)
    np.testing.assert_array_equal(decoded, image)


@pytest.mark.parametrize(
    ("runs", "reason"),
    [([3, 2], "fills 5 pixels, its box has 3 x 2"), ([7, -1], "negative run"), ([], "fills 0")],
)
def test_runs_that_are_no_mask_are_refused(runs, reason):
    with pytest.raises(ValueError, match=reason):
        part_of_row_runs(runs, 2, 3)
