"""Test-time augmentation of real networks; `tests/test_parity.py` compares its results with Detectron2's."""

import keras
import numpy as np
import pytest
from examples import tiny
from small_model import small_model
from variants import VARIANTS

from keras_maskrcnn.detections.batching import detections
from keras_maskrcnn.detections.views import View, make_views
from keras_maskrcnn.models.mask_rcnn import MaskRCNN

IMAGE = np.random.default_rng(0).integers(0, 255, (50, 90, 3)).astype(np.uint8)
pytestmark = pytest.mark.usefixtures("untraced")


@pytest.fixture(autouse=True)
def _fixed_seed():
    keras.utils.set_random_seed(1)


@pytest.mark.parametrize("name", ["c4", "matterport", "mask scores"])
def test_one_view_alone_finds_what_detect_finds_with_the_heads_on_given_boxes(name):
    """All of the way of an augmented image, whose boxes come back, are merged, and go into the network again."""
    if name == "mask scores":
        model = small_model(score_threshold=0.0, mask_iou_head=True, mask_loss="softmax")
    else:
        model = MaskRCNN(tiny(score_threshold=0.0, **VARIANTS[name]))
    config, detector = model.config, model._detector
    ((outputs, resized),) = detector.detect([IMAGE], config)
    expected = detections(outputs, IMAGE, resized, config)
    ((found, size),) = detector.augmented((View(),), config, boxes_only=False)([IMAGE])
    assert size == IMAGE.shape[:2]
    real = found["classes"] > 0
    assert real.sum() == len(expected) > 2
    np.testing.assert_allclose(found["boxes"][real], expected.boxes, atol=1e-4)
    np.testing.assert_array_equal(found["scores"][real], expected.scores)
    np.testing.assert_array_equal(found["classes"][real], expected.class_ids)
    np.testing.assert_allclose(found["masks"], outputs["masks"], atol=1e-4)
    if name == "mask scores":
        np.testing.assert_allclose(found["mask_scores"], outputs["mask_scores"], atol=1e-5)


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(1)
    return small_model(score_threshold=0.0)


def test_no_augmentation_is_plain_detection(model):
    (plain,) = model.detect(IMAGE)
    for augment in (None, ()):
        (found,) = model.detect(IMAGE, augment=augment)
        for name in ("boxes", "scores", "class_ids", "masks"):
            np.testing.assert_array_equal(getattr(found, name), getattr(plain, name))


def test_rotated_images_have_each_others_detections_where_all_rotations_are_views(model):
    rotations, other = ("rotate90", "rotate180", "rotate270"), make_views("rotate90")[1]
    (found,) = model.detect(IMAGE, augment=rotations)
    (of_other,) = model.detect(other.image(IMAGE), augment=rotations)
    np.testing.assert_allclose(other.original_boxes(of_other.boxes, (50, 90)), found.boxes, atol=1e-3)
    np.testing.assert_allclose(of_other.scores, found.scores, atol=1e-5)
    same = np.stack([other.image(mask) for mask in found.masks]) == of_other.masks
    assert same.mean() > 0.999  # where a pixel's probability is one half, rounding decides


@pytest.mark.parametrize("changes", [{}, {"mask_head": "none"}, {"mask_iou_head": True}])
def test_heads_run_only_where_they_are_asked_for(changes, model):
    model = small_model(score_threshold=0.0, **changes) if changes else model
    model._detector.__dict__.pop("_given_boxes_function", None)
    (found,) = model.detect(IMAGE, augment="rotate90", masks="bool" if "mask_head" in changes else None)
    assert len(found) and found.masks is None
    has_scores = "mask_iou_head" in changes
    assert (found.mask_scores is not None) == has_scores
    assert ("_given_boxes_function" in vars(model._detector)) == has_scores


def test_a_model_that_cannot_be_augmented_so_says_why():
    model = small_model(mask_head="none", keypoint_names=("nose",))
    with pytest.raises(ValueError, match="this model detects keypoints"):
        model.detect(IMAGE, augment="horizontal_flip")
    with pytest.raises(ValueError, match="got 'mirror'"):
        model.detect(IMAGE, augment="mirror")
