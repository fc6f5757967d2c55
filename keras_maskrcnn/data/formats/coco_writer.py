"""Records as a COCO annotation file."""

import itertools
import json
import logging
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from keras_maskrcnn.data.checks import error_prefix
from keras_maskrcnn.data.formats.relative import relative_path
from keras_maskrcnn.data.formats.saved_images import SavedImages, is_file_of_its_own
from keras_maskrcnn.data.formats.writing import checked_records
from keras_maskrcnn.data.records import Record
from keras_maskrcnn.detections.category_ids import check_category_ids
from keras_maskrcnn.masks.outlines import mask_outlines
from keras_maskrcnn.masks.rle import segmentation_to_rle
from keras_maskrcnn.masks.segmentation_checks import checked_polygon
from keras_maskrcnn.utils.counted import counted
from keras_maskrcnn.utils.files import write_text
from keras_maskrcnn.utils.ids import plain_id

_log = logging.getLogger(__name__)


def write_coco(
    path: str | Path,
    records: Sequence[Record],
    class_names: Sequence[str],
    image_folder: str | Path | None = None,
    save_images: bool = False,
    category_ids: Sequence[int] | None = None,
    keypoint_names: Sequence[str] | None = None,
    polygons: bool = False,
    scores: Sequence[np.ndarray | None] | None = None,
) -> None:
    """Write records as a COCO annotation file, which `load_coco(path, image_folder)` reads back equal.

    Polygons stay polygons, and other masks become compressed RLE. An image id that is text becomes a number, as COCO's
    are, with the text as the image's "name".

    Args:
        path: the JSON file; what is there is replaced when the new one is complete.
        records: images and their objects.
        class_names: K names, class k being class_names[k - 1].
        image_folder: the folder that "file_name" is relative to; left out: the one that `path` is in.
        save_images: write images that are no files of their own into image_folder, which is made if need be: what
            labelme embedded as it is, arrays as PNG, or as .npy where PNG does not keep their values.
        category_ids: K whole numbers; left out: 1..K.
        keypoint_names: J names; left out: the records' own, if they know them.
        polygons: write masks as polygons along the edges of their pixels, which are the same masks; those with holes
            stay RLE, and a warning says how many.
        scores: one [N] array in 0..1 for each record, or None, of predictions: each annotation's "score", which is no
            part of COCO's annotations, but which some tools show.

    Raises:
        FileNotFoundError: there is no such folder.
        ValueError: an image is no file and save_images is False, or would be saved over another file, two images have
            the same id, category_ids are not one for each class, a class id is outside 1..K or a record's own names are
            in another order, or a mask is broken; the message names the image.

    Example:
        ```python
        import keras_maskrcnn as km
        import tempfile
        from pathlib import Path
        import numpy as np

        folder = Path(tempfile.mkdtemp())
        image = np.zeros((40, 60, 3), np.uint8)
        mask = np.zeros((1, 40, 60), bool)
        mask[0, 5:35, 10:30] = True
        record = km.make_record(image, masks=mask, class_ids=[1], image_id=1)
        km.write_coco(folder / "coco.json", [record], ["nut"], save_images=True)
        again, class_names = km.load_coco(folder / "coco.json", folder)
        print(class_names, again[0].boxes)  # ['nut'] [[10. 5. 30. 35.]]
        ```
    """
    folder = Path(path).parent if image_folder is None else Path(image_folder)
    if save_images:
        folder.mkdir(parents=True, exist_ok=True)
    if not folder.is_dir():  # a path through it, as to a folder beside it, would lead nowhere
        raise FileNotFoundError(f"{folder}: there is no such folder")
    if category_ids is None:
        category_ids = range(1, len(class_names) + 1)
    check_category_ids(category_ids, class_names)
    saved = SavedImages(folder)
    try:
        saver = saved if save_images else None
        checked = checked_records(records, class_names, scores)
        images, annotations, own_names = _rows(checked, category_ids, folder, saver)
        if polygons:
            _as_polygons(path, annotations)
        points = list(keypoint_names or own_names)
        named = {"keypoints": points} if points else {}
        categories = [
            {"id": int(number), "name": name, **named}
            for number, name in zip(category_ids, class_names, strict=True)
        ]
        content = {"images": images, "annotations": annotations, "categories": categories}
        write_text(path, json.dumps(content))
    except BaseException:
        saved.remove()
        raise


