"""JSON of the VGG Image Annotator (https://www.robots.ox.ac.uk/~vgg/software/via), versions 1 and 2."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from keras_maskrcnn.data.checks import collect_errors, error_prefix
from keras_maskrcnn.data.formats.builder import ONE_CLASS, CocoBuilder
from keras_maskrcnn.data.formats.coco_annotations import is_number
from keras_maskrcnn.data.formats.format import Format
from keras_maskrcnn.data.formats.image_paths import ImageFolder, find_images, note_of_moved
from keras_maskrcnn.data.formats.shapes import ellipse, rectangle, visible_extent
from keras_maskrcnn.data.report import Records
from keras_maskrcnn.masks.segmentation_checks import shown
from keras_maskrcnn.utils.text import read_json

_UNDEFINED = "undefined"
"""What VIA writes where a choice was shown and nothing chosen."""

Region = tuple[Any, Any]
"""A region's number and what the file says of it."""


def load_via(
    annotation_file: str | Path,
    image_folder: str | Path,
    class_names: Sequence[str] | None = None,
    class_key: str | None = None,
    masks: bool = True,
    check_images: bool = True,
    problems: list[str] | None = None,
    default_class: str | None = None,
) -> tuple[Records, list[str]]:
    """Read a JSON file of VIA 1 or 2: a saved project, or exported annotations.

    Polygons, rectangles, circles and ellipses are objects. Points and polylines have no area and are errors. Images
    without regions are kept, as images without objects. Circles and ellipses may reach outside the image. The
    sizes of the images, which VIA does not write, are read from their files.

    Args:
        annotation_file: the JSON.
        image_folder: where the images are, found as by `load_coco`.
        class_names: as in `load_coco`; left out: the classes that the file has, sorted.
        class_key: the name of the region attribute that tells the class: text, or a choice of which one is ticked. Left
            out: the only one that regions have; where they have none, all objects are of the one class of class_names,
            or "object".
        masks, check_images, problems: as in `load_coco`.
        default_class: the class of regions in whose attribute nothing is said or ticked; left out: they are errors.

    Returns:
        (records, class names), as `load_coco` does; `image_id` counts from 1.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is not VIA's, regions have several attributes and class_key is left out, or, without
            `problems`, anything is broken; the message names file, image, region and reason.

    Example:
        ```python
        import keras_maskrcnn as km
        import json, tempfile
        from pathlib import Path
        import numpy as np
        from PIL import Image

        folder = Path(tempfile.mkdtemp())
        Image.fromarray(np.zeros((40, 60, 3), np.uint8)).save(folder / "a.png")
        circle = {"name": "circle", "cx": 30, "cy": 20, "r": 9}
        region = {"shape_attributes": circle, "region_attributes": {"part": "nut"}}
        (folder / "via.json").write_text(json.dumps({"a.png": {"filename": "a.png", "regions": [region]}}))
        records, class_names = km.load_via(folder / "via.json", folder, class_key="part")
        print(class_names, records[0].boxes)  # ['nut'] [[21. 11. 39. 29.]]
        ```
    """
    builder = CocoBuilder(annotation_file)
    with error_prefix(builder.source):
        entries = _entries(read_json(annotation_file))
        images = list(_images(entries, builder.problems))
        class_key = _class_key([region for _, regions in images for _, region in regions], class_key)
    one_class = class_names[0] if class_names is not None and len(class_names) == 1 else ONE_CLASS
    files = _files([name for name, _ in images], Path(image_folder), builder)
    for file_name, regions in images:
        size = builder.add_image(files[file_name]) if file_name in files else None
        if size is None:
            continue
        for number, region in regions:
            name = f"region {number} of {file_name}"
            with collect_errors(builder.problems), error_prefix(name):
                class_name = one_class if class_key is None else _class(region, class_key, default_class)
                polygon, box = _outline(region, *size)
                builder.add_object(name, class_name, [polygon], box)
    return builder.records(class_names, masks, check_images, problems)


def _entries(content: Any) -> dict[str, Any]:
    if not _looks_like(content):
        raise ValueError(
            'this is no JSON of VIA 1 or 2: it has no "_via_img_metadata" nor images with "regions"'
        )
    entries = content.get("_via_img_metadata", content)
    if not isinstance(entries, dict):
        raise ValueError(f'"_via_img_metadata" must be an object; got {shown(entries)}')
    return entries


def _images(entries: dict[str, Any], problems: list[str]) -> Iterator[tuple[str, list[Region]]]:
    """The images' file names and regions with their numbers: VIA 1 has a dict of them, VIA 2 a list."""
    seen: set[str] = set()
    for key, entry in entries.items():
        with collect_errors(problems), error_prefix(f"image {key}"):
            name = entry.get("filename") if isinstance(entry, dict) else None
            if not isinstance(name, str) or not name:
                raise ValueError('it has no "filename"')
            if name in seen:
                raise ValueError(f"its file {name} occurs twice")
            seen.add(name)
            regions = entry.get("regions")
            rows = list(regions.items()) if isinstance(regions, dict) else list(enumerate(_rows(regions)))
            yield name, rows


