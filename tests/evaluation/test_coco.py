import dataclasses
import json
import math

import numpy as np
import pytest
from places import COCO_MINI
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from keras_maskrcnn.data.records import Record, make_record
from keras_maskrcnn.detections.detections import Detections
from keras_maskrcnn.evaluation.coco import score_coco
from keras_maskrcnn.masks.crop_paste import crop_mask, paste_masks_as_rle
from keras_maskrcnn.masks.rle import segmentation_to_mask

DATA = COCO_MINI
NAMES = ["cat", "dog"]
SIDE = 200


def record(boxes=(), class_ids=None, with_masks=True, **options):
    boxes = np.array(boxes, np.float32).reshape(-1, 4)
    class_ids = [1] * len(boxes) if class_ids is None else class_ids
    masks = rectangles(boxes) if with_masks else None
    image = np.zeros((SIDE, SIDE), np.uint8)
    return make_record(image, boxes, class_ids, masks, image_id=options.pop("image_id", "a"), **options)


def rectangles(boxes):
    masks = np.zeros((len(boxes), SIDE, SIDE), bool)
    for mask, (x1, y1, x2, y2) in zip(masks, np.array(boxes, int).reshape(-1, 4), strict=True):
        mask[y1:y2, x1:x2] = True
    return masks


def found(boxes=(), class_ids=None, scores=None, with_masks=True):
    boxes = np.array(boxes, np.float32).reshape(-1, 4)
    class_ids = [1] * len(boxes) if class_ids is None else class_ids
    return Detections(
        boxes=boxes,
        scores=np.linspace(0.9, 0.1, len(boxes)) if scores is None else np.array(scores),
        class_ids=np.array(class_ids),
        class_names=[NAMES[class_id - 1] for class_id in class_ids],
        height=SIDE,
        width=SIDE,
        masks=rectangles(boxes) if with_masks else None,
    )


A, B, C = [10, 10, 60, 60], [100, 100, 150, 150], [20, 120, 70, 170]


def test_perfect_detections_score_one():
    scores = score_coco([record([A, B], [1, 2])], [found([A, B], [1, 2])], NAMES)
    for kind in ("box", "mask"):
        for name in ("AP", "AP50", "AP75", "AP_medium", "AR1", "AR10", "AR100", "AR_medium"):
            assert scores[f"{kind}_{name}"] == pytest.approx(1), name
        for name in ("AP_small", "AP_large", "AR_small", "AR_large"):
            assert math.isnan(scores[f"{kind}_{name}"]), name
    assert len(scores) == 24


def test_one_hit_then_one_false_alarm_of_two_objects():
    # Precision is 1 up to recall 0.5 and 0 beyond: 51 of COCO's 101 recall points.
    scores = score_coco([record([A, B])], [found([A, C])], NAMES)
    assert scores["box_AP"] == scores["mask_AP"] == pytest.approx(51 / 101)
    assert scores["box_AR100"] == pytest.approx(0.5)


def test_a_false_alarm_before_the_hit_halves_the_precision():
    scores = score_coco([record([A, B])], [found([C, A])], NAMES)
    assert scores["box_AP"] == pytest.approx(0.5 * 51 / 101)


def test_a_shifted_box_counts_up_to_its_iou():
    # Shifted by 10 of 50 pixels: IoU 40 / 60 = 0.667, which passes four of the ten bounds, 0.50 to 0.65.
    scores = score_coco([record([A])], [found([[20, 10, 70, 60]])], NAMES)
    assert scores["box_AP"] == pytest.approx(0.4)
    assert scores["box_AP50"] == pytest.approx(1) and scores["box_AP75"] == 0


def test_masks_are_scored_by_their_own_overlap():
    detections = found([A])
    detections.masks[0, 10:35, 10:60] = False  # the lower half only: IoU 0.5
    scores = score_coco([record([A])], [detections], NAMES)
    assert scores["box_AP"] == pytest.approx(1)
    assert scores["mask_AP"] == pytest.approx(0.1)


def test_mask_scores_rank_masks_and_scores_boxes():
    # By their scores the hit comes first: precision 1 up to recall 1/2. By the mask scores the false alarm does: 1/2.
    detections = found([A, C], scores=[0.9, 0.8])
    detections.mask_scores = np.array([0.3, 0.6], np.float32)
    scores = score_coco([record([A, B])], [detections], NAMES)
    assert scores["box_AP"] == pytest.approx(51 / 101)
    assert scores["mask_AP"] == pytest.approx(0.5 * 51 / 101)


