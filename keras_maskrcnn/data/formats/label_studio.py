"""JSON exports of Label Studio (https://labelstud.io): tasks with regions of any kind."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from keras_maskrcnn.data.checks import collect_errors, error_prefix
from keras_maskrcnn.data.formats.builder import ONE_CLASS, CocoBuilder
from keras_maskrcnn.data.formats.format import Format
from keras_maskrcnn.data.formats.image_paths import find_images, note_of_moved
from keras_maskrcnn.data.formats.label_studio_images import TaskImages
from keras_maskrcnn.data.formats.label_studio_regions import Results, add_regions, size_of, sorted_results
from keras_maskrcnn.data.formats.label_studio_shapes import POINT
from keras_maskrcnn.data.formats.label_studio_tasks import Task, is_flat, is_table, is_task, read_tasks
from keras_maskrcnn.data.formats.label_studio_writer import write_label_studio
from keras_maskrcnn.data.report import Records
from keras_maskrcnn.utils.text import read_json


def load_label_studio(
    annotation_file: str | Path,
    image_folder: str | Path,
    class_names: Sequence[str] | None = None,
    masks: bool = True,
    check_images: bool = True,
    problems: list[str] | None = None,
    default_class: str | None = None,
    keypoint_names: Sequence[str] | None = None,
    completed_by: int | str | None = None,
    predictions: bool | str = False,
    image_key: str | None = None,
) -> tuple[Records, list[str]]:
    """Read a JSON export of Label Studio; JSON_MIN and CSV do not say what belongs together, and are refused.

    Polygons, rectangles, ellipses, brush strokes and bitmasks are objects, each region one; several polygons of one
    region id are its parts. Ellipses and rotated rectangles may reach outside the image. Keypoints are of the object in
    whose region they are nested ("parentID"), or to which they are related; others are errors. Choices, texts and the
    like are left out. Annotations without regions are images without objects. Tasks that nobody has annotated, and
    skipped ones ("was_cancelled"), are left out; the report counts them. Of several annotations of a task the one that
    is marked as ground truth is read; without that they are an error, but for completed_by. Regions of images that were
    rotated in the tool are errors.

    Args:
        annotation_file: the JSON.
        image_folder: where the images are, found as by `load_coco`; of an uploaded image,
            /data/upload/1/0a1b2c3d-a.png, that file or a.png.
        class_names: as in `load_coco`; left out: the labels of the objects, sorted.
        masks, check_images, problems: as in `load_coco`.
        default_class: the class of regions without a label; left out: they are errors, unless no region has one. Then
            all objects are of the one class of class_names, or "object".
        keypoint_names: the labels of an object's keypoints, in their order; left out: those of the file, sorted.
        completed_by: whose annotations are read, the others left out: number or email address, as the file has it.
        predictions: read these in place of annotations; a text says of which model version.
        image_key: the key of the image in a task's "data"; left out: "image", or the only one with a text.

    Returns:
        (records, class names), as `load_coco` does; `image_id` counts from 1.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no JSON export, no task is annotated, or, without `problems`, anything is broken; the message
            names file, task or image, region and reason.

    Example:
        ```python
        import keras_maskrcnn as km
        import json, tempfile
        from pathlib import Path
        import numpy as np
        from PIL import Image

        folder = Path(tempfile.mkdtemp())
        Image.fromarray(np.zeros((40, 60, 3), np.uint8)).save(folder / "a.png")
        value = {"x": 50, "y": 25, "width": 25, "height": 50, "rectanglelabels": ["nut"]}
        annotation = {"result": [{"id": "r1", "type": "rectanglelabels", "value": value}]}
        task = {"data": {"image": "/data/upload/1/0a1b2c3d-a.png"}, "annotations": [annotation]}
        (folder / "export.json").write_text(json.dumps([task]))
        records, class_names = km.load_label_studio(folder / "export.json", folder)
        print(class_names, records[0].boxes)  # ['nut'] [[30. 10. 45. 30.]]
        ```
    """
    builder = CocoBuilder(annotation_file)
    with error_prefix(builder.source):
        if is_table(Path(annotation_file)):
            raise ValueError(
                'this is a table, which does not say what a region is; export the project as "JSON"'
            )
        tasks, met = read_tasks(
            read_json(annotation_file), completed_by, predictions, image_key, builder.problems
        )
        if not tasks and not builder.problems:
            raise ValueError(
                f"there is nothing to read: {'; '.join(f'{count} {why}' for why, count in met.items())}"
            )
    read = _read(tasks, builder.problems)
    if default_class is None and not any(_labelled(results) for _, results in read):
        default_class = class_names[0] if class_names is not None and len(class_names) == 1 else ONE_CLASS
    points = tuple(keypoint_names or sorted({name for _, results in read for name in _point_labels(results)}))
    images = find_images(TaskImages(image_folder), [task.image for task, _ in read], builder.problems)
    builder.notes += note_of_moved(images, image_folder)
    others: Counter[str] = Counter()
    for task, results in read:
        file = images.get(task.image, task.image) or Path(image_folder) / task.image
        size = builder.add_image(file, size_of(results)) if task.image in images else None
        if size is not None:
            met += add_regions(builder, results, task.image, size, default_class, points)
            others += results.others
    builder.notes += [f"{count} {what}" for what, count in met.items()]
    if others:
        listed = ", ".join(f"{count} {kind}" for kind, count in others.items())
        builder.notes.append(f"results that are no shapes are left out: {listed}")
    of_classes = dict.fromkeys(builder.class_names(), points)
    return builder.records(class_names, masks, check_images, problems, keypoint_names=of_classes)


def _read(tasks: list[Task], problems: list[str]) -> list[tuple[Task, Results]]:
    """Sort the results of each task; a second task of an image, or one whose results cannot be read, is a problem."""
    read: dict[str, tuple[Task, Results]] = {}
    for task in tasks:
        with collect_errors(problems), error_prefix(task.name):
            if task.image in read:
                raise ValueError(f"{read[task.image][0].name} has the objects of its image {task.image}")
            met: list[str] = []
            read[task.image] = task, sorted_results(task.results, met)
            problems += [f"{task.name}: {problem}" for problem in met]
    return list(read.values())


def _labelled(results: Results) -> bool:
    return any(region.labels and region.kind != POINT for region in results.regions.values())


def _point_labels(results: Results) -> list[str]:
    return [label for region in results.regions.values() if region.kind == POINT for label in region.labels]


def _looks_like(path: Path, content: Any) -> bool:
    rows = content if isinstance(content, list) else []
    return is_table(path) or any(is_task(row) or is_flat(row) for row in rows)


FORMAT = Format(
    "label-studio",
    "a JSON export of Label Studio",
    object_name="region",
    looks_like=_looks_like,
    load=load_label_studio,
    needs_images=True,
    write=write_label_studio,
    file_name="tasks.json",
    options={
        "default_class": "the class of regions without a label",
        "completed_by": "whose annotations are read, where a task has several",
        "predictions": "True, or a model version: predictions are read in place of annotations",
        "keypoint_names": "the labels of keypoints in their order (default: sorted)",
        "image_key": 'the key of the image in "data" (default: "image", or the only one)',
    },
)
