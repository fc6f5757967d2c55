"""Augmentation: pixels, boxes, masks and keypoints move together, and what is dropped is counted.

The images are painted, so that where an object is can be read from the augmented pixels themselves.
"""

import dataclasses
import logging

import numpy as np
import pytest
from places import COCO_MINI
from scipy import ndimage
from skimage.draw import polygon2mask

from keras_maskrcnn.config.config import Config
from keras_maskrcnn.data.formats.coco import load_coco
from keras_maskrcnn.data.pipeline.dataset import make_dataset
from keras_maskrcnn.data.records import make_record
from keras_maskrcnn.masks.crop_paste import paste_masks
from keras_maskrcnn.masks.rle import mask_to_rle

HEIGHT, WIDTH = 120, 160
NAMES = ("nose", "left_hand", "right_hand")
GROUND = np.array([90, 90, 90])
PAINT = np.array([[255, 0, 0], [0, 255, 0], [0, 0, 255]])
"""Colours of the classes 1, 2, 3, and of the keypoints' marks."""

PLAIN = Config(
    class_names=("wedge", "disc", "squares"),
    min_size=HEIGHT,
    max_size=WIDTH,
    mask_crop_size=56,
    horizontal_flip_probability=0.0,
    pixel_mean=(90.0, 90.0, 90.0),
)
AUGMENTATIONS = {
    "flip": {"horizontal_flip_probability": 1.0},
    "vertical_flip": {"vertical_flip_probability": 1.0},
    "rotate90": {"rotate90_probability": 1.0},
    "rotation": {"max_rotation_degrees": 180.0},
    "scale_jitter": {"min_size": 90, "max_size": 240, "scale_jitter": (0.5, 2.0)},
    "crop": {"crop_size": 96},
    "large_scale_jitter": {"crop_size": 160, "scale_jitter": (0.3, 2.0)},
    "colour": {"brightness": 0.1, "contrast": 0.2, "saturation": 0.2, "hue": 0.04},
    "blur": {"blur_sigma": 1.5},
    "cutout": {"cutout_count": 4, "cutout_size": 0.3},
    "copy_paste": {"copy_paste_probability": 1.0, "horizontal_flip_probability": 0.5},
}
TOGETHER = {
    "crop_size": 160,
    "scale_jitter": (0.5, 2.0),
    "max_rotation_degrees": 45.0,
    "horizontal_flip_probability": 0.5,
    "vertical_flip_probability": 0.5,
    "rotate90_probability": 0.5,
    "copy_paste_probability": 0.5,
    "cutout_count": 2,
    "brightness": 0.05,
    "contrast": 0.1,
    "saturation": 0.1,
    "hue": 0.02,
    "blur_sigma": 0.7,
}
y, x = np.mgrid[:HEIGHT, :WIDTH] + 0.5


def changed(fields, **others):
    return Config(**{**PLAIN.to_dict(), **fields, **others})


def painted(number):
    """A wedge (a polygon), a disc (RLE) and an object of two squares (two polygons), here and there."""
    dx, dy = [(0, 0), (9, 4), (3, 11), (17, 7)][number]
    image = np.broadcast_to(GROUND, (HEIGHT, WIDTH, 3)).astype(np.uint8)
    left, top = 10 + dx, 8 + dy
    corners = np.array([[0, 0], [44, 0], [50, 12], [10, 44], [0, 44]]) + [left, top]
    wedge = polygon2mask((HEIGHT, WIDTH), corners[:, ::-1] - 0.5)
    disc = (x - 105 - dx) ** 2 + (y - 35 - dy) ** 2 < 22**2
    squares = (abs(x - 35 - dx) < 12) & (abs(y - 85 - dy) < 12)
    squares |= (abs(x - 75 - dx) < 10) & (abs(y - 90 - dy) < 10)
    for mask, color in zip((wedge, disc, squares), PAINT, strict=True):
        image[mask] = color

    def rectangle(x1, y1, x2, y2):
        return [x1 + dx, y1 + dy, x2 + dx, y1 + dy, x2 + dx, y2 + dy, x1 + dx, y2 + dy]

    masks = [
        [corners.ravel().tolist()],
        mask_to_rle(disc),
        [rectangle(23, 73, 47, 97), rectangle(65, 80, 85, 100)],
    ]
    return make_record(image, masks=masks, class_ids=[1, 2, 3], image_id=number)


