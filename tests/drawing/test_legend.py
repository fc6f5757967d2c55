"""A legend says what is on an image, and where on it."""

import numpy as np
import pytest
from PIL import Image

from keras_maskrcnn.drawing.legend import legend_entries, make_legend, shortened
from keras_maskrcnn.drawing.room import Room

NONE = np.zeros(0, bool)


def test_a_line_counts_each_class_and_says_its_lowest_and_highest_score():
    names = ["nut"] * 2 + ["bolt"] * 3 + ["washer"]
    scores = np.array([0.994, 0.51, 0.7, 0.255, 0.3, 0.42])
    entries = legend_entries(names, scores, np.zeros(6, bool))
    assert entries == [
        ("bolt: 3 objects, scores 0.26 to 0.70", [2, 3, 4]),
        ("nut: 2 objects, scores 0.51 to 0.99", [0, 1]),
        ("washer: 1 object, score 0.42", [5]),
    ]


def test_what_is_not_known_is_not_said_and_crowds_are_apart():
    crowd = np.array([False, True, False])
    assert legend_entries(["ant"] * 3, None, crowd) == [("ant: 2 objects", [0, 2]), ("ant: 1 crowd", [1])]
    assert legend_entries(None, np.array([0.5, 0.5, 0.5]), ~crowd & crowd) == [
        ("3 objects, score 0.50", [0, 1, 2])
    ]
    assert legend_entries([], np.zeros(0), NONE) == legend_entries(None, None, NONE) == [("no objects", ())]


def test_the_lines_that_there_is_no_room_for_are_counted():
    entries = [(name, [row]) for row, name in enumerate("abcde")]
    assert shortened(entries, 5) == entries
    assert shortened(entries, 3) == [("a", [0]), ("b", [1]), ("and 3 more", ())]
    assert shortened(entries, 0) == [("and 5 more", ())]


def test_it_is_put_where_it_hides_least_along_the_edges_and_else_into_the_first_corner():
    legend = make_legend([("cells", [0])], (200, 300), None)
    width, height = legend.width, legend.height
    assert legend.place(Room(200, 300, [])) == (0, 0, width, height)
    everywhere_but_below_right = np.ones((200, 300), bool)
    everywhere_but_below_right[200 - height :, 300 - width :] = False
    room = Room(200, 300, [(everywhere_but_below_right, 0, 0)])
    assert legend.place(room) == (300 - width, 200 - height, 300, 200)


def test_lines_wider_than_the_image_are_broken_between_words():
    entries = [("nucleus: 312 objects, scores 0.51 to 0.99", [0])]
    wide, narrow = make_legend(entries, (100, 400), None), make_legend(entries, (100, 120), None)
    assert [text for (text, _), _ in wide.lines] == ["nucleus: 312 objects, scores 0.51 to 0.99"]
    assert " ".join(text for (text, _), _ in narrow.lines) == "nucleus: 312 objects, scores 0.51 to 0.99"
    assert len(narrow.lines) > 1 and narrow.width <= 120 < wide.width
    assert narrow.height == wide.height + (len(narrow.lines) - 1) * narrow.line
    tiny = make_legend(entries, (100, 10), None)
    assert len(tiny.lines) == 7  # a word each, though none fits


def test_it_is_white_on_what_shines_through():
    legend = make_legend([("cells", [0])], (200, 300), None)
    image = Image.new("RGB", (300, 200), (200, 100, 50))
    legend.draw(image, (10, 20, 10 + legend.width, 20 + legend.height), [(9, 9, 9)])
    pixels = np.asarray(image)
    assert np.abs(pixels[20, 10] - np.array([80, 40, 20])).max() <= 1  # 40 %
    assert (pixels[20 : 20 + legend.height, 10 : 10 + legend.width].max(axis=2) > 240).any()
    assert pixels[19, 10].tolist() == pixels[20, 9].tolist() == [200, 100, 50]


@pytest.mark.parametrize("count", [1, 2])
def test_classes_have_their_colours_if_there_are_several_and_all_instances_of_one_share_it(count):
    red, blue = (230, 57, 70), (29, 146, 255)
    entries = [("ant: 2 objects", [0, 1]), ("bee: 2 objects", [2, 3])][:count]
    legend = make_legend(entries, (200, 300), None)
    place = 0, 0, legend.width, legend.height

    def painted(colors):
        image = Image.new("RGB", (300, 200))
        legend.draw(image, place, colors)
        return {color for _, color in image.getcolors(10_000)} & {red, blue}

    assert painted([red, red, blue, blue]) == ({red, blue} if count == 2 else set())
    assert painted([red, blue, blue, blue]) == ({blue} if count == 2 else set())
