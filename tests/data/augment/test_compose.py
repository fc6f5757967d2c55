"""Single examples, moved, pasted on and covered by cutout: what is left of their objects can be said by hand."""

import dataclasses

import numpy as np
import pytest
from places import COCO_MINI

from keras_maskrcnn.config.config import Config
from keras_maskrcnn.data.augment.random import augmented_example
from keras_maskrcnn.data.fields import fields_of
from keras_maskrcnn.data.formats.coco import load_coco
from keras_maskrcnn.data.pipeline.examples import load_example
from keras_maskrcnn.data.records import make_record
from keras_maskrcnn.masks.crop_paste import paste_masks

NAMES = ("nose", "left_hand", "right_hand")
RED, GREEN = np.array([255, 0, 0]), np.array([0, 255, 0])


def augmented(records, index, config, min_size, seed):
    """The numbers and lists of `augmented_example` with all fields of the config."""
    return augmented_example(records, index, config, fields_of(config), min_size, seed)


def changed(fields, **others):
    plain = {
        "class_names": ("a", "b", "c"),
        "min_size": 100,
        "max_size": 100,
        "horizontal_flip_probability": 0.0,
        "mask_crop_size": 28,
        "pixel_mean": (90.0, 90.0, 90.0),
    }
    return Config(**{**plain, **fields, **others})


def stripes(side=100, square=20):
    """Red and green hold x and y of each pixel; four squares, of which the last is a crowd."""
    rows, columns = np.mgrid[:side, :side]
    image = np.stack([columns, rows, 0 * rows], axis=2).astype(np.uint8)
    corners = [(0, 0), (side - square, 0), (0, side - square), (40, 40)]
    boxes = np.array([[x1, y1, x1 + square, y1 + square] for x1, y1 in corners])
    masks = np.zeros((4, side, side), bool)
    for mask, (x1, y1, x2, y2) in zip(masks, boxes, strict=True):
        mask[y1:y2, x1:x2] = True
    crowd = [False, False, False, True]
    return make_record(image, masks=masks, class_ids=[1, 2, 3, 1], crowd=crowd, image_id="stripes"), boxes


@pytest.mark.parametrize("fraction", [0.0, 0.1, 0.5, 1.0])
def test_what_is_dropped_can_be_counted_by_hand(fraction):
    record, boxes = stripes()
    config = changed({"crop_size": 60, "min_visible_fraction": fraction})
    dropped = 0
    for number in range(40):
        fields, lost, objects = augmented([record], 0, config, 100, np.array([number, 7], np.int32))
        image, size, found, class_ids, crowd, masks = fields
        left, top = image[0, 0, :2]
        frame = np.array([left, top, left + 60, top + 60])
        clipped = np.concatenate(
            [np.maximum(boxes[:, :2], frame[:2]), np.minimum(boxes[:, 2:], frame[2:])], axis=1
        )
        sides = np.maximum(clipped[:, 2:] - clipped[:, :2], 0)
        seen = sides.prod(axis=1) / 400
        kept = (seen > 0) & ((seen >= fraction) | [False, False, False, True])
        assert lost == 4 - kept.sum() and objects == 4 and size.tolist() == [60, 60]
        dropped += lost
        np.testing.assert_array_equal(found, clipped[kept] - frame[[0, 1, 0, 1]])
        np.testing.assert_array_equal(class_ids, np.array([1, 2, 3, 1])[kept])
        np.testing.assert_array_equal(crowd, np.array([False, False, False, True])[kept])
        assert (masks[~crowd] == 255).all() and not masks[crowd].any()
    assert 40 <= dropped < 160


def test_an_object_too_small_for_any_cell_is_dropped_and_counted():
    masks = np.zeros((2, 400, 400), bool)
    masks[0, 201, 203] = True  # a single pixel, of an image that shrinks to a fortieth
    masks[1, 40:360, 40:360] = True
    record = make_record(np.zeros((400, 400, 3), np.uint8), masks=masks, class_ids=[1, 2], image_id=0)
    config = changed({"crop_size": 40, "min_size": 40, "max_size": 40, "scale_jitter": (0.25, 0.25)})
    fields, lost, objects = augmented([record], 0, config, 40, np.array([0, 0], np.int32))
    boxes, class_ids, crops = fields[2], fields[3], fields[5]
    assert (lost, objects) == (1, 2) and class_ids.tolist() == [2]
    assert np.isfinite(boxes).all() and (boxes[:, 2:] > boxes[:, :2]).all() and crops.any()


