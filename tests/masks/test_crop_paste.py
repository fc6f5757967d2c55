import json
import tracemalloc

import numpy as np
import pycocotools.mask as coco_mask
import pytest
from places import COCO_MINI, SHARED
from skimage.transform import resize

from keras_maskrcnn.masks import crop_paste
from keras_maskrcnn.masks.rle import (
    mask_to_rle,
    region_to_rle,
    rle_columns,
    rle_region,
    rle_to_mask,
    segmentation_to_mask,
    segmentation_to_rle,
)

COCO = COCO_MINI
KIT = SHARED / "parity/torchvision_maskrcnn_resnet50_fpn.npz"
SQUARE = [[1, 1, 3, 1, 3, 3, 1, 3]]


def disc(height, width, radius, centre_y, centre_x):
    y, x = np.mgrid[:height, :width] + 0.5
    return (y - centre_y) ** 2 + (x - centre_x) ** 2 <= radius**2


def iou(first, second):
    union = np.logical_or(first, second).sum()
    return np.logical_and(first, second).sum() / union if union else 1.0


# --- Cropping


def test_crop_is_the_mean_over_each_cell():
    mask = np.zeros((6, 8), bool)
    mask[2, 3] = True
    crop = crop_paste.crop_mask(mask, (2, 2, 6, 6), 2)
    assert crop.tolist() == [[64, 0], [0, 0]]  # one of the cell's four pixels


def test_crop_of_a_fractional_box_weighs_partly_covered_pixels():
    mask = np.zeros((4, 4), bool)
    mask[:, 1] = True
    crop = crop_paste.crop_mask(mask, (0.5, 0.25, 2.5, 3.25), 2)
    assert crop.tolist() == [[128, 128], [128, 128]]  # each cell is one wide and half on the column


def test_crop_equals_a_finely_sampled_mean():
    mask = disc(40, 50, 13, 20, 24)
    box = (9.3, 4.7, 38.1, 36.9)
    side, fine = 7, 60
    x = box[0] + (np.arange(side * fine) + 0.5) / (side * fine) * (box[2] - box[0])
    y = box[1] + (np.arange(side * fine) + 0.5) / (side * fine) * (box[3] - box[1])
    sampled = mask[np.ix_(y.astype(int), x.astype(int))].reshape(side, fine, side, fine).mean((1, 3))
    assert np.abs(crop_paste.crop_mask(mask, box, side) / 255.0 - sampled).max() < 0.01


def test_mask_that_fills_its_box_stays_full_at_any_crop_size():
    mask = np.zeros((300, 300), bool)
    mask[10:290, 20:280] = True
    for size in (7, 28, 112):
        assert (crop_paste.crop_mask(mask, (20, 10, 280, 290), size) == 255).all()


@pytest.mark.parametrize("length", [255, 256, 65535, 65536])
def test_long_masks_are_counted_to_their_end(length):
    mask = np.ones((length, 3), bool)
    for axis in (mask, mask.T):
        height, width = axis.shape
        assert (crop_paste.crop_mask(axis, (0, 0, width, height), 5) == 255).all()


def test_crop_of_a_one_pixel_wide_object():
    mask = np.zeros((20, 20), bool)
    mask[3:17, 8] = True
    assert (crop_paste.crop_mask(mask, (8, 3, 9, 17), 28) == 255).all()


@pytest.mark.parametrize(
    "box", [(5, 5, 5, 9), (5, 5, 9, 5), (9, 9, 5, 5), (50, 50, 60, 60), (-9, -9, -1, -1), (np.nan, 0, 4, 4)]
)
def test_boxes_without_area_or_outside_give_empty_crops_and_pastes(box):
    mask = np.ones((10, 10), bool)
    assert not crop_paste.crop_mask(mask, box, 4).any()
    region, left, top = crop_paste.paste_mask(np.ones((4, 4), np.float32), box, 10, 10)
    assert region.size == 0 and 0 <= left <= 10 and 0 <= top <= 10
    full = crop_paste.paste_masks(np.ones((1, 4, 4), np.float32), np.array([box]), 10, 10)
    assert full.shape == (1, 10, 10) and not full.any()
    (rle,) = crop_paste.paste_masks_as_rle(np.ones((1, 4, 4), np.float32), np.array([box]), 10, 10)
    assert coco_mask.area(rle) == 0


