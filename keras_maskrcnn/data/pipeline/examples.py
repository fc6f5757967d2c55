"""One example from one record, in numpy: the pixels, and the ground truth in the frame of the resized image."""

from collections.abc import Sequence

import numpy as np

from keras_maskrcnn.config.config import Config
from keras_maskrcnn.data.checks import clipped_box, error_prefix
from keras_maskrcnn.data.fields import Field
from keras_maskrcnn.data.pipeline.sizes import training_size
from keras_maskrcnn.data.records import Record, check_names, check_record
from keras_maskrcnn.images.io import read_image
from keras_maskrcnn.images.resize_array import resize_whole


def load_example(
    record: Record, config: Config, fields: Sequence[Field], min_size: int
) -> tuple[np.ndarray, ...]:
    """Read a record's image and make an example of it, as `resized_example` does.

    Raises:
        FileNotFoundError, ValueError: as `read_pixels` and `resized_example`.
    """
    return resized_example(record, read_pixels(record, config), config, fields, min_size)


def resized_example(
    record: Record,
    image: np.ndarray,
    config: Config,
    fields: Sequence[Field],
    min_size: int,
    scale: float = 1.0,
) -> tuple[np.ndarray, ...]:
    """Bring a record's image [H, W, C] and its objects to the frame of the image resized as `training_size` says.

    Returns:
        image [H, W, C] float32, already resized unless config.resize is "bilinear", which is left to TensorFlow;
        size [2] int32, (height, width) to resize it to; and the values of each field of ground truth.

    Raises:
        ValueError: an object has vanished; the message names the image.
    """
    with error_prefix(record.name):
        size = training_size(record, config, min_size, scale).resized
        if config.resize != "bilinear":
            image = resize_whole(image, size, config.resize)
        truth = [field.load(record, size) for field in fields]
        return image.astype(np.float32), np.array(size, np.int32), *truth


def read_pixels(record: Record, config: Config) -> np.ndarray:
    """Check that a record can be trained on, and read its image: [H, W, C] uint8 or float32.

    Raises:
        FileNotFoundError: the image file is missing.
        ValueError: the image is broken or of another size than the record says, or the record does not fit the config;
            the message names the image.
    """
    check_names(record, config.class_names, config.keypoint_names)
    check_record(record, config.num_classes, config.mask_head != "none", len(config.keypoint_names))
    with error_prefix(record.name):
        for index, box in enumerate(record.boxes.tolist()):
            with error_prefix(f"object {index}"):
                clipped_box(box, record.height, record.width)
    image = read_image(record.image, config.channels, percentiles=config.intensity_percentiles)
    with error_prefix(record.name):
        if image.shape[:2] != (record.height, record.width):
            found = f"{image.shape[1]} x {image.shape[0]} (width x height)"
            raise ValueError(f"the image is {found}; its record says {record.width} x {record.height}")
    return image
