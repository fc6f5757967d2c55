"""Neighbours can be told apart by their colours."""

import numpy as np
import pytest

from keras_maskrcnn.drawing.colors import PALETTE, UNTRACKED, class_colors, instance_colors, track_colors


def grid(rows, columns, side=10, gap=0):
    """Boxes side by side, so that each touches up to eight others."""
    y, x = np.mgrid[:rows, :columns].reshape(2, -1) * (side + gap)
    return np.stack([x, y, x + side, y + side], axis=1).astype(float)


def touching(boxes):
    """Which box touches or overlaps which: [N, N], one side of the diagonal."""
    first, other = boxes[:, None], boxes[None]
    apart = np.maximum(first[..., :2], other[..., :2]) - np.minimum(first[..., 2:], other[..., 2:])
    return np.tril(apart.max(axis=2) <= 0, -1)


def test_the_colours_of_few_instances_are_the_palettes_in_turn():
    assert instance_colors(grid(3, 4)) == list(PALETTE)
    assert instance_colors(np.zeros((0, 4))) == []


@pytest.mark.parametrize("seed", [None, 0, 1, 2])
def test_boxes_that_touch_have_different_colours(seed):
    if seed is None:
        boxes = grid(15, 20)
    else:
        corners = np.random.default_rng(seed).uniform(0, 400, (300, 2))
        boxes = np.concatenate([corners, corners + 20], axis=1)
    colors = instance_colors(boxes)
    touch = touching(boxes)
    # 12 colours do for all that have at most 11 neighbours before them
    assert touch.sum() > 300 and touch.sum(axis=1).max() <= 11
    assert all(colors[one] != colors[other] for one, other in np.argwhere(touch))


def test_instances_that_touch_no_other_have_their_colours_in_turn():
    assert instance_colors(grid(6, 6, gap=10)) == [PALETTE[row % 12] for row in range(36)]


def test_more_neighbours_than_colours_share_them_evenly():
    colors = instance_colors(np.tile([[0.0, 0.0, 9.0, 9.0]], (36, 1)))
    assert {colors.count(color) for color in PALETTE} == {3}


def test_boxes_that_are_no_boxes_do_no_harm():
    assert len(instance_colors(np.full((20, 4), np.nan))) == 20
    assert len(instance_colors(np.full((20, 4), np.inf))) == 20


def test_a_class_has_the_colour_of_its_place_and_unknown_ones_come_after():
    names = ["cat", "ant", "dog", "cat"]
    assert class_colors(names, ["dog", "cat"]) == [PALETTE[1], PALETTE[2], PALETTE[0], PALETTE[1]]
    assert class_colors(names, None) == [PALETTE[1], PALETTE[0], PALETTE[2], PALETTE[1]]


def test_a_track_keeps_its_colour_and_what_has_none_is_gray():
    colors = track_colors(np.array([3, -1, 0, 15]))
    assert colors == [PALETTE[3], UNTRACKED, PALETTE[0], PALETTE[3]]
