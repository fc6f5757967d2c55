"""What the README and the guides find in a reader's folder: small images of every format, and a small model.

Published models have small Configs here, and randomly generated weights in files of their names; a Config that a page
makes is small wherever it leaves a field out. Pages then run in seconds, word for word.
"""

import dataclasses
import functools
import hashlib
import json
import shutil

import checkpoints
import dataset_files
import label_tool_files
import made_images
import numpy as np
import published
from PIL import Image

from keras_maskrcnn.config.config import Config
from keras_maskrcnn.models.mask_rcnn import MaskRCNN
from keras_maskrcnn.presets import PRESETS
from keras_maskrcnn.weights.files.write import write_pth
from keras_maskrcnn.weights.sources import mmdet, torchvision
from keras_maskrcnn.weights.sources.table import save

SMALL = {
    "min_size": 48,
    "depth": 18,
    "fpn_channels": 32,
    "rpn_convs": 1,
    "box_convs": 0,
    "box_fcs": 1,
    "mask_convs": 1,
    "anchor_sizes": ((8,), (16,), (32,), (48,), (64,)),
    "pre_nms_top_k": 50,
    "pre_nms_top_k_train": 50,
    "post_nms_top_k": 20,
    "post_nms_top_k_train": 20,
    "rpn_batch_size": 32,
    "box_batch_size": 16,
    "box_head_channels": 32,
    "mask_head_channels": 32,
    "mask_crop_size": 28,
    "max_detections": 5,
    "score_threshold": 0.0,
}
DETECTORS = ("maskrcnn_resnet50_fpn_coco", "maskrcnn_resnet50_fpn_v2_coco")
BACKBONE = "resnet50"
MATTERPORT = "matterport_mask_rcnn_coco"
MMDET = "mmdet_mask_rcnn_r50_fpn_1x_coco"
PUBLISHED = (*DETECTORS, BACKBONE, MATTERPORT, MMDET)
"""What pages may name."""


def small_defaults():
    """The defaults of Config's fields after class_names, in their order, those of SMALL in place of its own."""
    return tuple(SMALL.get(field.name, field.default) for field in dataclasses.fields(Config)[1:])


@functools.cache
def small_preset(name, cache):
    """Write a file of randomly generated weights where downloads are kept; return its row."""
    if name == MATTERPORT:
        return dataclasses.replace(PRESETS[name], config=published.CONFIGS["matterport"])
    config = dataclasses.replace(PRESETS[name].config, **SMALL)
    if name == MMDET:
        return dataclasses.replace(PRESETS[name], config=config)
    model = MaskRCNN(config)
    if name == BACKBONE:
        state = save(torchvision.resnet(model.backbone.stem, model.backbone.stages, ""))
    else:
        state = save(torchvision.table(model.network))
    path = cache / PRESETS[name].file_name
    write_pth(path, state)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()[:8]
    return dataclasses.replace(PRESETS[name], config=config, hash=f"sha256:{digest}")


def write_mmdet_checkpoint(path):
    """Write what a training of MMDetection leaves: tensors of a small model, and its classes beside them."""
    config = dataclasses.replace(PRESETS[MMDET].config, class_names=("nut", "bolt"), **SMALL)
    state = save(mmdet.table(MaskRCNN(config).network))
    tensors = {key: checkpoints.whole(str(i), array) for i, (key, array) in enumerate(state.items())}
    content = {
        "meta": {"dataset_meta": {"classes": config.class_names}},
        "state_dict": checkpoints.state_dict(tensors),
    }
    checkpoints.write_zip(path, content, {str(i): array for i, array in enumerate(state.values())})


@functools.cache
def small_model(classes):
    """A model with randomly generated weights."""
    return MaskRCNN(Config(class_names=classes, **SMALL))


