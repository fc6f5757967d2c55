"""Objects that lie on a canvas, and the image that is composed of moved ones with them."""

import dataclasses
from typing import Self

import numpy as np

from keras_maskrcnn.data.augment.affine import Shape


@dataclasses.dataclass(frozen=True)
class PlacedObjects:
    """N objects that lie on a canvas."""

    supersampling: int
    """Shapes are held on a grid of this many cells to a side of a pixel."""
    shapes: tuple[Shape, ...]
    """N, clipped to the canvas; what cannot be seen is missing in them."""
    values: dict[str, np.ndarray]
    """By the name of each field of ground truth that the shapes do not tell, [N, ...]."""

    @property
    def crowd(self) -> np.ndarray:
        """[N] bool."""
        return self.values["gt_crowd"]

    def of_objects(self, indices: np.ndarray) -> Self:
        """Return some of the objects, and all else as it is."""
        shapes = tuple(self.shapes[index] for index in indices)
        values = {name: rows[indices] for name, rows in self.values.items()}
        return dataclasses.replace(self, shapes=shapes, values=values)


@dataclasses.dataclass(frozen=True)
class ComposedImage(PlacedObjects):
    """An image and the N objects that lie on it."""

    image: np.ndarray
    """[H, W, C] uint8 or float32."""

    @property
    def grid(self) -> tuple[int, int]:
        """Height and width of the canvas in cells of the shapes' grid."""
        height, width = self.image.shape[:2]
        return height * self.supersampling, width * self.supersampling

    def boxes(self) -> np.ndarray:
        """Return [N, 4] float64 x1, y1, x2, y2 in pixels around what is visible of objects, at least a cell."""
        height, width = self.image.shape[:2]
        drawn = [shape.box(self.supersampling) for shape in self.shapes]
        return np.clip(np.array(drawn, np.float64).reshape(-1, 4), 0, [width, height, width, height])
