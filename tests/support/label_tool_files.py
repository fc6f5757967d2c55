"""The images of `made_images()` as label tools export them that annotate in a browser: Label Studio and CVAT."""

import math

import numpy as np
from made_images import CLASSES, HEIGHT, WIDTH, made_images, save_images, save_json

from keras_maskrcnn.data.formats.brush_rle import encode_brush


def write_label_studio(folder, made=None):
    """A JSON export of uploaded images, which have got other names; circles are strokes of a brush."""
    made = made_images() if made is None else made
    images = save_images(folder / "images", made)
    tasks = []
    for number, one in enumerate(made, start=1):
        results = [_label_studio_result(shape, place) for place, shape in enumerate(one.shapes)]
        annotation = {"id": 10 + number, "completed_by": 1, "result": results, "was_cancelled": False}
        name = f"{number:08x}-{one.name.replace(' ', '_')}.png"
        data = {"image": f"/data/upload/1/{name}"}
        tasks.append({"id": number, "annotations": [annotation], "predictions": [], "data": data})
    return save_json(folder / "export.json", tasks), images


def _label_studio_result(shape, place):
    kind, per_cent = shape.kind, np.array([100 / WIDTH, 100 / HEIGHT])
    if kind == "polygon":
        value = {"points": (np.reshape(shape.numbers, (-1, 2)) * per_cent).tolist(), "closed": True}
    elif kind == "rect":
        (x, y), (width, height) = np.reshape(shape.numbers, (2, 2)) * per_cent
        value = {"x": x, "y": y, "width": width, "height": height, "rotation": 0}
    elif kind == "circle":
        value = {"format": "rle", "rle": encode_brush(shape.mask())}
    else:
        (x, y), (rx, ry) = np.reshape(shape.numbers[:4], (2, 2)) * per_cent
        value = {"x": x, "y": y, "radiusX": rx, "radiusY": ry, "rotation": math.degrees(shape.numbers[4])}
    kind = {"rect": "rectangle", "circle": "brush"}.get(kind, kind) + "labels"
    size = {"original_width": WIDTH, "original_height": HEIGHT, "image_rotation": 0}
    named = {"id": f"r{place}", "from_name": "label", "to_name": "image", "type": kind}
    return {**size, **named, "value": {**value, kind: [shape.class_name]}}


def write_cvat(folder, made=None):
    """CVAT's archive unpacked; circles are masks, and the rotated ellipses have their angle in degrees."""
    made = made_images() if made is None else made
    save_images(folder / "images", made)
    labels = "".join(f"<label><name>{name}</name><type>any</type></label>" for name in CLASSES)
    lines = [f"<annotations><version>1.1</version><meta><task><labels>{labels}</labels></task></meta>"]
    for number, one in enumerate(made):
        lines.append(f'<image id="{number}" name="{one.name}.png" width="{WIDTH}" height="{HEIGHT}">')
        lines += [_cvat_shape(shape) for shape in one.shapes]
        lines.append("</image>")
    path = folder / "annotations.xml"
    path.write_text("\n".join([*lines, "</annotations>"]))
    return path, None


def _cvat_shape(shape):
    common = f'label="{shape.class_name}" source="manual" occluded="0" z_order="0"'
    if shape.kind == "polygon":
        points = ";".join(f"{x:.2f},{y:.2f}" for x, y in np.reshape(shape.numbers, (-1, 2)))
        return f'<polygon {common} points="{points}"></polygon>'
    if shape.kind == "rect":
        x, y, width, height = shape.numbers
        return f'<box {common} xtl="{x}" ytl="{y}" xbr="{x + width}" ybr="{y + height}"></box>'
    if shape.kind == "ellipse":
        cx, cy, rx, ry, theta = shape.numbers
        angle = f'rotation="{math.degrees(theta) % 360:.2f}"'
        return f'<ellipse {common} cx="{cx}" cy="{cy}" rx="{rx}" ry="{ry}" {angle}></ellipse>'
    left, top, right, bottom = (int(value) for value in shape.box())
    part = shape.mask()[top : bottom + 1, left : right + 1]
    size = f'left="{left}" top="{top}" width="{part.shape[1]}" height="{part.shape[0]}"'
    return f'<mask {common} rle="{", ".join(map(str, _row_runs(part)))}" {size}></mask>'


def _row_runs(part):
    """Runs of zeros and ones in turn, row by row, found by a walk over all pixels."""
    runs, before = [0], False
    for inside in part.ravel().tolist():
        if inside != before:
            runs.append(0)
        runs[-1] += 1
        before = inside
    return runs
