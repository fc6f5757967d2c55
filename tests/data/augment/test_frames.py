"""From pixels of an image to those of the network's input, and back: objects stay where they are."""

import numpy as np
import pytest

from keras_maskrcnn.config.config import Config
from keras_maskrcnn.data.pipeline.dataset import make_dataset
from keras_maskrcnn.data.records import make_record
from keras_maskrcnn.detections.from_outputs import make_detections

SIZES = [(37, 91), (480, 641), (1, 5000), (333, 500), (97, 97), (800, 13)]
FRAMES = {
    "torchvision": {"size_rounding": "floor", "resize": "bilinear"},
    "Detectron2": {"size_rounding": "round", "resize": "pillow"},
    "Matterport without its square": {"size_rounding": "half_even", "resize": "skimage"},
}


def there(config, mask, box, keypoints=None):
    """What the input pipeline makes of one object; the image lies in a batch with a larger one, so it is padded."""
    images = [np.zeros((*size, 3), np.uint8) for size in (mask.shape, (500, 500))]
    record = make_record(
        images[0], boxes=[box], masks=mask[None], class_ids=[1], keypoints=keypoints, image_id=0
    )
    larger = make_record(images[1], masks=[], image_id=1)
    batch = next(make_dataset([record, larger], config, batch_size=2).as_numpy_iterator())
    return {key: value[0] for key, value in batch.items()}


@pytest.mark.parametrize("frame", FRAMES)
@pytest.mark.parametrize(("height", "width"), SIZES)
def test_boxes_masks_and_keypoints_come_back_within_half_a_pixel(height, width, frame):
    config = Config(("a",), min_size=200, max_size=333, keypoint_names=("nose", "tail"), **FRAMES[frame])
    x1, y1, x2, y2 = box = [width // 9, height // 5, -(-8 * width // 9), -(-9 * height // 10)]
    mask = np.zeros((height, width), bool)
    mask[y1:y2, x1:x2] = True
    keypoints = np.array([[[0.2 * width, 0.3 * height, 2], [0.8 * width, 0.9 * height, 1]]])
    inputs = there(config, mask, box, keypoints)
    rows = {
        "boxes": inputs["gt_boxes"],
        "scores": np.ones(1, np.float32),
        "classes": inputs["gt_classes"],
        "masks": inputs["gt_masks"] / np.float32(255),
        "keypoints": inputs["gt_keypoints"],
    }
    found = make_detections(
        rows, mask.shape, tuple(inputs["sizes"]), ("a",), keypoint_names=config.keypoint_names
    )
    np.testing.assert_allclose(found.boxes, [box], rtol=0, atol=0.5)
    np.testing.assert_allclose(found.keypoints[..., :2], keypoints[..., :2], rtol=0, atol=0.5)
    assert (
        found.masks[0] != mask
    ).sum() <= 4  # the four corners: pasted masks are interpolated to zero around them


def test_a_pixel_of_an_image_that_shrinks_tenfold_keeps_its_row_and_fills_its_crop():
    config = Config(class_names=("a",), min_size=50, max_size=100, mask_crop_size=14)
    mask = np.zeros((500, 1000), bool)
    mask[123, 456] = True
    inputs = there(config, mask, [456, 123, 457, 124])
    np.testing.assert_allclose(inputs["gt_boxes"], [[45.6, 12.3, 45.7, 12.4]], rtol=0, atol=1e-4)
    assert inputs["gt_classes"].tolist() == [1] and (inputs["gt_masks"] == 255).all()