def fill(folder, scratch):
    """Write into `folder` whatever the pages name; `scratch` is an empty folder."""
    _coco(folder, scratch)
    photos = made_images.made_images(2, seed=2)[:-1]
    _moved(dataset_files.write_via(scratch / "via", photos)[0], folder / "via.json")
    _moved(scratch / "via" / "images", folder / "photos")
    _moved(dataset_files.write_labelme(scratch / "labelme", photos)[0], folder / "labelled")
    _moved(label_tool_files.write_label_studio(scratch / "studio", photos)[0], folder / "export.json")
    _moved(dataset_files.write_label_images(scratch / "masks", photos)[0], folder / "masks")
    _moved(dataset_files.write_voc(scratch / "voc", photos)[0], folder / "VOC2012")
    dataset_files.write_yolo(folder, photos)
    label_tool_files.write_cvat(folder / "cvat", photos)
    _moved(dataset_files.write_rle_csv(scratch / "rle", photos)[0], folder / "solution.csv")
    _bowl(folder, scratch, photos)
    dataset_files.write_roboflow(folder / "roboflow", photos)
    _kitti(folder / "kitti", photos)
    _panoptic(folder, photos)
    (folder / "detected").mkdir()
    _moved(
        dataset_files.write_results(scratch / "results", photos)[0], folder / "detected" / "detections.json"
    )
    _images(folder, photos[0])


def _coco(folder, scratch):
    for count, name in ((2, "train"), (1, "val")):
        made = made_images.made_images(count, seed=count)[:-1]
        annotations, images = dataset_files.write_coco(scratch / name, made)
        _moved(annotations, folder / f"{name}.json")
        _moved(images, folder / name)


def _bowl(folder, scratch, made):
    """The 2018 Data Science Bowl's training images with their masks, and test images with their solution."""
    dataset_files.write_bowl_folders(folder, made, classes=False)
    csv, images = dataset_files.write_rle_csv(scratch / "bowl", made, classes=False)
    _moved(csv, folder / "stage1_solution.csv")
    for image in images.iterdir():
        place = folder / "stage1_test" / image.stem / "images"
        place.mkdir(parents=True)
        _moved(image, place / image.name)


def _kitti(folder, made):
    """KITTI's images, and PNGs of 256 x class + instance, with a region of no instance."""
    for name in ("image_2", "instance"):
        (folder / name).mkdir(parents=True)
    for one in made:
        values = np.full((made_images.HEIGHT, made_images.WIDTH), 7 * 256, np.uint16)  # road
        for number, shape in enumerate(one.shapes, start=1):
            values[shape.mask()] = 256 * (24 if shape.class_name == "bolt" else 26) + number
        Image.fromarray(one.pixels()).save(folder / "image_2" / f"{one.name}.png")
        Image.fromarray(values).save(folder / "instance" / f"{one.name}.png")


def _panoptic(folder, made):
    """COCO's panoptic annotations of the photos: PNGs of segments' ids in three channels, and panoptic.json."""
    (folder / "panoptic").mkdir()
    classes = made_images.CLASSES
    categories = [{"id": 10 * n, "name": name, "isthing": 1} for n, name in enumerate(classes, start=1)]
    content = {
        "images": [],
        "annotations": [],
        "categories": [*categories, {"id": 1, "name": "sky", "isthing": 0}],
    }
    for image_id, one in enumerate(made, start=1):
        ids = np.full((made_images.HEIGHT, made_images.WIDTH), 9)
        segments = [{"id": 9, "category_id": 1, "iscrowd": 0}]
        for number, shape in enumerate(one.shapes, start=1):
            ids[shape.mask()] = 70000 * number
            category = 10 * (1 + classes.index(shape.class_name))
            segments.append({"id": 70000 * number, "category_id": category, "iscrowd": 0})
        pixels = np.stack([ids % 256, ids // 256 % 256, ids // 256**2], axis=-1).astype(np.uint8)
        Image.fromarray(pixels).save(folder / "panoptic" / f"{one.name}.png")
        content["images"].append({"id": image_id, "file_name": f"{one.name}.png"})
        row = {"image_id": image_id, "file_name": f"{one.name}.png", "segments_info": segments}
        content["annotations"].append(row)
    (folder / "panoptic.json").write_text(json.dumps(content))


def _images(folder, made):
    (folder / "holiday").mkdir()
    image = Image.fromarray(made.pixels())
    for name in ("street.jpg", "holiday/beach.jpg", "aerial.tif"):
        image.save(folder / name)
    image.convert("L").save(folder / "cells.png")


def _moved(source, target):
    shutil.move(source, target)
