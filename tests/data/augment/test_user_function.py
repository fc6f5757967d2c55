"""A user's own augmentation: what it returns is what the model is given, and what cannot be trained on is refused."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf
from examples_in_docs import blocks
from places import ROOT
from squares import assert_equal, batches

from keras_maskrcnn.config.config import Config
from keras_maskrcnn.data.augment.sample import Sample, sample_of
from keras_maskrcnn.data.augment.user_function import call_augment
from keras_maskrcnn.data.draw_augmented import draw_augmented
from keras_maskrcnn.data.pipeline.dataset import make_dataset
from keras_maskrcnn.data.records import make_record
from keras_maskrcnn.masks.crop_paste import paste_masks
from keras_maskrcnn.masks.rle import mask_to_rle, segmentation_to_mask

HEIGHT, WIDTH = 48, 64
CONFIG = Config(
    class_names=("a", "b"),
    min_size=HEIGHT,
    max_size=WIDTH,
    mask_crop_size=56,
    keypoint_names=("tip", "end"),
    keypoint_offset=0.0,
    horizontal_flip_probability=0.0,
)
POLYGON = [[3.3, 4.2, 20.6, 5.1, 15.4, 19.7]]
RANDOM = np.random.default_rng(0)


def record(number=0):
    """Three objects with two keypoints each: a triangle, an L and a square; the third keypoint is not labelled."""
    image = np.random.default_rng(number).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
    corner, square = np.zeros((2, HEIGHT, WIDTH), bool)
    corner[10:40, 30:36], corner[30:40, 30:50] = True, True
    square[38:46, 52:62] = True
    return make_record(
        image,
        masks=[POLYGON, mask_to_rle(corner), mask_to_rle(square)],
        class_ids=[1, 2, 1],
        keypoints=[[[8, 6, 2], [0, 0, 0]], [[32, 12, 2], [48, 35, 1]], [[53, 40, 2], [60, 44, 2]]],
        image_id=number,
    )


def masks_of(record):
    return np.array([segmentation_to_mask(mask, record.height, record.width) for mask in record.masks])


def extents(masks):
    """x1, y1, x2, y2 around the pixels of masks [N, H, W]."""
    sides = []
    for mask in masks:
        y, x = np.nonzero(mask)
        sides.append([x.min(), y.min(), x.max() + 1, y.max() + 1])
    return np.array(sides)


def called(function, given=None, config=CONFIG):
    given = given or record()
    made, image, rows = call_augment(function, given, given.image, config, RANDOM)
    return made, image, rows


def rolled(sample, random):
    """Cut as many columns and rows off the upper left as the generator says."""
    down, right = random.integers(0, 12, 2)
    keypoints = sample.keypoints - [right, down, 0]
    return dataclasses.replace(
        sample,
        image=sample.image[down:, right:],
        masks=sample.masks[:, down:, right:],
        boxes=None,
        keypoints=np.where(sample.keypoints[..., 2:] > 0, keypoints, 0),
    )


def test_the_function_is_given_the_image_and_its_objects_as_arrays():
    given = record()
    sample = sample_of(given, given.image)
    np.testing.assert_array_equal(sample.image, given.image)
    np.testing.assert_array_equal(sample.masks, masks_of(given))
    np.testing.assert_array_equal(sample.boxes, given.boxes)
    np.testing.assert_array_equal(sample.keypoints, given.keypoints)
    assert (
        sample.class_ids.tolist() == [1, 2, 1]
        and not sample.crowd.any()
        and sample.rows.tolist() == [0, 1, 2]
    )
    boxes_only = make_record(given.image, boxes=given.boxes, class_ids=given.class_ids, image_id=1)
    assert sample_of(boxes_only, given.image).masks is None


def test_arrays_may_be_written_into_and_the_record_stays_as_it_is():
    given, before = record(), record()

    def writes(sample, random):
        for array in (sample.image, sample.boxes, sample.masks, sample.keypoints, sample.class_ids):
            array[:] = 1
        return dataclasses.replace(sample, boxes=None)

    made, image, _ = called(writes, given)
    assert (image == 1).all() and masks_of(made).all()
    np.testing.assert_array_equal(given.image, before.image)
    np.testing.assert_array_equal(given.boxes, before.boxes)
    np.testing.assert_array_equal(given.keypoints, before.keypoints)


def test_what_comes_back_as_it_went_keeps_its_polygons():
    given = record()
    made, _, rows = called(lambda sample, random: sample, given)
    assert made.masks == given.masks and rows.tolist() == [0, 1, 2]
    np.testing.assert_array_equal(made.boxes, given.boxes)
    np.testing.assert_array_equal(made.areas, given.areas)

    def moves_the_second(sample, random):
        sample.masks[1] = np.roll(sample.masks[1], 3, axis=1)
        return dataclasses.replace(sample, boxes=None)

    made, _, _ = called(moves_the_second, given)
    assert [type(mask) for mask in made.masks] == [list, dict, dict]
    np.testing.assert_array_equal(masks_of(made)[1], np.roll(masks_of(given)[1], 3, axis=1))


def test_batches_hold_what_the_function_returned():
    seen = []

    def function(sample, random):
        returned = rolled(sample, random)
        seen.append(returned)
        return returned

    given = [record(number) for number in range(3)]
    dataset = make_dataset(given, CONFIG, 3, training=True, parallel_calls=1, augment=function)
    (batch,) = [{key: value.numpy() for key, value in batch.items()} for batch in dataset]
    for row, sample in enumerate(seen):
        height, width = batch["sizes"][row]
        scale = np.array([width / sample.image.shape[1], height / sample.image.shape[0]])
        np.testing.assert_allclose(
            batch["gt_boxes"][row], extents(sample.masks) * np.tile(scale, 2), rtol=1e-6
        )
        labelled = sample.keypoints[..., 2:] > 0
        points = np.where(labelled, sample.keypoints[..., :2] * scale, 0)
        inside = ((points >= 0) & (points <= [width, height])).all(axis=2, keepdims=True)
        np.testing.assert_allclose(
            batch["gt_keypoints"][row, ..., :2], np.where(inside, points, 0), rtol=1e-6
        )
        pasted = paste_masks(batch["gt_masks"][row] / 255, extents(sample.masks), *sample.image.shape[:2])
        for own, mask in zip(pasted, sample.masks, strict=True):
            assert (own & mask).sum() >= 0.95 * (own | mask).sum()


@pytest.mark.parametrize(
    "changes",
    [{}, {"crop_size": 40, "max_rotation_degrees": 20.0, "copy_paste_probability": 1.0, "cutout_count": 1}],
    ids=["resized", "composed"],
)
def test_chance_follows_from_seed_epoch_and_position_in_any_number_of_threads(changes):
    given = [record(number) for number in range(6)]
    config = Config(**{**CONFIG.to_dict(), **changes})

    def epochs(seed, calls, first=0):
        dataset = make_dataset(
            given, config, 2, training=True, seed=seed, parallel_calls=calls, augment=rolled
        )
        dataset.clock.epoch.assign(first)
        return [
            [{key: value.numpy() for key, value in batch.items()} for batch in dataset]
            for _ in range(2 - first)
        ]

    first, second = epochs(seed=3, calls=1)
    (again,) = epochs(seed=3, calls=4, first=1)  # whatever was read before
    assert_equal(again, second)
    for other in (first, epochs(seed=4, calls=1)[1]):
        with pytest.raises(AssertionError):
            assert_equal(other, second)


def test_without_a_function_nothing_about_batches_changes():
    given = [record(number) for number in range(2)]
    config = Config(**{**CONFIG.to_dict(), "crop_size": 40, "copy_paste_probability": 1.0})
    plain = batches(given, config, batch_size=2, training=True)
    same = batches(given, config, batch_size=2, training=True, augment=lambda sample, random: sample)
    assert_equal(same, plain)


def test_objects_that_vanish_are_counted():
    def function(sample, random):
        sample.masks[1] = False  # nothing of it is left
        return sample.select([2, 1])

    made, _, rows = called(function)
    assert rows.tolist() == [2] and made.class_ids.tolist() == [1]
    np.testing.assert_array_equal(made.keypoints[0], record().keypoints[2])
    dataset = make_dataset([record(), record(1)], CONFIG, 2, training=True, augment=function)
    (batch,) = dataset
    assert batch["gt_boxes"].shape == (2, 1, 4)
    assert dataset.dropped.by_epoch() == {0: (6, 4)}


def test_all_objects_may_vanish():
    dataset = make_dataset(
        [record()], CONFIG, training=True, augment=lambda sample, random: sample.select([False] * 3)
    )
    (batch,) = dataset
    assert batch["gt_classes"].numpy().tolist() == [[0]] and dataset.dropped.by_epoch() == {0: (3, 3)}


def test_boxes_alone_vanish_without_area():
    config = Config(**{**CONFIG.to_dict(), "mask_head": "none", "keypoint_names": ()})
    given = make_record(record().image, boxes=[[0, 0, 9, 9], [5, 5, 20, 20]], class_ids=[1, 2], image_id=1)

    def function(sample, random):
        sample.boxes[0, 2:] = 0
        return sample

    made, _, rows = called(function, given, config)
    assert rows.tolist() == [1] and made.masks is None and made.boxes.tolist() == [[5, 5, 20, 20]]


def test_added_objects_are_no_objects_that_vanished():
    def function(sample, random):
        twice = sample.select([0, 1, 1])
        twice.rows[2] = -1
        return twice

    for changes in ({}, {"crop_size": HEIGHT}):
        config = Config(**{**CONFIG.to_dict(), **changes, "min_visible_fraction": 0.0})
        dataset = make_dataset([record()], config, training=True, augment=function)
        (batch,) = dataset
        assert batch["gt_boxes"].shape[1] >= 2
        objects, dropped = dataset.dropped.by_epoch()[0]
        assert objects == 3 and dropped >= 1


def test_keypoints_outside_of_the_image_are_not_labelled():
    def function(sample, random):
        return dataclasses.replace(sample, keypoints=sample.keypoints - [10, 0, 0])

    made, _, _ = called(function)
    assert made.keypoints[0].tolist() == [[0, 0, 0], [0, 0, 0]]
    assert made.keypoints[1].tolist() == [[22, 12, 2], [38, 35, 1]]


def replaced(**fields):
    return lambda sample, random: dataclasses.replace(sample, **fields)


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        (lambda sample, random: None, "it must be a km.Sample; got NoneType"),
        (replaced(image=np.zeros((HEIGHT, WIDTH))), r"its image must be \[H, W, 3\]; got shape \(48, 64\)"),
        (replaced(image=np.zeros((HEIGHT, WIDTH, 4))), r"its image must be \[H, W, 3\]"),
        (replaced(image=np.full((HEIGHT, WIDTH, 3), 0.5)), "multiply by 255"),
        (replaced(image=np.full((HEIGHT, WIDTH, 3), -1.0)), "float pixels must be 0..255"),
        (replaced(image=np.full((HEIGHT, WIDTH, 3), np.nan)), "NaN or infinite"),
        (replaced(image=np.zeros((HEIGHT, WIDTH - 1, 3))), r"masks have shape \(3, 48, 64\); the image needs"),
        (replaced(boxes=np.zeros((2, 4))), r"it has 3 rows, but boxes of shape \(2, 4\)"),
        (replaced(boxes=np.zeros((3, 5))), r"its boxes must be \[N, 4\]; got shape \(3, 5\)"),
        (replaced(boxes=[[0, 0, 9, 9], [0, 0, 99, 9], [0, 0, 9, 9]]), "object 1: box .* reaches outside the image"),
        (replaced(boxes=[[20, 20, 9, 9]] * 3), "object 0: box .* is inverted"),
        (replaced(boxes=[[np.nan, 0, 9, 9]] * 3), "object 0: box .* is not finite"),
        (replaced(boxes=[[50, 20, 60, 30]] * 3), "object 0: its mask .* lies outside its box"),
        (replaced(masks=None), "its objects have no masks"),
        (replaced(masks=None, boxes=None), "its boxes are None, but there are no masks"),
        (replaced(masks=np.full((3, HEIGHT, WIDTH), 255)), "hold only 0 and 1"),
        (replaced(class_ids=np.array([1, 2, 3])), "class id 3 is outside 1..2"),
        (replaced(class_ids=np.array([1.0, 2.0, 1.0])), "class_ids must be integers"),
        (replaced(crowd=["no", "no", "no"]), "crowd must be booleans"),
        (replaced(keypoints=None), "its objects have no keypoints"),
        (replaced(keypoints=np.zeros((3, 1, 3))), "its objects have 1 keypoints"),
        (replaced(keypoints=np.zeros((3, 2, 2))), r"its keypoints must be \[N, J, 3\]"),
        (replaced(keypoints=np.full((3, 2, 3), 5)), "object 0: the visibility of keypoints must be 0, 1 or 2"),
        (replaced(rows=np.array([0, 0, 1])), "its rows must be those of the 3 objects given, each once"),
        (replaced(rows=np.array([0, 1, 3])), "its rows must be those of the 3 objects given"),
        (lambda sample, random: sample.masks[7], "augment raised IndexError: index 7 is out of bounds"),
    ],
)  # fmt: skip
def test_what_cannot_be_trained_on_is_refused_by_the_name_of_the_image(function, reason):
    with pytest.raises(ValueError, match=reason) as error:
        called(function)
    assert "image 0" in str(error.value) and "augment" in str(error.value)


def test_a_refusal_stops_the_iteration():
    dataset = make_dataset([record()], CONFIG, training=True, augment=replaced(keypoints=None))
    with pytest.raises(
        tf.errors.InvalidArgumentError, match="what augment returned: image 0: its objects have no"
    ):
        next(iter(dataset))


def test_only_training_is_augmented():
    with pytest.raises(ValueError, match="augment= needs training=True"):
        make_dataset([record()], CONFIG, augment=rolled)


def test_it_is_drawn_as_it_is_trained_on():
    def black(sample, random):
        return dataclasses.replace(sample, image=np.zeros_like(sample.image)).select([])

    sheet = np.asarray(draw_augmented([record()], CONFIG, count=1, augment=black))
    assert sheet[:HEIGHT, :WIDTH].any() and not sheet[:HEIGHT, -WIDTH:].any()


def test_images_whose_objects_are_pasted_are_augmented_too():
    config = Config(**{**CONFIG.to_dict(), "copy_paste_probability": 1.0})

    def bright(sample, random):
        return dataclasses.replace(sample, image=np.full_like(sample.image, 255))

    (batch,) = make_dataset([record(), record(1)], config, 2, training=True, augment=bright)
    assert (batch["images"][:, :HEIGHT, :WIDTH].numpy() == 255).all()


def albumentations_recipe():
    """The function on the page about data."""
    (block,) = [
        block
        for block in blocks((ROOT / "docs" / "data.md").read_text("utf-8"))
        if "albumentations" in block.code
    ]
    names = {"np": np, "dataclasses": dataclasses}
    exec(block.code.replace("RandomSizedBBoxSafeCrop(480, 640)", "RandomCrop(40, 50, p=1)"), names)
    return names["augment"]


def test_albumentations_moves_masks_boxes_and_keypoints_together(monkeypatch):
    monkeypatch.setenv("NO_ALBUMENTATIONS_UPDATE", "1")
    pytest.importorskip("albumentations")
    augment = albumentations_recipe()
    blank = np.zeros((120, 160, 3), np.uint8)
    masks = np.zeros((3, 120, 160), bool)
    masks[0, 10:50, 10:60], masks[1, 60:100, 30:80], masks[2, 40:100, 100:150] = True, True, True
    centres = np.array([[35, 30], [55, 80], [125, 70]], np.float32)
    colours = np.array([[250, 0, 0], [0, 250, 0], [0, 0, 250]], np.uint8)
    for mask, colour in zip(masks, colours, strict=True):
        blank[mask] = colour
    config = dataclasses.replace(CONFIG, class_names=("r", "g", "b"), keypoint_names=("centre",))
    keypoints = np.concatenate([centres, np.full((3, 1), 2)], axis=1)[:, None]
    given = make_record(blank, masks=masks, class_ids=[1, 2, 3], keypoints=keypoints, image_id=1)
    seen = dropped = 0
    for seed in range(20):
        made, image, rows = call_augment(augment, given, blank, config, np.random.default_rng(seed))
        again, same, _ = call_augment(augment, given, blank, config, np.random.default_rng(seed))
        np.testing.assert_array_equal(image, same)
        np.testing.assert_array_equal(made.boxes, again.boxes)
        assert image.shape == (40, 50, 3)
        moved = masks_of(made).reshape(-1, 40, 50)
        np.testing.assert_array_equal(made.boxes, extents(moved).reshape(-1, 4))
        np.testing.assert_array_equal(made.class_ids, rows + 1)
        for mask, row, (point,) in zip(moved, rows, made.keypoints, strict=True):
            # The pixels themselves say where each object went.
            shown = (image[..., row] > 100) & (image.sum(axis=2) - image[..., row] < 150)
            assert (mask & shown).sum() >= 0.9 * (mask | shown).sum()
            if point[2]:
                x, y = np.minimum(point[:2].astype(int), [49, 39])
                assert mask[y, x]
            seen += point[2] > 0
        dropped += 3 - len(rows)
    assert seen > 5 and dropped > 5


def test_albumentations_recipe_takes_records_without_keypoints_and_without_objects(monkeypatch):
    monkeypatch.setenv("NO_ALBUMENTATIONS_UPDATE", "1")
    pytest.importorskip("albumentations")
    augment = albumentations_recipe()
    config = Config(**{**CONFIG.to_dict(), "keypoint_names": ()})
    for given in (
        dataclasses.replace(record(), keypoints=None),
        make_record(record().image, masks=[], image_id=2),
    ):
        made, image, _ = called(augment, given, config)
        assert image.shape == (40, 50, 3) and made.keypoints is None


def test_select_takes_indices_and_booleans():
    sample = sample_of(record(), record().image)
    for rows in ([2, 0], np.array([2, 0])):
        assert sample.select(rows).rows.tolist() == [2, 0]
    assert sample.select([True, False, True]).rows.tolist() == [0, 2]
    assert isinstance(sample.select([]), Sample) and sample.select([]).masks.shape == (0, HEIGHT, WIDTH)