def marked(number=0):
    """One grey object with a red, a green and a blue mark, its nose and hands."""
    image = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    image[20:100, 30:130] = 128
    points = [[80, 40 + number, 2], [45, 70, 2], [115, 80 - number, 1]]
    for (px, py, _), color in zip(points, PAINT, strict=True):
        image[py - 3 : py + 4, px - 3 : px + 4] = color
    mask = [[30, 20, 130, 20, 130, 100, 30, 100]]
    centres = [[px + 0.5, py + 0.5, seen] for px, py, seen in points]
    return make_record(image, masks=[mask], class_ids=[1], keypoints=[centres], image_id=number)


def examples(records, config, epochs=1, seed=0, **options):
    """Examples of some epochs, each with its masks pasted into the image and without the padded rows."""
    dataset = make_dataset(records, config, training=True, seed=seed, **options)
    found = []
    for _ in range(epochs):
        for batch in dataset.as_numpy_iterator():
            example = {key: value[0] for key, value in batch.items()}
            height, width = example["sizes"]
            example["images"] = example["images"][:height, :width]
            real = example["gt_classes"] > 0
            example |= {key: value[real] for key, value in example.items() if key.startswith("gt_")}
            example["pasted"] = paste_masks(example["gt_masks"] / 255, example["gt_boxes"], height, width)
            found.append(example)
    return found, dataset


def extent(crop, box):
    """x1, y1, x2, y2 around the cells of a box that are covered."""
    rows, columns = np.flatnonzero(crop.any(axis=1)), np.flatnonzero(crop.any(axis=0))
    cells = np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1])
    return box[[0, 1, 0, 1]] + cells / len(crop) * np.tile(box[2:] - box[:2], 2)


def painted_as(image, class_id):
    """Where the image has the colour of a class."""
    distances = [np.linalg.norm(image - color, axis=2) for color in (GROUND, *PAINT)]
    return np.argmin(distances, axis=0) == class_id


@pytest.fixture(scope="module", params=[*AUGMENTATIONS, "together"])
def augmented(request):
    config = changed(AUGMENTATIONS[request.param]) if request.param != "together" else changed(TOGETHER)
    return examples([painted(number) for number in range(4)] * 4, config)


def test_boxes_are_the_extents_of_the_moved_masks(augmented):
    found, _ = augmented
    for example in found:
        for box, crop in zip(example["gt_boxes"], example["gt_masks"], strict=True):
            assert np.abs(extent(crop, box) - box).max() <= 1


def test_masks_cover_what_is_painted(augmented):
    found, _ = augmented
    compared = 0
    for example in found:
        for class_id in (1, 2, 3):
            masks = example["pasted"][example["gt_classes"] == class_id]
            if not len(masks):
                continue
            # a pasted object may hide a part of another one of its class, but not of its colour
            union, paint = masks.any(axis=0), painted_as(example["images"], class_id)
            assert (ndimage.binary_erosion(paint, iterations=2) & ~union).sum() <= 0.02 * union.sum()
            assert (ndimage.binary_erosion(union, iterations=2) & ~paint).sum() <= 0.02 * union.sum()
            compared += 1
    assert compared >= 2 * len(found)


def test_a_share_of_the_objects_is_dropped_and_counted(augmented):
    found, dataset = augmented
    dropped = dataset.dropped
    assert dropped.by_epoch() == {0: (48, dropped.dropped)}
    assert dropped.objects == 3 * len(found) == 48
    own = sum(len(example["gt_classes"]) for example in found)
    assert own >= dropped.objects - dropped.dropped  # more where some were pasted
    assert dropped.fraction == dropped.dropped / 48


@pytest.mark.parametrize(
    "name", ["flip", "vertical_flip", "rotate90", "rotation", "large_scale_jitter", "together"]
)
def test_keypoints_stay_on_their_marks(name):
    fields = TOGETHER if name == "together" else AUGMENTATIONS[name]
    config = changed(
        fields, class_names=("hand",), keypoint_names=NAMES, scale_jitter=(0.7, 1.5), crop_size=150
    )
    if name in ("flip", "vertical_flip", "rotate90"):
        config = dataclasses.replace(config, scale_jitter=(), crop_size=0)
    found, _ = examples([marked(0), marked(5)] * 6, config)
    seen = 0
    for example in found:
        for points in example["gt_keypoints"]:
            for place, (px, py, visibility) in enumerate(points):
                # what is hidden may lie below something that was pasted
                if visibility == 2 or (visibility == 1 and not config.copy_paste_probability):
                    color = example["images"][int(py), int(px)]
                    flipped = name in ("flip", "vertical_flip")
                    mark = {1: 2, 2: 1}.get(place, place) if flipped else place
                    if name != "together":
                        assert np.argmax(color) == mark and color[mark] > 2 * np.delete(color, mark).max()
                    elif place == 0:
                        assert color[0] > 1.5 * color[1:].max()
                    else:
                        assert max(color[1:]) > 1.5 * color[0]
                    seen += 1
    assert seen >= 18


