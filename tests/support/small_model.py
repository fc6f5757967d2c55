"""A Mask R-CNN with a backbone of five convolutions: files of it are small, and are written and read fast."""

import keras
from examples import tiny

from keras_maskrcnn.models.mask_rcnn import MaskRCNN


def small_backbone():
    """Return maps C2 to C5 of eight channels each."""
    x = image = keras.Input((None, None, 3))
    maps = {}
    x = keras.layers.Conv2D(8, 3, strides=2, padding="same", activation="relu")(x)
    for level in ("C2", "C3", "C4", "C5"):
        x = maps[level] = keras.layers.Conv2D(8, 3, strides=2, padding="same", activation="relu")(x)
    return keras.Model(image, maps)


def small_model(**changes):
    """Return a model with `tiny`'s Config but for some fields."""
    return MaskRCNN(tiny(**changes), backbone=small_backbone())
