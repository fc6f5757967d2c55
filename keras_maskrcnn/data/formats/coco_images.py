"""The images of a COCO file: their ids, files and sizes."""

import dataclasses
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from keras_maskrcnn.data.checks import collect_errors, error_prefix
from keras_maskrcnn.data.formats.image_paths import ImageFolder, find_images, note_of_moved
from keras_maskrcnn.images.io import image_size
from keras_maskrcnn.utils.counted import counted
from keras_maskrcnn.utils.ids import plain_id


@dataclasses.dataclass
class ImageRow:
    image_id: int | str
    path: str
    height: int
    width: int
    """-1 like the height until the file is asked."""


def images_by_id(
    rows: list[dict[str, Any]], folder: str | Path, met: list[str], notes: list[str]
) -> dict[int | str, ImageRow]:
    """Return the images of a file by their ids; files are found and asked for sizes that are missing.

    Args:
        rows: the file's "images".
        folder: that their "file_name" are relative to; "" where they are the files themselves.
        met: problems are added to it; images that have one are left out.
        notes: and to this what was not as the file says.
    """
    found = _files(rows, folder, met)
    images: dict[int | str, ImageRow] = {}
    for row in rows:
        name = row.get("file_name", row.get("id"))
        if isinstance(name, str) and name and name not in found:
            continue  # which is a problem already
        with collect_errors(met), error_prefix(f"image {name}"):
            image = _image(row, Path(folder), found)
            if image.image_id in images:
                raise ValueError(f"its id {image.image_id} occurs twice")
            images[image.image_id] = image
    notes += note_of_moved(found, folder)
    return _with_sizes(images, met, notes)


def _files(rows: list[dict[str, Any]], folder: str | Path, met: list[str]) -> dict[str, Path | None]:
    """Return where each file name leads; None where no file is."""
    said = dict.fromkeys(row["file_name"] for row in rows if isinstance(row.get("file_name"), str))
    names = [name for name in said if name]
    if folder == "":  # other readers have found their images
        return {name: Path(name) for name in names}
    return find_images(ImageFolder(folder), names, met)


def _image(row: dict[str, Any], folder: Path, found: dict[str, Path | None]) -> ImageRow:
    file_name = row.get("file_name")
    try:
        image_id = plain_id(row.get("id"))
    except ValueError:
        raise ValueError(f'"id" must be a number or a string; got {row.get("id")!r}') from None
    if not isinstance(file_name, str) or not file_name:
        raise ValueError('it has no "file_name"')
    path = str(found[file_name] or folder / file_name)
    return ImageRow(image_id, path, _side(row, "height"), _side(row, "width"))


def _side(row: dict[str, Any], key: str) -> int:
    """The height or width in pixels; -1 if the file has to tell."""
    value = row.get(key)
    if value is None:
        return -1
    try:
        side = int(plain_id(value))
    except ValueError:
        raise ValueError(f'"{key}" must be a whole number; got {value!r}') from None
    return side if side > 0 else -1


def _with_sizes(
    images: dict[int | str, ImageRow], met: list[str], notes: list[str]
) -> dict[int | str, ImageRow]:
    """Complete the sizes from the files, whose headers are read in threads; leave out those that cannot be read."""
    unknown = {key: image for key, image in images.items() if min(image.height, image.width) < 1}
    if not unknown:
        return images
    with ThreadPoolExecutor(16) as pool:
        sizes = dict(zip(unknown, pool.map(_size, unknown.values()), strict=True))
    for key, size in sizes.items():
        if isinstance(size, str):
            met.append(size)
        else:
            unknown[key].height, unknown[key].width = size
    notes.append(f"{counted(len(unknown), 'image')} without a size, which their files tell")
    return {key: image for key, image in images.items() if min(image.height, image.width) > 0}


def _size(image: ImageRow) -> tuple[int, int] | str:
    """The size of an image's file, or why it cannot be told."""
    try:
        return image_size(image.path)
    except (OSError, ValueError) as error:
        return str(error)
