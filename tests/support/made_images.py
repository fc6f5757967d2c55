"""A few images of shapes, of which everything is known: each `Shape` tells its outline, its box and its pixels."""

import dataclasses
import functools
import json
import math

import numpy as np
from PIL import Image
from skimage.measure import points_in_poly

CLASSES = ["bolt", "nut", "washer"]
HEIGHT, WIDTH = 120, 160


@dataclasses.dataclass(frozen=True)
class Shape:
    """One object: a polygon (flat list of points), rect (x, y, width, height), circle (cx, cy, r) or ellipse
    (cx, cy, rx, ry, theta)."""

    class_name: str
    kind: str
    numbers: tuple[float, ...]

    def polygon(self):
        """Its outline as a flat list x1, y1, x2, y2, ..."""
        if self.kind == "polygon":
            return list(self.numbers)
        if self.kind == "rect":
            x, y, width, height = self.numbers
            return [x, y, x + width, y, x + width, y + height, x, y + height]
        cx, cy, rx, ry, theta = (
            self.numbers if self.kind == "ellipse" else (*self.numbers, self.numbers[2], 0)
        )
        points = []
        for angle in np.linspace(0, 2 * math.pi, 200, endpoint=False):
            u, v = rx * math.cos(angle), ry * math.sin(angle)
            points += [
                cx + u * math.cos(theta) - v * math.sin(theta),
                cy + u * math.sin(theta) + v * math.cos(theta),
            ]
        return points

    def box(self):
        """x1, y1, x2, y2 around it."""
        points = np.reshape(self.polygon(), (-1, 2))
        return [*points.min(axis=0).tolist(), *points.max(axis=0).tolist()]

    @functools.cache  # noqa: B019
    def mask(self):
        """[HEIGHT, WIDTH] bool: the pixels whose centre lies inside."""
        y, x = np.mgrid[:HEIGHT, :WIDTH] + 0.5
        centres = np.stack([x.ravel(), y.ravel()], axis=1)
        return points_in_poly(centres, np.reshape(self.polygon(), (-1, 2))).reshape(HEIGHT, WIDTH)


@dataclasses.dataclass(frozen=True)
class MadeImage:
    name: str
    shapes: tuple[Shape, ...]

    def pixels(self):
        """[HEIGHT, WIDTH, 3] uint8: noise, with the objects in the colour of their class."""
        rng = np.random.default_rng(len(self.shapes))
        image = rng.integers(0, 60, (HEIGHT, WIDTH, 3)).astype(np.uint8)
        for shape in self.shapes:
            image[shape.mask(), CLASSES.index(shape.class_name)] = 220
        return image


def made_images(count=3, seed=0):
    """`count` images with four objects each, which do not touch, and one more without any."""
    rng = np.random.default_rng(seed)
    made = []
    for number in range(count):
        shapes = []
        for cell, kind in enumerate(rng.permutation(["polygon", "rect", "circle", "ellipse"])):
            centre = 40 + 80 * (cell % 2), 30 + 60 * (cell // 2)
            class_name = CLASSES[(number + cell) % len(CLASSES)]
            shapes.append(Shape(class_name, str(kind), tuple(_numbers(str(kind), *centre, rng))))
        made.append(MadeImage(f"image {number}", tuple(shapes)))
    return [*made, MadeImage("nothing", ())]


def _numbers(kind, cx, cy, rng):
    """Numbers of a shape around a centre, at most 27 pixels from it."""
    if kind == "rect":
        width, height = (int(side) for side in rng.integers(26, 48, 2))
        return [cx - width // 2, cy - height // 2, width, height]
    if kind == "circle":
        return [cx, cy, int(rng.integers(14, 26))]
    if kind == "ellipse":
        return [cx, cy, int(rng.integers(20, 27)), int(rng.integers(11, 19)), float(rng.uniform(-1, 1))]
    angles = np.linspace(0, 2 * math.pi, 7, endpoint=False) + rng.uniform(0, 0.5, 7)
    radii = rng.uniform(16, 27, 7)
    points = np.stack([cx + radii * np.cos(angles), cy + radii * np.sin(angles)], axis=1)
    return np.rint(points).ravel().tolist()


def save_images(folder, made):
    folder.mkdir(parents=True, exist_ok=True)
    for one in made:
        Image.fromarray(one.pixels()).save(folder / f"{one.name}.png")
    return folder


def save_json(path, content):
    path.write_text(json.dumps(content, indent=1))
    return path
