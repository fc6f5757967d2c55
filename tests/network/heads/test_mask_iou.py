"""The MaskIoU head as a part of a model: trained, saved, and its scores among the outputs."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from examples import batch, tiny
from variants import C4

from keras_maskrcnn.models.load import load_model
from keras_maskrcnn.models.mask_rcnn import MaskRCNN
from keras_maskrcnn.weights.sources import detectron2

VARIANTS = {
    "fpn": {},
    "c4": {**C4, "mask_pool_size": 14},
    "class-agnostic masks": {"mask_loss": "class_agnostic"},
    "softmax masks": {"mask_loss": "softmax"},
}


@pytest.fixture(params=["fpn", *(pytest.param(name, marks=pytest.mark.slow) for name in list(VARIANTS)[1:])])
def model(request):
    return MaskRCNN(tiny(mask_iou_head=True, score_threshold=0.0, **VARIANTS[request.param]))


def test_it_is_trained_saved_and_scores_masks(model, tmp_path):
    data = batch(model.config)
    model.compile(optimizer=keras.optimizers.SGD(0.01), run_eagerly=True)
    before = [v.numpy() for v in model.mask_iou_head.trainable_variables]
    history = model.fit(tf.data.Dataset.from_tensors(data), verbose=0).history
    assert np.isfinite(history["mask_iou_loss"]).all()
    changed = [
        not np.array_equal(v, b) for v, b in zip(model.mask_iou_head.trainable_variables, before, strict=True)
    ]
    assert all(changed)
    model.save(tmp_path / "model.keras")
    images = {key: data[key] for key in ("images", "sizes")}
    expected, found = model(images), load_model(tmp_path / "model.keras")(images)
    assert set(expected) == {"boxes", "scores", "classes", "masks", "mask_scores"}
    for key, value in expected.items():
        np.testing.assert_array_equal(found[key], value)
    assert (expected["mask_scores"].numpy() <= expected["scores"].numpy()).all()
    (detections, *_) = model.detect(data["images"][0].numpy().astype("uint8"))
    assert len(detections) == len(detections.masks)


def test_without_masks_there_is_nothing_to_score():
    with pytest.raises(ValueError, match='mask_iou_head needs masks to score; mask_head is "none"'):
        tiny(mask_iou_head=True, mask_head="none")


def test_detectron2_has_no_names_for_it():
    with pytest.raises(ValueError, match="a mask_iou head"):
        detectron2.table(MaskRCNN(tiny(mask_iou_head=True, background_outputs=False)).network)
