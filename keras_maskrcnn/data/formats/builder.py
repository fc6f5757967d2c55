"""COCO's content in the making: what the readers of other formats fill, for the one checker to read."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from keras_maskrcnn.data.checks import collect_errors, error_prefix
from keras_maskrcnn.data.extents import segmentation_extent
from keras_maskrcnn.data.formats.coco_content import hand_over, read_content
from keras_maskrcnn.data.report import Records
from keras_maskrcnn.images.io import image_size
from keras_maskrcnn.masks.rle import Region, mask_to_rle, region_to_rle
from keras_maskrcnn.utils.files import image_files

Size = tuple[int, int]
"""Height and width in pixels."""
ONE_CLASS = "object"
"""What things are called whose annotations have no classes."""
WHY = "; what was refused: "
"""In the message that nothing is left to read, what stands before the reasons."""
_REASONS = 5
"""Problems that are told where they left nothing to read."""


class CocoBuilder:
    """Images, objects and problems of a dataset that is being read.

    Args:
        source: what messages call its file or folder.
    """

    def __init__(self, source: str | Path) -> None:
        self.source = str(source)
        self.problems: list[str] = []
        """What is broken, a message each."""
        self.notes: list[str] = []
        """What the report should say besides its counts."""
        self.warnings: list[str] = []
        """What was read but hardly means what it says."""
        self._images: list[dict[str, Any]] = []
        self._annotations: list[dict[str, Any]] = []

    def add_image(self, path: str | Path, size: Size | None = None) -> Size | None:
        """Add an image; the objects that are added after it are its.

        Args:
            path: its file.
            size: what the annotations say; left out: the file's own.

        Returns:
            Its (height, width) in pixels; None, and nothing is added but a problem, if its file has to tell and cannot.
        """
        with collect_errors(self.problems):
            height, width = image_size(path) if size is None else size
            number = len(self._images) + 1
            self._images.append({"id": number, "file_name": str(path), "height": height, "width": width})
            return height, width
        return None

    def add_object(
        self,
        name: str,
        class_name: str,
        segmentation: Any,
        box: Sequence[float] | None = None,
        **fields: Any,
    ) -> None:
        """Add an object of the last image; one that is broken becomes a problem.

        Args:
            name: what messages call it, unlike any other's.
            class_name: its class.
            segmentation: a mask [H, W] bool, a list of polygons, an RLE dict, or None for a box alone.
            box: x1, y1, x2, y2 in pixels; left out: around the polygons' points, or around the mask's pixels.
            fields: more of COCO's fields.
        """
        image = self._images[-1]
        with collect_errors(self.problems), error_prefix(name):
            if isinstance(segmentation, np.ndarray):
                segmentation = _encoded(segmentation, image["height"], image["width"])
            if box is None:
                box = segmentation_extent(segmentation, image["height"], image["width"])
            x1, y1, x2, y2 = (float(value) for value in box)
            self._annotations.append(
                {
                    "id": name,
                    "image_id": image["id"],
                    "category_id": class_name,
                    "bbox": [x1, y1, x2 - x1, y2 - y1],
                    "segmentation": segmentation,
                    **fields,
                }
            )

    def add_region(self, name: str, class_name: str, region: Region) -> None:
        """Add an object of the last image by its pixels, none of which may lie outside; see `add_object`."""
        image, (part, left, top) = self._images[-1], region
        rle = region_to_rle(region, image["height"], image["width"])
        box = left, top, left + part.shape[1], top + part.shape[0]
        self.add_object(name, class_name, rle, box)

    def class_names(self) -> list[str]:
        """Return the classes of the objects so far, sorted."""
        return sorted({annotation["category_id"] for annotation in self._annotations})

    def records(
        self,
        class_names: Sequence[str] | None,
        masks: bool,
        check_images: bool,
        problems: list[str] | None,
        own_names: Sequence[str] | None = None,
        keypoint_names: Mapping[str, Sequence[str]] | None = None,
    ) -> tuple[Records, list[str]]:
        """Check everything and make the records; see `load_coco` for the arguments and errors.

        Args:
            own_names: the dataset's own classes in their order; left out: those of its objects, sorted.
            keypoint_names: the names of the keypoints of classes, as far as the dataset says them.
        """
        if own_names is None:
            own_names = self.class_names()
        if not self._images or not (own_names or class_names):
            hand_over([f"{self.source}: {problem}" for problem in self.problems], problems)
            what = "images" if not self._images else "objects, so its classes must be named: class_names"
            raise ValueError(f"{self.source}: there are no {what}{self._why()}")
        ids = {name: number for number, name in enumerate(own_names, start=1)}
        content = {
            "images": self._images,
            "annotations": [{**row, "category_id": ids[row["category_id"]]} for row in self._annotations],
            "categories": [
                {"id": number, "name": name, "keypoints": list((keypoint_names or {}).get(name, ()))}
                for name, number in ids.items()
            ],
        }
        return read_content(
            content,
            self.source,
            "",
            class_names,
            masks,
            check_images,
            problems,
            noun="",
            met=self.problems,
            notes=self.notes,
            warnings=self.warnings,
        )

    def _why(self) -> str:
        """The problems, of which the first few tell most, where they left nothing to read."""
        more = len(self.problems) - _REASONS
        reasons = "; ".join(self.problems[:_REASONS]) + (f"; and {more} more" if more > 0 else "")
        return f"{WHY}{reasons}" if reasons else ""


def note_unused(builder: CocoBuilder, folders: Iterable[Path], used: set[Path]) -> None:
    """Note the image files in folders that no annotation is of: what is not used should be known."""
    unused = [file for folder in folders for file in image_files(folder) if file.resolve() not in used]
    if unused:
        builder.notes.append(f"{len(unused)} images without annotations are left out: {listed(unused)}")


def listed(files: Sequence[Path]) -> str:
    """Name a few of many files."""
    return ", ".join(map(str, files[:3])) + (", ..." if len(files) > 3 else "")


def _encoded(mask: np.ndarray, height: int, width: int) -> dict[str, Any]:
    if mask.shape != (height, width):
        raise ValueError(
            f"its mask is {mask.shape[1]} x {mask.shape[0]} (width x height), its image {width} x {height}"
        )
    return mask_to_rle(mask)
