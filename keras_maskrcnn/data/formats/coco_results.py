"""COCO results as annotations: detections to train another model on, or to correct by hand."""

from collections.abc import Sequence
from pathlib import Path, PureWindowsPath
from typing import Any

from keras_maskrcnn.data.checks import collect_errors, error_prefix, mask_extent
from keras_maskrcnn.data.formats.coco import read_annotations
from keras_maskrcnn.data.formats.coco_annotations import is_number
from keras_maskrcnn.data.formats.coco_content import read_content
from keras_maskrcnn.data.formats.coco_result_ids import match_rows
from keras_maskrcnn.data.formats.format import Format
from keras_maskrcnn.data.formats.image_paths import ImageFolder
from keras_maskrcnn.data.report import Records
from keras_maskrcnn.images.io import image_size
from keras_maskrcnn.masks.rle import segmentation_to_rle
from keras_maskrcnn.masks.segmentation_checks import rle_size, shown
from keras_maskrcnn.utils.files import image_files
from keras_maskrcnn.utils.text import read_json


def load_coco_results(
    results_file: str | Path,
    image_folder: str | Path,
    annotation_file: str | Path | None = None,
    score_threshold: float = 0.5,
    class_names: Sequence[str] | None = None,
    masks: bool = True,
    check_images: bool = True,
    problems: list[str] | None = None,
) -> tuple[Records, list[str]]:
    """Read COCO results as if they were annotations: pseudo-labels.

    Keypoints, whose third number is a score there, count as visible.

    Args:
        results_file: a JSON list of detections with image_id, category_id, bbox or segmentation, and score.
        image_folder: where the images are.
        annotation_file: a COCO file with the images and the categories that image_id and category_id mean; its own
            annotations are not used. An image_id may be a file's name there, with or without its ending, and a
            detection's "file_name" and "category_name" come before its ids. Left out: each detection must have these
            two, as those of `maskrcnn predict` do, and the images are in image_folder, found as by `load_coco`.
        score_threshold: detections that score less are left out, and counted in the report. With masks=False that is
            "box_score" where there is one: "score" is the mask's then.
        class_names: as in `load_coco`; left out: the annotation file's, or those found, sorted.
        masks, check_images, problems: as in `load_coco`.

    Returns:
        (records, class names), as `load_coco` does; `image_id` counts from 1 where there is no annotation_file.

    Raises:
        FileNotFoundError: a file or folder is missing.
        ValueError: a file is of another kind or, without `problems`, anything is broken; the message names file,
            detection and reason.

    Example:
        ```python
        import keras_maskrcnn as km
        import json, tempfile
        from pathlib import Path
        import numpy as np
        from PIL import Image

        folder = Path(tempfile.mkdtemp())
        Image.fromarray(np.zeros((40, 60, 3), np.uint8)).save(folder / "a.png")
        found = {"file_name": "a.png", "image_id": 1, "category_name": "nut", "category_id": 1, "bbox": [10, 5, 20, 30]}
        rows = [found | {"score": 0.9}, found | {"score": 0.3}]
        (folder / "detections.json").write_text(json.dumps(rows))
        records, class_names = km.load_coco_results(folder / "detections.json", folder, score_threshold=0.5)
        print(class_names, records[0].boxes)  # ['nut'] [[10. 5. 30. 35.]]
        ```
    """
    source, met = str(results_file), list[str]()
    with error_prefix(source):
        results = read_json(results_file)
        if not _looks_like(Path(results_file), results):
            raise ValueError("these are no COCO results: they are a list of objects with image_id and score")
        if not results:
            raise ValueError("there are no detections in it")
        notes: list[str] = []
        if annotation_file is None:
            images, categories = _named(results, Path(image_folder), met)
        else:
            content = read_annotations(annotation_file)
            images, categories = content["images"], content["categories"]
            notes = match_rows(results, images, categories)
    annotations, few = _annotations(results, score_threshold, masks, met)
    notes += [f"{few} detections score less than {score_threshold:g} and are left out"] if few else []
    content = {"images": images, "categories": categories, "annotations": annotations}
    return read_content(
        content,
        source,
        image_folder,
        class_names,
        masks,
        check_images,
        problems,
        noun="detection ",
        met=met,
        notes=notes,
    )


