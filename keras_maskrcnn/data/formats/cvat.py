"""XML of CVAT (https://www.cvat.ai), "CVAT for images 1.1"."""

import dataclasses
import functools
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from xml.etree.ElementTree import Element

from keras_maskrcnn.data.checks import collect_errors, error_prefix
from keras_maskrcnn.data.formats.builder import CocoBuilder, Size
from keras_maskrcnn.data.formats.cvat_labels import Labels, read_labels
from keras_maskrcnn.data.formats.cvat_places import image_root, looks_like_cvat, xml_file
from keras_maskrcnn.data.formats.cvat_shapes import add_shapes
from keras_maskrcnn.data.formats.cvat_writer import write_cvat
from keras_maskrcnn.data.formats.cvat_xml import top_elements
from keras_maskrcnn.data.formats.format import Format
from keras_maskrcnn.data.formats.image_paths import ImageFolder, find_images, note_of_moved
from keras_maskrcnn.data.report import Records
from keras_maskrcnn.masks.segmentation_checks import check_pixels, shown
from keras_maskrcnn.utils.files import IMAGE_SUFFIXES

_SUFFIXES = (*IMAGE_SUFFIXES, *(suffix.upper() for suffix in IMAGE_SUFFIXES))
Named = tuple[str | None, str | None]
"""An image's name and subset, as far as the file says them."""


def load_cvat(
    annotation_file: str | Path,
    image_folder: str | Path | None = None,
    class_names: Sequence[str] | None = None,
    subset: str | None = None,
    masks: bool = True,
    check_images: bool = True,
    problems: list[str] | None = None,
) -> tuple[Records, list[str]]:
    """Read XML that CVAT exports as "CVAT for images 1.1", of a job, a task or a project.

    Polygons, masks, boxes and ellipses, also rotated ones, are objects; shapes of the same label and group are parts of
    one. Polylines, cuboids and points that are of no skeleton have no area and are errors; tags, which are of whole
    images, are left out and counted. Ellipses and rotated boxes may reach outside the image. Shapes whose attribute
    is_crowd, ignore or difficult is ticked are crowds. Whether a shape is occluded, and which lies in front (z_order),
    changes nothing: masks may overlap. Images without shapes are images without objects.

    Skeletons are objects with keypoints, which are called like the points of their label: not labelled where they lie
    outside, hidden where they are occluded. Since CVAT draws nothing else under a label of skeletons, the mask or box
    of such an object has a label like "person mask" or "person_bbox", which is of the class person, and the group of
    the skeleton; a skeleton without one has the box around its points.

    Args:
        annotation_file: the XML; or the folder into which CVAT's archive was unpacked.
        image_folder: where the images are, found as by `load_coco`; left out: the folder "images" beside the file, or
            else that of the file. In a project's export they may be in a folder of the subset there.
        class_names: as in `load_coco`; left out: the file's labels in their order, without those of other shapes.
        subset: reads of a project the images of this subset alone.
        masks, check_images, problems: as in `load_coco`. masks=False where boxes only stand for boxes.

    Returns:
        (records, class names), as `load_coco` does; `image_id` counts from 1.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is not CVAT's, is "CVAT for video", an archive that is still packed, or has a document
            type, which is not read; or, without `problems`, anything is broken; the message names image, shape and
            reason.

    Example:
        ```python
        import keras_maskrcnn as km
        import tempfile
        from pathlib import Path
        import numpy as np
        from PIL import Image

        folder = Path(tempfile.mkdtemp())
        Image.fromarray(np.zeros((40, 60, 3), np.uint8)).save(folder / "a.png")
        mask = '<mask label="nut" rle="1, 3, 2, 2" left="4" top="2" width="4" height="2" z_order="0"/>'
        image = f'<image id="0" name="a.png" width="60" height="40">{mask}</image>'
        (folder / "annotations.xml").write_text(f"<annotations>{image}</annotations>")
        records, class_names = km.load_cvat(folder)
        print(class_names, records[0].boxes, records[0].areas)  # ['nut'] [[5. 2. 8. 4.]] [5.]
        ```
    """
    file = xml_file(Path(annotation_file))
    builder = CocoBuilder(file)
    with error_prefix(builder.source):
        names, labels = _survey(file, subset)
    folder = image_root(file) if image_folder is None else Path(image_folder)
    files = _files(names, folder, builder)
    met: Counter[str] = Counter()
    images = (element for element in _elements(file) if _is_wanted(element, subset))
    for image, found in zip(images, files, strict=True):
        with collect_errors(builder.problems):
            if found is not None:
                met += _add_image(builder, image, found, labels)
    builder.notes += [*labels.notes(), *(f"{count} {what}" for what, count in met.items())]
    return builder.records(
        class_names, masks, check_images, problems, labels.classes(), keypoint_names=labels.drawn
    )


