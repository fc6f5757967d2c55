"""Annotations of any format, by one function: what the command line reads."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from keras_maskrcnn.data.formats.detect import checked_format
from keras_maskrcnn.data.report import Records


def load_dataset(
    annotations: str | Path,
    images: str | Path | None = None,
    format: str | None = None,
    class_names: Sequence[str] | None = None,
    *,
    masks: bool = True,
    check_images: bool = True,
    problems: list[str] | None = None,
    **options: Any,
) -> tuple[Records, list[str]]:
    """Read annotations of any format; the loaders of the formats say more of each.

    Args:
        annotations: "coco", "coco-results", "label-studio" and "via": a JSON file, or of "coco" a folder of Roboflow's
            export; "labelme": a folder of JSON files; "masks": a folder of mask images; "rle-csv": a CSV file of run
            lengths; "voc": a folder like VOC2012, or one of its files ImageSets/Segmentation/*.txt; "yolo": a folder of
            text files; "cvat": an XML file, or the folder of an export.
        images: the folder of the images. "labelme", "yolo" and "cvat" know where theirs should be, "voc" takes none,
            and "masks" may have theirs with them (see `load_masks`).
        format: the format's name; left out: what the file or folder looks like.
        class_names, masks, check_images, problems: as in `load_coco`.
        options: what only some formats take: class_key ("via", "masks" and "rle-csv"; see their loaders),
            default_class ("via" and "label-studio"), completed_by ("label-studio"), mask_suffix ("masks"), subset
            ("cvat"), score_threshold ("coco-results") and others of the loaders' own. None is as if left out.

    Returns:
        (records, class names), as `load_coco` does.

    Raises:
        FileNotFoundError: a file or folder is missing.
        ValueError: the format is unknown, images are missing, an option is of no use, or as the format's loader.

    Example:
        ```python
        import keras_maskrcnn as km
        import tempfile
        from pathlib import Path
        import numpy as np

        folder = Path(tempfile.mkdtemp())
        image = np.zeros((40, 60, 3), np.uint8)
        record = km.make_record(image, boxes=[[10, 5, 30, 35]], class_ids=[1], image_id=1)
        km.write_coco(folder / "coco.json", [record], ["nut"], save_images=True)
        records, class_names = km.load_dataset(folder / "coco.json", folder)  # it looks like COCO
        print(class_names, records[0].boxes)  # ['nut'] [[10. 5. 30. 35.]]
        ```
    """
    found = checked_format(annotations, images, format, **options)
    given = {name: value for name, value in options.items() if value is not None}
    common: dict[str, Any] = {"class_names": class_names, "masks": masks}
    return found.load(annotations, images, check_images=check_images, problems=problems, **common, **given)
