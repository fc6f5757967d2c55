"""Real COCO pictures, through everything: load, train, evaluate. Skipped where the pictures are not at hand."""

import json
from pathlib import Path

import keras
import numpy as np
import pytest
from parity import Kit

from keras_maskrcnn.config import Config
from keras_maskrcnn.data.coco import load_coco
from keras_maskrcnn.data.pipeline import make_dataset
from keras_maskrcnn.data.records import make_record
from keras_maskrcnn.evaluate import evaluate_coco
from keras_maskrcnn.model import MaskRCNN
from keras_maskrcnn.results import make_detections
from keras_maskrcnn.weights import torchvision
from keras_maskrcnn.weights.table import load as load_weights

COCO = Path(__file__).resolve().parents[2] / "shared" / "data" / "coco_mini"
KIT = "torchvision_maskrcnn_resnet50_fpn"
pytestmark = pytest.mark.skipif(not COCO.exists(), reason="the pictures of coco_mini are not on this machine")


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
    # coco_mini has no picture without annotations
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
def test_resnet50_trains_on_real_pictures():
    """From weights as spread out as trained ones. From fresh ones, box_loss first rises: at the start no proposal
    but the ground truth itself matches, and its boxes need no correction."""
    keras.utils.set_random_seed(0)
    records, classes = load("train")
    names = (*classes, *(f"unused {i}" for i in range(10)))  # the weights have torchvision's 90 labels
    config = Config(class_names=names, min_size=320, max_size=533)
    model = MaskRCNN(config)
    load_weights(torchvision.table(model), Kit(KIT).state(), model, torchvision.IGNORED)
    model.compile(optimizer=keras.optimizers.AdamW(1e-4, clipnorm=10.0))
    watched = EveryLoss()
    dataset = make_dataset(records, config, batch_size=2, training=True)
    model.fit(dataset.repeat(), steps_per_epoch=60, callbacks=[watched], verbose=0)
    steps = watched.steps
    assert len(steps) == 60 and all(np.isfinite(list(step.values())).all() for step in steps)
    thirds = {name: np.reshape([s[name] for s in steps], (3, 20)).mean(axis=1).round(4) for name in steps[0]}
    print(*thirds.items(), sep="\n")
    assert all(values[-1] < values[0] for values in thirds.values()), thirds
