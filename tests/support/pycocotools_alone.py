"""Records and detections scored by pycocotools alone, from the dicts of an annotation file and of results."""

import contextlib
import io

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

IOU_TYPES = {"box": "bbox", "mask": "segm", "keypoint": "keypoints"}
FIELDS = {"box": "bbox", "mask": "segmentation", "keypoint": "keypoints"}


def evaluated(records, detections, classes, kind, limits=None, sigmas=None):
    """The evaluation of "box", "mask" or "keypoint", with its matches: image ids are places, other ids count from 1."""
    with contextlib.redirect_stdout(io.StringIO()):
        truth = indexed(annotations(records), records, classes)
        rows = results(detections, kind)
        found = truth.loadRes(rows) if rows else indexed([], records, classes)
        evaluation = COCOeval(truth, found, IOU_TYPES[kind])
        evaluation.params.maxDets = limits or evaluation.params.maxDets
        if sigmas is not None:
            evaluation.params.kpt_oks_sigmas = np.array(sigmas)
        evaluation.evaluate()
        evaluation.accumulate()
    return evaluation


def indexed(rows, records, classes):
    coco = COCO()
    coco.dataset = {
        "images": [{"id": i, "height": one.height, "width": one.width} for i, one in enumerate(records)],
        "categories": [{"id": class_id} for class_id in range(1, classes + 1)],
        "annotations": rows,
    }
    coco.createIndex()
    return coco


def annotations(records):
    rows = []
    for image, one in enumerate(records):
        for row, (x1, y1, x2, y2) in enumerate(one.boxes.astype(float).tolist()):
            annotation = {
                "id": len(rows) + 1,
                "image_id": image,
                "category_id": int(one.class_ids[row]),
                "bbox": [x1, y1, x2 - x1, y2 - y1],
                "area": float(one.areas[row]),
                "iscrowd": int(one.crowd[row]),
            }
            if one.masks is not None:
                annotation["segmentation"] = one.masks[row]
            if one.keypoints is not None:
                annotation["keypoints"] = one.keypoints[row].reshape(-1).tolist()
                annotation["num_keypoints"] = int((one.keypoints[row, :, 2] > 0).sum())
            rows.append(annotation)
    return rows


def results(detections, kind):
    """Each row with what is scored alone, by which pycocotools then measures areas."""
    rows = []
    for image, found in enumerate(detections):
        for row in found.to_coco(image):
            score = row["score"] if kind == "mask" else row.get("box_score", row["score"])
            ids = {key: row[key] for key in ("image_id", "category_id")}
            rows.append({**ids, FIELDS[kind]: row[FIELDS[kind]], "score": score})
    return rows
