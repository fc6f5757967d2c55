"""The files that Label Studio's tasks mean, also those that were uploaded and so got other names."""

import re
import unicodedata
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

from keras_maskrcnn.data.formats.image_paths import ImageFolder

_UPLOADED = re.compile(r"[0-9a-f]{8}-(?P<name>.+)")
"""What Label Studio calls an uploaded file: a part of a UUID stands before its name."""
_REMOVED = re.compile(r"[^-\w.]")
"""What it leaves out of a name, after blanks have become underscores."""


class TaskImages(ImageFolder):
    """The images below a folder, found by what tasks say: paths, URLs and names of uploaded files."""

    def find_inside(self, path: str) -> Path | None:
        """Return what `ImageFolder` does, or else the file of which an uploaded one is a copy.

        Raises:
            ValueError: several files may be meant; the message names them.
        """
        found = super().find_inside(path)
        uploaded = None if found else _UPLOADED.fullmatch(_last_part(path))
        if uploaded is None:
            return found
        return super().find_inside(uploaded["name"]) or self._renamed(uploaded["name"])

    def _renamed(self, name: str) -> Path | None:
        """The file in the folder that is called so once uploaded."""
        names = [own for several in self._listing(self.folder).values() for own in several]
        fitting = [own for own in names if _uploaded_name(own) == _normal(name)]
        if len(fitting) > 1:
            raise ValueError(f"{name} may be {' or '.join(fitting)} in {self.folder}")
        return self.folder / fitting[0] if fitting else None


def _last_part(path: str) -> str:
    try:
        return PurePosixPath(unquote(urlsplit(path).path)).name
    except ValueError:  # a host in brackets that is none
        return ""


def _uploaded_name(name: str) -> str:
    return _REMOVED.sub("", _normal(name).strip().replace(" ", "_"))


def _normal(name: str) -> str:
    return unicodedata.normalize("NFC", name)