def test_a_box_with_its_corners_swapped_is_refused_by_name():
    record = make_record(
        np.zeros((100, 100, 3), np.uint8), boxes=[[4, 6, 12, 9]], class_ids=[1], image_id="x"
    )
    swapped = dataclasses.replace(record, boxes=np.float32([[12, 6, 4, 9]]))
    config = changed({"mask_head": "none", "crop_size": 60})
    with pytest.raises(ValueError, match=r"image 'x': object 0: .*inverted: x1 < x2"):
        augmented([swapped], 0, config, 100, np.array([0, 0], np.int32))


def test_objects_without_masks_move_with_their_boxes_corners():
    image = np.zeros((100, 100, 3), np.uint8)
    record = make_record(image, boxes=[[40, 30, 60, 70]], class_ids=[1], image_id=0)
    config = changed({"mask_head": "none", "max_rotation_degrees": 90.0})
    sizes = []
    for number in range(60):
        (_, _, boxes, *_), _, _ = augmented([record], 0, config, 100, np.array([1, number], np.int32))
        width, height = boxes[0, 2:] - boxes[0, :2]
        np.testing.assert_allclose(boxes[0, :2] + boxes[0, 2:], 100, atol=1)  # rotated about its own centre
        # |sin| and |cos| of the angle, from the sides of a rectangle of 20 x 40
        cosine, sine = np.linalg.solve([[20, 40], [40, 20]], [width, height])
        assert cosine**2 + sine**2 == pytest.approx(1, abs=0.06)
        sizes.append(width)
    assert min(sizes) < 25 and max(sizes) > 38


def test_scales_are_drawn_evenly_from_the_range():
    record = make_record(np.full((50, 100, 3), 7, np.uint8), masks=[], image_id=0)
    config = changed({"crop_size": 100, "scale_jitter": (0.1, 2.0)})
    widths = []
    for number in range(300):
        (image, size, *_), _, _ = augmented([record], 0, config, 100, np.array([number, 0], np.int32))
        assert size.tolist() == [100, 100] and image.shape == (100, 100, 3)
        painted = (image == 7).all(axis=2)
        assert painted[0, 0] and (image[~painted] == 90).all()
        widths.append(painted[0].sum())
    assert min(widths) in range(10, 14) and max(widths) == 100
    below_one = np.mean(np.array(widths) < 100)
    assert below_one == pytest.approx(0.9 / 1.9, abs=0.08)


def overlapping():
    """A small square that belongs to one image, and a large one, with a keypoint, that belongs to another."""
    below = np.zeros((40, 40, 3), np.uint8)
    below[10:30, 10:30] = RED
    mask = np.zeros((1, 40, 40), bool)
    mask[0, 10:30, 10:30] = True
    keypoints = [[[12, 12, 2], [28, 28, 2], [20, 20, 0]]]
    yield make_record(below, masks=mask, class_ids=[1], keypoints=keypoints, image_id="below")
    above = np.zeros((40, 40, 3), np.uint8)
    above[:, 20:] = GREEN
    mask = np.zeros((1, 40, 40), bool)
    mask[0, :, 20:] = True
    keypoints = [[[30, 5, 2], [0, 0, 0], [0, 0, 0]]]
    yield make_record(above, masks=mask, class_ids=[2], keypoints=keypoints, image_id="above")


def test_what_is_pasted_hides_what_lies_below():
    config = changed(
        {"min_size": 40, "max_size": 40, "copy_paste_probability": 1.0},
        keypoint_names=NAMES,
        mask_crop_size=20,
    )
    records = list(overlapping())
    results = [augmented(records, 0, config, 40, np.array([number, 0], np.int32)) for number in range(40)]
    pasted = [fields for fields, *_ in results if fields[3].tolist() == [1, 2]]
    assert 12 <= len(pasted) <= 28  # in half of the cases
    for image, _, boxes, _, _, masks, keypoints in pasted:
        np.testing.assert_array_equal(boxes, [[10, 10, 20, 30], [20, 0, 40, 40]])
        assert (masks == 255).all()
        np.testing.assert_array_equal(image[:, 20:], np.broadcast_to(GREEN, (40, 20, 3)))
        np.testing.assert_array_equal(keypoints[0], [[12, 12, 2], [28, 28, 1], [0, 0, 0]])
        np.testing.assert_array_equal(keypoints[1, 0], [30, 5, 2])
    dropping = dataclasses.replace(config, min_visible_fraction=0.6)
    lost = [augmented(records, 0, dropping, 40, np.array([n, 0], np.int32))[1] for n in range(40)]
    assert sum(lost) == len(pasted)


