"""Small images with one square each, their batches, and what is compared of them."""

import numpy as np

from keras_maskrcnn.config.config import Config
from keras_maskrcnn.data.pipeline.dataset import make_dataset
from keras_maskrcnn.data.records import make_record

SMALL = Config(class_names=("a", "b"), min_size=16, max_size=64, mask_crop_size=8)


def half_filled(index, height=20, width=32):
    """An image [height, width, 3] whose left half is `index` in the first channel."""
    image = np.zeros((height, width, 3), np.uint8)
    image[:, : width // 2, 0] = index
    return image


def square(index=0, crowd=False, **size):
    """A record with one 8 x 8 square at x 4, y 6, whose upper left quarter is missing."""
    image = half_filled(index, **size)
    mask = np.zeros((1, *image.shape[:2]), bool)
    mask[0, 6:14, 4:12] = True
    mask[0, 6:10, 4:8] = False
    return make_record(
        image, boxes=[[4, 6, 12, 14]], class_ids=[2], masks=mask, crowd=[crowd], image_id=index
    )


def empty(index=0):
    return make_record(half_filled(index), masks=[], image_id=index)


def batches(records, config=SMALL, **options):
    return [
        {key: value.numpy() for key, value in b.items()} for b in make_dataset(records, config, **options)
    ]


def names(found):
    """The image numbers of batches, as `half_filled` draws them."""
    return [[round(float(image[..., 0].max())) for image in batch["images"]] for batch in found]


def assert_equal(found, expected):
    assert len(found) == len(expected)
    for batch, other in zip(found, expected, strict=True):
        assert batch.keys() == other.keys()
        for key, value in batch.items():
            np.testing.assert_array_equal(value, other[key], err_msg=key)
