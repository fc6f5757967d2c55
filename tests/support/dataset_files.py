"""One small generated dataset, written as files of every format that can be read.

`made_images()` makes it, `WRITERS[name](folder)` writes it as a format, and returns what `load_dataset` needs to read
it (annotations and images). What is in it is known exactly: each `Shape` tells its outline, its box and its pixels.
"""

import base64
import dataclasses
import functools
import io
import json
import math

import numpy as np
import pycocotools.mask as coco_mask
from PIL import Image
from skimage.measure import points_in_poly

from keras_maskrcnn.data.formats.brush_rle import encode_brush

CLASSES = ["bolt", "nut", "washer"]
HEIGHT, WIDTH = 120, 160


@dataclasses.dataclass(frozen=True)
class Shape:
    """One object: a polygon (flat list of points), rect (x, y, width, height), circle (cx, cy, r) or ellipse
    (cx, cy, rx, ry, theta)."""

    class_name: str
    kind: str
    numbers: tuple[float, ...]

    def polygon(self):
        """Its outline as a flat list x1, y1, x2, y2, ..."""
        if self.kind == "polygon":
            return list(self.numbers)
        if self.kind == "rect":
            x, y, width, height = self.numbers
            return [x, y, x + width, y, x + width, y + height, x, y + height]
        cx, cy, rx, ry, theta = (
            self.numbers if self.kind == "ellipse" else (*self.numbers, self.numbers[2], 0)
        )
        points = []
        for angle in np.linspace(0, 2 * math.pi, 200, endpoint=False):
            u, v = rx * math.cos(angle), ry * math.sin(angle)
            points += [
                cx + u * math.cos(theta) - v * math.sin(theta),
                cy + u * math.sin(theta) + v * math.cos(theta),
            ]
        return points

    def box(self):
        """x1, y1, x2, y2 around it."""
        points = np.reshape(self.polygon(), (-1, 2))
        return [*points.min(axis=0).tolist(), *points.max(axis=0).tolist()]

    @functools.cache  # noqa: B019
    def mask(self):
        """[HEIGHT, WIDTH] bool: the pixels whose centre lies inside."""
        y, x = np.mgrid[:HEIGHT, :WIDTH] + 0.5
        centres = np.stack([x.ravel(), y.ravel()], axis=1)
        return points_in_poly(centres, np.reshape(self.polygon(), (-1, 2))).reshape(HEIGHT, WIDTH)


@dataclasses.dataclass(frozen=True)
class MadeImage:
    name: str
    shapes: tuple[Shape, ...]

    def pixels(self):
        """[HEIGHT, WIDTH, 3] uint8: noise, with the objects in the colour of their class."""
        rng = np.random.default_rng(len(self.shapes))
        image = rng.integers(0, 60, (HEIGHT, WIDTH, 3)).astype(np.uint8)
        for shape in self.shapes:
            image[shape.mask(), CLASSES.index(shape.class_name)] = 220
        return image


