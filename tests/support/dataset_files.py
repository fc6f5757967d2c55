"""One small generated dataset, written as files of every format that can be read.

`made_images()` makes it, `WRITERS[name](folder)` writes it as a format, and returns what `load_dataset` needs to read
it (annotations and images).
"""

import base64
import io

import numpy as np
import pycocotools.mask as coco_mask
from label_tool_files import write_cvat, write_label_studio
from made_images import CLASSES, HEIGHT, WIDTH, made_images, save_images, save_json
from PIL import Image


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
    images = save_images(folder / "images", made)
    return save_json(folder / "annotations.json", content), images


def write_roboflow(folder, made=None):
    """A split as Roboflow exports it: hashes in the names, and a category of id 0 that only groups the others."""
    made = made_images() if made is None else made
    split = save_images(folder / "train", made)
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
    save_json(split / "_annotations.coco.json", content)
    return split, None


def write_results(folder, made=None):
    """Detections as `maskrcnn predict` writes them."""
    made = made_images() if made is None else made
    images = save_images(folder / "images", made)
    rows = [
        {
            **row,
            "score": 0.9,
            "category_name": CLASSES[row["category_id"] // 10],
            "file_name": str(images / f"{made[row['image_id'] - 1].name}.png"),
        }
        for row in _coco_rows(made)
    ]
    return save_json(folder / "detections.json", rows), images


def write_via(folder, made=None, version=2):
    """A project of VIA 2, or an export of VIA 1, which has no rotated ellipses: there they are polygons."""
    made = made_images() if made is None else made
    images = save_images(folder / "images", made)
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
    return save_json(folder / "via.json", project if version == 2 else entries), images


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
    folder = save_images(folder / "labelled", made)
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
        save_json(folder / f"{one.name}.json", content)
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


def _png(array):
    file = io.BytesIO()
    Image.fromarray(array).save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()


def write_label_images(folder, made=None):
    """One 16-bit label image per image, and a JSON file with the class of each value."""
    made = made_images() if made is None else made
    images, masks = save_images(folder / "images", made), folder / "masks"
    masks.mkdir()
    classes = {}
    for one in made:
        values = np.zeros((HEIGHT, WIDTH), np.uint16)
        for number, shape in enumerate(one.shapes, start=1):
            values[shape.mask()] = 1000 * number
        Image.fromarray(values).save(masks / f"{one.name}.png")
        rows = enumerate(one.shapes, start=1)
        classes[one.name] = {str(1000 * number): shape.class_name for number, shape in rows}
    save_json(masks / "classes.json", classes)
    return masks, images


def write_mask_files(folder, made=None):
    """A folder per image, with one mask file per object in a folder of its class."""
    made = made_images() if made is None else made
    images, masks = save_images(folder / "images", made), folder / "masks"
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
    images = save_images(folder / "images", made)
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
    save_images(folder / "images" / "train", made)
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
