"""The detections of a model on records, and the same as a file of COCO results."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras

from keras_maskrcnn.detections.detections import Detections
from keras_maskrcnn.detections.views import Augment
from keras_maskrcnn.utils.files import write_text

if TYPE_CHECKING:
    from keras_maskrcnn.data.records import Record
    from keras_maskrcnn.models.mask_rcnn import MaskRCNN
    from keras_maskrcnn.runtime.model import ExportedModel


_FIELDS = {"box": "bbox", "mask": "segmentation", "keypoint": "keypoints"}


def detect_records(
    model: MaskRCNN | ExportedModel,
    records: Sequence[Record],
    batch_size: int = 1,
    score_threshold: float | None = None,
    max_detections: int | None = None,
    progress: bool = True,
    tile: int | None = None,
    tile_overlap: int | None = None,
    tile_whole: bool = True,
    augment: Augment = None,
) -> list[Detections]:
    """Run a model on the images of records.

    Args:
        model: of any architecture, or exported.
        records: images; their ground truth is not used.
        batch_size: images that go through the network together.
        score_threshold, max_detections, tile, tile_overlap, tile_whole, augment: as in `model.detect`.
        progress: show a progress bar.

    Returns:
        The detections of each record, with masks as RLEs and without their images: what `analyse` takes.

    Raises:
        FileNotFoundError, ValueError: an image is missing or cannot be read; the message names it.

    Example:

    ```python
    import numpy as np

    import keras_maskrcnn as km

    config = km.Config(
        class_names=("square",), depth=18, norm="group_norm", frozen_stages=0, min_size=64, max_size=96,
        fpn_channels=32, post_nms_top_k=20, score_threshold=0.0, max_detections=5,
    )
    model = km.MaskRCNN(config)  # randomly initialised: it has learned nothing yet
    image = np.zeros((64, 96, 3), np.uint8)
    image[10:40, 20:60] = 255
    record = km.make_record(image, masks=[image[:, :, 0] > 0], class_ids=[1], image_id="square")
    (found,) = km.detect_records(model, [record], progress=False)
    print(found.boxes.shape, len(found.masks), found.image)
    ```
    """
    images = (records[index].image for index in range(len(records)))
    found: list[Detections] = []
    bar = keras.utils.Progbar(len(records), unit_name="image") if progress else None
    if bar is not None:
        bar.update(0)  # the first image takes long, and something should be seen
    tiling: dict[str, Any] = {"tile": tile, "tile_overlap": tile_overlap, "tile_whole": tile_whole}
    limits = batch_size, score_threshold, max_detections
    for one in model.detect_iter(images, *limits, masks="rle", **tiling, augment=augment):
        found.append(dataclasses.replace(one, image=None))
        if bar is not None:
            bar.update(len(found))
    return found


def write_coco_results(
    path: str | Path,
    records: Sequence[Record],
    detections: Sequence[Detections],
    category_ids: Sequence[int] | None = None,
) -> None:
    """Write detections as COCO results, the JSON list that servers take.

    pycocotools measures all that is in a row by its box, if it has one, which moves AP by size. Detections with more
    than boxes are therefore also written a file per kind, of which each scores as `score_coco` says: beside
    results.json results.box.json, results.mask.json and results.keypoint.json.

    Args:
        path: the file to write, and how those beside it begin.
        records: of N images, whose `image_id` are written.
        detections: of the same N images.
        category_ids: as in `Detections.to_coco`.

    Raises:
        ValueError: a detected class has no category id.
    """
    results: list[dict[str, Any]] = []
    for index, found in enumerate(detections):
        results.extend(found.to_coco(records[index].image_id, category_ids))
    write_text(path, json.dumps(results))
    kinds = [kind for kind, field in _FIELDS.items() if any(field in row for row in results)]
    for kind in kinds if len(kinds) > 1 else ():
        rows = [_of_kind(row, kind) for row in results if _FIELDS[kind] in row]
        write_text(Path(path).with_suffix(f".{kind}{Path(path).suffix}"), json.dumps(rows))


def _of_kind(row: dict[str, Any], kind: str) -> dict[str, Any]:
    """What COCO's AP of boxes, masks or keypoints takes of a row of results."""
    score = row["score"] if kind == "mask" else row.get("box_score", row["score"])
    ids = {key: row[key] for key in ("image_id", "category_id")}
    return {**ids, _FIELDS[kind]: row[_FIELDS[kind]], "score": score}
