"""Records as tasks of Label Studio, to be corrected there, and the labelling config that fits."""

import json
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np

from keras_maskrcnn.data.checks import error_prefix
from keras_maskrcnn.data.formats.label_studio_config import IMAGE, labelling_config
from keras_maskrcnn.data.formats.label_studio_results import Regions, check_regions, point_names, results_of
from keras_maskrcnn.data.formats.relative import relative_path
from keras_maskrcnn.data.formats.saved_images import is_file_of_its_own
from keras_maskrcnn.data.formats.writing import checked_records, tell
from keras_maskrcnn.data.records import Record
from keras_maskrcnn.utils.files import write_text

LOCAL_FILES = "/data/local-files/?d="
"""How Label Studio names files in the folder from which it serves."""


def write_label_studio(
    target: str | Path,
    records: Sequence[Record],
    class_names: Sequence[str],
    image_folder: str | Path | None = None,
    scores: Sequence[np.ndarray | None] | None = None,
    *,
    image_url: str | None = None,
    regions: Regions = "mixed",
    model_version: str = "keras_maskrcnn",
    keypoint_names: Sequence[str] | None = None,
) -> None:
    """Write records as tasks that Label Studio imports; `load_label_studio` reads the same masks from them.

    The labelling config that the project needs is written beside them, with the ending .xml. Objects without a mask are
    rectangles, crowds are left out, and Label Studio forgets that a keypoint is hidden when the task is submitted; a
    warning says how many there are of these.

    Args:
        target: the JSON file; what is there is replaced when the new one is complete.
        records: images, which must be files of their own, and their objects.
        class_names: K names, class k being class_names[k - 1].
        image_folder: the folder with the images; left out: the innermost that all are in.
        scores: one [N] array in 0..1 for each record, or None: tasks with scores have a prediction (with their mean as
            its score) in place of an annotation.
        image_url: what stands before the path of an image from image_folder, such as "https://example.org/scans/";
            Label Studio must be able to fetch that. Left out: that of files which it serves itself, where its
            LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT is the folder above image_folder.
        regions: "mixed": a polygon stays one if it is one ring in the image, and other masks are brush strokes, without
            loss. "brush": all are. "polygon": masks of one part without holes become polygons along the edges of
            their pixels, which are the same masks.
        model_version: what predictions are called.
        keypoint_names: J names; left out: the records' own, or else "1", "2", ...

    Raises:
        ValueError: an image is no file in image_folder, a class id is outside 1..K, a record's own names are in another
            order, scores do not fit, regions is none of these, or a mask is broken; the message names the image.

    Example:
        ```python
        import keras_maskrcnn as km
        import tempfile
        from pathlib import Path
        import numpy as np
        from PIL import Image

        folder = Path(tempfile.mkdtemp())
        Image.fromarray(np.zeros((40, 60, 3), np.uint8)).save(folder / "a.png")
        mask = np.zeros((1, 40, 60), bool)
        mask[0, 5:35, 10:30] = True
        record = km.make_record(folder / "a.png", masks=mask, class_ids=[1])
        km.write_label_studio(folder / "tasks.json", [record], ["nut"])  # and tasks.xml
        records, class_names = km.load_label_studio(folder / "tasks.json", folder)
        print(class_names, records[0].boxes)  # ['nut'] [[10. 5. 30. 35.]]
        ```
    """
    check_regions(regions)
    if Path(target).suffix == ".xml":
        raise ValueError(f"{target}: the tasks are JSON; the labelling config will have the ending .xml")
    folder = Path(_common_folder(records) if image_folder is None else image_folder)
    if image_url is None:
        image_url = f"{LOCAL_FILES}{quote(folder.resolve().name)}/"
    tasks: list[dict[str, Any]] = []
    met: Counter[str] = Counter()
    points = list(keypoint_names or ())
    for record, own in checked_records(records, class_names, scores):
        with error_prefix(record.name):
            points = point_names(record, points)
            url = image_url + quote(_relative(record, folder))
            results = list(results_of(record, class_names, points, own, regions, met))
        tasks.append({"data": {IMAGE: url}, **_judged(results, own, model_version)})
    rows = [row for task in tasks for row in (*task["annotations"], *task["predictions"])]
    kinds = {result["from_name"] for row in rows for result in row["result"]}
    kinds = kinds or {"brush" if regions == "brush" else "polygon"}
    write_text(Path(target).with_suffix(".xml"), labelling_config(kinds, class_names, points))
    write_text(target, json.dumps(tasks, ensure_ascii=False))
    tell(target, met)


def _common_folder(records: Sequence[Record]) -> str:
    """The innermost folder that all image files are in."""
    files = [records[index].image for index in range(len(records))]
    folders = {os.path.dirname(os.path.abspath(file)) for file in files if isinstance(file, str)}
    return os.path.commonpath(folders) if folders else "."


def _relative(record: Record, folder: Path) -> str:
    if not is_file_of_its_own(record):
        raise ValueError(
            "it is no image file of its own, and Label Studio needs files: write_coco(save_images=True) makes them"
        )
    path = relative_path(str(record.image), folder)
    if path.startswith("..") or Path(path).is_absolute():
        raise ValueError(f"it is not in the folder of the images, {folder}: image_folder must say which")
    return path


def _judged(results: list[dict[str, Any]], scores: np.ndarray | None, version: str) -> dict[str, Any]:
    """The results of a task as an annotation, or with scores as a prediction."""
    if scores is None:
        return {"annotations": [{"result": results, "was_cancelled": False}], "predictions": []}
    score = float(np.mean(scores)) if len(scores) else 0.0
    return {"annotations": [], "predictions": [{"model_version": version, "score": score, "result": results}]}
