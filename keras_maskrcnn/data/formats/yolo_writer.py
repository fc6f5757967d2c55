"""Records as YOLO's text files of segmentations, with data.yaml."""

import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from keras_maskrcnn.data.checks import error_prefix
from keras_maskrcnn.data.formats.relative import relative_path
from keras_maskrcnn.data.formats.saved_images import encoded_image, image_name, is_file_of_its_own
from keras_maskrcnn.data.formats.writing import checked_records, tell
from keras_maskrcnn.data.records import Record
from keras_maskrcnn.masks.bridges import bridged
from keras_maskrcnn.masks.outlines import draws, mask_parts
from keras_maskrcnn.masks.rle import segmentation_to_rle
from keras_maskrcnn.utils.files import write_text, written_whole
from keras_maskrcnn.utils.names import different_names

_DECIMALS = 1e12
_BRIDGED = "masks of several parts or with holes written as one polygon, whose outlines are joined by lines"
_BOXES = "objects without a mask written as boxes"
_KEYPOINTS = "objects of which the keypoints are left out"
_CROWDS = "crowds left out"


def write_yolo(
    target: str | Path,
    records: Sequence[Record],
    class_names: Sequence[str],
    image_folder: str | Path | None = None,
    scores: Sequence[np.ndarray | None] | None = None,
) -> None:
    """Write records as YOLO's labels: data.yaml, labels/NAME.txt and images/; `load_yolo(target)` reads the same masks.

    A line is one polygon. Of a mask with several parts or with holes the outlines are joined by lines that are walked
    there and back: such a polygon encloses the same pixels, and Ultralytics draws the lines one pixel wide. YOLO has no
    place for crowds, which are left out, nor for keypoints beside polygons; a warning says how many of each. Scores
    are left out: behind a polygon they would be one of its numbers.

    Args:
        target: the folder, made if need be. Files of the names that are written are replaced, others are left.
        records: images and their objects; those without objects have an empty text file.
        class_names: K names, class k being class_names[k - 1], and number k - 1 in the text files.
        image_folder: where the images are, if they shall stay there: labels have their places below it, and data.yaml
            names it. Ultralytics finds the labels only if it is target/images or below; `load_yolo(target / "labels",
            image_folder)` anywhere. Left out: images that are not in target/images are copied to it.
        scores: as of other formats; not written.

    Raises:
        ValueError: an image is not in image_folder, a class id is outside 1..K, a record's own names are in another
            order, or scores do not fit; the message names the image.

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
        record = km.make_record(image, masks=mask, class_ids=[1], image_id="a")
        km.write_yolo(folder, [record], ["nut"])  # data.yaml, labels/a.txt, images/a.png
        records, class_names = km.load_yolo(folder)
        print(class_names, records[0].boxes)  # ['nut'] [[10. 5. 30. 35.]]
        ```
    """
    top, met = Path(target), Counter[str]()
    images = top / "images" if image_folder is None else Path(image_folder)
    images.mkdir(parents=True, exist_ok=True)
    places = _copied(records, images) if image_folder is None else list(_found(records, images))
    inside = images.resolve().is_relative_to((top / "images").resolve())
    labels = top / "labels" / (images.resolve().relative_to((top / "images").resolve()) if inside else "")
    for (record, _), place in zip(checked_records(records, class_names, scores), places, strict=True):
        file = (labels / place).with_suffix(".txt")
        file.parent.mkdir(parents=True, exist_ok=True)
        with error_prefix(record.name):
            text = "".join(f"{line}\n" for line in _lines(record, met))
        write_text(file, text)
    split = relative_path(images, top)
    settings = {"train": split, "val": split, "names": dict(enumerate(class_names))}
    write_text(top / "data.yaml", yaml.safe_dump(settings, allow_unicode=True, sort_keys=False))
    tell(target, met)


def _copied(records: Sequence[Record], images: Path) -> Iterator[Path]:
    """Yield the path of each record's image in the folder `images`, into which those are copied that are not there."""
    stems = [image_name(records[index]) for index in range(len(records))]
    for index, name in enumerate(different_names(stems)):
        record = records[index]
        if not is_file_of_its_own(record):
            suffix, content = encoded_image(record)
            with written_whole(images / f"{name}.{suffix}") as part:
                part.write_bytes(content)
            yield Path(f"{name}.{suffix}")
        elif Path(str(record.image)).resolve().is_relative_to(images.resolve()):
            yield Path(str(record.image)).resolve().relative_to(images.resolve())
        else:
            file = images / f"{name}{Path(str(record.image)).suffix}"
            with written_whole(file) as part:
                shutil.copyfile(str(record.image), part)
            yield Path(file.name)


def _found(records: Sequence[Record], images: Path) -> Iterator[Path]:
    """Yield the path of each record's image in the folder `images`."""
    for index in range(len(records)):
        record = records[index]
        file = Path(str(record.image)).resolve() if is_file_of_its_own(record) else None
        if file is None or not file.is_relative_to(images.resolve()):
            raise ValueError(
                f"{record.name}: this image is not in {images}; without image_folder it is copied"
            )
        yield file.relative_to(images.resolve())


def _lines(record: Record, met: Counter[str]) -> Iterator[str]:
    """The lines of a record's objects."""
    sides = np.array([record.width, record.height], np.float64)
    for index, box in enumerate(record.boxes.astype(np.float64)):
        if record.crowd[index]:
            met[_CROWDS] += 1
            continue
        met[_KEYPOINTS] += record.keypoints is not None
        if record.masks is None:
            met[_BOXES] += 1
            values = np.array([(box[:2] + box[2:]) / 2, box[2:] - box[:2]])
        else:
            values, is_bridged = _ring(record.masks[index], record.height, record.width)
            met[_BRIDGED] += is_bridged
        numbers = " ".join(f"{value:.12g}" for value in _fractions(values, sides).ravel())
        yield f"{record.class_ids[index] - 1} {numbers}"


def _fractions(values: np.ndarray, sides: np.ndarray) -> np.ndarray:
    """Pixels as fractions of a side with 12 decimals, from which no fewer pixels come back.

    pycocotools rounds corners to fifths of a pixel, and what is in the middle of two to the upper one, as many corners
    are that people have drawn with one decimal.
    """
    fractions = np.ceil(values / sides * _DECIMALS) / _DECIMALS
    fractions = np.where(fractions * sides < values, fractions + 1 / _DECIMALS, fractions)
    return np.minimum(fractions, 1)


def _ring(segmentation: Any, height: int, width: int) -> tuple[np.ndarray, bool]:
    """One ring [V, 2] in pixels that is drawn as a segmentation, and whether it is several that are joined.

    Polygons are kept if that is possible: inside the image, and not overlapping, since what an even number of them
    encloses would be outside of the ring. Else the ring goes along the edges of pixels.
    """
    rle = segmentation_to_rle(segmentation, height, width)
    if not isinstance(segmentation, dict):
        rings = [np.reshape(polygon, (-1, 2)) for polygon in segmentation]
        points = np.concatenate(rings)
        ring = bridged(rings)
        is_inside = (points >= 0).all() and (points <= [width, height]).all()
        if is_inside and (len(rings) == 1 or draws([ring.ravel().tolist()], rle)):
            return ring, len(rings) > 1
    rings = [ring for part in mask_parts(rle) for ring in (part.outer, *part.holes)]
    return bridged(rings), len(rings) > 1
