"""Detections of `maskrcnn predict` as labels, to be corrected in the tools that people label with."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from keras_maskrcnn.data.formats.detect import named_format
from keras_maskrcnn.data.formats.saved_images import is_file_of_its_own
from keras_maskrcnn.data.formats.write import write_dataset
from keras_maskrcnn.data.from_detections import detections_to_record
from keras_maskrcnn.data.records import Record
from keras_maskrcnn.detections.detections import Detections


class Labels:
    """The labels of several images in several formats.

    Args:
        formats: their names.
        output: the folder in which each format has a folder.
        class_names: the model's.
        images: all image files.
    """

    def __init__(
        self, formats: Sequence[str], output: Path, class_names: Sequence[str], images: Sequence[Path]
    ) -> None:
        self.folders = {name: label_folder(output, name) for name in formats}
        self._class_names = class_names
        self._image_folders = {path.parent for path in images}
        self._records: list[Record] = []
        self._scores: list[np.ndarray | None] = []

    def add(self, detections: Detections, image: Path) -> None:
        """Add the detections of an image."""
        if self.folders:
            record, scores = detections_to_record(detections, image, class_names=self._class_names)
            self._records.append(record)
            self._scores.append(scores)

    def write(self) -> None:
        """Write what was added."""
        one = next(iter(self._image_folders)) if len(self._image_folders) == 1 else None
        for format, folder in self.folders.items():
            folder.mkdir(parents=True, exist_ok=True)
            images = named_from(format, one, self._records)
            write_dataset(
                folder / named_format(format).file_name,
                self._records,
                self._class_names,
                format,
                images,
                self._scores,
            )


def named_from(format: str, images: Path | None, records: Sequence[Record]) -> Path | None:
    """Return the folder from which labels in a format are to name images.

    For a file it is that of the images, if it is known. A folder of files names images from itself, and those that are
    no files of their own are saved beside the labels.
    """
    return images if named_format(format).file_name and all(map(is_file_of_its_own, records)) else None


def label_folder(output: Path, format: str) -> Path:
    """Return where in the output folder the labels of a format are."""
    return output / f"labels-{format}"
