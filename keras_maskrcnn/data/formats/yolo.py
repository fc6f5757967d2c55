"""YOLO's text files of segmentations (https://docs.ultralytics.com/datasets/segment)."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from keras_maskrcnn.data.checks import collect_errors, error_prefix
from keras_maskrcnn.data.formats.builder import CocoBuilder, listed
from keras_maskrcnn.data.formats.format import Format
from keras_maskrcnn.data.formats.yolo_names import find_names, read_names, refuse_keypoints
from keras_maskrcnn.data.report import Records
from keras_maskrcnn.utils.files import image_files
from keras_maskrcnn.utils.text import read_text


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
    with keypoints, of which data.yaml has kpt_shape, are refused.

    Args:
        label_folder: where the text files are.
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
    builder, labels = CocoBuilder(label_folder), Path(label_folder)
    image_folder = _images_of(labels) if image_folder is None else Path(image_folder)
    for folder in (labels, image_folder):
        if not folder.is_dir():
            raise FileNotFoundError(f"{folder}: there is no such folder")
    names_files = [labels / "classes.txt"]
    if isinstance(label_names, (str, Path)):
        names_files.append(Path(label_names))
    refuse_keypoints(labels, *names_files)
    if label_names is None:
        own_names = find_names(labels)
    else:
        own_names = read_names(label_names) if isinstance(label_names, (str, Path)) else list(label_names)
    images = _images(image_folder)
    _check_stems(builder, labels, images, names_files)
    without = [image for image in images if not (labels / f"{image.stem}.txt").is_file()]
    if without:
        builder.notes.append(f"{len(without)} images have no text file: {listed(without)}")
    for image in images:
        file = labels / f"{image.stem}.txt"
        size = builder.add_image(image)
        if size is None or not file.is_file():
            continue
        with collect_errors(builder.problems), error_prefix(file.name):
            lines = read_text(file).splitlines()
            for number, line in enumerate(lines, start=1):
                if line.strip():
                    _add(builder, f"line {number} of {file.name}", line.split(), own_names, *size)
    return builder.records(class_names, masks, check_images, problems, own_names)


def _images_of(labels: Path) -> Path:
    parts = labels.resolve().parts
    if "labels" not in parts:
        raise ValueError(
            f"{labels}: there is no folder labels in this path, so the folder of the images must be given"
        )
    last = len(parts) - 1 - parts[::-1].index("labels")
    return Path(*parts[:last], "images", *parts[last + 1 :])


def _images(folder: Path) -> list[Path]:
    """The images, without what ultralytics' trainers cache beside them as .npy."""
    found = image_files(folder)
    others = {file.stem for file in found if file.suffix != ".npy"}
    return [file for file in found if file.suffix != ".npy" or file.stem not in others]


def _check_stems(builder: CocoBuilder, labels: Path, images: list[Path], names_files: list[Path]) -> None:
    """Each text file but those of the names must be of one image."""
    others = {file.resolve() for file in names_files}
    stems = Counter(image.stem for image in images)
    for file in sorted(labels.glob("*.txt")):
        if stems[file.stem] != 1 and file.resolve() not in others:
            found = "several images have" if stems[file.stem] else "no image has"
            builder.problems.append(f"{file.name}: {found} this name")


def _add(
    builder: CocoBuilder, name: str, words: list[str], class_names: list[str], height: int, width: int
) -> None:
    with collect_errors(builder.problems), error_prefix(name):
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
        class_name = class_names[int(number)]
        if len(places) == 4:
            cx, cy, w, h = places * [width, height, width, height]
            box = [cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2]
            builder.add_object(name, class_name, None, box)
        else:
            with np.errstate(over="ignore"):  # what becomes infinite is refused with the polygon
                points = np.reshape(places, (-1, 2)) * [width, height]
            builder.add_object(name, class_name, [points.ravel().tolist()])


def _numbers(words: list[str]) -> list[float] | None:
    try:
        return [float(word) for word in words]
    except ValueError:
        return None


def _looks_like(path: Path, content: Any) -> bool:
    """Whether a text file in the folder has a line of YOLO's: a whole number, and at least four more numbers."""
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
    options={"label_names": "the classes by their numbers, or the file that says them"},
)