def test_crop_counts_what_lies_outside_the_image_as_uncovered():
    crop = crop_paste.crop_mask(np.ones((4, 4), bool), (-4, 0, 4, 4), 2)
    assert crop.tolist() == [[0, 255], [0, 255]]


# --- Pasting


def test_paste_samples_at_pixel_centres_and_does_not_round_the_box():
    left_half = np.zeros((2, 2), np.float32)
    left_half[:, 0] = 1
    region, left, top = crop_paste.paste_mask(left_half, (2.2, 1, 10.2, 5), 8, 16)
    full = np.zeros((8, 16), bool)
    full[top : top + region.shape[0], left : left + region.shape[1]] = region
    # Interpolated, the half ends at x = 2.2 + 8 / 2 = 6.2: pixel 5 has its centre inside, pixel 6 not.
    assert full[2:4].any(0).nonzero()[0].tolist() == [2, 3, 4, 5]


def test_paste_equals_a_direct_bilinear_look_up():
    probabilities = np.random.default_rng(0).random((5, 5)).astype(np.float32)
    x1, y1, x2, y2 = box = (-3.4, 2.3, 17.9, 15.6)
    padded = np.pad(probabilities, 1)
    expected = np.zeros((14, 16), bool)
    for row in range(14):
        for column in range(16):
            u = (column + 0.5 - x1) / (x2 - x1) * 5 + 0.5  # in the padded mask
            v = (row + 0.5 - y1) / (y2 - y1) * 5 + 0.5
            i, j = int(np.floor(v)), int(np.floor(u))
            if 0 <= i <= 5 and 0 <= j <= 5:
                corners = padded[i : i + 2, j : j + 2]
                value = [1 - (v - i), v - i] @ corners @ [1 - (u - j), u - j]
                expected[row, column] = value >= 0.5
    pasted = crop_paste.paste_masks(probabilities[None], np.array([box]), 14, 16)[0]
    assert expected.any() and not expected.all()
    assert (pasted == expected).all()


def test_region_is_no_larger_than_the_box():
    region, left, top = crop_paste.paste_mask(np.ones((28, 28), np.float32), (100, 200, 120, 230), 3000, 4000)
    assert region.shape == (30, 20) and (left, top) == (100, 200)


def test_crop_pastes_back_to_the_same_mask():
    mask = disc(90, 120, 31.3, 44.2, 60.9)
    box = (29, 12, 93, 76)
    region, left, top = crop_paste.paste_mask(crop_paste.crop_mask(mask, box, 112) / 255.0, box, 90, 120)
    pasted = np.zeros_like(mask)
    pasted[top : top + region.shape[0], left : left + region.shape[1]] = region
    assert iou(pasted, mask) > 0.995


def test_rles_equal_the_pasted_masks():
    rng = np.random.default_rng(3)
    corners = rng.uniform(-10, 50, (40, 2, 2))
    boxes = np.concatenate([corners.min(1), corners.max(1)], axis=1)
    boxes = np.concatenate([boxes, [[0, 0, 45, 37], [-5, -5, 60, 60], [0, 0, 9, 37], [40, 0, 45, 37]]])
    probabilities = rng.random((len(boxes), 7, 7)).astype(np.float32)
    probabilities[-4:] = 1
    probabilities[-3] = np.pad(np.zeros((3, 3)), 2, constant_values=1)
    full = crop_paste.paste_masks(probabilities, boxes, 37, 45)
    encoded = crop_paste.paste_masks_as_rle(probabilities, boxes, 37, 45)
    assert full[-3, 0, 0] and full[-3, -1, -1] and not full[-3].all()
    for mask, rle in zip(full, encoded, strict=True):
        assert rle["counts"] == coco_mask.encode(np.asfortranarray(mask, np.uint8))["counts"].decode()
        assert rle["size"] == [37, 45]


def test_rles_of_large_images_need_little_memory():
    # As arrays these forty masks would take 480 MB.
    starts = np.random.default_rng(1).uniform(0, 2000, (40, 2))
    boxes = np.concatenate([starts, starts + 1000], axis=1)
    tracemalloc.start()
    found = crop_paste.paste_masks_as_rle(np.ones((40, 28, 28), np.float32), boxes, 3000, 4000)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert all(990_000 < coco_mask.area(rle) <= 1_002_001 for rle in found)
    assert peak < 3000 * 4000


