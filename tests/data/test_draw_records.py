import numpy as np
import pytest
from PIL import Image

from keras_maskrcnn.data.draw_records import (
    CROWD,
    MISSED,
    RIGHT,
    WRONG,
    draw_comparison,
    draw_record,
    readable_scale,
)
from keras_maskrcnn.data.records import make_record
from keras_maskrcnn.detections.detections import Detections
from keras_maskrcnn.drawing.captions import side_by_side
from keras_maskrcnn.drawing.colors import PALETTE

NAMES = ("cat", "dog")
GRAY = 90


def record(crowd=(False, False), image=None, **changes):
    """A gray image of 400 x 300 pixels with a cat at 20..120 x 30..130 and a dog at 200..350 x 100..280."""
    masks = np.zeros((2, 300, 400), bool)
    masks[0, 30:130, 20:120] = masks[1, 100:280, 200:350] = True
    image = np.full((300, 400, 3), GRAY, np.uint8) if image is None else image
    values = {"masks": masks, "class_ids": [1, 2], "crowd": list(crowd), "image_id": "two"}
    return make_record(image, **{**values, **changes})


def found(boxes, class_ids, height=300, width=400, **values):
    names = [NAMES[class_id - 1] for class_id in class_ids]
    scores = values.pop("scores", np.full(len(boxes), 0.9))
    return Detections(np.reshape(boxes, (-1, 4)), scores, class_ids, names, height, width, **values)


def test_the_ground_truth_is_drawn_where_it_is():
    pixels = np.asarray(draw_record(record(), NAMES))
    assert pixels.shape == (300, 400, 3)
    for color, (x1, y1, x2, y2) in zip(PALETTE, [(20, 30, 120, 130), (200, 100, 350, 280)], strict=False):
        for corner in [(y1, x1), (y2 - 1, x1), (y1, x2 - 1), (y2 - 1, x2 - 1)]:
            assert tuple(pixels[corner]) == color
        tinted = np.rint(0.6 * GRAY + 0.4 * np.array(color))
        assert (pixels[y1 + 40, x1 + 40] == tinted).all()
    assert (pixels[290, 5] == GRAY).all()


def test_names_are_written_and_crowds_say_so():
    def label_width(crowd):  # above the dog's box, where nothing else is
        pixels = np.asarray(draw_record(record((False, crowd)), NAMES))[87:97, 200:400]
        return (pixels != GRAY).any(-1).any(0).sum()

    assert label_width(False) > 15
    assert label_width(True) > 2 * label_width(False)


def test_crowds_are_hatched_and_dashed():
    plain = np.asarray(draw_record(record(), NAMES, names=None))[101:279, 201:349]
    hatched = np.asarray(draw_record(record((False, True)), NAMES, names=None))[101:279, 201:349]
    painted = (hatched != GRAY).any(-1).mean()
    assert (plain != GRAY).any(-1).all() and 0.45 < painted < 0.55
    edge = np.asarray(draw_record(record((False, True), masks=None, boxes=BOXES), NAMES, names=None))[
        100, 200:350
    ]
    dashes = (edge == PALETTE[1]).all(-1)
    assert dashes[0] and 0.4 < dashes.mean() < 0.65


BOXES = [[20, 30, 120, 130], [200, 100, 350, 280]]


def test_keypoints_are_drawn_and_those_not_labelled_are_not():
    points = np.zeros((2, 2, 3), np.float32)
    points[0] = [[60, 80, 2], [0, 0, 0]]
    points[1] = [[300, 200, 1], [0, 0, 0]]
    pixels = np.asarray(draw_record(record(masks=None, boxes=BOXES, keypoints=points), NAMES))
    assert tuple(pixels[80, 60]) == PALETTE[0] and tuple(pixels[200, 300]) == PALETTE[1]
    assert (pixels[0, 0] == GRAY).all()


