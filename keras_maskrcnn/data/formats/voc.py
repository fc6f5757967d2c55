"""Pascal VOC's segmentations of objects (http://host.robots.ox.ac.uk/pascal/VOC/voc2012/htmldoc)."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from keras_maskrcnn.data.checks import collect_errors, error_prefix
from keras_maskrcnn.data.formats.builder import CocoBuilder, listed
from keras_maskrcnn.data.formats.format import Format
from keras_maskrcnn.data.formats.image_paths import ImageFolder
from keras_maskrcnn.data.formats.label_images import LabelImage, instances, read_label_image
from keras_maskrcnn.data.formats.voc_names import (
    COLORS_FILE,
    NAMES_FILE,
    VOC_CLASSES,
    VocNames,
    read_voc_names,
)
from keras_maskrcnn.data.report import Records
from keras_maskrcnn.masks.rle import Region
from keras_maskrcnn.utils.counted import counted
from keras_maskrcnn.utils.files import IMAGE_SUFFIXES
from keras_maskrcnn.utils.text import read_text

VOID = {"byte": 255, "color": 0xE0E0C0}
"""The line around objects, and what nobody wanted to decide: as a number, and as the colour of that number."""


def load_voc(
    folder: str | Path,
    split: str | None = None,
    class_names: Sequence[str] | None = None,
    masks: bool = True,
    check_images: bool = True,
    problems: list[str] | None = None,
) -> tuple[Records, list[str]]:
    """Read SegmentationObject and SegmentationClass of a folder like VOCdevkit/VOC2012.

    An object is what has one value or colour in the image's SegmentationObject; 0 (black) is background. 255 in files
    of 8 bits, or its colour 224,224,192 in those of colours, is the void around objects, which belongs to none. Its
    class is the value or colour that most of it has in SegmentationClass. An image without either file has no objects.

    Args:
        folder: with SegmentationObject, SegmentationClass and JPEGImages.
        split: "train", "val" or another list in ImageSets/Segmentation; left out: all of SegmentationObject.
        class_names: as in `load_coco`; left out: the names of the values from 1 on, which class_names.txt in the folder
            lists, a line each, the background before them (as labelme writes it), or the names and colours in
            labelmap.txt (as CVAT and datumaro write it); without one, VOC's 20 classes.
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
    own = read_voc_names(root)
    if own is None:
        own = VocNames(list(VOC_CLASSES))
        builder.notes.append(f"classes are VOC's 20, since there is no {NAMES_FILE} and no {COLORS_FILE}")
    empty, images = [], ImageFolder(root / "JPEGImages")
    for stem in _stems(root, split):
        with collect_errors(builder.problems), error_prefix(stem):
            objects, classes = (root / f"Segmentation{of}" / f"{stem}.png" for of in ("Object", "Class"))
            image = _image(images, stem)
            if objects.exists() or classes.exists():
                _add_objects(builder, stem, image, read_label_image(objects), read_label_image(classes), own)
            elif builder.add_image(image) is not None:
                empty.append(image)
    if empty:
        builder.notes.append(
            f"{counted(len(empty), 'image')} without label images have no objects: {listed(empty)}"
        )
    return builder.records(class_names, masks, check_images, problems, own.names)


def _add_objects(
    builder: CocoBuilder, stem: str, image: Path, objects: LabelImage, classes: LabelImage, names: VocNames
) -> None:
    shape = objects.labels.shape
    if shape != classes.labels.shape:
        raise ValueError("its images of objects and of classes have different sizes")
    builder.add_image(image, shape)
    # In files of 16 bits 255 is an object like others.
    labels = np.where(objects.labels == VOID.get(objects.kind, 0), 0, objects.labels)
    for value, region in instances(labels):
        name = f"object {value} of {stem}"
        with collect_errors(builder.problems), error_prefix(name):
            class_name = _class(_under(region, classes.labels), VOID.get(classes.kind, 0), names)
            builder.add_region(name, class_name, region)


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


def _class(pixels: np.ndarray, void: int, names: VocNames) -> str:
    """The class of an object by the values of its pixels [N]."""
    values, counts = np.unique(pixels[(pixels != void) | (pixels == 0)], return_counts=True)
    value = int(values[counts.argmax()]) if len(values) else 0
    if value == 0 or 2 * counts.max() <= len(pixels):
        found = ", ".join(map(str, values[:10].tolist()))
        raise ValueError(
            f"most of it must be one class in SegmentationClass; it has the values {found or 'void'}"
        )
    return names.of(value)


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
