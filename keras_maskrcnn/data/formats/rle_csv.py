"""CSV files of run lengths, as contests give them: a row per object, with its image and the runs of its pixels."""

import csv
import io
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from keras_maskrcnn.data.checks import collect_errors, error_prefix
from keras_maskrcnn.data.formats.builder import ONE_CLASS, CocoBuilder, listed
from keras_maskrcnn.data.formats.format import Format
from keras_maskrcnn.data.formats.images_by_name import ImagesByName
from keras_maskrcnn.data.formats.mask_files import IMAGES, own_image
from keras_maskrcnn.data.report import Records
from keras_maskrcnn.masks.segmentation_checks import shown
from keras_maskrcnn.utils.counted import counted
from keras_maskrcnn.utils.files import image_files
from keras_maskrcnn.utils.text import read_text

IMAGE, RUNS, CLASS = "ImageId", "EncodedPixels", "ClassId"
SIZE = "Height", "Width"
USAGE, IGNORED = "Usage", "ignored"
"""The column that says in which of the contest's scores an image counts, and what it says of those that do not."""

Row = dict[str, str]


def load_rle_csv(
    annotation_file: str | Path,
    image_folder: str | Path,
    class_names: Sequence[str] | None = None,
    class_key: str | None = None,
    masks: bool = True,
    check_images: bool = True,
    problems: list[str] | None = None,
) -> tuple[Records, list[str]]:
    """Read a CSV file of run lengths, such as stage1_solution.csv of the 2018 Data Science Bowl.

    Each row is an object: "ImageId" names its image, and "EncodedPixels" are pairs of numbers, the first pixel of a run
    and its length, where pixels are counted from 1, down the first column, then down the next. Rows without any are of
    images without objects. Where there are "Height" and "Width", they must be those of the image. Images whose "Usage"
    is "Ignored" are left out, and so are those without a row; the report says how many.

    Args:
        annotation_file: the CSV, with the names of its columns in the first row.
        image_folder: where the images are: ImageId, with an ending or without it, or in a folder ImageId/images.
        class_names: as in `load_coco`; left out: the classes that the file has, sorted.
        class_key: the column that tells the class; left out: "ClassId", if there is one, or else all objects are of the
            one class of class_names, or "object".
        masks, check_images, problems: as in `load_coco`.

    Returns:
        (records, class names), as `load_coco` does; `image_id` counts from 1.

    Raises:
        FileNotFoundError: there is no such file or folder.
        ValueError: a column is missing or, without `problems`, anything is broken; the message names file, row, image
            and reason.

    Example:
        ```python
        import keras_maskrcnn as km
        import tempfile
        from pathlib import Path
        import numpy as np
        from PIL import Image

        folder = Path(tempfile.mkdtemp())
        Image.fromarray(np.zeros((40, 60, 3), np.uint8)).save(folder / "a.png")
        # columns 1 and 2 (from 0), rows 5 to 14
        (folder / "train.csv").write_text("ImageId,EncodedPixels\\na,46 10 86 10\\n")
        records, class_names = km.load_rle_csv(folder / "train.csv", folder, class_names=["nucleus"])
        print(records[0].boxes)  # [[ 1.  5.  3. 15.]]
        ```
    """
    builder, folder = CocoBuilder(annotation_file), Path(image_folder)
    one_class = class_names[0] if class_names is not None and len(class_names) == 1 else ONE_CLASS
    with error_prefix(builder.source):
        columns, rows = _rows(annotation_file)
        if class_key is not None and class_key not in columns:
            raise ValueError(f"it has no column {class_key} (class_key), but {', '.join(columns)}")
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder}: there is no such folder")
    key = CLASS if class_key is None and CLASS in columns else class_key
    images, used = ImagesByName(folder), set()
    for name, numbered in _by_image(rows, builder).items():
        with collect_errors(builder.problems), error_prefix(f"image {name}"):
            image = _image(images, name)
            used.add(image)
            _add_objects(builder, image, name, numbered, key, one_class)
    _note_unused(builder, folder, used)
    return builder.records(class_names, masks, check_images, problems)


def _rows(path: str | Path) -> tuple[list[str], list[Row]]:
    """The names of the columns, and the rows as text."""
    text = read_text(path)
    before = csv.field_size_limit(len(text) + 1)  # large objects have long runs
    try:
        header, *lines = csv.reader(io.StringIO(text), strict=True)
    except (csv.Error, ValueError) as error:
        raise ValueError(f"this is no CSV with a row of names: {error}") from None
    finally:
        csv.field_size_limit(before)
    columns = [name.strip() for name in header]
    for name in (IMAGE, RUNS):
        if name not in columns:
            raise ValueError(f"it has no column {name}, but {', '.join(columns)}")
    return columns, [_row(columns, line) for line in lines]


def _row(columns: Sequence[str], line: Sequence[str]) -> Row:
    return dict(zip(columns, [cell.strip() for cell in line] + [""] * len(columns), strict=False))


