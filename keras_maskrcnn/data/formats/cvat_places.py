"""Where things lie in what CVAT exports: the archive holds `annotations.xml` and perhaps the folder `images`."""

import zipfile
from pathlib import Path

from keras_maskrcnn.data.formats.cvat_xml import ROOT, root_name

FILE, IMAGES = "annotations.xml", "images"


def xml_file(path: Path) -> Path:
    """Return the XML of a path, which is that of the file or of the folder into which the archive was unpacked.

    Raises:
        ValueError: it is the archive.
    """
    file = path / FILE if path.is_dir() else path
    if file.is_file() and zipfile.is_zipfile(file):
        raise ValueError(f"{path}: this is an archive: unpack it, and give the folder or its {FILE}")
    return file


def image_root(file: Path) -> Path:
    """Return the folder that the names of images in a file are relative to where nobody says it."""
    beside = file.parent / IMAGES
    return beside if beside.is_dir() else file.parent


def looks_like_cvat(path: Path) -> bool:
    """Tell whether a path is that of CVAT's XML, of a folder with it, or of an archive of it."""
    file = path / FILE if path.is_dir() else path
    if not file.is_file():
        return False
    if file.suffix.lower() == ".zip" and zipfile.is_zipfile(file):
        with zipfile.ZipFile(file) as archive:
            return FILE in archive.namelist()
    return file.suffix.lower() == ".xml" and root_name(file) == ROOT
