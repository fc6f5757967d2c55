"""Real COCO images, through everything: load, train, evaluate. Skipped where the images are not at hand."""

import dataclasses
import json

import keras
import numpy as np
import pytest
from kit_models import config_of, loaded
from kit_recipe import weights
from parity import NAMES, shared_kit
from places import COCO_MINI

from keras_maskrcnn.config.config import Config
from keras_maskrcnn.data.formats.coco import load_coco
from keras_maskrcnn.data.pipeline.dataset import make_dataset
from keras_maskrcnn.data.records import make_record
from keras_maskrcnn.detections.from_outputs import make_detections
from keras_maskrcnn.evaluation.evaluate import evaluate_coco
from keras_maskrcnn.models.mask_rcnn import MaskRCNN
from keras_maskrcnn.presets import PRESETS
from keras_maskrcnn.weights.sources import detectron2
from keras_maskrcnn.weights.sources.table import load as load_weights
from keras_maskrcnn.weights.sources.table import save

STEPS = 40
COCO = COCO_MINI
pytestmark = pytest.mark.skipif(not COCO.exists(), reason="the images of coco_mini are not on this machine")


def load(split):
    return load_coco(COCO / "annotations" / f"instances_{split}2017.json", COCO / f"{split}2017")


class GroundTruth:
    """Answers as a model would that finds every object, with the mask that training sees of it."""

    def __init__(self, records, config):
        self.records, self.config = records, config

    def detect_iter(self, images, *_, **__):
        batches = make_dataset(self.records, self.config)
        for _, record, batch in zip(images, self.records, batches.as_numpy_iterator(), strict=True):
            real = (batch["gt_classes"][0] > 0) & ~batch["gt_crowd"][0]
            outputs = {
                "boxes": batch["gt_boxes"][0][real],
                "scores": np.ones(real.sum()),
                "classes": batch["gt_classes"][0][real],
                "masks": batch["gt_masks"][0][real] / 255,
            }
            size = (record.height, record.width)
            yield make_detections(outputs, size, batch["sizes"][0], self.config.class_names, masks="rle")


@pytest.mark.parametrize("split", ["train", "val"])
def test_ground_truth_through_the_pipeline_scores_perfectly(split):
    records, classes = load(split)
    # coco_mini has no image without annotations
    records = [*records, make_record(np.zeros((50, 60, 3), np.uint8), image_id=0)]
    config = Config(class_names=tuple(classes), min_size=400, max_size=667)
    scores = evaluate_coco(GroundTruth(records, config), records, progress=False)
    print(split, scores)
    assert scores["box_AP"] == pytest.approx(1.0, abs=1e-6)
    assert scores["mask_AP"] >= 0.99


@pytest.mark.slow
@pytest.mark.parametrize("split", ["train", "val"])
def test_every_object_and_crowd_arrives(split):
    annotations = json.loads((COCO / "annotations" / f"instances_{split}2017.json").read_text())[
        "annotations"
    ]
    records, classes = load(split)
    objects = crowds = 0
    for batch in make_dataset(records, Config(class_names=tuple(classes))).as_numpy_iterator():
        assert np.isfinite(batch["images"]).all()
        objects += int((batch["gt_classes"] > 0).sum())
        crowds += int(batch["gt_crowd"].sum())
    print(f"{split}: {len(records)} images, {objects} objects, {crowds} of them crowds")
    assert objects == len(annotations) == records.report.objects
    assert crowds == sum(a["iscrowd"] for a in annotations) == records.report.crowds


class EveryLoss(keras.callbacks.Callback):
    def __init__(self):
        super().__init__()
        self.steps = []

    def on_train_batch_begin(self, batch, logs=None):
        self.model.reset_metrics()

    def on_train_batch_end(self, batch, logs=None):
        self.steps.append(dict(logs))


@pytest.mark.slow
@pytest.mark.parametrize("name", [*NAMES, "detectron2 R_50_DC5"])
def test_fine_tuning_lowers_every_loss(name):
    """From weights as spread out as trained ones, on two small images. On many, or from fresh weights, box_loss
    first rises: at the start no proposal but the ground truth itself matches, and its boxes need no correction."""
    keras.utils.set_random_seed(0)
    config, model = weighted(name)
    annotations = "person_keypoints" if config.keypoint_names else "instances"
    file = COCO / "annotations" / f"{annotations}_train2017.json"
    records, _ = load_coco(file, COCO / "train2017", config.class_names, masks=config.mask_head != "none")
    chosen = [record for record in records if 0 < len(record.boxes) < 10][:2]
    model.compile(optimizer=keras.optimizers.AdamW(3e-4, clipnorm=10.0))
    watched = EveryLoss()
    dataset = make_dataset(chosen, config, batch_size=2, training=True)
    model.fit(dataset.repeat(), steps_per_epoch=STEPS, callbacks=[watched], verbose=0)
    steps = watched.steps
    assert len(steps) == STEPS and all(np.isfinite(list(step.values())).all() for step in steps)
    parts = {key: np.reshape([s[key] for s in steps], (4, -1)).mean(axis=1).round(4) for key in steps[0]}
    print(name, *(f"{key} {values}" for key, values in parts.items()), sep="\n  ")
    # the further stages of a cascade get more to refine as the first one learns
    lowered = {key: values for key, values in parts.items() if not key.startswith("box_loss_")}
    assert all(values[-1] < values[0] for values in lowered.values()), parts


def weighted(name):
    """A model of a kit with the kit's weights, or of a family without a kit with others made by the same recipe."""
    small = {
        "min_size": 192,
        "max_size": 320,
        "train_min_sizes": (),
        "horizontal_flip_probability": 0.0,
        "box_batch_size": 64,
    }
    if name in NAMES:
        kit = shared_kit(name)
        config = config_of(kit)
        config = dataclasses.replace(config, **small)
        return config, loaded(kit, config)[0]
    config = dataclasses.replace(PRESETS["COCO-InstanceSegmentation/mask_rcnn_R_50_DC5_3x"].config, **small)
    model = MaskRCNN(config)
    table = detectron2.table(model.network)
    load_weights(
        table, weights("detectron2", {key: value.shape for key, value in save(table).items()}, 0), model, ()
    )
    return config, model
