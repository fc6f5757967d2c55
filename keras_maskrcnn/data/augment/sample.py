"""One image with its objects as arrays: what a user's own augmentation function is given, and returns."""

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np

from keras_maskrcnn.data.records import Record
from keras_maskrcnn.masks.rle import segmentation_to_mask


@dataclasses.dataclass(frozen=True, eq=False)
class Sample:
    """One image and its N objects, as arrays: what the `augment` function of `make_dataset` is given, and returns.

    The function returns a changed copy: `dataclasses.replace(sample, image=...)`, and `sample.select(rows)` where
    objects are left out. The arrays are its own to write into, but for the masks, which can only be replaced.

    Example:
        ```python
        import dataclasses
        import keras_maskrcnn as km
        import numpy as np

        def upper_half(sample, random):
            rows = len(sample.image) // 2
            masks = sample.masks[:, :rows]
            return dataclasses.replace(sample, image=sample.image[:rows], masks=masks, boxes=None)

        masks = np.zeros((2, 40, 60), bool)
        masks[0, 5:35, 10:30], masks[1, 25:35, 40:50] = True, True
        image = np.zeros((40, 60, 3), np.uint8)
        record = km.make_record(image, masks=masks, class_ids=[1, 1], image_id=1)
        config = km.Config(class_names=("nut",), min_size=64, max_size=192)
        dataset = km.make_dataset([record], config, training=True, augment=upper_half)
        batch = next(iter(dataset))
        print(batch["sizes"].numpy(), dataset.dropped.dropped)  # [[ 64 192]] 1: the second is not in the upper half
        ```
    """

    image: np.ndarray
    """[H, W, C] of Config.channels channels, uint8 or float32, 0..255, in RGB order; H and W may change."""
    boxes: np.ndarray | None
    """[N, 4] float32 x1, y1, x2, y2 in pixels, continuous. Returned as None: the extents of the masks."""
    class_ids: np.ndarray
    """[N] int32: 1..K."""
    masks: np.ndarray | None
    """[N, H, W] bool; None where the record has boxes only. An object whose mask is returned empty has vanished."""
    keypoints: np.ndarray | None
    """[N, J, 3] float32 x, y and visibility 0..2; None where there are none. Outside of the image they count as not
    labelled."""
    crowd: np.ndarray
    """[N] bool."""
    rows: np.ndarray
    """[N] int64: which of the objects given, from 0, each one is; -1 for one that the function has added."""

    def select(self, rows: Sequence[int] | np.ndarray) -> "Sample":
        """Return the sample with some of its objects only: their indices, in the order wanted, or N booleans."""
        chosen = np.asarray(rows)
        chosen = chosen if chosen.dtype == bool else chosen.astype(np.int64)
        return Sample(
            image=self.image,
            boxes=None if self.boxes is None else self.boxes[chosen],
            class_ids=self.class_ids[chosen],
            masks=None if self.masks is None else self.masks[chosen],
            keypoints=None if self.keypoints is None else self.keypoints[chosen],
            crowd=self.crowd[chosen],
            rows=self.rows[chosen],
        )


Augment = Callable[[Sample, np.random.Generator], Sample]
"""A user's own augmentation of one image; all that it chooses at random it takes from the generator."""


def sample_of(record: Record, image: np.ndarray) -> Sample:
    """Return a record's objects with its image [H, W, C], as read."""
    masks = None
    if record.masks is not None:
        masks = np.zeros((len(record.masks), record.height, record.width), bool)
        for index, segmentation in enumerate(record.masks):
            masks[index] = segmentation_to_mask(segmentation, record.height, record.width)
    return Sample(
        # Of a record that holds an array, this may be that array.
        image=image.copy() if isinstance(record.image, np.ndarray) else image,
        boxes=record.boxes.copy(),
        class_ids=record.class_ids.copy(),
        masks=masks,
        keypoints=None if record.keypoints is None else record.keypoints.copy(),
        crowd=record.crowd.copy(),
        rows=np.arange(len(record.boxes)),
    )
