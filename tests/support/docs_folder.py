"""What the README and the guides find in a reader's folder: small images of every format, and a small model.

Published models have small Configs here, and randomly generated weights in files of their names; so has a Config that a page
makes, wherever it leaves a field out. Pages then run in seconds, word for word.
"""

import dataclasses
import hashlib
import shutil

import dataset_files
import published
from PIL import Image

from keras_maskrcnn.config.config import Config
from keras_maskrcnn.data.formats.coco import load_coco
from keras_maskrcnn.models.mask_rcnn import MaskRCNN
from keras_maskrcnn.presets import PRESETS
from keras_maskrcnn.weights.files.write import write_pth
from keras_maskrcnn.weights.sources import torchvision
from keras_maskrcnn.weights.sources.table import save

SMALL = {
    "min_size": 48,
    "max_size": 64,
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


def small_defaults():
    """The defaults of Config's fields after class_names, in their order, those of SMALL in place of its own."""
    return tuple(SMALL.get(field.name, field.default) for field in dataclasses.fields(Config)[1:])


def small_presets(cache):
    """Write files of randomly generated weights where downloads are kept; return their rows by name."""
    cache.mkdir(parents=True)
    rows = {}
    for name in DETECTORS:
        config = dataclasses.replace(PRESETS[name].config, **SMALL)
        rows[name] = _row(name, config, cache, save(torchvision.table(MaskRCNN(config).network)))
    config = dataclasses.replace(PRESETS[BACKBONE].config, **SMALL)
    backbone = MaskRCNN(config).backbone
    state = save(torchvision.resnet(backbone.stem, backbone.stages, ""))
    rows[BACKBONE] = _row(BACKBONE, config, cache, state)
    rows[MATTERPORT] = dataclasses.replace(PRESETS[MATTERPORT], config=published.CONFIGS["matterport"])
    return rows


def _row(name, config, cache, state):
    path = cache / PRESETS[name].file_name
    write_pth(path, state)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()[:8]
    return dataclasses.replace(PRESETS[name], config=config, hash=f"sha256:{digest}")


def fill(folder, scratch):
    """Write into `folder` whatever the pages name; `scratch` is an empty folder."""
    _coco(folder, scratch)
    photos = dataset_files.made_images(2, seed=2)
    _moved(dataset_files.write_via(scratch / "via", photos)[0], folder / "via.json")
    _moved(scratch / "via" / "images", folder / "photos")
    _moved(dataset_files.write_labelme(scratch / "labelme", photos)[0], folder / "labelled")
    _moved(dataset_files.write_label_images(scratch / "masks", photos)[0], folder / "masks")
    _moved(dataset_files.write_voc(scratch / "voc", photos)[0], folder / "VOC2012")
    dataset_files.write_yolo(folder, photos)
    (folder / "detected").mkdir()
    _moved(
        dataset_files.write_results(scratch / "results", photos)[0], folder / "detected" / "detections.json"
    )
    _images(folder, photos[0])
    _models(folder)


def _coco(folder, scratch):
    for count, name in ((2, "train"), (1, "val")):
        made = dataset_files.made_images(count, seed=count)[:-1]
        annotations, images = dataset_files.write_coco(scratch / name, made)
        _moved(annotations, folder / f"{name}.json")
        _moved(images, folder / name)


def _images(folder, made):
    (folder / "holiday").mkdir()
    image = Image.fromarray(made.pixels())
    for name in ("street.jpg", "holiday/beach.jpg", "aerial.tif"):
        image.save(folder / name)


def _models(folder):
    classes = load_coco(folder / "train.json", folder / "train")[1]
    MaskRCNN(Config(class_names=classes, **SMALL)).save(folder / "best.keras")
    published.write(folder, "matterport", name="mine")


def _moved(source, target):
    shutil.move(source, target)
