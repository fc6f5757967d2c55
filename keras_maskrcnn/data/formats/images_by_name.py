"""The images in a folder by their names without the ending, as formats call them that write none."""

from collections.abc import Collection
from pathlib import Path

from keras_maskrcnn.utils.files import image_files


class ImagesByName:
    """The image files in a folder, listed once.

    Args:
        folder: which is not searched below.
        others: resolved paths of image files in it that are none of these, such as masks.
    """

    def __init__(self, folder: Path, others: Collection[Path] = ()) -> None:
        self.folder = folder
        self._files: dict[str, list[Path]] = {}
        for file in image_files(folder):
            if file.resolve() not in others:
                self._files.setdefault(file.stem, []).append(file)

    def find(self, *names: str) -> Path | None:
        """Return the image of the first of these names that there is; None if there is none.

        Raises:
            ValueError: there are several images of this name; the message lists them.
        """
        found = next((self._files[name] for name in names if name in self._files), [])
        if len(found) > 1:
            raise ValueError(f"there are several images for it: {', '.join(map(str, found))}")
        return found[0] if found else None
