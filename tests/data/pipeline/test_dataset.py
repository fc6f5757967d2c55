"""Batches: exact pixels and boxes, the same run for the same seed, and errors that name the image."""

import dataclasses
import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from places import COCO_MINI
from squares import SMALL, batches, empty, half_filled, names, square

from keras_maskrcnn.config.config import Config
from keras_maskrcnn.data.formats.coco import load_coco
from keras_maskrcnn.data.pipeline.dataset import make_dataset
from keras_maskrcnn.data.records import make_record
from keras_maskrcnn.images.resize import resize_image
from keras_maskrcnn.masks.crop_paste import crop_mask, crop_segmentation
from keras_maskrcnn.masks.rle import segmentation_to_mask, segmentation_to_rle

needs_coco_mini = pytest.mark.skipif(not COCO_MINI.exists(), reason="the COCO sample is not on this machine")


def test_intensities_are_stretched_before_all_else():
    config = dataclasses.replace(SMALL, min_size=10, intensity_percentiles=(0, 100))
    image = np.tile(np.array([10, 30], np.uint8)[:, None, None], (5, 16, 3))
    record = make_record(image, masks=np.ones((1, 10, 16), bool), class_ids=[2], image_id="dark")
    (batch,) = batches([record], config)
    np.testing.assert_array_equal(batch["images"][0, :10, :16, 0], np.tile([[0.0], [255.0]], (5, 16)))


def test_a_batch_has_the_promised_fields():
    config = dataclasses.replace(SMALL, min_size=10)
    (batch,) = batches([square(1), square(2, crowd=True, height=40)], config, batch_size=2)
    shapes = {key: (value.dtype.name, value.shape) for key, value in batch.items()}
    assert shapes == {
        "images": ("float32", (2, 32, 32, 3)),
        "sizes": ("int32", (2, 2)),
        "gt_boxes": ("float32", (2, 1, 4)),
        "gt_classes": ("int32", (2, 1)),
        "gt_crowd": ("bool", (2, 1)),
        "gt_masks": ("uint8", (2, 1, 8, 8)),
        "seeds": ("int32", (2, 2)),
    }
    np.testing.assert_array_equal(batch["sizes"], [[10, 16], [12, 10]])
    np.testing.assert_allclose(batch["gt_boxes"][:, 0], [[2, 3, 6, 7], [1.25, 1.8, 3.75, 4.2]])
    assert batch["gt_classes"].tolist() == [[2], [2]]
    assert batch["gt_crowd"].tolist() == [[False], [True]]
    quarters = batch["gt_masks"][0, 0].reshape(2, 4, 2, 4).transpose(0, 2, 1, 3)
    assert (quarters[0, 0] == 0).all() and (quarters[0, 1] == 255).all() and (quarters[1] == 255).all()
    assert not batch["gt_masks"][1].any()
    assert not batch["images"][0, 10:].any() and not batch["images"][1, :, 10:].any()


def test_without_resizing_pixels_are_those_of_the_image():
    config = dataclasses.replace(SMALL, min_size=20)
    (batch,) = batches([square(9)], config)
    np.testing.assert_array_equal(batch["images"][0, :20, :32], half_filled(9))


@pytest.mark.parametrize("method", ["bilinear", "pillow", "skimage"])
def test_pixels_are_resized_as_detection_resizes_them(method):
    config = dataclasses.replace(SMALL, min_size=13, resize=method, size_rounding="round")
    image = np.random.default_rng(0).integers(0, 256, (20, 32, 3), np.uint8)
    (batch,) = batches([make_record(image, masks=[], image_id=1)], config)
    expected = resize_image(image, (13, 21), method)
    assert batch["sizes"].tolist() == [[13, 21]]
    np.testing.assert_array_equal(batch["images"][0, :13, :21], expected)
    assert batch["images"].dtype == np.float32 and not batch["images"][0, 13:].any()


