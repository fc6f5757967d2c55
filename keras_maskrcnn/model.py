"""Where files that version 0.1.0 saved look for their class."""

from keras_maskrcnn.models.mask_rcnn import MaskRCNN

__all__ = ["MaskRCNN"]
