"""Records as a COCO annotation file."""

import json
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from keras_maskrcnn.data.checks import error_prefix
from keras_maskrcnn.data.records import Record, check_record
from keras_maskrcnn.detections.detections import check_category_ids
from keras_maskrcnn.images.embedded import embedded_image, is_embedded
from keras_maskrcnn.masks.rle import segmentation_to_rle
from keras_maskrcnn.masks.segmentation_checks import checked_polygon
from keras_maskrcnn.utils.files import written_whole


def write_coco(
    path: str | Path,
    records: Sequence[Record],
    class_names: Sequence[str],
    image_folder: str | Path | None = None,
    save_images: bool = False,
    category_ids: Sequence[int] | None = None,
    keypoint_names: Sequence[str] | None = None,
) -> None:
    """Write records as a COCO annotation file, which `load_coco(path, image_folder)` reads back equal.

    Polygons stay polygons, and other masks become compressed RLE.

    Args:
        path: the JSON file; what is there is replaced when the new one is complete.
        records: images and their objects.
        class_names: K names, class k being class_names[k - 1].
        image_folder: the folder that "file_name" is relative to; left out: the one that `path` is in.
        save_images: write images that are no files of their own into image_folder, which is made if need be: what
            labelme embedded as it is, arrays as PNG, or as .npy where PNG does not keep their values.
        category_ids: K whole numbers; left out: 1..K.
        keypoint_names: J names; left out: the records' own, if they know them.

    Raises:
        FileNotFoundError: there is no such folder.
        ValueError: an image is no file and save_images is False, two images have the same id, a class id is outside
            1..K, or a mask is broken; the message names the image.

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
    images: dict[Any, dict[str, Any]] = {}
    annotations: list[dict[str, Any]] = []
    for index in range(len(records)):
        record = records[index]
        check_record(record, len(class_names), needs_masks=False)
        keypoint_names = keypoint_names or record.keypoint_names
        image_id = record.image_id if isinstance(record.image_id, str) else int(record.image_id)
        if image_id in images:
            raise ValueError(f"{record.name}: another image has its id {image_id!r}")
        size = {"height": record.height, "width": record.width}
        images[image_id] = {"id": image_id, "file_name": _file_name(record, folder, save_images), **size}
        for row in _annotations(record, image_id, category_ids):
            annotations.append({"id": len(annotations) + 1, **row})
    named = {"keypoints": list(keypoint_names)} if keypoint_names else {}
    categories = [
        {"id": int(number), "name": name, **named}
        for number, name in zip(category_ids, class_names, strict=True)
    ]
    content = {"images": list(images.values()), "annotations": annotations, "categories": categories}
    with written_whole(path) as part:
        part.write_text(json.dumps(content), encoding="utf-8")


def _annotations(
    record: Record, image_id: int | str, category_ids: Sequence[int]
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
        yield row


def _segmentation(segmentation: Any, height: int, width: int) -> Any:
    rle = segmentation_to_rle(segmentation, height, width)
    if isinstance(segmentation, dict):
        return {"size": [height, width], "counts": rle["counts"].decode("ascii")}
    return [checked_polygon(polygon) for polygon in segmentation]


def _file_name(record: Record, folder: Path, save_images: bool) -> str:
    if isinstance(record.image, str) and not is_embedded(record.image):
        path = record.image
    elif save_images:
        path = str(_saved(record, folder))
    else:
        raise ValueError(
            f"{record.name} is no image file of its own: save_images (--save-images) writes it as one"
        )
    try:
        return Path(os.path.relpath(path, folder)).as_posix()
    except ValueError:  # on another drive of Windows
        return os.path.abspath(path)


def _saved(record: Record, folder: Path) -> Path:
    """Write a record's image into a folder, and return the file."""
    if isinstance(record.image, str):
        data = embedded_image(record.image)
        with Image.open(data) as image:
            suffix = str(image.format).lower().replace("jpeg", "jpg")
        file = _free(folder / f"{Path(record.image).stem}.{suffix}")
        file.write_bytes(data.getvalue())
        return file
    pixels = record.image[..., 0] if record.image.shape[2:] == (1,) else record.image
    stem = re.sub(r"[^\w.-]+", "_", str(record.image_id))
    is_gray, is_colour = pixels.ndim == 2, pixels.shape[2:] in ((3,), (4,))
    if (pixels.dtype == np.uint8 and (is_gray or is_colour)) or (pixels.dtype == np.uint16 and is_gray):
        file = _free(folder / f"{stem}.png")
        Image.fromarray(pixels).save(file)
    else:
        file = _free(folder / f"{stem}.npy")
        np.save(file, record.image)
    return file


def _free(file: Path) -> Path:
    if file.exists():
        raise ValueError(f"{file} is there already; images are saved into a folder without it")
    return file