def test_records_whose_classes_have_other_names_are_refused():
    named = dataclasses.replace(square(1), class_names=tuple(SMALL.class_names))
    batches([named, square(2)], SMALL)
    swapped = dataclasses.replace(named, class_names=tuple(SMALL.class_names)[::-1])
    with pytest.raises(ValueError, match="image 1: its class names are in another order"):
        make_dataset([square(2), swapped], SMALL)

    class Lazy:
        def __len__(self):
            return 1

        def __getitem__(self, index):
            return swapped

    with pytest.raises(tf.errors.InvalidArgumentError, match="image 1: its class names are in another order"):
        batches(Lazy(), SMALL)


def test_boxes_alone_have_no_masks():
    boxes_only = make_record(half_filled(1), boxes=[[4, 6, 12, 14]], class_ids=[1], image_id=1)
    (batch,) = batches([boxes_only], dataclasses.replace(SMALL, mask_head="none"))
    assert "gt_masks" not in batch and batch["gt_boxes"].shape == (1, 1, 4)


def test_images_without_objects_have_one_padded_row():
    (batch,) = batches([empty(1), empty(2)], batch_size=2, training=True)
    assert batch["gt_boxes"].shape == (2, 1, 4) and batch["gt_masks"].shape == (2, 1, 8, 8)
    assert not any(batch[key].any() for key in ("gt_boxes", "gt_classes", "gt_crowd", "gt_masks"))


def test_flipping_moves_image_boxes_and_masks_together():
    flipping = dataclasses.replace(SMALL, min_size=20, horizontal_flip_probability=1.0)
    (batch,) = batches([square(9)], flipping, training=True)
    np.testing.assert_array_equal(batch["images"][0, :20, :32], half_filled(9)[:, ::-1])
    np.testing.assert_allclose(batch["gt_boxes"], [[[20, 6, 28, 14]]])
    straight = dataclasses.replace(SMALL, min_size=20, horizontal_flip_probability=0.0)
    (other,) = batches([square(9)], straight, training=True)
    np.testing.assert_array_equal(batch["gt_masks"], other["gt_masks"][..., ::-1])
    (evaluated,) = batches([square(9)], flipping)
    np.testing.assert_array_equal(evaluated["gt_boxes"], other["gt_boxes"])


def test_half_of_the_images_are_flipped_and_all_sizes_drawn():
    config = dataclasses.replace(SMALL, train_min_sizes=(10, 20, 30))
    found = batches([square(i) for i in range(60)], config, training=True)
    left = sum(batch["gt_boxes"][0, 0, 0] < batch["sizes"][0, 1] / 4 for batch in found)
    assert 18 <= left <= 42
    heights = [int(batch["sizes"][0, 0]) for batch in found]
    assert set(heights) == {10, 20, 30} and min(heights.count(h) for h in (10, 20, 30)) >= 10


def test_a_sequence_that_draws_its_images_serves():
    class Drawn:
        def __len__(self):
            return 3

        def __getitem__(self, index):
            return square(index)

    assert names(batches(Drawn(), batch_size=2)) == [[0, 1], [2]]


def test_one_and_five_channels(tmp_path):
    one = make_record(np.full((16, 16), 7, np.uint8), image_id=1, masks=[])
    gray = Config(("a",), channels=1, pixel_mean=(0.0,), pixel_std=(1.0,), min_size=16)
    (batch,) = batches([one], gray)
    assert batch["images"].shape == (1, 32, 32, 1) and batch["images"].max() == 7
    np.save(tmp_path / "bands.npy", np.full((16, 16, 5), 3, np.uint8))
    five = make_record(tmp_path / "bands.npy", masks=[])
    bands = Config(("a",), channels=5, pixel_mean=(0.0,) * 5, pixel_std=(1.0,) * 5, min_size=16)
    assert batches([five], bands)[0]["images"].shape == (1, 32, 32, 5)


def test_records_are_checked_before_anything_is_read():
    with pytest.raises(ValueError, match=r"image 0: class id 2 is outside 1\.\.1"):
        make_dataset([square()], dataclasses.replace(SMALL, class_names=("a",)))
    boxes_only = make_record(half_filled(1), boxes=[[4, 6, 12, 14]], class_ids=[1], image_id=1)
    with pytest.raises(ValueError, match=r"image 1: .*no masks"):
        make_dataset([boxes_only], SMALL)
    with pytest.raises(ValueError, match="needs records"):
        make_dataset([], SMALL)
    with pytest.raises(ValueError, match="batch_size"):
        make_dataset([square()], SMALL, batch_size=0)