@pytest.mark.parametrize(
    "image",
    [
        np.full((1, 1, 3), 9, np.uint8),
        np.full((1, 1), 9, np.uint8),
        np.full((5, 3, 4), 9, np.uint8),
        np.full((5, 3, 6), 9.0, np.float32),
    ],
)
def test_images_of_any_kind_and_without_objects_are_drawn(image):
    empty = make_record(image, image_id="empty")
    drawn_on = draw_record(empty, NAMES)
    assert drawn_on.mode == "RGB" and max(drawn_on.size) >= 320
    assert (np.asarray(drawn_on) == 9).all()
    height, width = image.shape[:2]
    both = draw_comparison(found([], [], height, width), empty, NAMES)
    assert both.width > 2 * drawn_on.width


def test_a_file_of_many_channels_is_drawn(tmp_path):
    np.save(tmp_path / "five.npy", np.full((32, 40, 5), 9, np.uint8))
    assert draw_record(make_record(tmp_path / "five.npy", boxes=[], class_ids=[]), NAMES).mode == "RGB"


def test_an_object_of_one_pixel_is_visible():
    one = make_record(np.zeros((1, 1), np.uint8), boxes=[[0, 0, 1, 1]], class_ids=[2], image_id="pixel")
    pixels = np.asarray(draw_record(one, NAMES, names=None))
    assert pixels.shape == (320, 320, 3)
    assert tuple(pixels[0, 160]) == tuple(pixels[319, 160]) == PALETTE[0]
    assert not pixels[160, 160].any()


def test_small_images_are_enlarged_whole_times_and_large_ones_are_not():
    assert [readable_scale(*size) for size in [(1, 1), (32, 20), (300, 319), (320, 10), (6000, 8000)]] == [
        320, 10, 2, 1, 1,
    ]  # fmt: skip
    pixels = np.asarray(draw_record(record(), NAMES, scale=2, names=None))
    assert pixels.shape == (600, 800, 3)
    assert tuple(pixels[60, 40]) == PALETTE[0] and tuple(pixels[559, 699]) == PALETTE[1]
    with pytest.raises(ValueError, match="scale must be a whole number from 1; got 0"):
        draw_record(record(), NAMES, scale=0)


def test_a_comparison_marks_what_is_right_wrong_and_missed():
    cat, dog, nothing = BOXES[0], BOXES[1], [140, 200, 190, 280]
    predicted = found([dog, nothing], [2, 1])
    image = draw_comparison(predicted, record(masks=None, boxes=BOXES), NAMES, labels=False)
    pixels = np.asarray(image)
    left, right, top = 0, image.width - 400, image.height - 300

    def box_color(side, box):
        return tuple(pixels[top + box[3] - 1, side + box[0] + 5])

    assert box_color(left, dog) == box_color(right, dog) == RIGHT
    assert box_color(left, nothing) == WRONG
    assert box_color(right, cat) == MISSED and box_color(left, cat) == (GRAY,) * 3
    head = pixels[:top]
    assert (head == 255).any() and (head[:, :200] < 100).any() and (head[:, right:] < 100).any()


def test_a_true_positives_mask_has_the_colour_of_its_object():
    truth = record()
    masks = [dict(truth.masks[1]), dict(truth.masks[0])]
    predicted = found([BOXES[1], BOXES[0]], [2, 1], masks=masks)
    image = draw_comparison(predicted, truth, NAMES, labels=False)
    pixels = np.asarray(image)
    right, top = image.width - 400, image.height - 300
    for x, y in ((70, 80), (270, 190)):
        assert tuple(pixels[top + y, x]) == tuple(pixels[top + y, right + x]) != (GRAY,) * 3
    assert tuple(pixels[top + 80, 70]) != tuple(pixels[top + 190, 270])