def test_torchvision_boxes_follow_from_its_integer_rule():
    # A 10-pixel box grows to 12 with a 10-cell mask: 4.6..16.6 becomes pixels 4 to 16, 13 for 12 cells.
    box = crop_paste.torchvision_paste_boxes(np.array([[5.6, 5.6, 15.6, 15.6]]), 10)[0]
    assert box == pytest.approx([4 + 13 / 12, 4 + 13 / 12, 17 - 13 / 12, 17 - 13 / 12])


@pytest.mark.parametrize("lowest", [0.0, 0.3, 0.5, 0.9])
def test_matterports_masks_are_resized_to_whole_boxes_by_scikit_image(lowest):
    rng = np.random.default_rng(0)
    coarse = rng.uniform(lowest, 1, (60, 7, 7))
    probabilities = np.kron(coarse, np.ones((4, 4))).astype(np.float32)
    starts = rng.uniform(0, 30, (60, 2))
    boxes = np.concatenate([starts, starts + rng.uniform(1, 60, (60, 2))], axis=1)
    ours = crop_paste.paste_masks(*crop_paste.matterport_paste(probabilities, boxes), 100, 100)
    for mask, prediction, box in zip(ours, probabilities, boxes, strict=True):
        x1, y1, x2, y2 = np.around(box).astype(int)
        expected = np.zeros((100, 100), bool)
        resized = resize(prediction, (y2 - y1, x2 - x1), order=1, mode="constant", anti_aliasing=False)
        expected[y1:y2, x1:x2] = resized >= 0.5
        np.testing.assert_array_equal(mask, expected)


def test_no_masks_at_all_are_pasted_as_matterport_does():
    nothing = crop_paste.matterport_paste(np.zeros((0, 28, 28), np.float32), np.zeros((0, 4)))
    assert crop_paste.paste_masks(*nothing, 5, 6).shape == (0, 5, 6)


# --- Segmentations


def test_polygons_are_joined_and_rasterised_as_pycocotools_does():
    mask = segmentation_to_mask([*SQUARE, [4, 4, 6, 4, 6, 6, 4, 6]], 8, 9)
    assert mask.dtype == bool and mask.shape == (8, 9)
    assert mask[1:3, 1:3].all() and mask[4:6, 4:6].all() and not mask[2, 5]


def test_every_kind_of_rle_decodes_to_the_same_mask():
    mask = disc(30, 41, 11, 13, 20)
    flat = mask.ravel(order="F")
    edges = np.flatnonzero(np.diff(flat)) + 1
    counts = np.diff([0, *edges, flat.size]).tolist()
    rle = mask_to_rle(mask)
    for given in (counts, rle["counts"], rle["counts"].encode()):
        decoded = segmentation_to_mask({"size": [30, 41], "counts": given}, 30, 41)
        assert (decoded == mask).all()
    assert (rle_to_mask(json.loads(json.dumps(rle))) == mask).all()


@pytest.mark.parametrize("mask", [np.zeros((5, 4), bool), np.ones((5, 4), bool), np.eye(5, dtype=bool)])
def test_encoding_and_decoding_give_back_the_mask(mask):
    assert (rle_to_mask(mask_to_rle(mask)) == mask).all()


@pytest.mark.parametrize("fraction", [0, 0.1, 0.5, 0.9, 1])
def test_a_region_is_encoded_as_pycocotools_encodes_the_image_around_it(fraction):
    rng = np.random.default_rng(0)
    for _ in range(300):
        height, width = rng.integers(1, 7, 2)
        top, bottom = np.sort(rng.integers(0, height + 1, 2))
        left, right = np.sort(rng.integers(0, width + 1, 2))
        part = rng.random((bottom - top, right - left)) < fraction
        whole = np.zeros((height, width), np.uint8, order="F")
        whole[top:bottom, left:right] = part
        expected = {"size": [height, width], "counts": coco_mask.encode(whole)["counts"].decode()}
        assert region_to_rle((part, left, top), height, width) == expected
        assert mask_to_rle(whole) == expected


