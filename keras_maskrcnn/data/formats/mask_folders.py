"""Folders of instance masks: one label image per image, or a folder of mask files per image."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from keras_maskrcnn.data.checks import collect_errors, error_prefix
from keras_maskrcnn.data.formats.builder import ONE_CLASS, CocoBuilder, note_unused
from keras_maskrcnn.data.formats.format import Format
from keras_maskrcnn.data.formats.images_by_name import ImagesByName
from keras_maskrcnn.data.formats.label_doubts import LabelDoubts
from keras_maskrcnn.data.formats.label_images import instances, read_labels
from keras_maskrcnn.data.formats.mask_files import (
    IMAGES,
    folders_in,
    has_own_images,
    read_mask_files,
)
from keras_maskrcnn.data.report import Records
from keras_maskrcnn.masks.segmentation_checks import shown
from keras_maskrcnn.utils.files import image_files
from keras_maskrcnn.utils.text import read_json

CLASSES_FILE = "classes.json"
MASK_FOLDERS = ("masks", "labels")
"""What the folder of the masks is called that lies beside one of images."""
SUFFIXES = ("", "_mask", "_masks", "_cp_masks")
"""What is known to stand behind an image's name in its label image's; the last is Cellpose's."""


def load_masks(
    mask_folder: str | Path,
    image_folder: str | Path | None = None,
    class_names: Sequence[str] | None = None,
    classes: Mapping[Any, Any] | str | Path | None = None,
    class_key: str | None = None,
    masks: bool = True,
    check_images: bool = True,
    problems: list[str] | None = None,
    mask_suffix: str | None = None,
) -> tuple[Records, list[str]]:
    """Read instance masks from image files (PNG, TIFF, BMP, .npy; 1 to 32 bits; palettes by their values).

    Either there is one label image per image, of the same name or with "_mask", "_masks" or "_cp_masks" behind it: 0 is
    background, and the pixels of any other value are one object. Or there is a folder per image, in which each file is
    the mask of one object: 0, and one other value. Masks without objects and empty folders are images without objects.
    Images without a mask are left out, and the report says how many. It warns of label images with soft edges, of
    backgrounds that are not 0, of objects that are mostly in several pieces, and of mask files that overlap.

    The folders of the 2018 Data Science Bowl are such folders, ID/images/ID.png and ID/masks/*.png, and so are the
    images and masks of other sources that are laid out in this way: `load_masks("stage1_train")`.

    Args:
        mask_folder: where the masks are. Folders of images may have their masks in a subfolder "masks", and the
            image in one called "images".
        image_folder: where the images are; left out: in these subfolders, or else in a folder "images" of mask_folder,
            beside the masks in one called "masks" or "labels".
        class_names: as in `load_coco`; left out: the classes found, sorted.
        classes: of label images, the class of each value, the same for all images ({1: "cat", 2: "dog"}) or by the
            name of the image ({"street": {1: "cat"}}); or a JSON file of this. Left out: classes.json in mask_folder,
            if it is there.
        class_key: of mask files, what tells the class: "file" (cat_1.png is a cat) or "folder" (cat/1.png, in the
            image's folder). Left out: the folders, if there are any. Without classes all objects are of the one class
            of class_names, or "object".
        masks, check_images, problems: as in `load_coco`.
        mask_suffix: of label images, what stands behind the image's name in theirs; left out: any of those above, or
            nothing.

    Returns:
        (records, class names), as `load_coco` does; `image_id` counts from 1.

    Raises:
        FileNotFoundError: there is no such folder.
        ValueError: there are no masks or, without `problems`, anything is broken; the message names file and reason.

    Example:
        ```python
        import keras_maskrcnn as km
        import tempfile
        from pathlib import Path
        import numpy as np
        from PIL import Image

        folder = Path(tempfile.mkdtemp())
        for name in ("images", "masks"):
            (folder / name).mkdir()
        Image.fromarray(np.zeros((40, 60, 3), np.uint8)).save(folder / "images" / "a.png")
        labels = np.zeros((40, 60), np.uint8)
        labels[5:15, 10:30], labels[20:30, 40:50] = 1, 2
        Image.fromarray(labels).save(folder / "masks" / "a.png")
        records, class_names = km.load_masks(folder / "masks", folder / "images", classes={1: "bolt", 2: "nut"})
        print(class_names, records[0].boxes)  # ['bolt', 'nut'] [[10. 5. 30. 15.] [40. 20. 50. 30.]]
        ```
    """
    builder = CocoBuilder(mask_folder)
    folder, beside = _places(Path(mask_folder), None if image_folder is None else Path(image_folder))
    one_class = class_names[0] if class_names is not None and len(class_names) == 1 else ONE_CLASS
    suffixes = SUFFIXES if mask_suffix is None else (mask_suffix,)
    label_images, folders = _label_images(folder, beside, suffixes), folders_in(folder)
    images = None if beside is None else _Images(beside, label_images)
    if bool(label_images) == bool(folders):
        found = (
            "both label images and folders of masks"
            if folders
            else "neither label images nor folders of masks"
        )
        raise ValueError(f"{folder}: there are {found}")
    doubts = LabelDoubts()
    with error_prefix(builder.source):
        if label_images:
            if images is None:
                raise ValueError("label images need the folder of their images (--images)")
            if class_key is not None:
                raise ValueError("class_key is for folders of mask files; label images have classes")
            named = _Classes(_classes(classes, folder), one_class)
            _read_label_images(builder, label_images, images, named, suffixes, doubts)
        else:
            if classes is not None:
                raise ValueError("classes is for label images; folders of mask files have class_key")
            if mask_suffix is not None:
                raise ValueError(
                    "mask_suffix is for label images; folders of mask files have the image's name"
                )
            read_mask_files(
                builder, folders, None if images is None else images.find, class_key, one_class, doubts
            )
    builder.warnings.extend(doubts.warnings())
    if images is not None:
        note_unused(builder, [images.folder], images.used)
    return builder.records(class_names, masks, check_images, problems)


