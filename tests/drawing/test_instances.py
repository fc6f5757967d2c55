import numpy as np
import pytest
from PIL import Image, ImageChops, ImageDraw, ImageFont

from keras_maskrcnn.drawing.colors import PALETTE
from keras_maskrcnn.drawing.instances import _labels, draw_instances
from keras_maskrcnn.masks.rle import mask_to_rle

BOXES = np.array([[20, 30, 80, 90], [50, 60, 119, 99]], np.float32)


def two_masks():
    masks = np.zeros((2, 100, 120), bool)
    masks[0, 30:90, 20:80] = masks[1, 60:99, 50:119] = True
    return masks


@pytest.mark.parametrize(
    "image",
    [
        np.full((100, 120), 90, np.uint8),
        np.full((100, 120, 1), 90, np.uint8),
        np.full((100, 120, 3), 90, np.uint8),
        np.full((100, 120, 4), 90, np.uint8),
        np.full((100, 120, 5), 90, np.uint8),
        np.full((100, 120, 2), 90.0, np.float32),
        np.full((100, 120), True),
        np.full((100, 120), 40000, np.uint16),
        Image.new("L", (120, 100)),
        Image.new("1", (120, 100)),
        Image.new("P", (120, 100)),
        Image.new("LA", (120, 100)),
        Image.new("RGBA", (120, 100)),
        Image.new("CMYK", (120, 100)),
        Image.new("I;16", (120, 100)),
        Image.new("F", (120, 100)),
    ],
)
def test_any_image_can_be_drawn_on(image):
    drawn = draw_instances(image, BOXES, ["a", "b"], np.array([0.9, 0.8]), two_masks())
    assert drawn.mode == "RGB" and drawn.size == (120, 100)
    assert len(drawn.getcolors(100_000)) > 4


def test_the_image_given_is_left_as_it_is():
    image = np.full((100, 120, 3), 90, np.uint8)
    draw_instances(image, BOXES, ["a", "b"], masks=two_masks())
    assert (image == 90).all()


def test_nothing_to_draw_gives_the_image_back():
    image = np.arange(100 * 120 * 3, dtype=np.uint8).reshape(100, 120, 3)
    for masks in (None, [], np.zeros((0, 100, 120), bool)):
        drawn = draw_instances(image, np.zeros((0, 4)), [], np.zeros(0), masks)
        assert (np.asarray(drawn) == image).all()


def test_masks_are_translucent_inside_and_solid_on_their_outline():
    image = np.full((100, 120, 3), 90, np.uint8)
    pixels = np.asarray(draw_instances(image, BOXES[:1], masks=two_masks()[:1])).astype(int)
    outline, inside, outside = pixels[30, 50], pixels[60, 50], pixels[10, 10]
    assert (outside == 90).all()
    assert np.abs(inside - (0.6 * 90 + 0.4 * outline)).max() <= 1
    assert (pixels[31, 50] == inside).all()  # one pixel thin


def test_rle_draw_like_arrays():
    image = np.full((100, 120, 3), 90, np.uint8)
    dense = draw_instances(image, BOXES, masks=two_masks())
    encoded = draw_instances(image, BOXES, masks=[mask_to_rle(mask) for mask in two_masks()])
    assert ImageChops.difference(dense, encoded).getbbox() is None


def keypoints_drawn(points, names=None, **options):
    """Which pixels of a black image change when keypoints of one instance are drawn: [H, W] bool."""
    image, box = np.zeros((100, 120, 3), np.uint8), [[0, 0, 1, 1]]
    without = np.asarray(draw_instances(image, box))
    with_points = draw_instances(image, box, keypoints=[points], keypoint_names=names, **options)
    return (np.asarray(with_points) != without).any(axis=-1)


def test_keypoints_are_dots_and_those_below_the_threshold_are_left_out():
    points = [[30, 20, 2], [60, 50, 1], [90, 80, 0]]  # visibilities, as annotated
    drawn = keypoints_drawn(points)
    assert drawn[20, 30] and drawn[50, 60] and not drawn[80, 90]
    assert not drawn[35, 45]  # no limbs without names
    scored = [[30, 20, 0.9], [60, 50, 0.3], [90, 80, -4.0]]
    assert keypoints_drawn(scored, keypoint_threshold=0.5).sum() == drawn.sum() / 2


def test_limbs_join_the_named_keypoints_that_are_seen():
    points = [[20, 50, 2], [60, 50, 2], [100, 50, 2]]
    drawn = keypoints_drawn(points, ("left_wrist", "left_elbow", "tail"))
    assert drawn[50, 40] and not drawn[50, 80]
    points[0][2] = 0
    assert not keypoints_drawn(points, ("left_wrist", "left_elbow", "tail"))[50, 40]


def test_keypoints_anywhere_do_no_harm():
    assert not keypoints_drawn([[np.nan, 5, 1], [np.inf, 5, 1], [-500, 900, 1]]).any()
    names = ("left_wrist", "left_elbow")
    drawn = draw_instances(
        np.zeros((9, 9)), np.zeros((0, 4)), keypoints=np.zeros((0, 2, 3)), keypoint_names=names
    )
    assert drawn.size == (9, 9)


