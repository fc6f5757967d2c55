"""The labels that CVAT's XML lists: which are classes, and which keypoints they have."""

import dataclasses
import re
from xml.etree.ElementTree import Element

from keras_maskrcnn.masks.segmentation_checks import shown

_NO_CLASSES = ("tag", "polyline", "points", "cuboid")
"""Types of labels whose shapes have no area."""
_BODY = re.compile(r"(.+)[ _-](mask|box|bbox|rectangle|polygon|ellipse|shape)", re.IGNORECASE)


@dataclasses.dataclass(frozen=True)
class Labels:
    """The labels of a file."""

    types: dict[str, str]
    """Of each label in the file's order; empty where the file lists none."""
    keypoints: dict[str, list[str]]
    """The names of the points of each skeleton, also of those that do not occur."""
    drawn: dict[str, list[str]]
    """And of those that do."""

    def class_of(self, label: str | None) -> str:
        """Return the class of a shape with a label.

        Raises:
            ValueError: the file does not list the label, or as one of shapes without area.
        """
        if not label:
            raise ValueError("it has no label")
        name = self.without_body(label)
        for one in (label, name) if self.types else ():
            if one not in self.types:
                raise ValueError(
                    f"its label {shown(one)} is not among those of the file: {', '.join(self.types)}"
                )
            if self.types[one] in _NO_CLASSES:
                raise ValueError(f"its label {one} is of the type {self.types[one]}, which has no area")
        return name

    def without_body(self, label: str) -> str:
        """Return the label of skeletons that a label of masks or boxes is called like, or else the label itself.

        A label of skeletons can have no other shapes in CVAT: the mask or the box of such an object has another, such
        as "person mask" or "person_bbox" beside "person".
        """
        body = None if label in self.keypoints else _BODY.fullmatch(label)
        return body[1] if body is not None and body[1] in self.keypoints else label

    def classes(self) -> list[str] | None:
        """Return the names of the classes in the file's order; None where the file lists no labels."""
        if not self.types:
            return None
        return [name for name, kind in self.types.items() if self._is_class(name, kind)]

    def notes(self) -> list[str]:
        """Return what the report should say of labels that are no classes."""
        left = [f"{name} ({kind})" for name, kind in self.types.items() if kind in _NO_CLASSES]
        return [f"labels that are no classes by their type: {', '.join(left)}"] if left else []

    def _is_class(self, name: str, kind: str) -> bool:
        return kind not in _NO_CLASSES and self.without_body(name) == name


def read_labels(meta: Element | None, met: dict[str, list[str]]) -> Labels:
    """Read the labels in <meta>.

    Args:
        meta: the element, if there is one.
        met: the names of the points of each skeleton in the order in which they occur, for skeletons whose points
            <meta> does not list.
    """
    types: dict[str, str] = {}
    listed: dict[str, list[str]] = {}
    for label in meta.iter("label") if meta is not None else ():
        name, parent = label.findtext("name"), label.findtext("parent")
        if name and parent:
            listed.setdefault(parent, []).append(name)
        elif name:
            types[name] = (label.findtext("type") or "any").strip()
    keypoints = {**met, **listed}
    return Labels(types, keypoints, {name: keypoints[name] for name in met})
