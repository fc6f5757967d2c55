"""Objects by which writers are tested: in one piece, in parts, and with a hole in which there is an island."""

import numpy as np
from PIL import Image

from keras_maskrcnn.masks.rle import segmentation_to_mask

NAMES = ["nut", "bolt"]


def written_masks():
    """A rectangle, two parts, and a ring with an island."""
    masks = np.zeros((3, 40, 60), bool)
    masks[0, 5:15, 10:30] = True
    masks[1, 20:25, 3:9] = masks[1, 30:36, 5:12] = True
    masks[2, 18:38, 30:58] = True
    masks[2, 22:34, 36:52] = False
    masks[2, 26:30, 40:46] = True
    return masks


def image_file(folder, name="a.png", size=(40, 60)):
    folder.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.zeros((*size, 3), np.uint8)).save(folder / name)
    return folder / name


def masks_of(record):
    return [segmentation_to_mask(mask, record.height, record.width) for mask in record.masks]