def broken_file(tmp_path):
    path = tmp_path / "cut.jpg"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (90, 90, 3), np.uint8)).save(path)
    record = make_record(path, masks=[])
    path.write_bytes(path.read_bytes()[:2000])
    return record, r"cut\.jpg.*truncated"


def other_size(tmp_path):
    return dataclasses.replace(square(3), height=21), r"image 3: the image is 32 x 20 .* says 32 x 21"


def vanished(tmp_path):
    return dataclasses.replace(
        square(3), boxes=np.float32([[4, 6, 4.001, 9]])
    ), "image 3: object 0: .*no area left"


def corners_swapped(tmp_path):
    return dataclasses.replace(square(3), boxes=np.float32([[12, 6, 4, 9]])), "image 3: object 0: .*x1 < x2"


@pytest.mark.parametrize("make", [broken_file, other_size, vanished, corners_swapped])
def test_what_goes_wrong_while_reading_surfaces_in_fit_with_its_name(tmp_path, make):
    record, message = make(tmp_path)
    inputs = keras.Input((None, None, 3), name="images")
    outputs = keras.layers.Dense(1)(keras.layers.GlobalAveragePooling2D()(inputs))
    model = keras.Model(inputs, outputs)
    model.compile(loss="mse")
    dataset = make_dataset([record], SMALL, training=True)
    paired = dataset.map(lambda batch: (batch["images"], tf.zeros([1, 1])))
    with pytest.raises(tf.errors.OpError, match=f"(?s){message}"):
        model.fit(paired, verbose=0)


@pytest.mark.parametrize("seed", range(20))
def test_a_crop_drawn_alone_equals_the_crop_of_the_whole_mask(seed):
    random = np.random.default_rng(seed)
    polygons = [random.uniform(-5, 70, 2 * count).tolist() for count in (3, 5)]
    corners = np.sort(random.uniform(0, 50, (2, 2)), axis=0)
    box = corners.ravel().astype(np.float32)
    whole = crop_mask(segmentation_to_mask(polygons, 50, 60), box, 16)
    np.testing.assert_array_equal(crop_segmentation(polygons, box, 50, 60, 16), whole)
    rle = segmentation_to_rle(polygons, 50, 60)
    np.testing.assert_array_equal(crop_segmentation(rle, box, 50, 60, 16), whole)


@needs_coco_mini
@pytest.mark.parametrize("split", ["train2017", "val2017"])
def test_all_of_a_real_split_goes_through(split):
    path = COCO_MINI / "annotations" / f"instances_{split}.json"
    raw = json.loads(path.read_text())["annotations"]
    records, names = load_coco(path, COCO_MINI / split)
    config = Config(tuple(names), min_size=160, max_size=320, mask_crop_size=28)
    objects = crowds = 0
    for batch in make_dataset(records, config, batch_size=4):
        kept = batch["gt_classes"].numpy() > 0
        objects += kept.sum()
        crowds += batch["gt_crowd"].numpy().sum()
        drawn = batch["gt_masks"].numpy().any(axis=(2, 3))
        np.testing.assert_array_equal(drawn, kept & ~batch["gt_crowd"].numpy())
        height, width = batch["images"].shape[1:3]
        assert (batch["gt_boxes"].numpy() <= [width, height, width, height]).all()
    assert objects == len(raw)
    assert crowds == sum(annotation["iscrowd"] for annotation in raw)


@needs_coco_mini
def test_real_pixels_are_pillows():
    path = COCO_MINI / "annotations" / "instances_val2017.json"
    records, names = load_coco(path, COCO_MINI / "val2017")
    for record in records[:10]:
        side = min(record.height, record.width)
        (batch,) = batches([record], Config(tuple(names), min_size=side, max_size=10000))
        image = np.asarray(Image.open(record.image).convert("RGB"))
        np.testing.assert_array_equal(batch["images"][0, : record.height, : record.width], image)