def _files(names: list[str], folder: Path, builder: CocoBuilder) -> dict[str, Path]:
    """Where the images are; without those of which that is unclear."""
    found = find_images(ImageFolder(folder), names, builder.problems)
    builder.notes += note_of_moved(found, folder)
    return {name: file or folder / name for name, file in found.items()}


def _rows(regions: Any) -> list[Any]:
    if not isinstance(regions, list):
        raise ValueError(f'its "regions" must be a list or an object; got {shown(regions)}')
    return regions


def _attributes(region: Any) -> dict[str, Any]:
    attributes = region.get("region_attributes") if isinstance(region, dict) else None
    return attributes if isinstance(attributes, dict) else {}


def _class_key(regions: list[Any], chosen: str | None) -> str | None:
    keys = sorted({key for region in regions for key in _attributes(region)})
    listed = ", ".join(keys) or "none"
    if chosen is not None and chosen not in keys:
        raise ValueError(f"no region has the attribute {chosen!r}; their attributes are: {listed}")
    if chosen is None and len(keys) > 1:
        raise ValueError(
            f"regions have several attributes: {listed}; class_key must say which tells the class"
        )
    return chosen if chosen is not None else next(iter(keys), None)


def _class(region: dict[str, Any], key: str, default: str | None) -> str:
    value = _attributes(region).get(key)
    if isinstance(value, dict):  # checkboxes
        ticked = [option for option, on in value.items() if on]
        if len(ticked) > 1 or (not ticked and default is None):
            raise ValueError(
                f"one option of its attribute {key!r} must be ticked; got {shown(ticked) if ticked else 'none'}"
            )
        value = ticked[0] if ticked else None
    if value is not None and not isinstance(value, str):
        raise ValueError(f"its attribute {key!r} must say the class; got {shown(value)}")
    if value is not None and value.strip() not in ("", _UNDEFINED):
        return value.strip()
    if default is None:
        raise ValueError(
            f"its attribute {key!r} must say the class and says nothing; default_class (--default-class) names a class "
            "for such regions"
        )
    return default


def _outline(region: Any, height: int, width: int) -> tuple[list[float], list[float] | None]:
    """Return a region's polygon and, unless that tells, its box."""
    shape = region.get("shape_attributes") if isinstance(region, dict) else None
    if not isinstance(shape, dict):
        raise ValueError(f'it has no "shape_attributes"; got {shown(region)}')
    kind = shape.get("name")
    if kind == "polygon":
        xs, ys = shape.get("all_points_x"), shape.get("all_points_y")
        if not isinstance(xs, list) or not isinstance(ys, list) or len(xs) != len(ys):
            raise ValueError("its all_points_x and all_points_y must be lists of the same length")
        return [value for point in zip(xs, ys, strict=True) for value in point], None
    if kind == "rect":
        x, y, across, down = _numbers(shape, "x", "y", "width", "height")
        if across < 0 or down < 0:
            raise ValueError(f"its rect has a negative side: width {across:g}, height {down:g}")
        return rectangle(x, y, x + across, y + down), None
    if kind == "circle":
        cx, cy, r = _numbers(shape, "cx", "cy", "r")
        polygon = ellipse(cx, cy, r, r)
    elif kind == "ellipse":
        polygon = ellipse(*_numbers({"theta": 0, **shape}, "cx", "cy", "rx", "ry", "theta"))
    else:
        raise ValueError(
            f"its shape is {kind!r}; what can be an object is a polygon, rect, circle or ellipse"
        )
    return polygon, visible_extent(polygon, height, width)


def _numbers(shape: dict[str, Any], *keys: str) -> list[float]:
    values: list[Any] = [shape.get(key) for key in keys]
    if not all(map(is_number, values)):
        raise ValueError(f"its {', '.join(keys)} must be numbers; got {shown(values)}")
    return [float(value) for value in values]


def _looks_like(content: Any) -> bool:
    if not isinstance(content, dict) or not content:
        return False
    entries = content.values()
    return "_via_img_metadata" in content or any(
        isinstance(row, dict) and "regions" in row for row in entries
    )


FORMAT = Format(
    "via",
    "a JSON file of VIA",
    object_name="region",
    looks_like=lambda path, content: _looks_like(content),
    load=load_via,
    needs_images=True,
    options={
        "class_key": "the name of the region attribute (default: the only one there is)",
        "default_class": "the class of regions without one",
    },
)
