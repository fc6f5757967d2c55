"""Images that are no files of their own, written as files beside the annotations of them."""

import io
import re
from pathlib import Path

import numpy as np
from PIL import Image

from keras_maskrcnn.data.records import Record
from keras_maskrcnn.images.embedded import embedded_image, is_embedded
from keras_maskrcnn.utils.files import written_whole


class SavedImages:
    """Writes images into a folder, each under a name of its own.

    Args:
        folder: where they go.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._written: list[Path] = []
        self._taken: set[str] = set()

    def save(self, record: Record) -> Path:
        """Write the image of a record, and return its file.

        What labelme embedded is written as it is, arrays as PNG, or as .npy where PNG does not keep their values. Of
        several images of one name the later ones get a number behind it.

        Raises:
            ValueError: there is such a file from before.
        """
        suffix, content = encoded_image(record)
        file = self._free(image_name(record), suffix)
        with written_whole(file) as part:
            part.write_bytes(content)
        return file

    def remove(self) -> None:
        """Remove what was written, so that another try finds the folder as it was."""
        for file in self._written:
            file.unlink(missing_ok=True)

    def _free(self, stem: str, suffix: str) -> Path:
        name, number = f"{stem}.{suffix}", 1
        while (
            name.lower() in self._taken
        ):  # lower case, because some file systems do not tell the cases apart
            number += 1
            name = f"{stem}_{number}.{suffix}"
        file = self.folder / name
        if file.exists():
            raise ValueError(f"{file} is there already; images are saved into a folder without it")
        self._taken.add(name.lower())
        self._written.append(file)
        return file


def is_file_of_its_own(record: Record) -> bool:
    """Tell whether the image of a record is a file, not an array or in a file of labelme."""
    return isinstance(record.image, str) and not is_embedded(record.image)


def image_name(record: Record) -> str:
    """Return what the file of a record's image is called, or should be called, without its ending."""
    if isinstance(record.image, str):
        return Path(record.image).stem
    return re.sub(r"[^\w.-]+", "_", str(record.image_id))


def encoded_image(record: Record) -> tuple[str, bytes]:
    """Return the ending and the content that the file of an image should have which is no file of its own.

    What labelme embedded is as it is, arrays are PNG, or .npy where PNG does not keep their values.
    """
    if isinstance(record.image, str):
        data = embedded_image(record.image)
        with Image.open(data) as image:
            return str(image.format).lower().replace("jpeg", "jpg"), data.getvalue()
    file = io.BytesIO()
    pixels = record.image[..., 0] if record.image.shape[2:] == (1,) else record.image
    is_gray, is_colour = pixels.ndim == 2, pixels.shape[2:] in ((3,), (4,))
    if (pixels.dtype == np.uint8 and (is_gray or is_colour)) or (pixels.dtype == np.uint16 and is_gray):
        Image.fromarray(pixels).save(file, "PNG")
        return "png", file.getvalue()
    np.save(file, record.image)
    return "npy", file.getvalue()
