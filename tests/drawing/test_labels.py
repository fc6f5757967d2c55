"""Labels hide nothing where there is room, and a legend says what they would where there is none."""

import numpy as np
import pytest
from crowds import disks
from PIL import ImageChops

from keras_maskrcnn.drawing.colors import PALETTE
from keras_maskrcnn.drawing.instances import draw_instances
from keras_maskrcnn.drawing.labels import Labels
from keras_maskrcnn.drawing.legend import legend_entries
from keras_maskrcnn.drawing.room import Room


def labels(boxes, names, scores=None):
    texts = list(names) if scores is None else [f"{n} {s:.2f}" for n, s in zip(names, scores, strict=True)]
    entries = legend_entries(names, scores, np.zeros(len(names), bool))
    return Labels(np.asarray(boxes, float), texts, entries, None)


def legend_text(written):
    return [text for (text, _), _ in written.legend.lines]


def changed(image, boxes, names, masks, choice):
    """Which pixels labels="auto" and its like change: [H, W] bool."""
    options = {"masks": masks, "color_by": "instance"}
    drawn = draw_instances(image, boxes, names, labels=choice, **options)
    return (np.asarray(drawn) != np.asarray(draw_instances(image, boxes, labels=False, **options))).any(-1)


@pytest.mark.parametrize("seed", range(3))
def test_labels_are_over_no_mask_where_there_is_room(seed):
    _, masks, boxes = disks(seed, 30, 400)
    image = np.full((400, 400, 3), 120, np.uint8)
    pixels = changed(image, boxes, ["cell"] * 30, masks, "auto")
    assert pixels.sum() > 30 * 100  # 30 labels of more than 15 x 10 pixels
    assert not pixels[masks.any(axis=0)].any()


def test_labels_are_smaller_where_they_find_no_room_in_full_size():
    side = 900
    corners = np.mgrid[0:16, 0:16].reshape(2, -1).T[:, ::-1] * 55 + 8
    boxes = np.concatenate([corners, corners + 36], axis=1)  # 19 pixels between them
    regions = [(np.ones((36, 36), bool), int(x), int(y)) for x, y in corners]
    written = labels(boxes, ["oocyst"] * 256).written(Room(side, side, regions), "auto")
    assert len(written.labels) == 256 and written.legend is None
    heights = {bottom - top for *_, (_, top, _, bottom) in written.labels}
    full = labels(boxes[:1], ["oocyst"]).written(Room(side, side, []), "auto").labels[0][3]
    assert max(heights) < full[3] - full[1]


def test_where_most_find_no_room_a_legend_is_in_their_place():
    regions, _, boxes = disks(0, 100, 210)
    scores = np.linspace(0.994, 0.506, 100)
    written = labels(boxes, ["nucleus"] * 100, scores).written(Room(210, 210, regions), "auto")
    assert not written.labels and written.in_place_of_labels
    assert " ".join(legend_text(written)) == "nucleus: 100 objects, scores 0.51 to 0.99"


def test_where_some_find_none_the_legend_says_how_many():
    regions, _, boxes = disks(1, 80, 320)
    written = labels(boxes, ["nucleus"] * 80).written(Room(320, 320, regions), "auto")
    left_out = 80 - len(written.labels)
    assert 0 < left_out <= 20
    assert legend_text(written) == ["nucleus: 80 objects", f"no room for {left_out} of 80 labels"]
    left, top, right, bottom = written.place
    for *_, (x1, y1, x2, y2) in written.labels:
        assert x2 <= left or x1 >= right or y2 <= top or y1 >= bottom  # beside the legend


@pytest.mark.parametrize("seed", range(6))
def test_a_legend_fits_the_place_that_was_found_for_it(seed):
    for count, side in ((40, 200), (80, 320), (100, 380), (60, 260)):
        regions, _, boxes = disks(seed, count, side)
        written = labels(boxes, ["nucleus"] * count).written(Room(side, side, regions), "auto")
        if written.legend is not None:
            left, top, right, bottom = written.place
            assert written.legend.width <= right - left and written.legend.height <= bottom - top


def test_few_labels_are_always_written():
    everywhere = [(np.ones((100, 100), bool), 0, 0)]
    boxes = np.tile([[0, 0, 100, 100]], (12, 1))
    written = labels(boxes, ["cat"] * 12).written(Room(100, 100, everywhere), "auto")
    assert len(written.labels) == 12 and written.legend is None
    written = labels(np.tile(boxes, (2, 1)), ["cat"] * 24).written(Room(100, 100, everywhere * 24), "auto")
    assert not written.labels and written.legend is None  # it would hide what it is about


