"""Records as XML of CVAT, "CVAT for images 1.1"."""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

import numpy as np

from keras_maskrcnn.data.checks import error_prefix
from keras_maskrcnn.data.formats.cvat_elements import Elements
from keras_maskrcnn.data.formats.cvat_places import image_root
from keras_maskrcnn.data.formats.cvat_xml import ROOT
from keras_maskrcnn.data.formats.relative import relative_path
from keras_maskrcnn.data.formats.saved_images import SavedImages, is_file_of_its_own
from keras_maskrcnn.data.formats.writing import checked_records
from keras_maskrcnn.data.records import Record
from keras_maskrcnn.utils.files import written_whole

_NOT_IN_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def write_cvat(
    target: str | Path,
    records: Sequence[Record],
    class_names: Sequence[str],
    image_folder: str | Path | None = None,
    scores: Sequence[np.ndarray | None] | None = None,
    save_images: bool = False,
) -> None:
    """Write records as CVAT's XML, which a task with these images imports as "CVAT 1.1", and `load_cvat` reads back.

    Masks stay as they are, pixel by pixel, with their holes and parts; an object of several polygons is several in one
    group. Crowds have the attribute is_crowd, and keypoints are skeletons. Since CVAT draws nothing else under a label
    of skeletons, masks and boxes of a class with keypoints are labelled "NAME mask", in one group with the skeleton. A
    task needs the labels that the file lists, with their types and attributes.

    CVAT has no place for areas, nor for the box of an object beside its mask: read back, they are measured. Boxes of
    objects without masks are boxes there, of which `load_cvat` makes rectangles unless masks=False.

    Args:
        target: the XML file; what is there is replaced when the new one is complete.
        records: images and their objects. CVAT finds an image of a task by its name without the ending.
        class_names: K names, class k being class_names[k - 1].
        image_folder: the folder that the names of images are relative to, as in the task; left out: where `load_cvat`
            looks. An image that is no file of its own is called by its image_id.
        scores: the scores [N] of each record's objects, 0..1, for the attribute "score"; None where there are none.
        save_images: write images that are no files of their own into image_folder, as `write_coco` does.

    Raises:
        FileNotFoundError: there is no such folder.
        ValueError: two images have one name, a class id is outside 1..K or a record's own names are in another order,
            scores are not one for each object, a mask is broken, or XML cannot hold a name; the message names the
            image.

    Example:
        ```python
        import keras_maskrcnn as km
        import tempfile
        from pathlib import Path
        import numpy as np
        from PIL import Image

        folder = Path(tempfile.mkdtemp())
        Image.fromarray(np.zeros((40, 60, 3), np.uint8)).save(folder / "a.png")
        mask = np.zeros((1, 40, 60), bool)
        mask[0, 5:35, 10:30] = True
        record = km.make_record(folder / "a.png", masks=mask, class_ids=[1])
        km.write_cvat(folder / "annotations.xml", [record], ["nut"], scores=[np.array([0.9])])
        again, class_names = km.load_cvat(folder)
        print(class_names, again[0].boxes)  # ['nut'] [[10. 5. 30. 35.]]
        ```
    """
    folder = image_root(Path(target)) if image_folder is None else Path(image_folder)
    if not folder.is_dir():  # a path through it, as to a folder beside it, would lead nowhere
        raise FileNotFoundError(f"{folder}: there is no such folder")
    saved = SavedImages(folder)
    try:
        _write(
            Path(target),
            checked_records(records, class_names, scores),
            class_names,
            folder,
            saved if save_images else None,
        )
    except BaseException:  # Ctrl-C too
        saved.remove()
        raise


def _write(
    target: Path,
    records: Iterable[tuple[Record, np.ndarray | None]],
    class_names: Sequence[str],
    folder: Path,
    saved: SavedImages | None,
) -> None:
    elements = Elements(class_names)
    names: set[str] = set()
    for record, scores in records:
        with error_prefix(record.name):
            name = _name(record, folder, saved)
            if name in names:
                raise ValueError(f"another image is called {name} too")
            names.add(name)
            elements.add_image(name, record, scores)
    _check_text([*class_names, *names, *elements.keypoint_names()])
    with written_whole(target) as part, part.open("w", encoding="utf-8") as file:
        file.write(f'<?xml version="1.0" encoding="utf-8"?>\n<{ROOT}>\n')
        for element in (_version(), elements.meta(), *elements.images()):
            ElementTree.indent(element)
            file.write(ElementTree.tostring(element, encoding="unicode") + "\n")
        file.write(f"</{ROOT}>\n")


def _name(record: Record, folder: Path, saved: SavedImages | None) -> str:
    if is_file_of_its_own(record):
        return relative_path(str(record.image), folder)
    return str(record.image_id) if saved is None else relative_path(saved.save(record), folder)


def _version() -> Element:
    version = Element("version")
    version.text = "1.1"
    return version


def _check_text(names: list[str]) -> None:
    for name in names:
        if _NOT_IN_XML.search(name):
            raise ValueError(f"XML cannot hold the name {name!r}: it has a control character")
