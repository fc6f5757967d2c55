"""Instances drawn on an image: masks, boxes, keypoints with limbs, and labels or a legend."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from keras_maskrcnn.drawing.colors import Color, class_colors, instance_colors, track_colors
from keras_maskrcnn.drawing.displayable import displayable
from keras_maskrcnn.drawing.keypoints import draw_keypoints
from keras_maskrcnn.drawing.labels import CHOICES, Labels
from keras_maskrcnn.drawing.legend import legend_entries
from keras_maskrcnn.drawing.masks import box_regions, enlarged, mask_regions, paint_mask
from keras_maskrcnn.drawing.room import Room
from keras_maskrcnn.masks.rle import Region

CROWDED = 20
"""Boxes of more instances than this are left out where masks show these."""


def draw_instances(
    image: Any,
    boxes: np.ndarray,
    names: Sequence[str] | None = None,
    scores: np.ndarray | None = None,
    masks: Any = None,
    *,
    keypoints: np.ndarray | None = None,
    keypoint_names: Sequence[str] | None = None,
    keypoint_threshold: float = 0.05,
    crowd: np.ndarray | None = None,
    track_ids: np.ndarray | None = None,
    color_by: str = "auto",
    class_names: Sequence[str] | None = None,
    colors: Sequence[Color] | None = None,
    box_colors: Sequence[Color] | None = None,
    fill: bool = True,
    show_boxes: bool | str = "auto",
    labels: bool | str = "auto",
    font: str | None = None,
    stretch: bool | str = "auto",
    scale: int = 1,
) -> Image.Image:
    """Draw instances on an image; the line widths, the dots and the text grow with it.

    Args:
        image: a PIL image, or an array [H, W] or [H, W, C]; shown as `displayable` does.
        boxes: [N, 4] x1, y1, x2, y2 in pixels of the image.
        names: N labels, or None for none.
        scores: [N] floats written after the labels, or None.
        masks: [N, H, W] bool, N COCO RLE dicts, or None.
        keypoints: [N, J, 3] x, y in pixels of the image, and a score or an annotation's visibility; or None.
        keypoint_names: J names; between those that COCO's skeleton of a person joins, limbs are drawn.
        keypoint_threshold: keypoints whose third value is above it are drawn. At 0.05 these are all that are
            annotated, hidden ones too, or of a model's those with such a probability or logit.
        crowd: [N] bool, which instances are regions of many objects: their masks are hatched and their boxes dashed.
        track_ids: [N] ints, written after the names as "#3", of an object's track through a video; -1 has none.
        color_by: "instance" for a colour of each instance, of which neighbours' differ; "class" for one of each name;
            "track" for one of each track; "auto" for one of each track where there are any, else of each instance, or
            where a legend stands in place of the labels of several classes, of each name.
        class_names: all that `names` are of, so that a class has the same colour in every image.
        colors: N colours (red, green, blue in 0..255) in place of those of `color_by`.
        box_colors: N colours of boxes and labels, where these are not those of the masks.
        fill: whether masks are tinted (crowds hatched), or False for their outlines alone.
        show_boxes: whether boxes are drawn; "auto" leaves them out where masks show more than 20 instances, and
            `box_colors` do not tell more than these. An instance whose mask is empty has its box all the same, unless
            False.
        labels: whether names and scores are written.

            - "auto": each beside its object, where it hides neither objects nor other labels, all in smaller text if
              need be. Up to 12 are always written, where they hide least. Of more, those are left out that would touch
              another or hide more than 5 % of an object, and if these are more than a quarter, all. Then a legend in
              the emptiest place along the edges has each class's count and range of scores, and how many labels are
              left out. It takes at most a quarter of the image, and hides at most 2 % of the objects; where it finds
              no such place (`scale` enlarges an image), there is none.
            - True: all, where they hide least. False: none.
            - "legend": a legend in place of them. "strip": the same below the image, which becomes higher by it.
        font: path of a TrueType font; left out: of each label one that has its letters, if there is any.
        stretch: whether dark images are stretched, as `displayable` does: "auto" stretches gray ones that are nearly
            black.
        scale: how many times the image is enlarged, a whole number; small ones have no room for names.

    Returns:
        An RGB image, `scale` times the image's size (and with `labels="strip"` the strip below).

    Raises:
        ValueError: lengths or sizes disagree, an argument is none of its choices, or `scale` is below 1.
    """
    _check_choices(color_by=color_by, show_boxes=show_boxes, labels=labels)
    canvas = _enlarged(displayable(image, stretch), scale)
    height, width = canvas.shape[:2]
    boxes = scale * np.asarray(boxes, np.float64).reshape(-1, 4)
    if color_by == "track" and track_ids is None and colors is None:
        raise ValueError('color_by="track" needs track_ids')
    rows = {"names": names, "scores": scores, "masks": masks, "keypoints": keypoints, "crowd": crowd}
    _check_lengths(len(boxes), **rows, track_ids=track_ids, colors=colors, box_colors=box_colors)
    crowd = np.zeros(len(boxes), bool) if crowd is None else np.asarray(crowd, bool)
    regions = [] if masks is None else mask_regions(masks, height // scale, width // scale, scale)
    objects = _objects(box_regions(boxes, height, width), regions)
    text = Labels(boxes, _labels(names, scores, crowd, track_ids), legend_entries(names, scores, crowd), font)
    written = text.written(Room(height, width, objects if labels else ()), labels)
    if colors is None and track_ids is not None and color_by in ("auto", "track"):
        colors = track_colors(np.asarray(track_ids))
    if colors is None:
        several = names is not None and len(set(names)) > 1
        by_class = color_by == "class" or (color_by == "auto" and several and written.in_place_of_labels)
        colors = (
            class_colors(names, class_names) if names is not None and by_class else instance_colors(boxes)
        )
    marks = colors if box_colors is None else box_colors
    line = _line_width(boxes, height, width)
    order = _largest_first(boxes)
    for index in order if regions else ():
        paint_mask(canvas, regions[index], colors[index], line, fill, bool(crowd[index]))
    drawn = Image.fromarray(canvas)
    draw = ImageDraw.Draw(drawn)
    for index in _boxed(order, regions, show_boxes, box_colors is not None):
        _draw_box(draw, boxes[index], marks[index], line, (height, width), bool(crowd[index]))
    if keypoints is not None and len(keypoints):
        points = np.asarray(keypoints, np.float64)[order] * [scale, scale, 1]
        draw_keypoints(draw, points, keypoint_names, keypoint_threshold, [colors[i] for i in order], line)
    return written.on(drawn, marks)


def _objects(boxes: Sequence[Region], masks: Sequence[Region]) -> list[Region]:
    """What instances cover of an image: their masks, or boxes if they have none or empty ones."""
    if not masks:
        return list(boxes)
    return [mask if mask[0].size else box for mask, box in zip(masks, boxes, strict=True)]


def _boxed(order: np.ndarray, masks: Sequence[Region], show: bool | str, marked: bool) -> list[int]:
    """Which instances, in their order, have their boxes drawn; `marked` boxes tell more than where they are."""
    if show == "auto" and masks and not marked and len(order) > CROWDED:
        return [index for index in order if not masks[index][0].size]
    return list(order) if show else []


def _check_choices(color_by: str, show_boxes: bool | str, labels: bool | str) -> None:
    allowed = {
        "color_by": ("auto", "instance", "class", "track"),
        "show_boxes": ("auto", True, False),
        "labels": CHOICES,
    }
    given = {"color_by": color_by, "show_boxes": show_boxes, "labels": labels}
    for name, value in given.items():
        if value not in allowed[name]:
            listed = ", ".join(f'"{one}"' if isinstance(one, str) else str(one) for one in allowed[name])
            raise ValueError(f"{name} must be one of {listed}; got {value!r}")


def _enlarged(pixels: np.ndarray, scale: int) -> np.ndarray:
    if scale < 1:
        raise ValueError(f"draw_instances' scale must be a whole number from 1; got {scale}")
    return enlarged(pixels, scale)


def _largest_first(boxes: np.ndarray) -> np.ndarray:
    """The order [N] in which small instances in front of large ones stay visible."""
    return np.argsort(-np.prod(boxes[:, 2:] - boxes[:, :2], axis=1), kind="stable")


def _check_lengths(count: int, **rows: Any) -> None:
    for argument, values in rows.items():
        if values is not None and len(values) != count:
            raise ValueError(f"draw_instances got {count} boxes but {len(values)} {argument}")


def _draw_box(
    draw: ImageDraw.ImageDraw, box: np.ndarray, color: Color, line: int, size: tuple[int, int], dashed: bool
) -> None:
    height, width = size
    x1, y1, x2, y2 = np.nan_to_num(box)
    left, right = np.clip([np.floor(x1), np.ceil(x2) - 1], 0, width - 1)
    top, bottom = np.clip([np.floor(y1), np.ceil(y2) - 1], 0, height - 1)
    right, bottom = max(left, right), max(top, bottom)
    if not dashed:
        draw.rectangle((left, top, right, bottom), outline=color, width=line)
        return
    dash = 6 * line
    for x in np.arange(left, right + 1, 2 * dash):
        end = min(x + dash, right)
        draw.rectangle((x, top, end, min(top + line - 1, bottom)), fill=color)
        draw.rectangle((x, max(bottom - line + 1, top), end, bottom), fill=color)
    for y in np.arange(top, bottom + 1, 2 * dash):
        end = min(y + dash, bottom)
        draw.rectangle((left, y, min(left + line - 1, right), end), fill=color)
        draw.rectangle((max(right - line + 1, left), y, right, end), fill=color)


def _labels(
    names: Sequence[str] | None, scores: np.ndarray | None, crowd: np.ndarray, track_ids: np.ndarray | None
) -> list[str]:
    if names is None and scores is None and track_ids is None:
        return []
    parts: list[list[str]] = [[] for _ in crowd]
    for row, part in enumerate(parts):
        if names is not None:
            part.append(names[row])
        if track_ids is not None and track_ids[row] >= 0:
            part.append(f"#{track_ids[row]}")
        if scores is not None:
            part.append(f"{scores[row]:.2f}")
        if crowd[row]:
            part.append("(crowd)")
    return [" ".join(part) for part in parts]


def _line_width(boxes: np.ndarray, height: int, width: int) -> int:
    """In pixels, by the image's size: it may be shown smaller; but thin beside small objects, which it would cover."""
    sides = np.sqrt(np.prod((boxes[:, 2:] - boxes[:, :2]).clip(0), axis=1))
    by_objects = float(np.median(sides)) / 12 if len(boxes) else np.inf
    return max(1, round(min(max(height, width) / 700, by_objects)))
