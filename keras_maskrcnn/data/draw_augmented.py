"""Training examples as images, to see what augmentation makes of one record."""

from collections.abc import Sequence

import numpy as np
import tensorflow as tf
from PIL import Image

from keras_maskrcnn.config.config import Config
from keras_maskrcnn.data.augment.flips import Example
from keras_maskrcnn.data.augment.sample import Augment
from keras_maskrcnn.data.pipeline.dropped import DroppedObjects
from keras_maskrcnn.data.pipeline.example_tensors import make_examples
from keras_maskrcnn.data.records import Record
from keras_maskrcnn.drawing.instances import draw_instances
from keras_maskrcnn.masks.crop_paste import paste_masks

_GAP = 8


def draw_augmented(
    records: Sequence[Record],
    config: Config,
    index: int = 0,
    count: int = 7,
    seed: int = 0,
    columns: int = 4,
    augment: Augment | None = None,
) -> Image.Image:
    """Draw a record as it is evaluated, and after it as training would see it, each time augmented anew.

    Boxes, masks and keypoints are those that the model is given: masks are pasted back from their crops, and crowds,
    which have none, have dashed boxes.

    Args:
        records: all of the training's, since any may give objects to paste.
        config: names the augmentation.
        index: of the record to draw.
        count: how many times it is augmented.
        seed: any 32-bit integer; each augments otherwise.
        columns: images side by side, before another row begins.
        augment: your own function, as in `make_dataset`.

    Returns:
        One PIL image in RGB, of 1 + count images.

    Raises:
        ValueError: there is no such record, `count` or `columns` is not positive, or the record does not fit the
            config.

    Example:
        ```python
        import keras_maskrcnn as km
        import numpy as np

        image = np.full((48, 64, 3), 90, np.uint8)
        record = km.make_record(image, boxes=[[10, 5, 30, 35]], class_ids=[1], image_id=1)
        config = km.Config(class_names=("nut",), min_size=48, max_size=64, mask_head="none")
        drawn = km.draw_augmented([record], config, count=1)
        print(drawn.size)  # (136, 48): as it is evaluated, and as training may see it
        ```
    """
    if not 0 <= index < len(records):
        raise ValueError(f"draw_augmented: there is no record {index} among {len(records)}")
    if count < 1 or columns < 1:
        raise ValueError(f"draw_augmented needs a positive count and columns; got {count} and {columns}")
    images = [
        draw_example(example, config)
        for training, times in ((False, 1), (True, count))
        for example in _examples(records, config, index, times, seed, augment, training)
    ]
    return _side_by_side(images, columns)


def draw_example(example: Example, config: Config) -> Image.Image:
    """Draw one example: a row of a batch of `make_dataset`.

    Args:
        example: images [H, W, C], sizes [2] and the objects' `gt_` fields, as arrays or tensors.
        config: names the classes and keypoints.

    Returns:
        A PIL image in RGB, of the example's size without its padding.
    """
    height, width = (int(side) for side in example["sizes"])
    real = np.asarray(example["gt_classes"]) > 0
    boxes = np.asarray(example["gt_boxes"])[real]
    masks = None
    if "gt_masks" in example:
        masks = paste_masks(np.asarray(example["gt_masks"])[real] / 255, boxes, height, width)
    return draw_instances(
        np.asarray(example["images"])[:height, :width].astype(np.uint8),
        boxes,
        [config.class_names[class_id - 1] for class_id in np.asarray(example["gt_classes"])[real]],
        masks=masks,
        keypoints=np.asarray(example["gt_keypoints"])[real] if "gt_keypoints" in example else None,
        keypoint_names=config.keypoint_names,
        crowd=np.asarray(example["gt_crowd"])[real],
        class_names=config.class_names,
    )


def _examples(
    records: Sequence[Record],
    config: Config,
    index: int,
    count: int,
    seed: int,
    augment: Augment | None,
    training: bool,
) -> tf.data.Dataset:
    places = tf.data.Dataset.range(count).map(
        lambda epoch: (epoch, 0 * epoch, epoch, tf.constant(index, tf.int64))
    )
    dropped = DroppedObjects(count, logged=False)
    return make_examples(places, records, config, training, seed, 1, dropped, augment)


def _side_by_side(images: list[Image.Image], columns: int) -> Image.Image:
    """Lay images out in rows, each in a cell as large as the largest."""
    width = max(image.width for image in images) + _GAP
    height = max(image.height for image in images) + _GAP
    rows = -(-len(images) // columns)
    sheet = Image.new("RGB", (min(columns, len(images)) * width - _GAP, rows * height - _GAP), "white")
    for place, image in enumerate(images):
        sheet.paste(image, (place % columns * width, place // columns * height))
    return sheet
