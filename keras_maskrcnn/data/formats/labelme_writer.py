"""Records as a folder of JSON files of labelme, one per image."""

import base64
import io
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from keras_maskrcnn.data.checks import error_prefix
from keras_maskrcnn.data.formats.labelme_shapes import FLAGS, HOLE, IGNORED
from keras_maskrcnn.data.formats.relative import relative_path
from keras_maskrcnn.data.formats.saved_images import encoded_image, image_name, is_file_of_its_own
from keras_maskrcnn.data.formats.writing import checked_records, tell
from keras_maskrcnn.data.records import Record
from keras_maskrcnn.masks.outlines import mask_outlines
from keras_maskrcnn.masks.rle import rle_region, segmentation_to_rle
from keras_maskrcnn.utils.files import write_text
from keras_maskrcnn.utils.names import different_names

_VERSION = "5.4.1"
"""Of labelme, whose files these are like; later ones read them."""
_BOXES = "objects without a mask written as rectangles, which are read as masks"
_KEYPOINTS = "objects of which the keypoints are left out"


def write_labelme(
    target: str | Path,
    records: Sequence[Record],
    class_names: Sequence[str],
    image_folder: str | Path | None = None,
    scores: Sequence[np.ndarray | None] | None = None,
) -> None:
    """Write records as labelme's JSON files, to be corrected there; `load_labelme(target)` reads the same masks.

    Polygons stay polygons, and other masks become polygons along the edges of their pixels: one for each part, with a
    common group_id. A mask with a hole is a shape of the type "mask", which labelme 5.3 and later know. Crowds are
    flagged "ignore". Objects without a mask are rectangles, and keypoints are left out; a warning says how many.
    Images that are no files of their own are embedded.

    Args:
        target: the folder, made if need be. Files are called like their images, with a number where several have one
            name; those of these names that are there are replaced, others are left.
        records: images and their objects; those without objects have a file without shapes.
        class_names: K names, class k being class_names[k - 1].
        image_folder: the folder that "imagePath" is relative to, if the files will be moved to it; left out: target,
            from where labelme finds the images wherever they are.
        scores: one [N] array in 0..1 for each record, or None, of predictions: in each shape's description.

    Raises:
        ValueError: a class has a name that labelme reserves, a class id is outside 1..K, a record's own names are in
            another order, scores do not fit, or an array holds values that cannot be embedded as PNG; the message names
            the image.

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
        km.write_labelme(folder / "labels", [record], ["nut"])  # labels/a.json
        records, class_names = km.load_labelme(folder / "labels")
        print(class_names, records[0].boxes)  # ['nut'] [[10. 5. 30. 35.]]
        ```
    """
    if reserved := {HOLE, IGNORED}.intersection(class_names):
        raise ValueError(f"{target}: labelme reserves the name {reserved.pop()}, so no class can have it")
    folder, met = Path(target), Counter[str]()
    folder.mkdir(parents=True, exist_ok=True)
    base = folder if image_folder is None else Path(image_folder)
    names = different_names([image_name(records[index]) for index in range(len(records))])
    for name, (record, own) in zip(names, checked_records(records, class_names, scores), strict=True):
        with error_prefix(record.name):
            content = {
                "version": _VERSION,
                "flags": {},
                "shapes": list(_shapes(record, class_names, own, met)),
                **_image(record, name, base),
                "imageHeight": record.height,
                "imageWidth": record.width,
            }
        write_text(folder / f"{name}.json", json.dumps(content, ensure_ascii=False, indent=2))
    tell(target, met)


def _image(record: Record, name: str, folder: Path) -> dict[str, Any]:
    if is_file_of_its_own(record):
        return {"imagePath": relative_path(str(record.image), folder), "imageData": None}
    suffix, content = encoded_image(record)
    if suffix == "npy":
        raise ValueError(
            "its image is an array that is no PNG (gray or RGB of 8 bits, or gray of 16), and labelme embeds no others"
        )
    return {"imagePath": f"{name}.{suffix}", "imageData": base64.b64encode(content).decode("ascii")}


def _shapes(
    record: Record, class_names: Sequence[str], scores: np.ndarray | None, met: Counter[str]
) -> Iterator[dict[str, Any]]:
    met[_KEYPOINTS] += 0 if record.keypoints is None else len(record.boxes)
    met[_BOXES] += len(record.boxes) if record.masks is None else 0
    for index, box in enumerate(record.boxes.tolist()):
        parts = _parts(None if record.masks is None else record.masks[index], box, record)
        for part in parts:
            yield {
                "label": class_names[record.class_ids[index] - 1],
                "group_id": index if len(parts) > 1 else None,
                "description": "" if scores is None else f"score {scores[index]:.3f}",
                "flags": {FLAGS[1]: True} if record.crowd[index] else {},
                **part,
            }


def _parts(segmentation: Any, box: list[float], record: Record) -> list[dict[str, Any]]:
    """The shapes of an object, without its label."""
    if segmentation is None:
        return [_shape("rectangle", np.array(box))]
    rle = segmentation_to_rle(segmentation, record.height, record.width)
    polygons = mask_outlines(rle) if isinstance(segmentation, dict) else segmentation
    if polygons is not None:
        return [_shape("polygon", np.array(polygon)) for polygon in polygons]
    part, left, top = rle_region(rle)
    file = io.BytesIO()
    Image.fromarray(part.view(np.uint8) * 255).save(file, "PNG")
    last = left + part.shape[1] - 1, top + part.shape[0] - 1
    shape = _shape("mask", np.array([left, top, *last], float))
    return [{**shape, "mask": base64.b64encode(file.getvalue()).decode("ascii")}]


def _shape(kind: str, points: np.ndarray) -> dict[str, Any]:
    return {"shape_type": kind, "points": points.reshape(-1, 2).tolist()}