def test_a_legend_is_small_where_it_would_hide_objects_and_left_out_where_it_hides_many():
    _, _, boxes = disks(0, 60, 300)
    many = labels(boxes, ["nucleus"] * 60)

    def written(free):
        """Of objects all over the image, but for so many rows at its lower edge."""
        columns = [(np.ones((300 - free, 5), bool), 5 * number, 0) for number in range(60)]
        return many.written(Room(300, 300, columns), "auto")

    full, small = written(free=15), written(free=12)
    assert full.legend.line > small.legend.line and small.place[1] == 288
    tiles = [(np.ones((10, 10), bool), x, y) for x in range(0, 300, 10) for y in range(0, 300, 10)]
    assert many.written(Room(300, 300, tiles), "auto").legend is None


def test_images_too_small_for_a_legend_get_one_only_if_asked_for():
    everywhere = [(np.ones((30, 40), bool), 0, 0)] * 24
    many = labels(np.tile([[0, 0, 40, 30]], (24, 1)), ["cat"] * 24)
    written = many.written(Room(30, 40, everywhere), "auto")
    assert not written.labels and written.legend is None
    assert " ".join(legend_text(many.written(Room(30, 40, everywhere), "legend"))) == "cat: 24 objects"


def test_a_legend_of_many_classes_sums_the_rest_up():
    names = [f"class {row % 40}" for row in range(80)]
    many, room = labels(np.tile([[0, 0, 300, 300]], (80, 1)), names), Room(300, 300, ())
    written = many.written(room, "auto")
    left, top, right, bottom = written.place
    assert (right - left) * (bottom - top) <= 300 * 300 / 4
    lines = legend_text(written)
    assert lines[0] == "class 0: 2 objects" and lines[-1] == f"and {41 - len(lines)} more"
    asked = legend_text(many.written(room, "legend"))
    assert len(lines) < len(asked) < 40 and asked[-1] == f"and {41 - len(asked)} more"
    assert len(legend_text(many.written(room, "strip"))) == 40


def test_all_are_written_if_asked_for_and_none_if_not():
    regions, _, boxes = disks(0, 100, 210)
    many, room = labels(boxes, ["nucleus"] * 100), Room(210, 210, regions)
    assert len(many.written(room, True).labels) == 100 and many.written(room, True).legend is None
    written = many.written(room, False)
    assert not written.labels and written.legend is None


def test_a_strip_is_below_the_image_and_leaves_it_as_it_is():
    _, masks, boxes = disks(0, 30, 300)
    image = np.full((300, 300, 3), 120, np.uint8)
    options = {"masks": masks, "color_by": "class"}
    names = ["ant"] * 20 + ["bee"] * 10
    bare = draw_instances(image, boxes, names, labels=False, **options)
    strip = draw_instances(image, boxes, names, labels="strip", **options)
    assert strip.width == 300 and strip.height > 320
    assert ImageChops.difference(strip.crop((0, 0, 300, 300)), bare).getbbox() is None
    below = {color for _, color in strip.crop((0, 300, *strip.size)).getcolors(10_000)}
    assert {(0, 0, 0), PALETTE[0], PALETTE[1]} <= below
    nothing = draw_instances(image, np.zeros((0, 4)), [], labels="strip")
    assert nothing.height > 300  # it says so


def test_a_legend_in_place_of_the_labels_of_several_classes_has_their_colours():
    _, masks, boxes = disks(0, 100, 210)
    image = np.full((210, 210, 3), 120, np.uint8)
    names = ["ant", "bee"] * 50
    by_class = draw_instances(image, boxes, names, masks=masks, color_by="class")
    assert ImageChops.difference(draw_instances(image, boxes, names, masks=masks), by_class).getbbox() is None
    by_instance = draw_instances(image, boxes, names, masks=masks, color_by="instance")
    assert ImageChops.difference(by_instance, by_class).getbbox() is not None
    one = [
        draw_instances(image, boxes, ["ant"] * 100, masks=masks, color_by=by) for by in ("auto", "instance")
    ]
    assert ImageChops.difference(*one).getbbox() is None