def test_mask_scores_rank_across_images():
    first, second = found([A], scores=[0.5]), found([C], scores=[0.9])
    first.mask_scores, second.mask_scores = np.float32([0.9]), np.float32([0.5])
    scores = score_coco([record([A]), record([B], image_id="b")], [first, second], NAMES)
    assert scores["box_AP"] == pytest.approx(0.5 * 51 / 101)
    assert scores["mask_AP"] == pytest.approx(51 / 101)


def test_no_detections_at_all_score_zero():
    scores = score_coco([record([A]), record([B], image_id="b")], [found(), found()], NAMES)
    assert scores["box_AP"] == scores["mask_AP"] == scores["box_AR100"] == 0


def test_images_without_objects_count_their_false_alarms():
    records = [record([A]), record(image_id="b")]
    assert score_coco(records, [found([A]), found()], NAMES)["box_AP"] == pytest.approx(1)
    alarmed = score_coco(records, [found([A], scores=[0.5]), found([B], scores=[0.9])], NAMES)
    assert alarmed["box_AP"] == pytest.approx(0.5)


def test_a_class_that_no_image_shows_is_nan_and_left_out_of_the_mean():
    scores = score_coco([record([A])], [found([A, B], [1, 2])], NAMES, per_class=True)
    assert scores["box_AP/cat"] == scores["mask_AP/cat"] == pytest.approx(1)
    assert math.isnan(scores["box_AP/dog"])
    assert scores["box_AP"] == pytest.approx(1)


def test_wrong_class_is_no_hit():
    assert score_coco([record([A])], [found([A], [2])], NAMES)["box_AP"] == 0


def test_crowds_are_neither_missed_nor_false_alarms():
    crowded = record([A, [80, 80, 190, 190]], crowd=[False, True])
    assert score_coco([crowded], [found([A])], NAMES)["box_AP"] == pytest.approx(1)
    # Detections inside the crowd are ignored although they score best, and each only covers a part of it.
    inside = found([B, [90, 90, 120, 120], A], scores=[0.9, 0.8, 0.1])
    assert score_coco([crowded], [inside], NAMES)["box_AP"] == pytest.approx(1)


def test_sizes_go_by_the_annotated_area():
    scores = score_coco([record([A, B], areas=[100, 20000])], [found([A])], NAMES)
    assert scores["box_AP_small"] == pytest.approx(1)
    assert scores["box_AP_large"] == 0
    assert math.isnan(scores["box_AP_medium"])


def test_more_than_a_hundred_objects_in_an_image_all_count():
    boxes = [[x, y, x + 9, y + 9] for x in range(0, 190, 15) for y in range(0, 190, 15)]
    assert len(boxes) > 150
    records, detections = [record(boxes)], [found(boxes)]
    scores = score_coco(records, detections, NAMES)
    assert scores["box_AP"] == scores["mask_AP"] == scores[f"box_AR{len(boxes)}"] == pytest.approx(1)
    limited = score_coco(records, detections, NAMES, max_detections=100)
    assert limited["box_AR100"] == pytest.approx(100 / len(boxes))
    assert limited["box_AP"] < 0.65
    few = score_coco(records, detections, NAMES, max_detections=5)
    assert few["box_AR5"] == pytest.approx(5 / len(boxes)) and "box_AR10" not in few


def test_boxes_alone_are_scored_without_masks():
    for truth, detections in [
        (record([A], with_masks=False), found([A])),
        (record([A]), found([A], with_masks=False)),
    ]:
        scores = score_coco([truth], [detections], NAMES)
        assert scores["box_AP"] == pytest.approx(1)
        assert not any(name.startswith("mask") for name in scores)


def test_pycocotools_prints_nothing(capsys):
    score_coco([record([A])], [found([A])], NAMES)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("records", "detections", "message"),
    [
        ([record(image_id="e")], [found([A])], "nothing to evaluate against: none of the 1 records"),
        ([record([A], crowd=[True])], [found([A])], "nothing to evaluate against"),
        ([], [], "none of the 0 records"),
        ([record([A])], [], "0 detections do not belong to 1 records"),
        ([record([A], [3])], [found([A])], "image 'a': class ids of its record must lie in 1..2"),
        ([make_record(np.zeros((9, 8)), [[0, 0, 3, 3]], [1], image_id=5)], [found([A])], "image 5 is 9 x 8"),
    ],
)
def test_what_cannot_be_scored_is_refused_with_the_reason(records, detections, message):
    with pytest.raises(ValueError, match=message):
        score_coco(records, detections, NAMES)


# --- On real annotations


