"""What happens to raw pixels inside the model."""

from collections.abc import Mapping

import keras
import tensorflow as tf
from keras import ops


class Normalize(keras.layers.Layer):
    """Raw pixels 0..255 `[B, H, W, C]` with sizes `[B, 2]` -> normalised float32 images, zero in the padding.

    Args:
        mean: subtracted, one per channel.
        std: divided by, one per channel.
        bgr: reverses the three channels, for weights that were trained on blue first; `mean` and `std` stay in
            the order of the input.
    """

    def __init__(self, mean: tuple[float, ...], std: tuple[float, ...], bgr: bool = False, **kwargs):
        super().__init__(autocast=False, **kwargs)
        self.mean, self.std, self.bgr = tuple(mean), tuple(std), bgr

    def call(self, images: keras.KerasTensor, sizes: keras.KerasTensor) -> keras.KerasTensor:
        images = (ops.cast(images, "float32") - ops.convert_to_tensor(self.mean, "float32")) / (
            ops.convert_to_tensor(self.std, "float32")
        )
        rows = ops.arange(ops.shape(images)[1]) < ops.cast(sizes[:, :1], "int32")  # [B, H]
        columns = ops.arange(ops.shape(images)[2]) < ops.cast(sizes[:, 1:], "int32")  # [B, W]
        inside = ops.expand_dims(rows, 2) & ops.expand_dims(columns, 1)  # [B, H, W]
        images = images * ops.expand_dims(ops.cast(inside, "float32"), 3)
        return ops.flip(images, axis=-1) if self.bgr else images


class Windows(keras.layers.Layer):
    """Sizes `[B, 2]` (height, width) -> the images' boxes `[B, 4]` float32, which nothing may reach out of."""

    def __init__(self, **kwargs):
        super().__init__(autocast=False, **kwargs)

    def call(self, sizes: keras.KerasTensor) -> keras.KerasTensor:
        corner = ops.cast(ops.flip(sizes, axis=1), "float32")  # [B, 2]: width, height
        return ops.concatenate([ops.zeros_like(corner), corner], axis=1)


def blank_batch(inputs: Mapping[str, keras.KerasTensor]) -> dict[str, tf.Tensor]:
    """Return one blank image with one row of ground truth, for a graph's `inputs`, which no loss counts.

    A replica of `tf.distribute` gets no row at all when the last batch has fewer images than there are replicas,
    and convolutions cannot run on that. Here a crowd covers every anchor, so that none is sampled, and it has no share
    of the batch that losses are averaged over. Of `losses_over="replica"` Keras divides by all replicas, this one too.
    """
    side = 64
    values = {
        "images": tf.zeros((1, side, side, inputs["images"].shape[-1])),
        "sizes": tf.constant([[side, side]]),
        "gt_boxes": tf.constant([[[-1e6, -1e6, 1e6, 1e6]]]),
        "gt_classes": tf.ones((1, 1), tf.int32),
        "gt_crowd": tf.ones((1, 1), tf.bool),
    }
    rest = {name: x for name, x in inputs.items() if name not in values}
    blank = {name: tf.zeros([size or 1 for size in x.shape], x.dtype) for name, x in rest.items()}
    return {name: values[name] if name in values else blank[name] for name in inputs}
