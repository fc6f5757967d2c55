"""An image of any size brought to the network's size within the graph, and detections back to its own pixels."""

import dataclasses

import tensorflow as tf

from keras_maskrcnn.config.config import Config

Tensors = dict[str, tf.Tensor]


def size_inside(height: tf.Tensor, width: tf.Tensor, config: Config) -> tuple[tf.Tensor, tf.Tensor]:
    """Return what `images.resize.input_size` does, of tensors, in the double precision that its rounding depends on.

    Args:
        height, width: scalars, int32.
        config: as there.

    Returns:
        Height and width, int32.
    """
    height, width = tf.cast(height, tf.float64), tf.cast(width, tf.float64)
    if config.image_scale:
        return _whole(tf.round(height * config.image_scale)), _whole(tf.round(width * config.image_scale))
    min_size, max_size = tf.constant(config.min_size, tf.float64), tf.constant(config.max_size, tf.float64)
    short, long = tf.minimum(height, width), tf.maximum(height, width)
    if config.size_rounding in ("floor", "round_once"):
        scale = tf.minimum(min_size / short, max_size / long)
        half = 0.5 if config.size_rounding == "round_once" else 0.0
        return _whole(tf.floor(height * scale + half)), _whole(tf.floor(width * scale + half))
    scale = min_size / short
    if config.size_rounding == "half_even":
        scale = tf.maximum(scale, 1.0)
        scale = tf.where(tf.round(long * scale) > max_size, max_size / long, scale)
        return _whole(tf.round(height * scale)), _whole(tf.round(width * scale))
    new_height = tf.where(height < width, min_size, scale * height)
    new_width = tf.where(height < width, scale * width, min_size)
    longest = tf.maximum(new_height, new_width)
    shrink = tf.where(longest > max_size, max_size / longest, 1.0)
    return _whole(tf.floor(new_height * shrink + 0.5)), _whole(tf.floor(new_width * shrink + 0.5))


def _whole(side: tf.Tensor) -> tf.Tensor:
    return tf.maximum(tf.cast(side, tf.int32), 1)


@dataclasses.dataclass(frozen=True)
class FittedImage:
    """An image at the network's size, as a batch of one."""

    images: tf.Tensor
    """[1, H, W, C] float32, padded."""
    sizes: tf.Tensor
    """[1, 2] int32, without the padding."""
    original: tf.Tensor
    """[2] int32, height and width of the image as it was given."""
    square: bool
    """`Config.square`."""

    def in_own_pixels(self, outputs: Tensors) -> Tensors:
        """Bring the network's outputs for this image to its own pixels, as `detections.from_outputs` does.

        What has no area left becomes a row of zeros, without a detection.
        """
        less = 1.0 if self.square else 0.0
        own, resized = tf.cast(self.original, tf.float32), tf.cast(self.sizes[0], tf.float32)
        scale = tf.reverse((own - less) / tf.maximum(resized - less, 1.0), [0])  # [2]: x, y
        ends = tf.constant([0.0, 0.0, less, less])
        boxes = (outputs["boxes"] - ends) * tf.concat([scale, scale], 0) + ends
        limits = tf.reverse(own, [0])
        boxes = tf.minimum(tf.maximum(boxes, 0.0), tf.concat([limits, limits], 0))
        real = (outputs["classes"] > 0) & tf.reduce_all(boxes[:, :2] < boxes[:, 2:], axis=1)
        moved = {**outputs, "boxes": boxes}
        if "keypoints" in outputs:
            moved["keypoints"] = outputs["keypoints"] * tf.concat([tf.reverse(own / resized, [0]), [1.0]], 0)
        return {name: _rows_where(real, value) for name, value in moved.items()}


def _rows_where(real: tf.Tensor, values: tf.Tensor) -> tf.Tensor:
    kept = tf.reshape(real, [-1] + [1] * (len(values.shape) - 1))
    return tf.where(kept, values, tf.zeros([], values.dtype))


def fit_input(image: tf.Tensor, config: Config) -> FittedImage:
    """Resize an image `[H, W, C]` of any number type as a config says, bilinearly, and pad it."""
    height, width = size_inside(tf.shape(image)[0], tf.shape(image)[1], config)
    pixels = tf.cast(image, tf.float32)  # before, since ONNX's resizing returns the type that it is given
    resized = tf.image.resize(pixels, tf.stack([height, width]), "bilinear", antialias=False)
    divisor = config.size_divisor
    # Of numbers that are not negative, since converters do not agree on the remainder of others.
    missing = (divisor - tf.stack([height, width]) % divisor) % divisor
    padded = tf.pad(resized, [[0, missing[0]], [0, missing[1]], [0, 0]])
    return FittedImage(
        images=tf.expand_dims(padded, 0),
        sizes=tf.expand_dims(tf.stack([height, width]), 0),
        original=tf.shape(image)[:2],
        square=config.square,
    )