def test_in_a_crowd_objects_keep_their_marks_and_neighbours_differ():
    corners = np.array([(14 * (row % 10) + 5, 14 * (row // 10) + 5) for row in range(60)])
    boxes = np.concatenate([corners, corners + 14], axis=1)
    masks = np.zeros((60, 100, 150), bool)
    for mask, (x1, y1, x2, y2) in zip(masks, boxes, strict=True):
        mask[y1 + 2 : y2 - 2, x1 + 2 : x2 - 2] = True
    truth = make_record(np.full((100, 150), GRAY, np.uint8), masks=masks, class_ids=[1] * 60, image_id="many")
    predicted = found(truth.boxes[5:], [1] * 55, 100, 150, masks=masks[5:])
    image = draw_comparison(predicted, truth, NAMES, labels=False)
    pixels = np.asarray(image)[-300:]  # three times as large
    right = image.width - 450
    colors = []
    for row, (x1, y1, x2, y2) in enumerate(3 * truth.boxes.astype(int)):
        assert tuple(pixels[y1, right + x1]) == (MISSED if row < 5 else RIGHT)
        center = (y1 + y2) // 2, (x1 + x2) // 2
        colors.append(tuple(pixels[center[0], right + center[1]]))
        if row >= 5:
            assert tuple(pixels[y1, x1]) == RIGHT and tuple(pixels[center]) == colors[row]
    assert all(colors[row] != colors[row + 1] for row in range(59) if row % 10 != 9)
    assert all(colors[row] != colors[row + 10] for row in range(50))


def test_crowds_and_detections_inside_them_are_neither_right_nor_wrong():
    truth = record(masks=None, boxes=BOXES, crowd=(False, True))
    inside = [220, 120, 300, 200]
    image = draw_comparison(found([inside], [2]), truth, NAMES, labels=False)
    assert tuple(np.asarray(image)[image.height - 300 + 199, 225]) == CROWD


def test_weak_detections_are_left_out_of_the_comparison():
    weak = found(BOXES, [1, 2], scores=np.array([0.6, 0.4]))
    strong = found(BOXES[:1], [1], scores=np.array([0.6]))
    images = [np.asarray(draw_comparison(one, record(), NAMES)) for one in (weak, strong)]
    assert (images[0] == images[1]).all()
    everything = draw_comparison(weak, record(), NAMES, min_score=0)
    assert (np.asarray(everything) != images[0]).any()


def test_what_does_not_fit_is_refused_by_name():
    with pytest.raises(ValueError, match=r"'two'.*object 1 has class id 2; 1 classes are named"):
        draw_record(record(), ["cat"])
    with pytest.raises(ValueError, match=r"'two' is 300 x 400 .* its detections are of 400 x 300"):
        draw_comparison(found([], [], 400, 300), record(), NAMES)
    with pytest.raises(ValueError, match="2 images and 1 captions"):
        side_by_side([Image.new("RGB", (9, 9))] * 2, ["one"])


def test_classes_in_another_order_are_refused():
    named = record(class_names=NAMES)
    draw_record(named, ["Katze", "Hund"])
    with pytest.raises(ValueError, match="image 'two': its class 1 is 'cat', which is class 2"):
        draw_record(named, NAMES[::-1])
    with pytest.raises(ValueError, match="image 'two': class 1 of its detections is 'cat', which is class 2"):
        draw_comparison(found([[20, 30, 120, 130]], [1]), record(), NAMES[::-1])


def test_captions_longer_than_their_images_are_cut():
    images = [Image.new("RGB", (200, 100))] * 2
    page = np.asarray(side_by_side(images, ["x" * 500, "right"], title="y" * 500))
    short = np.asarray(side_by_side(images, ["x", "right"], title="y"))
    assert page.shape == short.shape
    captions = page[(page.shape[0] - 100) // 2 : -100]
    assert (captions[:, 196:208] == 255).all()  # nothing reaches from one image to the next
    assert (captions[:, 100:190] < 100).any() and (page[:10, 300:390] < 100).any()
