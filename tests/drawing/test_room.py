"""What a place hides is counted right, and text is put where it hides least."""

import numpy as np
import pytest
from crowds import disks

from keras_maskrcnn.drawing.room import Room, places_beside


def hidden(masks, place):
    """The same as `Room.hidden`, one mask after the other."""
    left, top, right, bottom = place
    return sum(mask[top:bottom, left:right].sum() / mask.sum() for mask in masks)


def test_a_place_hides_the_fractions_of_the_objects_below_it():
    room = Room(10, 20, [(np.ones((2, 5), bool), 3, 4), (np.ones((1, 4), bool), 16, 9)])
    places = np.array([[0, 0, 20, 10], [0, 0, 3, 10], [3, 4, 8, 5], [7, 5, 17, 10], [5, 5, 5, 5]])
    assert room.hidden(places).tolist() == [2.0, 0.0, 0.5, 0.1 + 0.25, 0.0]


@pytest.mark.parametrize("seed", range(3))
def test_the_sum_over_a_place_is_that_over_its_pixels(seed):
    regions, masks, _ = disks(seed, 30, 150)
    corners = np.random.default_rng(seed).integers(0, 110, (50, 2))
    places = np.concatenate([corners, corners + [37, 11]], axis=1)
    expected = [hidden(masks, place) for place in places]
    np.testing.assert_allclose(Room(150, 150, regions).hidden(places), expected, atol=1e-8)


def test_large_images_are_looked_at_in_cells_and_nothing_below_a_place_is_missed(monkeypatch):
    monkeypatch.setattr("keras_maskrcnn.drawing.room.CELLS", 50)
    regions, masks, _ = disks(0, 30, 148)
    room = Room(148, 148, regions)
    assert room.step == 3
    corners = np.random.default_rng(0).integers(3, 110, (50, 2))
    places = np.concatenate([corners, corners + [31, 11]], axis=1)
    found = room.hidden(places)
    exact = np.array([hidden(masks, place) for place in places])
    wider = np.array([hidden(masks, place + [-2, -2, 2, 2]) for place in places])
    assert (found >= exact - 1e-8).all() and (found <= wider + 1e-8).all()
    assert room.hidden(np.array([0, 0, 148, 148])) == pytest.approx(30)


@pytest.mark.parametrize("seed", range(4))
def test_no_text_is_over_an_object_or_another_text_where_there_is_room(seed):
    regions, masks, boxes = disks(seed, 60, 400)
    places = places_beside(Room(400, 400, regions), boxes, np.tile([45, 10], (60, 1)), 0.0)
    assert sum(place is not None for place in places) >= 55
    painted = np.zeros((400, 400), int)
    for place, (x1, y1, x2, y2) in zip(places, boxes, strict=True):
        if place is not None:
            left, top, right, bottom = place
            assert (right - left, bottom - top) == (45, 10)
            painted[top:bottom, left:right] += 1
            assert left <= x2 and right >= x1 and top <= y2 and bottom >= y1  # beside its object
    assert painted.max() == 1
    assert not painted[masks.any(axis=0)].any()


def test_texts_that_would_hide_too_much_have_no_place_and_without_a_limit_all_have():
    everything = [(np.ones((50, 50), bool), 0, 0)] * 3
    boxes, sizes = np.tile([[0, 0, 50, 50]], (3, 1)), np.tile([[25, 10]], (3, 1))
    room = Room(50, 50, everything)  # a text hides 0.1 of each of the three
    assert places_beside(room, boxes, sizes, 0.29) == [None] * 3
    # the room inside the box ends where another text would be touched
    assert places_beside(room, boxes, sizes, 0.31)[0] == (0, 0, 25, 10)
    places = places_beside(room, boxes, sizes)
    assert len(set(places)) == 3 and None not in places


def test_the_customary_place_is_above_the_left_of_the_box():
    room = Room(100, 200, [])
    assert places_beside(room, np.array([[30.4, 50.0, 90, 90]]), np.array([[40, 12]])) == [(30, 38, 70, 50)]
    assert places_beside(room, np.zeros((0, 4)), np.zeros((0, 2))) == []


def test_what_is_reserved_stays_free():
    room, boxes, sizes = Room(100, 200, []), np.array([[30, 50, 90, 90]]), np.array([[40, 12]])
    (place,) = places_beside(room, boxes, sizes, 0.0, [(0, 0, 200, 50)])
    assert place == (30, 50, 70, 62)


def test_places_are_inside_the_image_even_if_it_is_smaller_than_the_text():
    room, sizes = Room(8, 20, []), np.array([[40, 12]])
    assert places_beside(room, np.array([[5, 2, 9, 7]]), sizes) == [(0, 0, 20, 8)]
    assert places_beside(room, np.array([[-500, np.nan, np.inf, 900]]), sizes) == [(0, 0, 20, 8)]
