"""The results of one annotation of Label Studio: regions, what they are called and which keypoints are whose."""

import dataclasses
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_maskrcnn.data.checks import collect_errors, error_prefix
from keras_maskrcnn.data.formats.builder import CocoBuilder, Size
from keras_maskrcnn.data.formats.label_studio_shapes import KINDS, POINT, outline, point
from keras_maskrcnn.masks.segmentation_checks import shown

NO_SHAPES = (
    "choices", "taxonomy", "textarea", "number", "rating", "datetime", "pairwise", "ranker",
)  # fmt: skip
"""Types of results that say something of a region or of the image."""
_LABELS, _RELATION = "labels", "relation"
_HIDDEN, _VISIBLE = 1, 2


@dataclasses.dataclass
class Region:
    """Results of one id."""

    name: str
    """What messages call it."""
    results: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    """Its shapes: one, or several polygons."""
    labels: list[str] = dataclasses.field(default_factory=list)
    """What it is called, each once."""
    parent: Any = None
    """The id of the region in which it is nested."""

    @property
    def kind(self) -> str:
        """What its shape is, as Label Studio's type without "labels"."""
        return kind_of(self.results[0])

    @property
    def label(self) -> str | None:
        """What it is called; None where nothing is said.

        Raises:
            ValueError: it is called several things.
        """
        if len(self.labels) > 1:
            raise ValueError(f"it has several labels: {', '.join(self.labels)}")
        return self.labels[0] if self.labels else None


@dataclasses.dataclass
class Results:
    """The results of an annotation, sorted."""

    regions: dict[Any, Region]
    """By their ids, in the order of the file."""
    links: list[tuple[Any, Any]]
    """Ids of regions that are related."""
    others: Counter[str]
    """How many results are no shapes, by type."""


def sorted_results(results: Any, problems: list[str]) -> Results:
    """Sort the results of an annotation; what is broken is added to the problems."""
    found = Results({}, [], Counter())
    with collect_errors(problems):
        if not isinstance(results, list):
            raise ValueError(f'its "result" must be a list; got {shown(results)}')
        for number, result in enumerate(results):
            with collect_errors(problems), error_prefix(f"result {number}"):
                _sort(result, number, found)
    for key in [key for key, region in found.regions.items() if not region.results]:
        problems.append(f"{found.regions.pop(key).name}: it has labels but no shape")
    return found


def kind_of(result: dict[str, Any]) -> str:
    """Return a result's type without "labels", with which those end that say a label as well."""
    return str(result.get("type")).removesuffix(_LABELS)


def size_of(results: Results) -> Size | None:
    """Return the (height, width) of the image, if all regions that tell it agree."""
    told = {
        size
        for region in results.regions.values()
        for result in region.results
        if (size := _told_size(result)) is not None
    }
    return told.pop() if len(told) == 1 else None


def add_regions(
    builder: CocoBuilder,
    results: Results,
    image: str,
    size: Size,
    default_class: str | None,
    points: Sequence[str],
) -> Counter[str]:
    """Add the objects of an annotation, as of the last image of a builder.

    Args:
        image: what messages call the image.
        size: its (height, width) in pixels.
        default_class: the class of regions without a label; None: they are errors.
        points: the names of an object's keypoints.

    Returns:
        How many regions were not read as they stand, by what was made of them.
    """
    met: Counter[str] = Counter()
    owned = _keypoints(builder, results, image, size, points)
    for key, region in results.regions.items():
        if region.kind == POINT:
            continue
        name = f"{region.name} of {image}"
        with collect_errors(builder.problems), error_prefix(name):
            label = region.label or default_class
            if label is None:
                raise ValueError(
                    "it has no label; default_class (--default-class) names a class for such regions"
                )
            for result in region.results:
                _check_size(result, size)
            segmentation, box = outline(region.kind, region.results[0].get("value"), size)
            for result in region.results[1:]:
                segmentation = [*segmentation, *outline(region.kind, result.get("value"), size)[0]]
            fields = {"keypoints": owned[key].ravel().tolist()} if key in owned else {}
            builder.add_object(name, label, segmentation, box, **fields)
            met["regions of several polygons are one object each"] += len(region.results) > 1
            met["polygons that are not closed are read as if they were"] += _is_open(region)
    return +met


