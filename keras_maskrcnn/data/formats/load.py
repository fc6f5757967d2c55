"""Annotations of any format, by one function: what the command line reads."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from keras_maskrcnn.data.formats.coco import load_coco
from keras_maskrcnn.data.formats.coco_results import load_coco_results
from keras_maskrcnn.data.formats.detect import checked_format, voc_folder
from keras_maskrcnn.data.formats.labelme import load_labelme
from keras_maskrcnn.data.formats.mask_folders import load_masks
from keras_maskrcnn.data.formats.via import load_via
from keras_maskrcnn.data.formats.voc import load_voc
from keras_maskrcnn.data.formats.yolo import load_yolo
from keras_maskrcnn.data.report import Records


def load_dataset(
    annotations: str | Path,
    images: str | Path | None = None,
    format: str | None = None,
    class_names: Sequence[str] | None = None,
    class_key: str | None = None,
    masks: bool = True,
    check_images: bool = True,
    problems: list[str] | None = None,
    score_threshold: float | None = None,
) -> tuple[Records, list[str]]:
    """Read annotations of any format; the loaders of the formats say more of each.

    Args:
        annotations: "coco", "coco-results" and "via": a JSON file; "labelme": a folder of JSON files; "masks": a folder
            of mask images; "voc": a folder like VOC2012, or one of its files ImageSets/Segmentation/*.txt; "yolo": a
            folder of text files.
        images: the folder of the images. "labelme" and "yolo" know where theirs should be, and "voc" takes none.
        format: the format's name; left out: what the file or folder looks like.
        class_names: as in `load_coco`.
        class_key: of "via" and "masks", what tells the class; see `load_via` and `load_masks`.
        masks, check_images, problems: as in `load_coco`.
        score_threshold: of "coco-results"; see `load_coco_results`.

    Returns:
        (records, class names), as `load_coco` does.

    Raises:
        FileNotFoundError: a file or folder is missing.
        ValueError: the format is unknown, images or class_key are missing or of no use, or as the format's loader.
    """
    format = checked_format(annotations, images, format, class_key, score_threshold)
    options: dict[str, Any] = {
        "class_names": class_names,
        "masks": masks,
        "check_images": check_images,
        "problems": problems,
    }
    if format == "voc":
        path = Path(annotations)
        folder, split = (path, None) if path.is_dir() else (voc_folder(path), path.stem)
        return load_voc(folder, split, **options)
    if class_key is not None:
        options["class_key"] = class_key
    if score_threshold is not None:
        options["score_threshold"] = score_threshold
    loaders: dict[str, Any] = {
        "coco": load_coco,
        "coco-results": load_coco_results,
        "via": load_via,
        "labelme": load_labelme,
        "masks": load_masks,
        "yolo": load_yolo,
    }
    return loaders[format](annotations, images, **options)