@pytest.mark.parametrize("fraction", [0, 0.02, 0.5, 1])
@pytest.mark.parametrize("compressed", [True, False])
def test_columns_decoded_alone_are_those_of_the_whole_mask(fraction, compressed):
    rng = np.random.default_rng(0)
    for number in range(40):
        height, width = rng.integers(1, 9, 2)
        mask = rng.random((height, width)) < fraction
        mask[0, 0] |= fraction > 0 and number % 2 == 0
        rle = mask_to_rle(mask)
        if not compressed:
            flat = mask.ravel(order="F")
            ends = np.flatnonzero(np.diff(flat, prepend=False, append=not flat[-1]))
            rle = {"size": [height, width], "counts": np.diff(ends, prepend=0).tolist()}
        left, right = np.sort(rng.integers(0, width + 1, 2))
        found = rle_columns(segmentation_to_rle(rle, height, width), left, right)
        assert found.dtype == bool
        np.testing.assert_array_equal(found, mask[:, left:right])


@pytest.mark.parametrize("compressed", [True, False])
def test_the_region_of_an_rle_is_the_mask_and_what_is_around_it_is_empty(compressed):
    rng = np.random.default_rng(1)
    for fraction in (0.0, 0.05, 0.5, 1.0):
        mask = rng.random((7, 9)) < fraction
        rle = mask_to_rle(mask)
        if not compressed:
            ends = np.flatnonzero(np.diff(mask.ravel(order="F"), prepend=False))
            rle = {"size": [7, 9], "counts": np.diff(ends, prepend=0, append=63).tolist()}
        part, left, top = rle_region(rle)
        whole = np.zeros((7, 9), bool)
        whole[top : top + part.shape[0], left : left + part.shape[1]] = part
        np.testing.assert_array_equal(whole, mask)
        assert part.dtype == bool and (part.any(axis=0).all() or not mask.any())


def test_columns_of_a_large_image_need_little_memory():
    region = disc(150, 150, 70, 75, 75), 3000, 1500
    rle = segmentation_to_rle(region_to_rle(region, 4000, 5000), 4000, 5000)
    tracemalloc.start()
    found = rle_columns(rle, 3000, 3150)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    np.testing.assert_array_equal(found[1500:1650], region[0])
    assert peak < 2 * found.size


@pytest.mark.parametrize(
    ("segmentation", "reason"),
    [
        ([], "list of polygons or an RLE"),
        (None, "list of polygons or an RLE"),
        ([1, 1, 3, 1, 3, 3], "one flat list"),
        ([[1, 1, 3, 3]], "got 4 numbers"),
        ([[1, 1, 3, 1, 3, 3, 2]], "got 7 numbers"),
        ([[1, 1, 3, 1, 3, float("nan")]], "not finite"),
        ([[1, 1, 3, 1, 3, -1e9]], r"coordinate -1e\+09; beyond 100000 is no image"),
        ([None], "flat list of numbers .*; got None"),
        ([[1, 1, 3, 1, 3, None]], r"flat list of numbers .*; got \[1, 1, 3, 1, 3, None\]"),
        ([[[1, 1], [3, 1], [3, 3]]], r"flat list of numbers .*; got \[\[1, 1\], \[3, 1\], \[3, 3\]\]"),
        ([np.eye(3)], "flat list of numbers .*; got "),
        ([[[1, 1], [3]]], "flat list of numbers"),
        ([[True] * 6], "flat list of numbers"),
        ([{"x": 1}], "flat list of numbers"),
        ({"size": None, "counts": "abc"}, '"size" must be .*; got None'),
        ({"size": [8], "counts": [64]}, '"size" must be'),
        ({"size": [8, 8.5], "counts": [64]}, '"size" must be'),
        ({"size": [-8, -8], "counts": [64]}, '"size" must be'),
        ({"size": [8, 8], "counts": None}, '"counts" must be .*; got None'),
        ({"size": [8, 8], "counts": 64}, '"counts" must be .*; got 64'),
        ({"size": [8, 8], "counts": [1.5, 62.5]}, r'"counts" must be whole numbers .*; got \[1.5, 62.5\]'),
        ({"size": [8, 8], "counts": [float("inf")]}, '"counts" must be'),
        ({"size": [8, 8], "counts": [64, "0"]}, '"counts" must be'),
        ({"size": [8, 8], "counts": [2**62] * 4 + [64]}, "fill 18446744073709551680 pixels"),
        ({"size": [8, 8], "counts": "é"}, "not in COCO's format"),
        ({"size": [8, 8], "counts": "\ud800"}, "not in COCO's format"),
        ({"counts": [64]}, '"size" and "counts"'),
        ({"size": [4, 4], "counts": [16]}, "does not fit its image"),
        ({"size": [8, 8], "counts": [16]}, "fill 16 pixels"),
        ({"size": [8, 8], "counts": [-1, 65]}, "negative"),
        ({"size": [8, 8], "counts": "0P"}, "truncated"),
        ({"size": [8, 8], "counts": ""}, "truncated"),
    ],
)
def test_malformed_segmentations_are_refused_with_a_reason(segmentation, reason):
    with pytest.raises(ValueError, match=reason):
        segmentation_to_mask(segmentation, 8, 8)