def made_images(count=3, seed=0):
    """`count` images with four objects each, which do not touch, and one more without any."""
    rng = np.random.default_rng(seed)
    made = []
    for number in range(count):
        shapes = []
        for cell, kind in enumerate(rng.permutation(["polygon", "rect", "circle", "ellipse"])):
            centre = 40 + 80 * (cell % 2), 30 + 60 * (cell // 2)
            class_name = CLASSES[(number + cell) % len(CLASSES)]
            shapes.append(Shape(class_name, str(kind), tuple(_numbers(str(kind), *centre, rng))))
        made.append(MadeImage(f"image {number}", tuple(shapes)))
    return [*made, MadeImage("nothing", ())]


def _numbers(kind, cx, cy, rng):
    """Numbers of a shape around a centre, at most 27 pixels from it."""
    if kind == "rect":
        width, height = (int(side) for side in rng.integers(26, 48, 2))
        return [cx - width // 2, cy - height // 2, width, height]
    if kind == "circle":
        return [cx, cy, int(rng.integers(14, 26))]
    if kind == "ellipse":
        return [cx, cy, int(rng.integers(20, 27)), int(rng.integers(11, 19)), float(rng.uniform(-1, 1))]
    angles = np.linspace(0, 2 * math.pi, 7, endpoint=False) + rng.uniform(0, 0.5, 7)
    radii = rng.uniform(16, 27, 7)
    points = np.stack([cx + radii * np.cos(angles), cy + radii * np.sin(angles)], axis=1)
    return np.rint(points).ravel().tolist()


def _save_images(folder, made):
    folder.mkdir(parents=True, exist_ok=True)
    for one in made:
        Image.fromarray(one.pixels()).save(folder / f"{one.name}.png")
    return folder


def _save_json(path, content):
    path.write_text(json.dumps(content, indent=1))
    return path


def _rle(mask):
    rle = coco_mask.encode(np.asfortranarray(mask.astype(np.uint8)))
    return {"size": rle["size"], "counts": rle["counts"].decode()}


def _coco_rows(made):
    for image_id, one in enumerate(made, start=1):
        for shape in one.shapes:
            x1, y1, x2, y2 = shape.box()
            as_mask = shape.kind == "circle"
            yield {
                "image_id": image_id,
                "category_id": 10 * CLASSES.index(shape.class_name),
                "bbox": [x1, y1, x2 - x1, y2 - y1],
                "segmentation": _rle(shape.mask()) if as_mask else [shape.polygon()],
            }


def write_coco(folder, made=None):
    """Polygons, circles as RLE; category ids from 0 with gaps."""
    made = made_images() if made is None else made
    content = {
        "images": [
            {"id": number, "file_name": f"{one.name}.png", "height": HEIGHT, "width": WIDTH}
            for number, one in enumerate(made, start=1)
        ],
        "annotations": [{"id": n, "iscrowd": 0, **row} for n, row in enumerate(_coco_rows(made), start=1)],
        "categories": [{"id": 10 * n, "name": name} for n, name in enumerate(CLASSES)],
    }
    images = _save_images(folder / "images", made)
    return _save_json(folder / "annotations.json", content), images


def write_roboflow(folder, made=None):
    """A split as Roboflow exports it: hashes in the names, and a category of id 0 that only groups the others."""
    made = made_images() if made is None else made
    split = _save_images(folder / "train", made)
    names = {one.name: f"{one.name.replace(' ', '-')}_png.rf.{n:032x}.png" for n, one in enumerate(made)}
    for name, hashed in names.items():
        (split / f"{name}.png").rename(split / hashed)
    rows = [
        {"id": n, **row, "category_id": row["category_id"] // 10 + 1, "area": 0.0, "iscrowd": 0}
        for n, row in enumerate(_coco_rows(made))
    ]
    for row in rows:
        row["area"] = row["bbox"][2] * row["bbox"][3]  # of the box
    content = {
        "info": {"year": "2026", "version": "1", "description": "Exported from roboflow.com"},
        "licenses": [{"id": 1, "url": "https://creativecommons.org/licenses/by/4.0/", "name": "CC BY 4.0"}],
        "categories": [
            {"id": 0, "name": "parts", "supercategory": "none"},
            *({"id": n, "name": name, "supercategory": "parts"} for n, name in enumerate(CLASSES, start=1)),
        ],
        "images": [
            {
                "id": number,
                "license": 1,
                "file_name": names[one.name],
                "height": HEIGHT,
                "width": WIDTH,
                "date_captured": "2026-01-01T00:00:00+00:00",
                "extra": {"name": f"{one.name}.png"},
            }
            for number, one in enumerate(made, start=1)
        ],
        "annotations": rows,
    }
    _save_json(split / "_annotations.coco.json", content)
    return split, None


def write_results(folder, made=None):
    """Detections as `maskrcnn predict` writes them."""
    made = made_images() if made is None else made
    images = _save_images(folder / "images", made)
    rows = [
        {
            **row,
            "score": 0.9,
            "category_name": CLASSES[row["category_id"] // 10],
            "file_name": str(images / f"{made[row['image_id'] - 1].name}.png"),
        }
        for row in _coco_rows(made)
    ]
    return _save_json(folder / "detections.json", rows), images


def write_via(folder, made=None, version=2):
    """A project of VIA 2, or an export of VIA 1, which has no rotated ellipses: there they are polygons."""
    made = made_images() if made is None else made
    images = _save_images(folder / "images", made)
    entries = {}
    for one in made:
        regions = [
            {
                "shape_attributes": _via_shape(shape, version),
                "region_attributes": {"part": shape.class_name},
            }
            for shape in one.shapes
        ]
        name = f"{one.name}.png"
        size = (images / name).stat().st_size
        numbered = {str(number): region for number, region in enumerate(regions)}
        entries[f"{name}{size}"] = {
            "filename": name,
            "size": size,
            "regions": regions if version == 2 else numbered,
            "file_attributes": {},
        }
    project = {
        "_via_settings": {},
        "_via_img_metadata": entries,
        "_via_attributes": {"region": {}, "file": {}},
    }
    return _save_json(folder / "via.json", project if version == 2 else entries), images


def write_via1(folder, made=None):
    return write_via(folder, made, version=1)


def _via_shape(shape, version):
    keys = {
        "rect": ("x", "y", "width", "height"),
        "circle": ("cx", "cy", "r"),
        "ellipse": ("cx", "cy", "rx", "ry", "theta"),
    }
    if shape.kind == "polygon" or (shape.kind == "ellipse" and version == 1):
        points = shape.polygon()
        return {"name": "polygon", "all_points_x": points[::2], "all_points_y": points[1::2]}
    return {"name": shape.kind, **dict(zip(keys[shape.kind], shape.numbers, strict=True))}


def write_labelme(folder, made=None):
    """JSON files beside the images; the ellipses are masks. The image without objects is in its file only."""
    made = made_images() if made is None else made
    folder = _save_images(folder / "labelled", made)
    for one in made:
        image = folder / f"{one.name}.png"
        content = {
            "version": "5.4.1",
            "flags": {},
            "shapes": [_labelme_shape(shape) for shape in one.shapes],
            "imagePath": f"..\\labelled\\{one.name}.png",
            "imageData": None if one.shapes else base64.b64encode(image.read_bytes()).decode(),
            "imageHeight": HEIGHT,
            "imageWidth": WIDTH,
        }
        _save_json(folder / f"{one.name}.json", content)
        if not one.shapes:
            image.unlink()
    return folder, None


def _labelme_shape(shape):
    made = {"label": shape.class_name, "group_id": None, "description": "", "flags": {}}
    if shape.kind == "polygon":
        return {**made, "shape_type": "polygon", "points": np.reshape(shape.numbers, (-1, 2)).tolist()}
    if shape.kind == "rect":
        x, y, width, height = shape.numbers
        return {**made, "shape_type": "rectangle", "points": [[x + width, y], [x, y + height]]}
    if shape.kind == "circle":
        cx, cy, r = shape.numbers
        return {**made, "shape_type": "circle", "points": [[cx, cy], [cx, cy + r]]}
    mask = shape.mask()
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    part = mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    points = [[float(columns[0]), float(rows[0])], [float(columns[-1]), float(rows[-1])]]
    return {**made, "shape_type": "mask", "points": points, "mask": _png(part.astype(np.uint8) * 255)}


def write_label_studio(folder, made=None):
    """A JSON export of uploaded images, which have got other names; circles are strokes of a brush."""
    made = made_images() if made is None else made
    images = _save_images(folder / "images", made)
    tasks = []
    for number, one in enumerate(made, start=1):
        results = [_label_studio_result(shape, place) for place, shape in enumerate(one.shapes)]
        annotation = {"id": 10 + number, "completed_by": 1, "result": results, "was_cancelled": False}
        name = f"{number:08x}-{one.name.replace(' ', '_')}.png"
        data = {"image": f"/data/upload/1/{name}"}
        tasks.append({"id": number, "annotations": [annotation], "predictions": [], "data": data})
    return _save_json(folder / "export.json", tasks), images


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


def _png(array):
    file = io.BytesIO()
    Image.fromarray(array).save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()


def write_label_images(folder, made=None):
    """One 16-bit label image per image, and a JSON file with the class of each value."""
    made = made_images() if made is None else made
    images, masks = _save_images(folder / "images", made), folder / "masks"
    masks.mkdir()
    classes = {}
    for one in made:
        values = np.zeros((HEIGHT, WIDTH), np.uint16)
        for number, shape in enumerate(one.shapes, start=1):
            values[shape.mask()] = 1000 * number
        Image.fromarray(values).save(masks / f"{one.name}.png")
        rows = enumerate(one.shapes, start=1)
        classes[one.name] = {str(1000 * number): shape.class_name for number, shape in rows}
    _save_json(masks / "classes.json", classes)
    return masks, images


def write_mask_files(folder, made=None):
    """A folder per image, with one mask file per object in a folder of its class."""
    made = made_images() if made is None else made
    images, masks = _save_images(folder / "images", made), folder / "masks"
    for one in made:
        (masks / one.name).mkdir(parents=True)
        for number, shape in enumerate(one.shapes):
            path = masks / one.name / shape.class_name / f"{number}.png"
            path.parent.mkdir(exist_ok=True)
            Image.fromarray(shape.mask()).save(path)
    return masks, images


def write_bowl_folders(folder, made=None, classes=True):
    """The 2018 Data Science Bowl's: an image of four channels and a folder of masks per image, perhaps with classes."""
    root = folder / "stage1_train"
    for one in made_images() if made is None else made:
        own = root / one.name
        for name in ("images", "masks"):
            (own / name).mkdir(parents=True)
        Image.fromarray(one.pixels()).convert("RGBA").save(own / "images" / f"{one.name}.png")
        for number, shape in enumerate(one.shapes):
            path = own / "masks" / (shape.class_name if classes else "") / f"{number}.png"
            path.parent.mkdir(exist_ok=True)
            Image.fromarray(shape.mask().astype(np.uint8) * 255).save(path)
    return root, None


def write_rle_csv(folder, made=None, classes=True):
    """Runs of pixels counted from 1, down the columns, found by a walk over all pixels; images without an ending."""
    made = made_images() if made is None else made
    lines = ["ImageId,EncodedPixels,Height,Width" + ",ClassId" * classes]
    for one in made:
        runs = [(shape.class_name, " ".join(map(str, _runs(shape.mask())))) for shape in one.shapes]
        rows = [(one.name, text, HEIGHT, WIDTH, *[name] * classes) for name, text in runs or [("", "")]]
        lines += [",".join(map(str, row)) for row in rows]
    images = _save_images(folder / "images", made)
    path = folder / "solution.csv"
    path.write_text("\n".join(lines) + "\n")
    return path, images


def _runs(mask):
    runs, before = [], False
    for number, inside in enumerate(mask.T.ravel().tolist(), start=1):
        if inside and not before:
            runs += [number, 0]
        if inside:
            runs[-1] += 1
        before = inside
    return runs


def write_voc(folder, made=None):
    """Palette images of objects and classes, with a void line around each object."""
    made = made_images() if made is None else made
    root = folder / "VOC"
    for name in ("JPEGImages", "SegmentationObject", "SegmentationClass", "ImageSets/Segmentation"):
        (root / name).mkdir(parents=True)
    for one in made:
        Image.fromarray(one.pixels()).save(root / "JPEGImages" / f"{one.name}.jpg", quality=95)
        objects, classes = np.zeros((2, HEIGHT, WIDTH), np.uint8)
        for number, shape in enumerate(one.shapes, start=1):
            mask = shape.mask()
            around = mask.copy()
            around[1:] |= mask[:-1]
            around[:-1] |= mask[1:]
            objects[around] = classes[around] = 255
            objects[mask] = number
            classes[mask] = 1 + CLASSES.index(shape.class_name)
        for name, values in (("SegmentationObject", objects), ("SegmentationClass", classes)):
            image = Image.fromarray(values, "P")
            image.putpalette(np.random.default_rng(0).integers(0, 256, 768, np.uint8).tobytes())
            image.save(root / name / f"{one.name}.png")
    names = [one.name for one in made]
    (root / "ImageSets" / "Segmentation" / "train.txt").write_text("\n".join(names) + "\n")
    (root / "class_names.txt").write_text("\n".join(["_background_", *CLASSES]))
    return root, None


def write_yolo(folder, made=None):
    """images/train and labels/train, with data.yaml beside them; the image without objects has no label file."""
    made = made_images() if made is None else made
    _save_images(folder / "images" / "train", made)
    labels = folder / "labels" / "train"
    labels.mkdir(parents=True)
    for one in made:
        lines = []
        for shape in one.shapes:
            points = np.reshape(shape.polygon(), (-1, 2)) / [WIDTH, HEIGHT]
            numbers = " ".join(f"{value:.6f}" for value in points.ravel())
            lines.append(f"{CLASSES.index(shape.class_name)} {numbers}")
        if lines:
            (labels / f"{one.name}.txt").write_text("\n".join(lines) + "\n")
    names = "".join(f"  {number}: {name}\n" for number, name in enumerate(CLASSES))
    (folder / "data.yaml").write_text(f"train: images/train\nnames:\n{names}")
    return labels, None


def write_cvat(folder, made=None):
    """CVAT's archive unpacked; circles are masks, and the rotated ellipses have their angle in degrees."""
    made = made_images() if made is None else made
    _save_images(folder / "images", made)
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


WRITERS = {
    "coco": write_coco,
    "via": write_via,
    "via 1": write_via1,
    "labelme": write_labelme,
    "label-studio": write_label_studio,
    "label images": write_label_images,
    "mask files": write_mask_files,
    "bowl folders": write_bowl_folders,
    "rle-csv": write_rle_csv,
    "voc": write_voc,
    "yolo": write_yolo,
    "cvat": write_cvat,
    "results": write_results,
}
"""By the name of the format; each takes a folder, and perhaps images to write instead of `made_images()`."""