def _sort(result: Any, number: int, found: Results) -> None:
    if not isinstance(result, dict) or not isinstance(result.get("type"), str):
        raise ValueError(f'it must be an object with a "type"; got {shown(result)}')
    kind = kind_of(result)
    if kind == _RELATION:
        found.links.append((_id(result.get("from_id")), _id(result.get("to_id"))))
        return
    if kind in NO_SHAPES:
        found.others[kind] += 1
        return
    if kind not in (*KINDS, POINT, ""):
        raise ValueError(
            f"its type is {result['type']!r}; what can be an object is a {', '.join(KINDS[:-1])} or {KINDS[-1]}, "
            "and a keypoint of one"
        )
    own, labels = _id(result.get("id")), _labels(result)
    key = number if own is None else own
    region = found.regions.setdefault(key, Region(f"region {key}"))
    region.labels += [label for label in labels if label not in region.labels]
    region.parent = region.parent or _id(result.get("parentID"))
    if kind and not _is_known(result, region):
        if region.results and not region.kind == kind == KINDS[0]:
            raise ValueError(f"{region.name} is a {region.kind} already; only polygons are parts of one")
        region.results.append(result)


def _is_known(result: dict[str, Any], region: Region) -> bool:
    """Whether a region has this shape already: each of its results repeats it."""
    return any(
        kind_of(result) == kind_of(other) and _geometry(result) == _geometry(other)
        for other in region.results
    )


def _geometry(result: dict[str, Any]) -> Any:
    value = result.get("value")
    return {k: v for k, v in value.items() if not k.endswith(_LABELS)} if isinstance(value, dict) else value


def _labels(result: dict[str, Any]) -> list[str]:
    value = result.get("value")
    if not isinstance(value, dict):
        return []
    labels = value.get(result["type"]) if result["type"].endswith(_LABELS) else value.get(_LABELS)
    if labels is not None and not (isinstance(labels, list) and all(isinstance(one, str) for one in labels)):
        raise ValueError(f"its labels must be a list of names; got {shown(labels)}")
    return [label for label in labels or [] if label.strip()]


def _id(value: Any) -> Any:
    """An id that can be one: text, or a whole number where a program wrote it."""
    return value if value and isinstance(value, (str, int)) and not isinstance(value, bool) else None


def _keypoints(
    builder: CocoBuilder, results: Results, image: str, size: Size, names: Sequence[str]
) -> dict[Any, np.ndarray]:
    """The keypoints [J, 3] of objects, by the ids of these."""
    owned: dict[Any, np.ndarray] = {}
    for key, region in results.regions.items():
        if region.kind != POINT:
            continue
        with collect_errors(builder.problems), error_prefix(f"{region.name} of {image}"):
            if region.label not in names:
                raise ValueError(
                    f"it is a keypoint called {region.label!r}, which is none of {', '.join(names)}"
                )
            _check_size(region.results[0], size)
            x, y = point(region.results[0].get("value"), size)
            rows = owned.setdefault(_owner(key, region, results), np.zeros((len(names), 3)))
            row = rows[names.index(region.label)]
            if row[2]:
                raise ValueError(f"its object has another keypoint called {region.label!r}")
            row[:] = x, y, _HIDDEN if region.results[0]["value"].get("hidden") is True else _VISIBLE
    return owned


def _owner(key: Any, region: Region, results: Results) -> Any:
    """The id of the object whose keypoint a region is: it is nested in that, or related to it."""
    linked = [second if first == key else first for first, second in results.links if key in (first, second)]
    near = dict.fromkeys([region.parent] if region.parent in results.regions else linked)
    owners = [one for one in near if one in results.regions and results.regions[one].kind != POINT]
    if len(owners) != 1:
        raise ValueError(
            "it is a keypoint, and nothing says of which object: drag it onto its object's region in the list of "
            'regions ("parentID"), or relate the two'
            if not owners
            else f"it is a keypoint of several regions: {', '.join(map(str, owners))}"
        )
    return owners[0]


def _check_size(result: dict[str, Any], size: Size) -> None:
    """Refuse a region that was drawn on an image of another size, or turned."""
    height, width, turned = (result.get(k) for k in ("original_height", "original_width", "image_rotation"))
    if (height, width) not in (size, (None, None)):
        raise ValueError(
            f"it was drawn on an image of {shown(width)} x {shown(height)} (width x height), which is {size[1]} x "
            f"{size[0]}"
        )
    if turned not in (0, None):
        raise ValueError(
            f"it was drawn on the image rotated by {shown(turned)} degrees; rotate it back in Label Studio, or save "
            "the image rotated"
        )


def _told_size(result: dict[str, Any]) -> Size | None:
    height, width = result.get("original_height"), result.get("original_width")
    if not isinstance(height, int) or not isinstance(width, int) or height < 1 or width < 1:
        return None
    return height, width


def _is_open(region: Region) -> bool:
    return any(result["value"].get("closed") is False for result in region.results)
