"""Records' objects as the elements of CVAT's XML."""

import itertools
from collections.abc import Iterator, Sequence
from typing import Any
from xml.etree.ElementTree import Element, SubElement

import numpy as np

from keras_maskrcnn.data.checks import error_prefix
from keras_maskrcnn.data.formats.cvat_shapes import CROWD
from keras_maskrcnn.data.records import Record
from keras_maskrcnn.masks.rle import rle_region
from keras_maskrcnn.masks.row_runs import row_runs
from keras_maskrcnn.masks.segmentation_checks import checked_polygon

SCORE = "score"
_ATTRIBUTES = {SCORE: ("text", ""), CROWD: ("checkbox", "false")}
"""Input type and default value of the attributes that shapes may have."""
_BODY = "mask"
"""Behind the name of a class with keypoints, what the label of its masks and boxes is called."""


class Elements:
    """The images of a file in the making. Which labels they need is known when all are there.

    Args:
        class_names: K names.
    """

    def __init__(self, class_names: Sequence[str]) -> None:
        self._class_names = list(class_names)
        self._images: list[Element] = []
        self._areas: list[tuple[str, Element]] = []
        """Shapes that are no skeletons, with their classes."""
        self._skeletons: dict[str, list[str]] = {}
        self._attributes: dict[str, None] = {}
        self._groups = itertools.count(1)

    def add_image(self, name: str, record: Record, scores: np.ndarray | None) -> None:
        """Add an image, of which name is what CVAT calls it, and its objects with their scores [N]."""
        size = {"width": str(record.width), "height": str(record.height)}
        image = Element("image", {"id": str(len(self._images)), "name": name, **size})
        for index in range(len(record.boxes)):
            with error_prefix(f"object {index}"):
                attributes = {} if scores is None else {SCORE: f"{float(scores[index]):.6g}"}
                if record.crowd[index]:
                    attributes[CROWD] = "true"
                self._add_object(image, record, index, attributes)
        self._images.append(image)

    def keypoint_names(self) -> list[str]:
        return [name for names in self._skeletons.values() for name in names]

    def images(self) -> Iterator[Element]:
        """Yield the images, with the labels that their shapes have."""
        for class_name, area in self._areas:
            area.set("label", self._area_label(class_name))
        yield from self._images

    def meta(self) -> Element:
        """Return the element that lists the labels."""
        meta = Element("meta")
        task = SubElement(meta, "task")
        for key, value in (("size", str(len(self._images))), ("mode", "annotation")):
            SubElement(task, key).text = value
        labels = SubElement(task, "labels")
        for name in self._class_names:
            points = self._skeletons.get(name)
            self._add_label(labels, name, "any" if points is None else "skeleton")
            for point in points or ():
                self._add_label(labels, point, "points", parent=name)
            if points is not None:
                self._add_label(labels, self._area_label(name), "any")
        return meta

    def _area_label(self, class_name: str) -> str:
        if class_name not in self._skeletons:
            return class_name
        label = f"{class_name} {_BODY}"
        if label in self._class_names:
            raise ValueError(
                f"{class_name} has keypoints, so its masks are labelled {label!r}, which is a class"
            )
        return label

    def _add_label(self, labels: Element, name: str, kind: str, parent: str | None = None) -> None:
        label = SubElement(labels, "label")
        SubElement(label, "name").text = name
        SubElement(label, "type").text = kind
        attributes = SubElement(label, "attributes")
        for key in self._attributes if parent is None else ():
            attribute = SubElement(attributes, "attribute")
            values = (key, "False", *_ATTRIBUTES[key], "")
            for tag, value in zip(
                ("name", "mutable", "input_type", "default_value", "values"), values, strict=True
            ):
                SubElement(attribute, tag).text = value
        if parent is not None:
            SubElement(label, "parent").text = parent

    def _add_object(self, image: Element, record: Record, index: int, attributes: dict[str, str]) -> None:
        class_name = self._class_names[record.class_ids[index] - 1]
        common = {"label": class_name, "source": "auto" if SCORE in attributes else "file"}
        areas = [
            Element(tag, {**common, "occluded": "0", **values, "z_order": "0"})
            for tag, values in _areas(record, index)
        ]
        skeleton = self._skeleton(record, index, common)
        shapes = [*areas, *([] if skeleton is None else [skeleton])]
        group = str(next(self._groups)) if len(shapes) > 1 else None
        for shape in shapes:
            if group is not None:
                shape.set("group_id", group)
            for key, value in attributes.items():
                SubElement(shape, "attribute", {"name": key}).text = value
        self._attributes.update(dict.fromkeys(attributes))
        self._areas += [(class_name, area) for area in areas]
        image.extend(shapes)

    def _skeleton(self, record: Record, index: int, common: dict[str, str]) -> Element | None:
        points = None if record.keypoints is None else record.keypoints[index]
        if points is None or not (points[:, 2] > 0).any():
            return None
        names = list(record.keypoint_names or map(str, range(1, len(points) + 1)))
        if self._skeletons.setdefault(common["label"], names) != names:
            raise ValueError(
                f"its keypoints are called otherwise than those of other images: {', '.join(names)}"
            )
        skeleton = Element("skeleton", {**common, "z_order": "0"})
        x1, y1, x2, y2 = record.boxes[index].tolist()
        for name, (x, y, visibility) in zip(names, points.tolist(), strict=True):
            place = (x, y) if visibility > 0 else ((x1 + x2) / 2, (y1 + y2) / 2)  # CVAT has them somewhere
            flags = {"outside": str(int(visibility == 0)), "occluded": str(int(visibility == 1))}
            values = {"label": name, "source": common["source"], **flags, "points": _pairs(place)}
            SubElement(skeleton, "points", values)
        return skeleton


def _areas(record: Record, index: int) -> Iterator[tuple[str, dict[str, str]]]:
    """The kind of each shape that an object's area is of, with what it says."""
    if record.masks is None:
        corners = map(_text, record.boxes[index].tolist())
        yield "box", dict(zip(("xtl", "ytl", "xbr", "ybr"), corners, strict=True))
    elif isinstance(record.masks[index], dict):
        yield "mask", _mask(record.masks[index])
    else:
        for polygon in record.masks[index]:
            yield "polygon", {"points": _pairs(checked_polygon(polygon))}


def _mask(rle: dict[str, Any]) -> dict[str, str]:
    part, left, top = rle_region(rle)
    if not part.size:  # CVAT has no mask without a box
        part = np.zeros((1, 1), bool)
    runs = {"rle": ", ".join(map(str, row_runs(part))), "left": str(left), "top": str(top)}
    return {**runs, "width": str(part.shape[1]), "height": str(part.shape[0])}


def _pairs(values: Sequence[float]) -> str:
    """x,y;x,y of a flat list x, y, x, y."""
    return ";".join(f"{_text(x)},{_text(y)}" for x, y in zip(values[::2], values[1::2], strict=True))


def _text(value: float) -> str:
    """A number to its last bit; CVAT itself writes two decimals."""
    return f"{value:.0f}" if value == int(value) else repr(value)
