"""Published models, with the weights of the kits, in every format: the table of docs/export.md. It takes an hour.

python -m pytest tests/artefacts/test_families.py -m slow -s
"""

import dataclasses
import re
from pathlib import Path

import keras
import pytest
from exported import PATHS, any_model, exported, need, photo
from kit_models import config_of, loaded
from parity import PHOTOS, shared_kit

from keras_maskrcnn.artefacts.export import export
from keras_maskrcnn.config.config import Config
from keras_maskrcnn.models.mask_rcnn import MaskRCNN
from keras_maskrcnn.runtime import ExportedModel

DOCS = Path(__file__).resolve().parents[2] / "docs" / "export.md"
KITS = {
    "torchvision `maskrcnn_resnet50_fpn`": "torchvision_maskrcnn_resnet50_fpn",
    "torchvision `maskrcnn_resnet50_fpn_v2`": "torchvision_maskrcnn_resnet50_fpn_v2",
    "torchvision `keypointrcnn_resnet50_fpn`": "torchvision_keypointrcnn_resnet50_fpn",
    "Detectron2 `mask_rcnn_R_50_FPN`": "detectron2_mask_rcnn_R_50_FPN",
    "Detectron2 `mask_rcnn_R_50_C4`": "detectron2_mask_rcnn_R_50_C4",
    "Detectron2 `cascade_mask_rcnn_R_50_FPN`": "detectron2_cascade_mask_rcnn_R_50_FPN",
    "Matterport `mask_rcnn_coco`": "matterport_mask_rcnn_coco",
}
GROUP_NORM = {"norm": "group_norm", "fpn_norm": "group_norm", "head_norm": "group_norm", "frozen_stages": 0}
FIELDS = {
    "group norm": GROUP_NORM,
    "class-agnostic NMS": {**GROUP_NORM, "class_agnostic_nms": True},
    "soft NMS": {**GROUP_NORM, "soft_nms_sigma": 0.5},
    "Mask Scoring R-CNN": {**GROUP_NORM, "mask_iou_head": True},
}
"""Of a ResNet-50-FPN with random weights."""


def model_of(family):
    """The model, images of half the published size, and scores that random weights reach."""
    if family in KITS:
        kit = shared_kit(KITS[family])
        config = config_of(kit)
        sizes = {"min_size": config.min_size // 2, "max_size": config.max_size // 2, "train_min_sizes": ()}
        return loaded(kit, dataclasses.replace(config, score_threshold=0.0, **sizes), as_file=False)[0]
    keras.utils.set_random_seed(0)
    names = tuple(f"class {number}" for number in range(1, 81))
    return MaskRCNN(
        Config(class_names=names, min_size=320, max_size=480, score_threshold=0.0, **FIELDS[family])
    )


@pytest.fixture(scope="module")
def table():
    """The rows of the docs' table: {family: {format: status}}."""
    text = DOCS.read_text("utf-8")
    head = re.search(r"^\| family \|(.+)\|$", text, re.MULTILINE)
    formats = [name.strip() for name in head[1].split("|")]
    rows = {}
    for line in text[head.end() :].strip().splitlines()[1:]:
        if not line.startswith("|"):
            break
        family, *cells = (cell.strip() for cell in line.strip("|").split("|"))
        rows[family] = dict(zip(formats, cells, strict=True))
    return rows


@pytest.mark.slow
@pytest.mark.parametrize("format", PATHS)
@pytest.mark.parametrize("family", [*KITS, *FIELDS])
def test_a_family_is_equal_in_a_format_or_refused_as_the_docs_say(family, format, table, tmp_path):
    need(format)
    model = model_of(family)
    photos = sorted(PHOTOS.glob("*.jpg"))[:3]
    said = table[family][format]
    try:
        report = export(model, tmp_path / PATHS[format], format, images=photos)
    except ValueError as error:
        assert said.startswith("refused"), error
        print(f"{family} | {format} | refused: {error}")
        return
    print(f"{family} | {format} | {report}")
    found = report.comparison
    assert said.startswith("equal") and found.share >= 0.99 and found.compared > 100
    assert found.score_difference < 1e-4 and found.box_difference < 1e-1


def test_the_docs_table_has_every_family(table):
    assert set(table) == {*KITS, *FIELDS}
    assert all(set(row) == set(PATHS) for row in table.values())


@pytest.mark.slow
@pytest.mark.parametrize("format", PATHS)
def test_nothing_is_found_where_no_score_is_high_enough(format, tmp_path):
    _, path, report = exported(format, tmp_path, any_model(score_threshold=0.9))
    assert report.comparison.compared == 0 and "Nothing was detected" in str(report)
    (found,) = ExportedModel(path).detect(photo())
    assert len(found) == 0 and found.masks.shape == (0, 70, 90)
