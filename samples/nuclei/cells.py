"""Cells drawn by chance: touching, dim and blurred ones, to try a model of nuclei on without any data."""

import numpy as np
from PIL import Image
from scipy import ndimage
from skimage.draw import ellipse


def draw_cells(height, width, count, seed, radius=8, blur=1.0, brightest=255):
    """Draw ellipses of many sizes and brightnesses, a third of them against a neighbour, blur them, and add noise.

    Args:
        height, width: of the image in pixels.
        count: how many are tried; those that would hide another by more than a little are left out.
        seed: of what is random.
        radius: in the middle, in pixels.
        blur: standard deviation in pixels.
        brightest: value of the brightest cells, 255 for 8 and 65535 for 16 bits.

    Returns:
        The image [H, W], uint8 or uint16, and its label image [H, W] uint16, 0 being background.
    """
    rng = np.random.default_rng(seed)
    labels = np.zeros((height, width), np.uint16)
    light = np.zeros((height, width), np.float32)
    centres = []
    for _ in range(count):
        long, short = radius * rng.uniform(0.7, 1.6) * np.array([1, rng.uniform(0.6, 1)])
        centre = rng.uniform((0, 0), (height, width))
        if centres and rng.random() < 1 / 3:
            angle = rng.uniform(0, 2 * np.pi)
            centre = centres[rng.integers(len(centres))] + 1.9 * radius * np.array(
                [np.sin(angle), np.cos(angle)]
            )
        place = ellipse(*centre, long, short, shape=labels.shape, rotation=rng.uniform(0, np.pi))
        free = labels[place] == 0
        if free.sum() < max(20, 0.85 * free.size):
            continue
        rows, columns = place[0][free], place[1][free]
        centres.append(centre)
        labels[rows, columns] = len(centres)
        light[rows, columns] = rng.uniform(0.15, 1) * (1 + 0.1 * rng.standard_normal(free.sum()))
    noisy = 0.04 + ndimage.gaussian_filter(light, blur) + 0.015 * rng.standard_normal(labels.shape)
    pixels = (noisy * 0.85).clip(0, 1) * brightest
    return pixels.astype(np.uint8 if brightest <= 255 else np.uint16), labels


def write_contest_folder(folder, count, size=128, cells=25):
    """Write drawn images as the contest has them: ID/images/ID.png, and in ID/masks/ an image per nucleus."""
    for number in range(count):
        image, labels = draw_cells(size, size, cells, seed=number)
        place = folder / f"drawn_{number:02}"
        for name in ("images", "masks"):
            (place / name).mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(place / "images" / f"{place.name}.png")
        for label in range(1, labels.max() + 1):
            Image.fromarray((labels == label).astype(np.uint8) * 255).save(
                place / "masks" / f"{label:03}.png"
            )