@pytest.mark.parametrize("rle", [{}, {"size": None, "counts": [4]}, {"size": 2, "counts": [4]}])
def test_decoding_refuses_malformed_rles(rle):
    with pytest.raises(ValueError, match=r'An RLE.*"size"'):
        rle_to_mask(rle)


def test_whole_floats_count_as_whole_numbers():
    assert rle_to_mask({"size": [2.0, 2.0], "counts": [1.0, 3.0]}).sum() == 3


def test_truncated_rles_are_refused():
    counts = mask_to_rle(disc(200, 200, 80, 100, 100))["counts"]
    for length in range(1, len(counts)):
        with pytest.raises(ValueError, match="RLE"):
            segmentation_to_mask({"size": [200, 200], "counts": counts[:length]}, 200, 200)


@pytest.mark.skipif(not COCO.exists(), reason="needs the coco_mini images beside the repository")
def test_rles_in_real_annotations_are_accepted():
    annotations = json.loads((COCO / "annotations/instances_val2017.json").read_text())
    sizes = {image["id"]: (image["height"], image["width"]) for image in annotations["images"]}
    for annotation in annotations["annotations"]:
        mask = segmentation_to_mask(annotation["segmentation"], *sizes[annotation["image_id"]])
        rle = mask_to_rle(mask)
        assert coco_mask.area(rle) == mask.sum()


# --- Against real objects and torchvision


def coco_objects():
    for split in ("train2017", "val2017"):
        content = json.loads((COCO / f"annotations/instances_{split}.json").read_text())
        sizes = {image["id"]: (image["height"], image["width"]) for image in content["images"]}
        for annotation in content["annotations"]:
            if not annotation["iscrowd"]:
                yield annotation, *sizes[annotation["image_id"]]


@pytest.mark.skipif(not COCO.exists(), reason="needs the coco_mini images beside the repository")
def test_training_crops_of_real_objects_paste_back_to_their_masks():
    overlaps = []
    for annotation, height, width in coco_objects():
        mask = segmentation_to_mask(annotation["segmentation"], height, width)
        x, y, box_width, box_height = annotation["bbox"]
        box = np.array([x, y, x + box_width, y + box_height], np.float32)
        crop = crop_paste.crop_mask(mask, box, 112) / np.float32(255)
        overlaps.append(iou(crop_paste.paste_masks(crop[None], box[None], height, width)[0], mask))
    assert len(overlaps) == 1350
    assert np.mean(overlaps) > 0.999 and min(overlaps) > 0.98


@pytest.mark.parametrize("image", [0, 1])
@pytest.mark.skipif(not KIT.exists(), reason="needs the torchvision parity kit beside the repository")
def test_torchvision_boxes_give_torchvisions_masks(image):
    kit = np.load(KIT)
    height, width = map(int, kit["image_sizes"][image])
    probabilities = kit[f"mask_probs28.{image}"]
    boxes = crop_paste.torchvision_paste_boxes(kit[f"detections.{image}.boxes"][: len(probabilities)], 28)
    ours = crop_paste.paste_masks(probabilities, boxes, height, width)
    for mask, counts in zip(ours, kit[f"detections.{image}.mask_rle"], strict=False):
        assert iou(mask, rle_to_mask({"size": [height, width], "counts": str(counts)})) > 0.999
