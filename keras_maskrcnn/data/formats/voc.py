"""Pascal VOC's segmentations of objects (http://host.robots.ox.ac.uk/pascal/VOC/voc2012/htmldoc)."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from keras_maskrcnn.data.checks import collect_errors, error_prefix
from keras_maskrcnn.data.formats.builder import CocoBuilder
from keras_maskrcnn.data.formats.format import Format
from keras_maskrcnn.data.formats.image_paths import ImageFolder
from keras_maskrcnn.data.formats.label_images import instances, read_labels
from keras_maskrcnn.data.report import Records
from keras_maskrcnn.masks.crop_paste import Region
from keras_maskrcnn.masks.rle import region_to_rle
from keras_maskrcnn.utils.files import IMAGE_SUFFIXES
from keras_maskrcnn.utils.text import read_text

VOC_CLASSES = (
    "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow", "diningtable", "dog",
    "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor",
)  # fmt: skip
VOID = 255
"""The line around objects, and what nobody wanted to decide."""
NAMES_FILE = "class_names.txt"


def load_voc(
    folder: str | Path,
    split: str | None = None,
    class_names: Sequence[str] | None = None,
    masks: bool = True,
    check_images: bool = True,
    problems: list[str] | None = None,
) -> tuple[Records, list[str]]:
    """Read SegmentationObject and SegmentationClass of a folder like VOCdevkit/VOC2012.

    An object is what has one value in the image's SegmentationObject; 0 is background, 255 the void around objects,
    which belongs to none. Its class is the value that most of it has in SegmentationClass.

    Args:
        folder: with SegmentationObject, SegmentationClass and JPEGImages.
        split: "train", "val" or another list in ImageSets/Segmentation; left out: all of SegmentationObject.
        class_names: as in `load_coco`; left out: the names of the values from 1 on, which class_names.txt in the folder
            lists, a line each, the background before them (as labelme writes it); without one, VOC's 20 classes.
        masks, check_images, problems: as in `load_coco`.

    Returns:
        (records, class names), as `load_coco` does; `image_id` counts from 1.

    Raises:
        FileNotFoundError: there is no such folder or split.
        ValueError: without `problems`, anything is broken; the message names file, object and reason.

    Example:
        ```python
        import keras_maskrcnn as km
        import tempfile
        from pathlib import Path
        import numpy as np
        from PIL import Image

        folder = Path(tempfile.mkdtemp())
        labels = np.zeros((40, 60), np.uint8)
        labels[5:15, 10:30] = 1
        for name, pixels, suffix in (
            ("JPEGImages", np.zeros((40, 60, 3), np.uint8), "jpg"),
            ("SegmentationObject", labels, "png"),
            ("SegmentationClass", 12 * labels, "png"),  # the twelfth of VOC's classes
        ):
            (folder / name).mkdir()
            Image.fromarray(pixels).save(folder / name / f"a.{suffix}")
        records, class_names = km.load_voc(folder)
        print(class_names[records[0].class_ids[0] - 1], records[0].boxes)  # dog [[10. 5. 30. 15.]]
        ```
    """
    builder, root = CocoBuilder(folder), Path(folder)
    for name in ("SegmentationObject", "SegmentationClass", "JPEGImages"):
        if not (root / name).is_dir():
            raise FileNotFoundError(f"{root / name}: there is no such folder")
    own_names = _own_names(root)
    if not (root / NAMES_FILE).is_file():
        builder.notes.append(f"classes are VOC's 20, since there is no {NAMES_FILE}")
    images = ImageFolder(root / "JPEGImages")
    for stem in _stems(root, split):
        with collect_errors(builder.problems), error_prefix(stem):
            objects = read_labels(root / "SegmentationObject" / f"{stem}.png")
            classes = read_labels(root / "SegmentationClass" / f"{stem}.png")
            if objects.shape != classes.shape:
                raise ValueError("its images of objects and of classes have different sizes")
            builder.add_image(_image(images, stem), objects.shape)
            if objects.max(initial=0) <= VOID:  # in files of 16 bits it is an object like others
                objects = np.where(objects == VOID, 0, objects)
            for value, region in instances(objects):
                name = f"object {value} of {stem}"
                with collect_errors(builder.problems), error_prefix(name):
                    class_name = _class(_under(region, classes), own_names)
                    builder.add_object(name, class_name, region_to_rle(region, *objects.shape))
    return builder.records(class_names, masks, check_images, problems, own_names)


def _own_names(root: Path) -> list[str]:
    file = root / NAMES_FILE
    if not file.is_file():
        return list(VOC_CLASSES)
    lines = _lines(file)
    names = [line for line in lines if line != "__ignore__"][1:]
    if not names:
        raise ValueError(f"{file}: there are no classes behind the first line, which is the background")
    return names


def _stems(root: Path, split: str | None) -> list[str]:
    if split is None:
        return sorted(file.stem for file in (root / "SegmentationObject").glob("*.png"))
    file = root / "ImageSets" / "Segmentation" / f"{split}.txt"
    if not file.is_file():
        raise FileNotFoundError(f"{file}: there is no such split")
    stems = _lines(file)
    twice = [stem for stem, times in Counter(stems).items() if times > 1]
    if twice:
        raise ValueError(f"{file}: {twice[0]} occurs twice")
    return stems


def _lines(file: Path) -> list[str]:
    with error_prefix(str(file)):
        return [line.strip() for line in read_text(file).splitlines() if line.strip()]


def _image(images: ImageFolder, stem: str) -> Path:
    """The image of this name, usually a .jpg."""
    found = (images.find(f"{stem}{suffix}") for suffix in IMAGE_SUFFIXES)
    return next(filter(None, found), images.folder / f"{stem}{IMAGE_SUFFIXES[0]}")


def _under(region: Region, classes: np.ndarray) -> np.ndarray:
    """The values [N] of the pixels of a region."""
    part, left, top = region
    return classes[top : top + part.shape[0], left : left + part.shape[1]][part]


def _class(values: np.ndarray, names: list[str]) -> str:
    """The class of an object by the values of its pixels [N]."""
    counts = np.bincount(values[values != VOID], minlength=1)
    value = int(counts.argmax())
    if value == 0 or 2 * counts[value] <= len(values):
        found = ", ".join(map(str, np.flatnonzero(counts)))
        raise ValueError(
            f"most of it must be one class in SegmentationClass; it has the values {found or 'void'}"
        )
    if value > len(names):
        raise ValueError(
            f"its value {value} in SegmentationClass has no name; there are {len(names)} classes"
        )
    return names[value - 1]


def _folder(path: Path) -> Path:
    """The dataset's folder, also of one of its files ImageSets/Segmentation/*.txt."""
    return path if path.is_dir() or len(path.absolute().parents) < 3 else path.absolute().parents[2]


def _looks_like(path: Path, content: Any) -> bool:
    return (path.is_dir() or path.suffix == ".txt") and (_folder(path) / "SegmentationObject").is_dir()


def _load(annotations: str | Path, images: str | Path | None, **options: Any) -> tuple[Records, list[str]]:
    if images is not None:
        raise ValueError(
            f"{annotations}: voc annotations have their images in JPEGImages; got {images} (--images)"
        )
    path = Path(annotations)
    return load_voc(_folder(path), None if path.is_dir() else path.stem, **options)


FORMAT = Format("voc", "a folder like VOC2012", object_name="object", looks_like=_looks_like, load=_load)
