"""YOLO's text files of segmentations (https://docs.ultralytics.com/datasets/segment)."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from keras_maskrcnn.data.checks import collect_errors, error_prefix
from keras_maskrcnn.data.formats.builder import CocoBuilder, listed
from keras_maskrcnn.data.formats.format import Format
from keras_maskrcnn.data.formats.yolo_names import YAML_SUFFIXES, find_names, read_names, refuse_keypoints
from keras_maskrcnn.data.formats.yolo_places import has_both, label_place, swapped
from keras_maskrcnn.data.formats.yolo_writer import write_yolo
from keras_maskrcnn.data.report import Records
from keras_maskrcnn.utils.counted import counted
from keras_maskrcnn.utils.files import image_files, is_hidden
from keras_maskrcnn.utils.text import read_text

_OVERHANG = 0.01
"""Fraction of an image's side by which an object may reach outside: tools round, and draw beyond edges."""


def load_yolo(
    label_folder: str | Path,
    image_folder: str | Path | None = None,
    class_names: Sequence[str] | None = None,
    label_names: Sequence[str] | str | Path | None = None,
    masks: bool = True,
    check_images: bool = True,
    problems: list[str] | None = None,
) -> tuple[Records, list[str]]:
    """Read a folder of YOLO's labels: a text file per image, a line per object.

    A line is the class's number from 0 and the polygon's points x1 y1 x2 y2 ... as fractions of the image's width and
    height; or, of an object without a mask, the number and the box's centre x, centre y, width, height. Such an object
    is left out, and reported, where others have masks. An image without a text file is one without objects. Labels
    with keypoints, of which data.yaml has kpt_shape, are refused. Objects that reach outside the image by at most a
    hundredth of its side are clipped and counted; those that reach farther are errors. Folders below are read, too.

    Args:
        label_folder: where the text files are; or the folder of the images under images/, or one that has both, which
            stand for it.
        image_folder: where the images are; left out: the folder of the same place under images/ instead of labels/.
        class_names: as in `load_coco`; left out: label_names.
        label_names: the classes by their numbers from 0, or the file that says them: data.yaml, or text with a name per
            line. Left out: such a file in label_folder, or in the two folders around it.
        masks, check_images, problems: as in `load_coco`.

    Returns:
        (records, class names), as `load_coco` does; `image_id` counts from 1.

    Raises:
        FileNotFoundError: there is no such folder.
        ValueError: nothing says the classes, the labels have keypoints or, without `problems`, anything is broken; the
            message names file, line and reason.

    Example:
        ```python
        import keras_maskrcnn as km
        import tempfile
        from pathlib import Path
        import numpy as np
        from PIL import Image

        folder = Path(tempfile.mkdtemp())
        for name in ("images", "labels"):
            (folder / name).mkdir()
        Image.fromarray(np.zeros((40, 60, 3), np.uint8)).save(folder / "images" / "a.png")
        (folder / "labels" / "a.txt").write_text("1 0.5 0.25 0.75 0.25 0.75 0.5")
        (folder / "data.yaml").write_text("names: [bolt, nut]")
        records, class_names = km.load_yolo(folder / "labels")
        print(class_names, records[0].boxes)  # ['bolt', 'nut'] [[30. 10. 45. 20.]]
        ```
    """
    labels = label_place(label_folder)
    builder = CocoBuilder(labels)
    image_folder = swapped(labels, "labels", "images") if image_folder is None else Path(image_folder)
    for folder in (labels, image_folder):
        if not folder.is_dir():
            raise FileNotFoundError(f"{folder}: there is no such folder")
    names_files = [labels / "classes.txt"]
    if isinstance(label_names, (str, Path)):
        names_files.append(Path(label_names))
    refuse_keypoints(labels, *names_files)
    own_names = _class_names(labels, label_names)
    images, caches = _images(image_folder)
    if caches:
        builder.notes.append(
            f"{counted(caches, '.npy file')} beside images of the same name left out, as caches"
        )
    texts = {image: labels / image.relative_to(image_folder).with_suffix(".txt") for image in images}
    _check_texts(builder, labels, texts, names_files)
    without = [image for image, text in texts.items() if not text.is_file()]
    if without:
        builder.notes.append(f"{len(without)} images have no text file: {listed(without)}")
    clipped = sum(
        _add_objects(builder, image, file, file.relative_to(labels).as_posix(), own_names)
        for image, file in texts.items()
    )
    if clipped:
        builder.notes.append(f"{counted(clipped, 'object')} reached a little outside the image and clipped")
    return builder.records(class_names, masks, check_images, problems, own_names)


def _class_names(labels: Path, given: Sequence[str] | str | Path | None) -> list[str]:
    if given is None:
        return find_names(labels)
    return read_names(given) if isinstance(given, (str, Path)) else list(given)


