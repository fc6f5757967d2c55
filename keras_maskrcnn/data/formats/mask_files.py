"""Mask files: a folder per image, in which each file is the mask of one object.

So are the images of the 2018 Data Science Bowl: ID/images/ID.png, and ID/masks/*.png, of which no two overlap.
"""

import re
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np

from keras_maskrcnn.data.checks import collect_errors, error_prefix
from keras_maskrcnn.data.formats.builder import CocoBuilder
from keras_maskrcnn.data.formats.label_doubts import LabelDoubts
from keras_maskrcnn.data.formats.label_images import read_labels
from keras_maskrcnn.masks.rle import Region, mask_region
from keras_maskrcnn.utils.files import image_files

IMAGES, MASKS = "images", "masks"
"""In the folder of an image, the folder of its file and that of its masks."""
_AT_A_TIME = 8
"""Files that are read at a time, each in its own thread: opening them is mostly waiting."""


def folders_in(folder: Path) -> list[Path]:
    """Return the folders in a folder, sorted, but for hidden ones."""
    return sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))


def has_own_images(folder: Path) -> bool:
    """Tell whether the folders in a folder have their images in them, each in a folder "images"."""
    return folder.is_dir() and any((inner / IMAGES).is_dir() for inner in folders_in(folder))


def own_image(folder: Path) -> Path:
    """Return the image in the folder of an image.

    Raises:
        ValueError: its folder "images" is missing, or has another number of images.
    """
    own = folder / IMAGES
    if not own.is_dir():
        raise ValueError(
            f"{folder}: it has no folder {IMAGES}, and no folder of all images is given (--images)"
        )
    files = image_files(own)
    if len(files) != 1:
        raise ValueError(f"{own}: there must be one image here; got {len(files)}")
    return files[0]


def read_mask_files(
    builder: CocoBuilder,
    folders: Sequence[Path],
    find: Callable[[str], Path] | None,
    class_key: str | None,
    one_class: str,
    doubts: LabelDoubts,
) -> None:
    """Add the images of folders of mask files, and their objects.

    Args:
        builder: gets them, and the problems.
        folders: one per image.
        find: returns the image of a name, or raises an error; None where each folder has its own.
        class_key, one_class: as in `load_masks`, and the class where nothing tells one.
        doubts: gets the objects.

    Raises:
        ValueError: `class_key` is none, or no folder has masks.
    """
    if class_key not in (None, "file", "folder"):
        raise ValueError(f'class_key must be "file" or "folder" for mask files; got {class_key!r}')
    if folders and all(_lacks_masks(folder) for folder in folders):
        raise ValueError(
            f"the {len(folders)} folders have images and no masks, as test images do; if a file says what is in them, "
            "such as stage1_solution.csv, that is the annotations, and this the folder of the images (--images)"
        )
    with ThreadPoolExecutor(_AT_A_TIME) as pool:
        for folder in folders:
            with collect_errors(builder.problems):
                image = own_image(folder) if find is None or (folder / IMAGES).is_dir() else find(folder.name)
                if _lacks_masks(folder):
                    raise ValueError(
                        f"{folder}: it has no folder {MASKS}; without objects, that must be empty"
                    )
                size = builder.add_image(image)
                if size is not None:
                    _read_folder(builder, folder, size, _Naming(class_key, one_class), doubts, pool)


class _Naming(NamedTuple):
    """What tells the class of mask files."""

    key: str | None
    one: str

    def of(self, file: Path, in_folder: bool) -> str:
        """The class that a mask file's name or folder tells, or else the one of all."""
        if self.key == "file":
            name = re.sub(r"[ _.-]*\d*$", "", file.stem)
            if not name:
                raise ValueError("its name has no class: class_key=file needs names like cat_1.png")
            return name
        if self.key == "folder" and not in_folder:
            raise ValueError("it is in no folder of its class, which class_key=folder needs")
        return file.parent.name if in_folder else self.one


def _read_folder(
    builder: CocoBuilder,
    folder: Path,
    size: tuple[int, int],
    naming: _Naming,
    doubts: LabelDoubts,
    pool: ThreadPoolExecutor,
) -> None:
    """Add the objects in the folder of an image of (height, width) pixels."""
    inside = folder / MASKS if (folder / MASKS).is_dir() else folder
    files = _mask_files(inside)
    covered = np.zeros(size, bool)
    for file, mask in zip(files, pool.map(_read, files), strict=True):
        name = file.relative_to(folder.parent).as_posix()
        with collect_errors(builder.problems), error_prefix(name):
            builder.add_region(name, naming.of(file, file.parent != inside), mask.checked(size))
            doubts.add_object(mask.region)
            doubts.add_cover(file, mask.region, covered)


class _Mask(NamedTuple):
    """The mask in a file, or why there is none."""

    size: tuple[int, int]
    region: Region
    """What is around its pixels."""
    problem: str | None = None

    def checked(self, size: tuple[int, int]) -> Region:
        """Return the region.

        Raises:
            ValueError: there is none, or the image has another (height, width).
        """
        if self.problem is not None:
            raise ValueError(self.problem)
        if self.size != size:
            raise ValueError(
                f"its mask is {self.size[1]} x {self.size[0]} (width x height), its image {size[1]} x {size[0]}"
            )
        return self.region


def _read(file: Path) -> _Mask:
    try:
        labels = read_labels(file)
    except (ValueError, FileNotFoundError) as error:
        return _Mask((0, 0), (np.zeros((0, 0), bool), 0, 0), str(error))
    mask = labels > 0
    region = mask_region(mask)
    values = np.unique(labels[mask])
    problem = None
    if len(values) > 1:
        problem = f"a mask of one object has 0 and one other value; this has {len(values)} others"
    return _Mask(mask.shape, region, problem)


def _lacks_masks(folder: Path) -> bool:
    """Whether a folder has an image of its own, and nothing in which masks may be."""
    return (folder / IMAGES).is_dir() and not (folder / MASKS).is_dir() and not _mask_files(folder)


def _mask_files(folder: Path) -> list[Path]:
    classes = [inner for inner in folders_in(folder) if inner.name != IMAGES]
    return [file for place in (folder, *classes) for file in image_files(place)]