def real_records(split):
    content = json.loads((DATA / f"annotations/instances_{split}.json").read_text())
    classes = {category["id"]: number for number, category in enumerate(content["categories"], start=1)}
    records = []
    for image in content["images"]:
        objects = [row for row in content["annotations"] if row["image_id"] == image["id"]]
        boxes = np.array([row["bbox"] for row in objects], np.float32).reshape(-1, 4)
        boxes[:, 2:] += boxes[:, :2]
        records.append(
            Record(
                image="",
                height=image["height"],
                width=image["width"],
                boxes=boxes,
                class_ids=np.array([classes[row["category_id"]] for row in objects], np.int32),
                masks=tuple(row["segmentation"] for row in objects),
                crowd=np.array([row["iscrowd"] for row in objects], bool),
                areas=np.array([row["area"] for row in objects], np.float32),
                keypoints=None,
                image_id=image["id"],
            )
        )
    return records, [category["name"] for category in content["categories"]], list(classes)


def truth_as_detections(one, names):
    """The ground truth, its masks taken through 112 x 112 crops and pasted back."""
    rows = np.flatnonzero(~one.crowd)
    crops = [
        crop_mask(segmentation_to_mask(one.masks[row], one.height, one.width), one.boxes[row], 112)
        for row in rows
    ]
    return Detections(
        boxes=one.boxes[rows],
        scores=np.ones(len(rows)),
        class_ids=one.class_ids[rows],
        class_names=[names[class_id - 1] for class_id in one.class_ids[rows]],
        height=one.height,
        width=one.width,
        masks=paste_masks_as_rle(np.array(crops, np.float32) / 255, one.boxes[rows], one.height, one.width),
    )


def test_records_and_detections_of_another_class_order_are_refused():
    annotated = record([A], class_names=["dog", "cat"])
    with pytest.raises(
        ValueError, match="image 'a': its class 1 is 'dog', which is class 2 of the class_names"
    ):
        score_coco([annotated], [found([A])], NAMES)
    swapped = dataclasses.replace(found([A]), class_names=["dog"])
    with pytest.raises(ValueError, match="image 'a': class 1 of its detections is 'dog', which is class 2"):
        score_coco([record([A])], [swapped], NAMES)
    translated = dataclasses.replace(found([A]), class_names=["Katze"])
    assert score_coco([record([A], class_names=["cat", "dog"])], [translated], NAMES)[
        "box_AP"
    ] == pytest.approx(1)


@pytest.mark.skipif(not DATA.exists(), reason="needs the coco_mini images beside the repository")
@pytest.mark.parametrize("split", ["train2017", "val2017"])
def test_ground_truth_through_training_crops_scores_one(split):
    records, names, _ = real_records(split)
    detections = [truth_as_detections(one, names) for one in records]
    scores = score_coco(records, detections, names)
    assert scores["box_AP"] == pytest.approx(1)
    assert scores["mask_AP"] >= 0.99


@pytest.mark.skipif(not DATA.exists(), reason="needs the coco_mini images beside the repository")
def test_metrics_equal_pycocotools_run_on_the_files(tmp_path):
    records, names, category_ids = real_records("val2017")
    rng = np.random.default_rng(0)
    detections = []
    for one in records:
        exact = truth_as_detections(one, names)
        exact = exact[rng.random(len(exact)) < 0.8]
        exact.boxes += rng.normal(0, 4, exact.boxes.shape).astype(np.float32)
        exact.scores = rng.random(len(exact)).astype(np.float32)
        detections.append(exact)
    ours = score_coco(records, detections, names)
    rows = [
        row
        for one, own in zip(records, detections, strict=True)
        for row in own.to_coco(one.image_id, category_ids)
    ]
    truth = COCO(str(DATA / "annotations/instances_val2017.json"))
    for kind, iou_type in (("box", "bbox"), ("mask", "segm")):
        # Without boxes in the results pycocotools measures the areas of masks, as COCO's server does.
        results = [{k: v for k, v in row.items() if kind == "box" or k != "bbox"} for row in rows]
        theirs = COCOeval(truth, truth.loadRes(results), iou_type)
        theirs.evaluate()
        theirs.accumulate()
        theirs.summarize()
        keys = ["AP", "AP50", "AP75", "AP_small", "AP_medium", "AP_large"]
        keys += ["AR1", "AR10", "AR100", "AR_small", "AR_medium", "AR_large"]
        assert [ours[f"{kind}_{key}"] for key in keys] == pytest.approx(theirs.stats.tolist())
    assert 0.2 < ours["box_AP"] < 0.9