def test_rotations_are_numpys_rot90():
    (straight,), _ = examples([painted(0)], PLAIN)
    found, _ = examples([painted(0)] * 30, changed(AUGMENTATIONS["rotate90"]))
    rotations = []
    for example in found:
        images = [np.rot90(straight["images"], quarters) for quarters in (1, 2, 3)]
        (quarters,) = (i + 1 for i, image in enumerate(images) if np.array_equal(image, example["images"]))
        np.testing.assert_array_equal(example["gt_masks"], np.rot90(straight["gt_masks"], quarters, (1, 2)))
        rotations.append(quarters)
    assert min(rotations.count(quarters) for quarters in (1, 2, 3)) >= 4


def test_the_same_seed_gives_the_same_batches_from_any_step_on():
    records = [painted(number) for number in range(4)] + [marked()]
    records = [dataclasses.replace(record, keypoints=None, image_id=i) for i, record in enumerate(records)]
    config = changed(TOGETHER)

    def read(dataset):
        return [{key: value.numpy() for key, value in batch.items()} for batch in dataset]

    uninterrupted = make_dataset(records, config, batch_size=2, training=True, seed=3)
    epochs = [read(uninterrupted) for _ in range(2)]
    resumed = make_dataset(records, config, batch_size=2, training=True, seed=3, parallel_calls=1)
    resumed.clock.epoch.assign(1)
    resumed.clock.first_step.assign(1)
    for batch, other in zip(read(resumed), epochs[1][1:], strict=True):
        for key, value in batch.items():
            np.testing.assert_array_equal(value, other[key], err_msg=key)
    assert not np.array_equal(epochs[0][0]["gt_boxes"], epochs[1][0]["gt_boxes"])


def test_evaluation_is_not_augmented():
    record = painted(0)
    (plain,) = make_dataset([record], PLAIN).as_numpy_iterator()
    (other,) = make_dataset([record], changed(TOGETHER)).as_numpy_iterator()
    for key, value in plain.items():
        np.testing.assert_array_equal(other[key], value)


def test_what_an_epoch_dropped_is_logged(caplog):
    config = changed({"crop_size": 60, "min_visible_fraction": 1.0})
    with caplog.at_level(logging.INFO, logger="keras_maskrcnn.data"):
        _, dataset = examples([painted(0)], config, epochs=2)
    lines = [record.message for record in caplog.records if "dropped" in record.message]
    counts = dataset.dropped.by_epoch()
    for epoch, line in enumerate(lines):
        assert line.startswith(f"epoch {epoch + 1}: augmentation dropped {counts[epoch][1]} of 3 objects (")
    assert len(lines) == 2


@pytest.mark.skipif(not COCO_MINI.exists(), reason="the COCO sample is not on this machine")
def test_all_augmentations_together_on_real_people():
    path = COCO_MINI / "annotations" / "person_keypoints_val2017.json"
    records, names = load_coco(path, COCO_MINI / "val2017")
    fields = {**TOGETHER, "class_names": names, "keypoint_names": records.report.keypoint_names}
    config = changed(fields, min_size=160, max_size=240, crop_size=200)
    records = [record for record in records if len(record.boxes)][:12]
    found, dataset = examples(records, config)
    assert dataset.dropped.objects == sum(len(record.boxes) for record in records)
    assert 0 < dataset.dropped.dropped < dataset.dropped.objects / 2
    seen = 0
    for example in found:
        for box, crop, crowd in zip(
            *(example[f"gt_{key}"] for key in ("boxes", "masks", "crowd")), strict=True
        ):
            assert (box >= 0).all() and (box <= 200).all()
            if not crowd:
                assert np.abs(extent(crop, box) - box).max() <= 1
        points = example["gt_keypoints"]
        assert ((points[..., :2] >= 0) & (points[..., :2] <= 200)).all()
        seen += (points[..., 2] > 0).sum()
    assert seen > 100