def test_cutout_covers_images_and_masks():
    image = np.full((100, 100, 3), 7, np.uint8)
    record = make_record(image, masks=np.ones((1, 100, 100), bool), class_ids=[1], image_id=0)
    config = changed({"cutout_count": 1, "cutout_size": 0.3}, mask_crop_size=100)
    areas = []
    for number in range(30):
        fields, _, _ = augmented([record], 0, config, 100, np.array([number, 0], np.int32))
        cut = (fields[0] == 90).all(axis=2)
        np.testing.assert_array_equal(cut, ~(fields[0] == 7).any(axis=2))
        np.testing.assert_array_equal(fields[5][0] == 0, cut)
        areas.append(cut.sum())
    assert max(areas) == 900 and min(areas) < 900  # some squares reach out of the image


def test_any_number_of_channels_and_any_values():
    rng = np.random.default_rng(0)
    for channels, dtype in ((1, np.uint8), (5, np.uint8), (5, np.float32)):
        image = rng.integers(0, 255, (60, 60, channels)).astype(dtype) * (100 if dtype == np.float32 else 1)
        mean = tuple(range(10, 10 + channels))
        config = changed({"crop_size": 80}, channels=channels, pixel_mean=mean, pixel_std=mean, min_size=60)
        record = make_record(image, masks=[], image_id=0)
        (found, *_), _, _ = augmented([record], 0, config, 60, np.array([1, 2], np.int32))
        np.testing.assert_array_equal(found[:60, :60], image)
        assert (found[60:] == mean).all() and (found[:, 60:] == mean).all()


def test_an_augmentation_draws_the_same_whatever_else_is_on():
    records = [stripes()[0]]
    config = changed({"crop_size": 100, "scale_jitter": (0.3, 2.0), "max_rotation_degrees": 30.0})
    alone = augmented(records, 0, config, 100, np.array([4, 2], np.int32))[0]
    cut = dataclasses.replace(config, cutout_count=1, cutout_size=0.01)
    beside = augmented(records, 0, cut, 100, np.array([4, 2], np.int32))[0]
    np.testing.assert_allclose(alone[2], beside[2], atol=1)


def test_an_unreadable_image_is_named(tmp_path):
    wrong = dataclasses.replace(stripes()[0], height=101)
    with pytest.raises(ValueError, match=r"image 'stripes': the image is 100 x 100 .* says 100 x 101"):
        augmented([wrong], 0, changed({"crop_size": 96}), 120, np.array([1, 1], np.int32))


@pytest.mark.skipif(not COCO_MINI.exists(), reason="the COCO sample is not on this machine")
def test_real_objects_that_are_not_moved_stay_where_they_are():
    """Real polygons and crowds, drawn anew in a frame that holds the whole image."""
    path = COCO_MINI / "annotations" / "instances_val2017.json"
    records, names = load_coco(path, COCO_MINI / "val2017")
    plain = Config(tuple(names), min_size=480, max_size=640, horizontal_flip_probability=0.0)
    ious, distances, crowds = [], [], 0
    for index, record in enumerate(records[:20]):
        fields, dropped, objects = augmented(
            records, index, dataclasses.replace(plain, crop_size=640), 480, np.array([0, 0], np.int32)
        )
        _, (height, width), boxes, classes, crowd, masks = load_example(record, plain, fields_of(plain), 480)
        assert dropped == 0 and objects == len(boxes)
        np.testing.assert_array_equal(fields[3], classes)
        np.testing.assert_array_equal(fields[4], crowd)
        crowds += crowd.sum()
        distances.extend(np.abs(fields[2] - boxes).max(axis=1))
        drawn, expected = (
            paste_masks(crops / 255, frames, height, width)
            for crops, frames in ((fields[5], fields[2]), (masks, boxes))
        )
        union = (drawn | expected).sum(axis=(1, 2))[~crowd]
        ious.extend((drawn & expected).sum(axis=(1, 2))[~crowd] / union)
    assert len(ious) > 100 and crowds > 0
    # Annotated boxes go to the ends of tips that are thinner than a pixel, where no mask is.
    assert np.mean(distances) < 0.15 and np.mean(np.array(distances) <= 1) > 0.9
    assert np.mean(ious) > 0.99 and min(ious) > 0.85