@dataclasses.dataclass(frozen=True)
class _Found:
    """The file of an image."""

    name: str
    """What messages call it."""
    file: Path


def _elements(file: Path) -> Iterator[Element]:
    for element in top_elements(file):
        if element.tag == "track":
            raise ValueError(
                'it has tracks, as "CVAT for video" has: export it as "CVAT for images 1.1", whose shapes are those of '
                "each frame"
            )
        yield element


def _is_wanted(element: Element, subset: str | None) -> bool:
    return element.tag == "image" and subset in (None, element.get("subset"))


def _survey(file: Path, subset: str | None) -> tuple[list[Named], Labels]:
    """Read a file for what must be known first: names and subsets of its images, and its labels."""
    meta = None
    names: list[Named] = []
    points: dict[str, list[str]] = {}
    subsets: set[str] = set()
    for element in _elements(file):
        if element.tag == "meta":
            meta = element
        if _is_wanted(element, subset):
            names.append((element.get("name"), element.get("subset")))
        subsets |= {element.get("subset", "")} - {""}
        for skeleton in element.findall("skeleton"):
            known = points.setdefault(skeleton.get("label", ""), [])
            met = [point.get("label", "") for point in skeleton.findall("points")]
            known += [name for name in dict.fromkeys(met) if name not in known]
    if subset is not None and not names:
        raise ValueError(
            f"no image is of the subset {subset!r}; there are {', '.join(sorted(subsets)) or 'none'}"
        )
    return names, read_labels(meta, points)


def _files(names: list[Named], folder: Path, builder: CocoBuilder) -> list[_Found | None]:
    """The file of each image; None of one whose file is unclear."""
    images = ImageFolder(folder)
    paths = [None if not name else _path(images, name, subset) for name, subset in names]
    twice = {path for path, count in Counter(paths).items() if count > 1 and path is not None}
    builder.problems += [f"image {path} occurs twice" for path in sorted(twice)]
    builder.problems += ['an <image> has no "name"' for path in paths if path is None]
    clear = [path for path in paths if path is not None and path not in twice]
    found = find_images(images, clear, builder.problems)
    builder.notes += note_of_moved(found, folder)
    files = {path: _Found(path, file or folder / path) for path, file in found.items()}
    return [None if path is None else files.get(path) for path in paths]


def _path(images: ImageFolder, name: str, subset: str | None) -> str:
    """The path of an image in the folder: its name, perhaps below its subset's folder, perhaps without its ending."""
    places = [f"{subset}/{name}", name] if subset else [name]
    if not name.lower().endswith(IMAGE_SUFFIXES):  # a frame of a film
        places += [f"{place}{suffix}" for place in places for suffix in _SUFFIXES]
    return next((place for place in places if os.path.isfile(images.folder / place)), name)


def _add_image(builder: CocoBuilder, image: Element, found: _Found, labels: Labels) -> Counter[str]:
    with error_prefix(f"image {found.name}"):
        size = _size(image)
    builder.add_image(found.file, size)
    return add_shapes(builder, image, found.name, size, labels)


def _size(image: Element) -> Size:
    values = image.get("height", ""), image.get("width", "")
    if not all(value.isascii() and value.isdecimal() and int(value) > 0 for value in values):
        raise ValueError(
            f"its height and width must be whole numbers from 1; got {' and '.join(map(shown, values))}"
        )
    height, width = map(int, values)
    check_pixels(height, width)
    return height, width


FORMAT = Format(
    "cvat",
    "an XML file of CVAT for images, or the folder it is in",
    object_name="shape",
    looks_like=lambda path, content: looks_like_cvat(path),
    load=load_cvat,
    options={"subset": "the name of a subset of a project"},
    write=functools.partial(write_cvat, save_images=True),
    file_name="annotations.xml",
)