def test_empty_masks_and_odd_boxes_do_no_harm():
    boxes = np.array(
        [[5, 5, 5, 5], [-50, -50, -10, -10], [200, 200, 300, 300], [9, 9, 2, 2], [0, 0, np.inf, 50]]
    )
    drawn = draw_instances(
        np.zeros((100, 120), np.uint8), boxes, list("abcde"), masks=np.zeros((5, 100, 120))
    )
    assert drawn.size == (120, 100)


def test_instances_differ_in_colour_and_classes_share_theirs():
    image = np.zeros((100, 120, 3), np.uint8)

    def box_colors(color_by):
        drawn = draw_instances(image, BOXES, ["cat", "cat"], color_by=color_by)
        return drawn.getpixel((40, 89)), drawn.getpixel((100, 98))

    first, second = box_colors("instance")
    assert first != second
    first, second = box_colors("class")
    assert first == second != (0, 0, 0)


@pytest.mark.parametrize("box", [[0, 0, 30, 20], [100, 90, 120, 100], [0, 95, 5, 100], [115, 0, 120, 4]])
def test_labels_stay_inside_the_image(box):
    image = np.zeros((100, 120, 3), np.uint8)
    without = draw_instances(image, [box])
    with_label = draw_instances(image, [box], ["zebra"])
    left, top, right, bottom = ImageChops.difference(without, with_label).getbbox()
    # A label that is cut off would lose rows or columns; two at most vanish in its box's own outline.
    middle = ImageChops.difference(
        draw_instances(image, [[40, 40, 41, 41]]), draw_instances(image, [[40, 40, 41, 41]], ["zebra"])
    ).getbbox()
    assert abs((right - left) - (middle[2] - middle[0])) <= 2
    assert abs((bottom - top) - (middle[3] - middle[1])) <= 2


def test_labels_of_the_same_box_do_not_cover_each_other():
    image = np.zeros((300, 300, 3), np.uint8)
    boxes = [[100, 100, 200, 200]] * 4

    def painted(names):
        drawn = np.asarray(draw_instances(image, boxes[: len(names)], names)).astype(int)
        bare = np.asarray(draw_instances(image, boxes[: len(names)]))
        return (drawn != bare).any(-1).sum()

    assert painted(["name"] * 4) > 3.7 * painted(["name"])


def test_text_and_lines_grow_with_the_image():
    def label_height(side):
        image, box = np.zeros((side, side, 3), np.uint8), [[side / 2] * 2 + [side / 2 + 2] * 2]
        bounds = ImageChops.difference(
            draw_instances(image, box), draw_instances(image, box, ["x"])
        ).getbbox()
        return bounds[3] - bounds[1]

    assert 10 <= label_height(200) < 16
    assert label_height(2000) > 2.5 * label_height(200)


def test_lines_are_thin_beside_small_objects():
    def line_width(side, box_side):
        box = [[100, 100, 100 + box_side, 100 + box_side]]
        drawn = np.asarray(draw_instances(np.zeros((side, side, 3), np.uint8), box)).any(-1)
        return drawn[100 + box_side // 2, : 100 + box_side // 2].sum()

    assert line_width(2800, 400) == 4 and line_width(2800, 24) == 2 and line_width(2800, 5) == 1


def test_lengths_and_choices_that_disagree_are_refused():
    image = np.zeros((100, 120, 3), np.uint8)
    with pytest.raises(ValueError, match="2 boxes but 1 names"):
        draw_instances(image, BOXES, ["a"])
    with pytest.raises(ValueError, match="2 boxes but 1 keypoints"):
        draw_instances(image, BOXES, keypoints=np.zeros((1, 3, 3)))
    with pytest.raises(ValueError, match="3 keypoints per instance but 1 keypoint_names"):
        draw_instances(image, BOXES, keypoints=np.zeros((2, 3, 3)), keypoint_names=["nose"])
    with pytest.raises(ValueError, match="color_by"):
        draw_instances(image, BOXES, color_by="score")
    with pytest.raises(ValueError, match='labels must be one of "auto", True, False, "legend", "strip"'):
        draw_instances(image, BOXES, labels="all")
    with pytest.raises(ValueError, match="show_boxes"):
        draw_instances(image, BOXES, show_boxes="none")
    with pytest.raises(ValueError, match="does not fit its image"):
        draw_instances(image, BOXES[:1], masks=np.zeros((1, 120, 100), bool))
    with pytest.raises(ValueError, match=r"\[H, W\] or \[H, W, C\]"):
        draw_instances(np.zeros((2, 100, 120, 3)), BOXES)


def test_a_photograph_with_few_objects_is_drawn_in_the_plain_way():
    """Masks, boxes one pixel wide, and labels on the upper left of the boxes, drawn here by PIL alone."""
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (240, 320, 3)).astype(np.uint8)
    boxes = np.array([[40, 60, 140, 200], [180, 90, 300, 230]])
    masks = np.zeros((2, 240, 320), bool)
    masks[0, 60:200, 40:140] = masks[1, 90:230, 180:300] = True
    drawn = draw_instances(image, boxes, ["cat", "dog"], np.array([0.98, 0.75]), masks)
    expected = image.astype(np.float32)
    font = ImageFont.load_default(10)
    for mask, color in zip(masks, PALETTE, strict=False):
        expected[mask] = np.rint(0.6 * expected[mask] + 0.4 * np.array(color))
    page = Image.fromarray(expected.astype(np.uint8))
    draw = ImageDraw.Draw(page)
    for (x1, y1, x2, y2), color, text, ink in zip(
        boxes.tolist(), PALETTE, ["cat 0.98", "dog 0.75"], ["white", "white"], strict=False
    ):
        draw.rectangle((x1, y1, x2 - 1, y2 - 1), outline=color)
        ascent, descent = font.getmetrics()
        top, margin = y1 - ascent - descent, ascent // 6
        draw.rectangle((x1, top, x1 + font.getlength(text) + 2 * margin, y1 - 1), fill=color)
        draw.text((x1 + margin, top), text, fill=ink, font=font)
    assert ImageChops.difference(drawn, page).getbbox() is None


