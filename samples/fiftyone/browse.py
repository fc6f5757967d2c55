"""Annotations and a model's detections in a FiftyOne dataset: to browse, and to evaluate beside COCO's metrics.

    pip install fiftyone
    python samples/fiftyone/browse.py best.keras --annotations val.json --images val/ --name coins --open

The dataset stays in FiftyOne's database under its name, with four fields of each image: "annotated_boxes" and
"detected_boxes" have the boxes as they are, "annotated" and "detected" have the masks, each in the pixels that it
covers. FiftyOne puts a mask back into its image by its box, so that must begin and end with whole pixels.
"""

import argparse

import fiftyone as fo
import numpy as np

import keras_maskrcnn as km
from keras_maskrcnn.evaluation.coco import score_coco
from keras_maskrcnn.masks.rle import segmentation_to_mask


def to_labels(objects, class_names, with_masks):
    """Return a record's objects, or detections, as FiftyOne's detections.

    Args:
        objects: a `Record` or `Detections` with N objects.
        class_names: all names, by class id from 1.
        with_masks: with their masks, each in its box of whole pixels, or with the boxes as they are. An object whose
            mask is empty has no pixels to be in, and stays a box.
    """
    size = np.array([objects.width, objects.height] * 2)
    scores = getattr(objects, "scores", None)  # only detections have them
    crowd = getattr(objects, "crowd", None)  # and only records have crowds
    labels = []
    for row, class_id in enumerate(objects.class_ids):
        box, fields = np.asarray(objects.boxes[row], np.float64), {}
        if scores is not None:
            fields["confidence"] = float(scores[row])
        if crowd is not None and crowd[row]:
            fields["iscrowd"] = True
        if with_masks:
            mask = segmentation_to_mask(objects.masks[row], objects.height, objects.width)
            if mask.any():
                box = pixels_of(mask)
                x1, y1, x2, y2 = box.tolist()
                fields["mask"] = mask[y1:y2, x1:x2]
        x1, y1, x2, y2 = (box / size).tolist()
        place = [x1, y1, x2 - x1, y2 - y1]
        labels.append(fo.Detection(label=class_names[class_id - 1], bounding_box=place, **fields))
    return fo.Detections(detections=labels)


def pixels_of(mask):
    """Return the box x1, y1, x2, y2 of the pixels of a mask [H, W], x2 and y2 being the first outside."""
    ys, xs = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return np.array([xs[0], ys[0], xs[-1] + 1, ys[-1] + 1])


def make_dataset(name, records, detections, class_names):
    """Return a new FiftyOne dataset of records, whose images are files, and the detections of each."""
    samples = []
    for number, (record, found) in enumerate(zip(records, detections, strict=True)):
        if not isinstance(record.image, str):
            raise ValueError(f"record {number}: FiftyOne shows files, and this record's image is an array")
        sample = fo.Sample(filepath=record.image, image_id=str(record.image_id))
        for field, objects in (("annotated", record), ("detected", found)):
            sample[f"{field}_boxes"] = to_labels(objects, class_names, with_masks=False)
            if objects.masks is not None:
                sample[field] = to_labels(objects, class_names, with_masks=True)
        samples.append(sample)
    dataset = fo.Dataset(name, persistent=True, overwrite=True)
    dataset.add_samples(samples)
    return dataset


def evaluate(dataset):
    """Evaluate boxes, and masks where there are any, as FiftyOne does; return its mAP of each by COCO's name.

    What matched what at an IoU of 0.5 is in the samples' fields "boxes" and "masks" then, for the app to filter by.
    """
    settings = {"method": "coco", "compute_mAP": True}
    of_boxes = dataset.evaluate_detections("detected_boxes", "annotated_boxes", "boxes", **settings)
    scores = {"box_AP": of_boxes.mAP()}
    if dataset.has_sample_field("annotated") and dataset.has_sample_field("detected"):
        of_masks = dataset.evaluate_detections("detected", "annotated", "masks", use_masks=True, **settings)
        scores["mask_AP"] = of_masks.mAP()
    return scores


def main():
    """Read the arguments and do all of it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", help="a .keras file")
    parser.add_argument("--annotations", required=True, help="in any format that km.load_dataset reads")
    parser.add_argument("--images", help="their folder")
    parser.add_argument("--name", default="detections", help="of the dataset; one of this name is replaced")
    parser.add_argument("--open", action="store_true", help="open FiftyOne's app, until Ctrl-C")
    args = parser.parse_args()
    model = km.load_model(args.model)
    class_names = model.config.class_names
    records, _ = km.load_dataset(args.annotations, args.images, class_names=class_names)
    detections = km.detect_records(model, records)
    dataset = make_dataset(args.name, records, detections, class_names)
    ours = score_coco(records, detections, class_names)
    for name, theirs in evaluate(dataset).items():
        print(f"{name}: FiftyOne {theirs:.4f}, COCO {ours[name]:.4f}")
    if args.open:
        fo.launch_app(dataset).wait(-1)


if __name__ == "__main__":
    main()