def _annotations(
    results: list[dict[str, Any]], score_threshold: float, masks: bool, met: list[str]
) -> tuple[list[dict[str, Any]], int]:
    """Return the results that score enough, as annotations, and the number of the others."""
    annotations, few = [], 0
    for number, result in enumerate(results):
        with collect_errors(met), error_prefix(f"detection {number}"):
            # Of models that score masks, "score" is the mask's, and the box has its own.
            score: Any = result["box_score"] if not masks and "box_score" in result else result.get("score")
            if not is_number(score):
                raise ValueError(f'its "score" must be a number; got {shown(score)}')
            if score < score_threshold:
                few += 1
            elif result.get("image_id") is None and "file_name" in result:
                raise ValueError(f"there is no image {result['file_name']} among the images")
            else:
                annotations.append({**result, "id": number, **_completed(result)})
    return annotations, few


def _named(
    results: list[dict[str, Any]], folder: Path, met: list[str]
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return the images and categories that results name, whose image_id and category_id are set to theirs."""
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder}: there is no such folder")
    for number, row in enumerate(results):
        if not isinstance(row.get("file_name"), str) or not isinstance(row.get("category_name"), str):
            raise ValueError(
                f"detection {number} has no file_name and category_name, so that annotation_file is needed"
            )
    inside = ImageFolder(folder)
    files: dict[str, str | None] = {row["file_name"]: None for row in results}
    for name in files:
        with collect_errors(met), error_prefix(f"image {name}"):
            file = inside.find_inside(name)
            files[name] = None if file is None else file.relative_to(folder).as_posix()
    if not any(files.values()):
        raise ValueError(
            f"none of the {len(files)} images of the detections is in {folder}: {', '.join([*files][:3])}"
        )
    known = {file.name for file in image_files(folder)} | {
        name for name in files.values() if name is not None
    }
    images = []
    for number, name in enumerate(sorted(known), start=1):
        with collect_errors(met):
            height, width = image_size(folder / name)
            images.append({"id": number, "file_name": name, "height": height, "width": width})
    ids = {image["file_name"]: image["id"] for image in images}
    unclear = _unclear(results, files, met)
    names = sorted({row["category_name"] for row in results})
    for row in results:
        place = files[row["file_name"]]
        if place is None:
            row["image_id"] = None
        else:
            row["image_id"] = row["file_name"] if place in unclear else ids.get(place, place)
        row["category_id"] = 1 + names.index(row["category_name"])
    return images, [{"id": number, "name": name} for number, name in enumerate(names, start=1)]


def _unclear(results: list[dict[str, Any]], files: dict[str, str | None], met: list[str]) -> set[str]:
    """The images on which detections of several others would land."""
    sources: dict[str, dict[tuple[tuple[str, ...], str], str]] = {}
    for row in results:
        name, image_id = row["file_name"], row["image_id"]
        file = files[name]
        if file is None:
            continue
        source = (PureWindowsPath(name).parts, repr(image_id))
        described = f"{name} (image_id {shown(image_id)})"
        sources.setdefault(file, {})[source] = described
    unclear = {file: list(found.values()) for file, found in sources.items() if len(found) > 1}
    for file, found in unclear.items():
        met.append(f"detections of {' and of '.join(found[:3])} all lead to one image, {file}")
    return set(unclear)


def _completed(result: dict[str, Any]) -> dict[str, Any]:
    """What an annotation has and a result may lack: a box, and keypoints whose third number is a visibility."""
    fields: dict[str, Any] = {}
    if "bbox" not in result and isinstance(result.get("segmentation"), dict):
        rle = result["segmentation"]
        x1, y1, x2, y2 = mask_extent(segmentation_to_rle(rle, *rle_size(rle)))
        fields["bbox"] = [x1, y1, x2 - x1, y2 - y1]
    if isinstance(result.get("keypoints"), list):
        fields["keypoints"] = [
            2 if place % 3 == 2 else value for place, value in enumerate(result["keypoints"])
        ]
    return fields


def _looks_like(path: Path, content: Any) -> bool:
    return isinstance(content, list) and all(isinstance(row, dict) and "image_id" in row for row in content)


FORMAT = Format(
    "coco-results",
    "a JSON file of COCO results",
    object_name="detection",
    looks_like=_looks_like,
    load=load_coco_results,
    needs_images=True,
    options={
        "score_threshold": "detections that score less are left out (default: 0.5)",
        "annotation_file": "COCO file with the images and categories that the results mean",
    },
)
