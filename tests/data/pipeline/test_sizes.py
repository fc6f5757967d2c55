"""What size a training image has, in one place for the pipeline and for all that judges it."""

import numpy as np
import pytest
from examples import tiny

from keras_maskrcnn.data.pipeline.dataset import make_dataset
from keras_maskrcnn.data.pipeline.sizes import largest_size, smallest_size, training_size, typical_sizes
from keras_maskrcnn.data.records import make_record
from keras_maskrcnn.diagnostics.anchors import anchor_advice
from keras_maskrcnn.diagnostics.memory import _largest
from keras_maskrcnn.models.detector import image_batch
from keras_maskrcnn.training.slow_input import SlowInputAdvice

IMAGE = np.zeros((200, 240, 3), np.uint8)
RECORD = make_record(IMAGE, boxes=[[0, 0, 60, 60]], class_ids=[1], image_id="one")
CONFIG = tiny(mask_head="none", max_size=960)
JITTER = {"scale_jitter": (0.5, 2.0)}


def test_an_image_is_resized_then_scaled_then_cropped():
    assert training_size(RECORD, CONFIG, 100) == ((100, 120), (100, 120))
    assert training_size(RECORD, CONFIG, 100, 1.5) == ((150, 180), (150, 180))
    cropped = tiny(mask_head="none", max_size=160, crop_size=96)
    assert training_size(RECORD, cropped, 100, 1.5) == ((150, 180), (96, 96))
    assert training_size(RECORD, tiny(max_size=120, min_size=100), 100, 1.5).image == (100, 120)


def test_a_scale_of_images_takes_the_place_of_short_and_long_sides():
    scaled = tiny(mask_head="none", max_size=96, image_scale=1.5)
    assert training_size(RECORD, scaled, 64) == ((300, 360), (300, 360))
    assert training_size(RECORD, scaled, 64, 2.0).image == (600, 720)
    assert image_batch([IMAGE, IMAGE[:7, :9]], scaled)["sizes"].numpy().tolist() == [[300, 360], [10, 14]]
    (batch,) = make_dataset([RECORD], scaled)
    np.testing.assert_array_equal(batch["sizes"], [[300, 360]])
    np.testing.assert_array_equal(batch["gt_boxes"], [[[0, 0, 90, 90]]])


@pytest.mark.parametrize(
    "fields",
    [
        {},
        JITTER,
        {"image_scale": 0.4},
        {**JITTER, "image_scale": 0.4},
        {**JITTER, "crop_size": 48},
        {"train_min_sizes": (32, 64)},
        {"rotate90_probability": 1.0},
    ],
    ids=str,
)
def test_the_pipelines_images_lie_between_the_smallest_and_the_largest(fields):
    config = tiny(mask_head="none", max_size=960, size_divisor=32, horizontal_flip_probability=0, **fields)
    dataset = make_dataset([RECORD] * 8, config, training=True)
    sizes = np.sort([batch["sizes"].numpy()[0] for batch in dataset], axis=1)
    low, high = smallest_size(RECORD, config).image, largest_size(RECORD, config).image
    assert (sizes >= np.sort(low)).all() and (sizes <= np.sort(high)).all()
    if "crop_size" not in fields and "scale_jitter" in fields:
        assert np.ptp(sizes[:, 0]) > 20
    padded = _largest([RECORD], config, batch_size=2)
    assert (-(-sizes.max(axis=0) // 32) * 32 <= np.sort(padded)).all()


def test_memory_is_that_of_the_crop_or_of_the_largest_scale():
    assert _largest([RECORD], tiny(**JITTER, max_size=960), 1) == (128, 160)
    assert _largest([RECORD], tiny(**JITTER, max_size=960, crop_size=96), 1) == (96, 96)
    assert _largest([RECORD], tiny(rotate90_probability=0.5), 2) == (96, 96)


def test_anchors_are_compared_with_objects_at_their_scaled_sizes():
    sides = {one.low for one in anchor_advice([RECORD], CONFIG).bins}
    assert sides == {16.0}  # 60 pixels become 19
    jittered = tiny(mask_head="none", max_size=960, **JITTER)
    assert len(typical_sizes(RECORD, jittered)) == 3
    advice = anchor_advice([RECORD], jittered)
    assert {one.low for one in advice.bins} == {8.0, 16.0, 32.0} and advice.objects == 1


def test_anchors_are_compared_with_what_crops_show_of_objects():
    wide = make_record(
        IMAGE, boxes=[[0, 0, 240, 200], [230, 180, 238, 188]], class_ids=[1, 1], image_id="wide"
    )
    config = tiny(mask_head="none", min_size=200, max_size=960, crop_size=96)
    advice = anchor_advice([wide], config)
    assert advice.objects == 2
    assert {one.low for one in advice.bins if one.objects} == {64.0, 8.0}  # the crop's part of the large one


def test_slow_input_advice_names_the_largest_size_that_training_uses():
    large = make_record(
        np.zeros((2000, 2400, 3), np.uint8), boxes=[[0, 0, 500, 500]], class_ids=[1], image_id=1
    )
    config = tiny(mask_head="none", max_size=960, crop_size=64, **JITTER)
    advice = SlowInputAdvice(make_dataset([large], config, training=True))
    assert "of which the network sees 152 x 128 at most" in advice._about_sizes()