def _rows(
    records: Iterable[tuple[Record, np.ndarray | None]],
    category_ids: Sequence[int],
    folder: Path,
    saved: SavedImages | None,
) -> tuple[list[dict[str, Any]], list[dict[str, Any]], tuple[str, ...]]:
    """Return the images and the annotations of records, with numbers for ids, and the names of keypoints."""
    images: dict[int | str, dict[str, Any]] = {}
    annotations: list[dict[str, Any]] = []
    keypoint_names: tuple[str, ...] = ()
    for record, scores in records:
        keypoint_names = keypoint_names or record.keypoint_names
        with error_prefix(record.name):
            image_id = plain_id(record.image_id)
        if image_id in images:
            raise ValueError(f"{record.name}: another image has its id {image_id!r}")
        file = _file(record, saved)
        size = {"height": record.height, "width": record.width}
        images[image_id] = {"id": image_id, "file_name": relative_path(file, folder), **size}
        if isinstance(image_id, str) and image_id != record.name:
            images[image_id]["name"] = image_id
        for row in _annotations(record, image_id, category_ids, scores):
            annotations.append({"id": len(annotations) + 1, **row})
    # COCO's ids are numbers, and many programs take no others.
    free = (number for number in itertools.count(1) if number not in images)
    numbers = {image_id: next(free) if isinstance(image_id, str) else image_id for image_id in images}
    for image in images.values():
        image["id"] = numbers[image["id"]]
    for row in annotations:
        row["image_id"] = numbers[row["image_id"]]
    return list(images.values()), annotations, keypoint_names


def _file(record: Record, saved: SavedImages | None) -> str | Path:
    if is_file_of_its_own(record):
        return str(record.image)
    if saved is None:
        raise ValueError(
            f"{record.name} is no image file of its own: save_images (--save-images) writes it as one"
        )
    return saved.save(record)


def _as_polygons(path: str | Path, annotations: list[dict[str, Any]]) -> None:
    """Turn the RLEs of single objects into polygons, where these can be the same mask."""
    left = 0
    for row in annotations:
        if isinstance(row.get("segmentation"), dict) and not row["iscrowd"]:
            rle = row["segmentation"]
            outlines = mask_outlines(segmentation_to_rle(rle, *rle["size"]))
            left += outlines is None
            row["segmentation"] = rle if outlines is None else outlines
    if left:
        _log.warning("%s: %s with holes, which polygons cannot have, stay RLE", path, counted(left, "mask"))


def _annotations(
    record: Record, image_id: int | str, category_ids: Sequence[int], scores: np.ndarray | None
) -> Iterator[dict[str, Any]]:
    for index, (x1, y1, x2, y2) in enumerate(record.boxes.astype(np.float64).tolist()):
        row: dict[str, Any] = {
            "image_id": image_id,
            "category_id": int(category_ids[record.class_ids[index] - 1]),
            "bbox": [x1, y1, x2 - x1, y2 - y1],
            "area": float(record.areas[index]),
            "iscrowd": int(record.crowd[index]),
        }
        if record.masks is not None:
            with error_prefix(f"{record.name}: object {index}"):
                row["segmentation"] = _segmentation(record.masks[index], record.height, record.width)
        if record.keypoints is not None:
            points = record.keypoints[index]
            row["keypoints"] = points.reshape(-1).tolist()
            row["num_keypoints"] = int((points[:, 2] > 0).sum())
        if scores is not None:
            row["score"] = float(scores[index])
        yield row


def _segmentation(segmentation: Any, height: int, width: int) -> Any:
    rle = segmentation_to_rle(segmentation, height, width)
    if isinstance(segmentation, dict):
        return {"size": [height, width], "counts": rle["counts"].decode("ascii")}
    return [checked_polygon(polygon) for polygon in segmentation]