def _places(masks: Path, images: Path | None) -> tuple[Path, Path | None]:
    """The folders of the masks and of the images; None where each folder of masks has its own image.

    Raises:
        FileNotFoundError: there is no such folder.
    """
    for one in (masks, images):
        if one is not None and not one.is_dir():
            raise FileNotFoundError(f"{one}: there is no such folder")
    if images is None and (inner := _inner_masks(masks)) is not None:
        return inner, masks / IMAGES
    return masks, images


def _inner_masks(folder: Path) -> Path | None:
    """The folder of the masks in a folder that has one of images, too."""
    found = [folder / name for name in MASK_FOLDERS if (folder / name).is_dir()]
    return found[0] if len(found) == 1 and (folder / IMAGES).is_dir() else None


def _has_images(folder: Path) -> bool:
    return folder.is_dir() and (_inner_masks(folder) is not None or has_own_images(folder))


class _Images:
    """The images in a folder by their names, each of which has one mask, and which files there are in use."""

    def __init__(self, folder: Path, masks: list[Path]) -> None:
        self.folder = folder
        self.used = {file.resolve() for file in masks}
        self._names = ImagesByName(folder, frozenset(self.used))

    def find(self, *stems: str) -> Path:
        found = self._names.find(*stems)
        if found is None:
            raise FileNotFoundError(
                f"{self.folder / stems[0]}: there is no image of this name, with any ending; a label image has its "
                f"image's name, perhaps with {', '.join(SUFFIXES[1:])} or mask_suffix (--mask-suffix) behind it"
            )
        if found.resolve() in self.used:
            raise ValueError(f"{found}: two masks are of this image")
        self.used.add(found.resolve())
        return found


def _label_images(folder: Path, images: Path | None, suffixes: Sequence[str]) -> list[Path]:
    """The label images; those beside their images have a suffix behind their names."""
    beside = images is not None and folder.resolve() == images.resolve()
    known = tuple(suffix for suffix in suffixes if suffix)
    return [file for file in image_files(folder) if not beside or file.stem.endswith(known)]


def _classes(classes: Any, folder: Path) -> Mapping[str, Any] | None:
    """The classes by values, or by images and values, the values as text."""
    file = folder / CLASSES_FILE if classes is None else classes
    if classes is None and not file.is_file():
        return None
    if isinstance(file, (str, Path)):
        with error_prefix(str(file)):
            classes = read_json(file)
    if not isinstance(classes, Mapping) or not classes:
        raise ValueError(f"classes must be a mapping of values to names; got {shown(classes)}")
    return {
        str(key): {str(inner): name for inner, name in value.items()} if isinstance(value, Mapping) else value
        for key, value in classes.items()
    }


class _Classes(NamedTuple):
    """What tells the classes of label images."""

    named: Mapping[str, Any] | None
    """By values, or by images and values; None where all are of one class."""
    one: str

    def of(self, image: Path, value: int) -> str:
        if self.named is None:
            return self.one
        by_image = self.named.get(image.stem, self.named.get(image.name))
        name = (by_image if isinstance(by_image, Mapping) else self.named).get(str(value))
        if not isinstance(name, str) or not name:
            raise ValueError(f"classes has no name for it; got {shown(name)}")
        return name


def _read_label_images(
    builder: CocoBuilder,
    files: list[Path],
    images: _Images,
    classes: _Classes,
    suffixes: Sequence[str],
    doubts: LabelDoubts,
) -> None:
    for file in files:
        with collect_errors(builder.problems):
            stems = [file.stem.removesuffix(suffix) for suffix in suffixes if file.stem.endswith(suffix)]
            if not stems:
                raise ValueError(f"{file}: its name does not end in {suffixes[0]}")
            image = images.find(*stems)
            labels = read_labels(file)
            builder.add_image(image, labels.shape)
            regions = dict(instances(labels))
            doubts.add_image(file, labels, regions)
            for value, region in regions.items():
                name = f"value {value} of {file.name}"
                with collect_errors(builder.problems), error_prefix(name):
                    builder.add_region(name, classes.of(image, value), region)


def _looks_like(path: Path, content: Any) -> bool:
    """Whether there are images in a folder, or in one or two folders below."""
    if not path.is_dir():
        return False
    places = [path, *(place for pattern in ("*", "*/*") for place in path.glob(pattern) if place.is_dir())]
    return any(image_files(place) for place in places)


FORMAT = Format(
    "masks",
    "a folder of mask images (also the 2018 Data Science Bowl's, with their images)",
    object_name="value",
    looks_like=_looks_like,
    load=load_masks,
    needs_images=True,
    has_images=_has_images,
    options={
        "class_key": '"file" (cat_1.png) or "folder" (cat/1.png)',
        "classes": "the class of each value of label images, or a JSON file of this",
        "mask_suffix": "what stands behind the image's name in its label image's (default: nothing, "
        "_mask, _masks or _cp_masks)",
    },
    last_resort=True,  # images lie beside the annotations of other formats as well
)
