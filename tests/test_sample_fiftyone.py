"""samples/fiftyone: labels as FiftyOne reads them, by FiftyOne's own code, and its mAP where it has a database."""

import numpy as np
import pycocotools.mask as coco_mask
import pytest
from PIL import Image

import keras_maskrcnn as km
from keras_maskrcnn.evaluation.coco import score_coco
from samples import sample

fo = pytest.importorskip("fiftyone")
NAMES = ("disc", "ring")
HEIGHT, WIDTH = 57, 83


@pytest.fixture(scope="module")
def browse():
    return sample("fiftyone/browse.py")


def disc(x, y, radius, hole=0):
    ys, xs = np.mgrid[:HEIGHT, :WIDTH] + 0.5
    distance = np.hypot(xs - x, ys - y)
    return (distance < radius) & (distance >= hole)


def objects(seed, image=None):
    """A record of three objects, one of them a ring that an edge cuts, and detections near them."""
    shift = np.random.default_rng(seed).uniform(-2, 2, (3, 2))
    places = np.array([[20, 20], [60, 30], [80, 50]])
    truth = np.stack([disc(x, y, 12, hole) for (x, y), hole in zip(places, (0, 0, 5), strict=True)])
    near = np.stack([disc(x, y, 11, hole) for (x, y), hole in zip(places + shift, (0, 0, 4), strict=True)])
    image = np.zeros((HEIGHT, WIDTH), np.uint8) if image is None else image
    record = km.make_record(image, None, [1, 1, 2], truth, image_id=seed, crowd=[False, True, False])
    found = km.Detections(
        boxes=[[8.3, 8.6, 31.2, 31.9], [48.1, 18, 72.5, 42.5], [68.5, 38, WIDTH, HEIGHT]],
        scores=[0.9, 0.8, 0.7],
        class_ids=[1, 1, 2],
        class_names=["disc", "disc", "ring"],
        height=HEIGHT,
        width=WIDTH,
        masks=[coco_mask.encode(np.asfortranarray(mask, np.uint8)) for mask in near],
    )
    return record, found, truth, near


def test_boxes_are_as_they_are_in_shares_of_the_image(browse):
    record, found, *_ = objects(0)
    labels = browse.to_labels(found, NAMES, with_masks=False).detections
    assert [label.label for label in labels] == ["disc", "disc", "ring"]
    assert [round(label.confidence, 6) for label in labels] == [0.9, 0.8, 0.7]
    x, y, width, height = np.array([label.bounding_box for label in labels]).T
    boxes = np.stack([x * WIDTH, y * HEIGHT, (x + width) * WIDTH, (y + height) * HEIGHT], axis=1)
    np.testing.assert_allclose(boxes, found.boxes, rtol=1e-6)
    assert all(label.mask is None for label in labels)
    truth = browse.to_labels(record, NAMES, with_masks=False).detections
    assert [label.confidence for label in truth] == [None] * 3
    assert [bool(label.get_attribute_value("iscrowd", False)) for label in truth] == [False, True, False]


def test_fiftyone_puts_each_mask_back_where_it_was(browse):
    record, found, truth, near = objects(1)
    for labelled, masks in ((record, truth), (found, near)):
        for label, mask in zip(
            browse.to_labels(labelled, NAMES, with_masks=True).detections, masks, strict=True
        ):
            drawn = label.to_segmentation(frame_size=(WIDTH, HEIGHT), target=1).mask
            np.testing.assert_array_equal(drawn == 1, mask)


def test_its_ious_are_pycocotools_ious(browse):
    from fiftyone.utils.iou import compute_ious

    record, found, truth, near = objects(2)
    for with_masks in (True, False):
        labels = [browse.to_labels(one, NAMES, with_masks).detections for one in (found, record)]
        theirs = compute_ious(*labels, use_masks=with_masks)
        if with_masks:
            ours = np.array([[(a & b).sum() / (a | b).sum() for b in truth] for a in near])
        else:
            boxes = [np.asarray(one.boxes, np.float64) for one in (found, record)]
            sides = [np.concatenate([box[:, :2], box[:, 2:] - box[:, :2]], axis=1) for box in boxes]
            ours = coco_mask.iou(*sides, [0] * 3)
        np.testing.assert_allclose(theirs, ours, atol=1e-9)
        assert (np.diag(theirs) > 0.5).all()


def test_an_empty_mask_stays_a_box(browse):
    _, found, *_ = objects(3)
    found.masks[0] = coco_mask.encode(np.zeros((HEIGHT, WIDTH), np.uint8, order="F"))
    first, second, _ = browse.to_labels(found, NAMES, with_masks=True).detections
    assert first.mask is None and first.bounding_box[0] * WIDTH == pytest.approx(8.3, abs=1e-5)
    assert second.mask is not None


def test_images_that_are_no_files_are_refused(browse):
    record, found, *_ = objects(4)
    with pytest.raises(
        ValueError, match="record 0: FiftyOne shows files, and this record's image is an array"
    ):
        browse.make_dataset("none", [record], [found], NAMES)


def test_its_map_is_cocos_without_ties_and_crowds(browse, tmp_path):
    try:
        fo.list_datasets()
    except Exception as error:
        pytest.skip(f"FiftyOne has no database here: {error}")
    records, detections = [], []
    for seed in range(8):
        path = tmp_path / f"{seed}.png"
        Image.new("L", (WIDTH, HEIGHT)).save(path)
        _, found, truth, _ = objects(seed, str(path))
        records.append(km.make_record(str(path), None, [1, 1, 2], truth, image_id=seed))
        found.scores = found.scores - np.float32(0.01 * seed)
        detections.append(found)
    dataset = browse.make_dataset("keras_maskrcnn_test", records, detections, NAMES)
    try:
        ours = score_coco(records, detections, NAMES)
        theirs = browse.evaluate(dataset)
        assert theirs == {name: pytest.approx(ours[name], abs=1e-9) for name in ("box_AP", "mask_AP")}
    finally:
        dataset.delete()
