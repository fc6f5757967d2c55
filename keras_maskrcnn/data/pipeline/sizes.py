"""What size a training image has: resized, scaled by chance, and perhaps cropped."""

from typing import NamedTuple

from keras_maskrcnn.config.config import Config
from keras_maskrcnn.data.records import Record
from keras_maskrcnn.images.sizes import input_size

Size = tuple[int, int]
"""Height and width in pixels."""


class TrainingSize(NamedTuple):
    """To what a record's image is resized, and what it has after a crop, before it is padded for its batch."""

    resized: Size
    image: Size


def short_sides(config: Config) -> tuple[int, ...]:
    """Return the short sides to which training images are resized, equally likely."""
    return config.train_min_sizes or (config.min_size,)


def scale_range(config: Config) -> tuple[float, float]:
    """Return the lowest and the highest factor by which the resized image is scaled."""
    low, high = config.scale_jitter or (1.0, 1.0)
    return low, high


def training_size(record: Record, config: Config, min_size: int, scale: float = 1.0) -> TrainingSize:
    """Return the size of a record's image with the short side at `min_size`, in training scaled by `scale`.

    The long side is at most config.max_size before scaling, and after it too unless a crop follows. With
    config.image_scale there is no limit.
    """
    height, width = input_size(record.height, record.width, config, min_size)
    if scale != 1:
        if not (config.crop_size or config.image_scale):
            scale = min(scale, config.max_size / max(height, width))
        height, width = max(1, round(height * scale)), max(1, round(width * scale))
    cropped = (config.crop_size, config.crop_size) if config.crop_size else (height, width)
    return TrainingSize((height, width), cropped)


def smallest_size(record: Record, config: Config) -> TrainingSize:
    """Return the smallest that chance can make of a record's image."""
    return training_size(record, config, min(short_sides(config)), scale_range(config)[0])


def largest_size(record: Record, config: Config) -> TrainingSize:
    """Return the largest that chance can make of a record's image."""
    return training_size(record, config, max(short_sides(config)), scale_range(config)[1])


def typical_sizes(record: Record, config: Config) -> list[TrainingSize]:
    """Return equally likely sizes of a record's image, as many for each record of a dataset.

    They are all short sides, each at the middles of three equal parts of the range of scales.
    """
    low, high = scale_range(config)
    scales = [1.0] if low == high == 1 else [low + (high - low) * part for part in (1 / 6, 1 / 2, 5 / 6)]
    return [training_size(record, config, side, scale) for side in short_sides(config) for scale in scales]