def many(count, side=300):
    """Squares of 8 pixels in rows, and their masks, on gray."""
    corners = np.array([(12 * (row % 20) + 5, 12 * (row // 20) + 5) for row in range(count)])
    boxes = np.concatenate([corners, corners + 8], axis=1)
    masks = np.zeros((count, side, side), bool)
    for mask, (x1, y1, x2, y2) in zip(masks, boxes, strict=True):
        mask[y1 + 2 : y2 - 2, x1 + 2 : x2 - 2] = True
    return np.full((side, side, 3), 90, np.uint8), boxes, masks


def boxes_drawn(boxes, drawn):
    """Which boxes have a line along their upper side."""
    pixels = np.asarray(drawn)
    return [bool((pixels[y1, x1:x2] != 90).any(-1).all()) for x1, y1, x2, _ in boxes]


def test_boxes_of_many_objects_are_left_out_where_masks_show_these():
    image, boxes, masks = many(21)
    masks[7] = False
    assert boxes_drawn(boxes, draw_instances(image, boxes, masks=masks)) == [row == 7 for row in range(21)]
    rows = boxes[:20], masks[:20]
    assert all(boxes_drawn(rows[0], draw_instances(image, rows[0], masks=rows[1])))
    assert all(boxes_drawn(boxes, draw_instances(image, boxes)))
    assert all(boxes_drawn(boxes, draw_instances(image, boxes, masks=masks, show_boxes=True)))
    marked = draw_instances(image, boxes, masks=masks, box_colors=[(0, 255, 0)] * 21)
    assert all(boxes_drawn(boxes, marked))
    assert not any(boxes_drawn(boxes, draw_instances(image, boxes, masks=masks, show_boxes=False)))


def test_outlines_alone_leave_what_is_inside_as_it_is():
    image = np.full((100, 120, 3), 90, np.uint8)
    options = {"masks": two_masks(), "show_boxes": False, "fill": False}
    pixels = np.asarray(draw_instances(image, BOXES, **options))
    for (x1, y1, x2, y2), color in zip(BOXES.astype(int), PALETTE, strict=False):
        assert tuple(pixels[y1 + 1, x1]) == tuple(pixels[y2 - 1, x2 - 2]) == color
    assert (pixels[60 + 2 : 89, 20 + 1 : 49] == 90).all()
    crowds = np.asarray(draw_instances(image, BOXES, crowd=[True, False], **options))
    assert (crowds == pixels).all()  # no hatching either


def test_dark_images_are_stretched_and_can_be_left_dark():
    image = np.linspace(0, 30, 100 * 120).reshape(100, 120).astype(np.uint8)
    assert np.asarray(draw_instances(image, np.zeros((0, 4)))).max() == 255
    dark = draw_instances(image, np.zeros((0, 4)), stretch=False)
    assert (np.asarray(dark)[:, :, 0] == image).all()


def test_enlarged_masks_are_those_of_the_image():
    image, boxes, masks = many(21)
    drawn = np.asarray(draw_instances(image, boxes, masks=masks, scale=3))
    painted = (drawn != 90).any(-1)
    assert (painted == masks.any(axis=0).repeat(3, axis=0).repeat(3, axis=1)).all()


def test_labels_name_tracks():
    rows = ["cat", "dog"], np.array([0.5, 0.25]), np.array([False, True])
    assert _labels(*rows, None) == ["cat 0.50", "dog 0.25 (crowd)"]
    assert _labels(*rows, np.array([3, -1])) == ["cat #3 0.50", "dog 0.25 (crowd)"]
    assert _labels(None, None, rows[2], np.array([3, -1])) == ["#3", "(crowd)"]
    assert _labels(None, None, rows[2], None) == []
    with pytest.raises(ValueError, match="got 2 boxes but 1 track_ids"):
        draw_instances(np.zeros((100, 120, 3), np.uint8), BOXES, track_ids=np.array([3]))
