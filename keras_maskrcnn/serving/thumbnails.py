"""Small images of the examples on the demo's page, whatever files they are of: browsers show no TIFFs."""

from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from keras_maskrcnn.config.config import Config
from keras_maskrcnn.drawing.displayable import displayable
from keras_maskrcnn.images.io import read_image

SIDE = 256
"""Pixels of their longer side, at most."""
MOST = 100
"""Examples that a page shows."""


def make_thumbnails(paths: Sequence[Path], config: Config, folder: Path) -> list[tuple[Path, Path]]:
    """Write a small image of each file into a folder; return the files, each with its small image.

    Args:
        paths: image files, which are read as the model reads them.
        config: the model's.
        folder: an existing one.

    Raises:
        ValueError: there are more than MOST, or one is no image that the model can read.
    """
    if len(paths) > MOST:
        raise ValueError(
            f"there are {len(paths)} examples, and the page shows at most {MOST}: put fewer in a folder"
        )
    return [
        (path, _small(path, config, folder / f"example_{number}.png")) for number, path in enumerate(paths)
    ]


def _small(path: Path, config: Config, target: Path) -> Path:
    image = Image.fromarray(
        displayable(read_image(path, config.channels, percentiles=config.intensity_percentiles))
    )
    image.thumbnail((SIDE, SIDE))
    image.save(target)
    return target