def _images(folder: Path) -> tuple[list[Path], int]:
    """The images in a folder and below, and how many files ultralytics' trainers have cached beside them as .npy."""
    below = sorted(path for path in folder.rglob("*") if path.is_dir() and not is_hidden(path, folder))
    found = [file for place in (folder, *below) for file in image_files(place)]
    others = {file.with_suffix("") for file in found if file.suffix != ".npy"}
    images = [file for file in found if file.suffix != ".npy" or file.with_suffix("") not in others]
    return images, len(found) - len(images)


def _check_texts(
    builder: CocoBuilder, labels: Path, texts: dict[Path, Path], names_files: list[Path]
) -> None:
    """Each text file but those of the names must be of one image."""
    others = {file.resolve() for file in names_files}
    images = Counter(texts.values())
    for file in sorted(labels.rglob("*.txt")):
        if images[file] != 1 and file.resolve() not in others and not is_hidden(file, labels):
            found = "several images have" if images[file] else "no image has"
            builder.problems.append(f"{file.relative_to(labels).as_posix()}: {found} this name")


def _add_objects(builder: CocoBuilder, image: Path, file: Path, name: str, class_names: list[str]) -> int:
    """Add an image and the objects in its text file, if there is one; return how many were clipped."""
    size = builder.add_image(image)
    clipped = 0
    if size is not None and file.is_file():
        with collect_errors(builder.problems), error_prefix(name):
            for number, line in enumerate(read_text(file).splitlines(), start=1):
                if line.strip():
                    where = f"line {number} of {name}"
                    clipped += _add(builder, where, image, line.split(), class_names, *size)
    return clipped


def _add(
    builder: CocoBuilder,
    name: str,
    image: Path,
    words: list[str],
    class_names: list[str],
    height: int,
    width: int,
) -> bool:
    """Add the object of a line; return whether it was clipped."""
    with collect_errors(builder.problems), error_prefix(name), error_prefix(f"image {image}"):
        values = _numbers(words)
        if values is None or not np.isfinite(values).all():
            raise ValueError(f"it must hold numbers only; got {' '.join(words[:6])}")
        number, places = values[0], np.array(values[1:])
        if not number.is_integer() or not 0 <= number < len(class_names):
            raise ValueError(f"its class must be a number from 0 to {len(class_names) - 1}; got {words[0]}")
        if len(places) < 4 or len(places) % 2:
            raise ValueError(
                f"behind the class there must be x and y of at least 3 points, or 4 numbers of a box; got {len(places)}"
            )
        sides = np.array([width, height])
        with np.errstate(
            over="ignore", invalid="ignore"
        ):  # what becomes infinite is refused with the polygon
            if len(places) == 4:
                center, half = places[:2] * sides, places[2:] * sides / 2
                points, segmentation = np.array([center - half, center + half]), None
                box = points.ravel()
            else:
                points = np.reshape(places, (-1, 2)) * sides
                segmentation = [points.ravel().tolist()]
                box = np.concatenate([points.min(axis=0), points.max(axis=0)])
        outside = max(-(box[:2] / sides).min(), (box[2:] / sides).max() - 1)
        clipped = 0 < outside <= _OVERHANG
        if clipped:
            box = box.clip(0, np.tile(sides, 2))
        builder.add_object(name, class_names[int(number)], segmentation, box.tolist())
        return bool(clipped)
    return False


def _numbers(words: list[str]) -> list[float] | None:
    try:
        return [float(word) for word in words]
    except ValueError:
        return None


def _looks_like(path: Path, content: Any) -> bool:
    """Whether a text file in the folder has a line of YOLO's: a whole number, and at least four more numbers.

    So is a YAML file, and a folder images/... beside such a folder labels/..., for which `label_place` knows better.
    """
    if path.suffix in YAML_SUFFIXES:
        return True
    if has_both(path):
        path = path / "labels"
    elif path.is_dir() and "images" in path.resolve().parts and not any(path.glob("*.txt")):
        path = swapped(path, "images", "labels")
    files = (file for file in path.glob("*.txt") if file.is_file()) if path.is_dir() else ()
    lines = (line for file in files for line in file.read_text("utf-8", errors="replace").splitlines())
    return any(_is_label(line.split()) for line in lines)


def _is_label(words: list[str]) -> bool:
    return len(words) >= 5 and words[0].isdecimal() and _numbers(words) is not None


FORMAT = Format(
    "yolo",
    "a folder of YOLO's text files",
    object_name="line",
    looks_like=_looks_like,
    load=load_yolo,
    write=write_yolo,
    options={"label_names": "the classes by their numbers, or the file that says them"},
)