def _by_image(rows: Sequence[Row], builder: CocoBuilder) -> dict[str, list[tuple[int, Row]]]:
    """The rows of each image with their numbers, of which the names of the columns have the first."""
    found: dict[str, list[tuple[int, Row]]] = {}
    ignored = set()
    for number, row in enumerate(rows, start=2):
        if not any(row.values()):
            continue
        if not row[IMAGE]:
            builder.problems.append(f"row {number}: it has no {IMAGE}")
        elif row.get(USAGE, "").casefold() == IGNORED:
            ignored.add(row[IMAGE])
        else:
            found.setdefault(row[IMAGE], []).append((number, row))
    if ignored:
        builder.notes.append(f"left out: {counted(len(ignored), 'image')} ignored in the scores")
    return found


def _image(images: ImagesByName, name: str) -> Path:
    """The file of an image.

    Raises:
        FileNotFoundError, ValueError: there is none, or there are several.
    """
    if Path(name).name != name or name == os.pardir:
        raise ValueError(f"{IMAGE} must be the name of a file; got {shown(name)}")
    place = images.folder / name
    if os.path.isdir(place):
        return own_image(place)
    if os.path.isfile(place):
        return place
    found = images.find(name)
    if found is None:
        raise FileNotFoundError(f"{place}: there is no image of this name, with any ending, nor a folder")
    return found


def _add_objects(
    builder: CocoBuilder,
    image: Path,
    name: str,
    numbered: Sequence[tuple[int, Row]],
    key: str | None,
    one_class: str,
) -> None:
    size = builder.add_image(image, _size([row for _, row in numbered]))
    if size is None:
        return
    for number, row in numbered:
        title = f"row {number} of {name}"
        with collect_errors(builder.problems), error_prefix(title):
            if not row[RUNS]:
                continue
            class_name = row[key] if key is not None else one_class
            if not class_name:
                raise ValueError(f"its {key} is empty")
            builder.add_object(title, class_name, _rle(row[RUNS], *size))


def _size(rows: Sequence[Row]) -> tuple[int, int] | None:
    """(height, width) in the rows of an image; None where the image has to tell."""
    sizes = {(row[SIZE[0]], row[SIZE[1]]) for row in rows if all(row.get(name) for name in SIZE)}
    if len(sizes) > 1:
        raise ValueError(
            f"its rows have several sizes: {' and '.join(' x '.join(size) for size in sorted(sizes))}"
        )
    for size in sizes:
        if not all(side.isdecimal() and 0 < int(side) < 2**31 for side in size):
            raise ValueError(f"{' and '.join(SIZE)} must be whole numbers from 1; got {' and '.join(size)}")
        return int(size[0]), int(size[1])
    return None


def _rle(text: str, height: int, width: int) -> dict[str, Any]:
    """The runs of a row, which lie as COCO's do: column by column."""
    words = text.split()
    if len(words) % 2 or not all(word.isascii() and word.isdecimal() and len(word) < 16 for word in words):
        raise ValueError(
            f"{RUNS} must be pairs of whole numbers, first pixels and lengths; got {shown(text)}"
        )
    starts, lengths = np.array(words, np.int64).reshape(-1, 2).T
    order = np.argsort(starts)
    starts, ends = starts[order] - 1, (starts + lengths)[order] - 1
    if starts[0] < 0 or lengths.min() < 1:
        raise ValueError(f"{RUNS} count pixels from 1, and lengths are at least 1; got {shown(text)}")
    if ends.max() > height * width:
        raise ValueError(
            f"{RUNS} end at pixel {ends.max()}; the image, {width} x {height}, has {height * width}"
        )
    if (starts[1:] < ends[:-1]).any():
        raise ValueError(f"{RUNS} have a pixel twice; got {shown(text)}")
    apart = starts[1:] > ends[:-1]  # or the next run goes on where one ends
    edges = np.stack([starts[np.append(True, apart)], ends[np.append(apart, True)]], axis=1).ravel()
    counts = np.diff(edges, prepend=0, append=height * width)
    return {"size": [height, width], "counts": (counts if counts[-1] else counts[:-1]).tolist()}


def _note_unused(builder: CocoBuilder, folder: Path, used: set[Path]) -> None:
    own = [
        file for place in sorted(folder.glob(f"*/{IMAGES}")) if place.is_dir() for file in image_files(place)
    ]
    unused = [file for file in [*image_files(folder), *own] if file not in used]
    if unused:
        builder.notes.append(f"left out: {counted(len(unused), 'image')} without a row ({listed(unused)})")


def _looks_like(path: Path, content: Any) -> bool:
    """Whether the first line of a CSV file names the columns."""
    if path.suffix.lower() != ".csv" or not path.is_file():
        return False
    with path.open(encoding="utf-8-sig", errors="replace") as file:
        names = {name.strip(' "') for name in file.readline(10_000).strip().split(",")}
    return {IMAGE, RUNS} <= names


FORMAT = Format(
    "rle-csv",
    "a CSV file of run lengths (ImageId, EncodedPixels)",
    object_name="row",
    looks_like=_looks_like,
    load=load_rle_csv,
    needs_images=True,
    options={"class_key": "the column that tells the class (default: ClassId, if there is one)"},
)
