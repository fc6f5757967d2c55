"""Images for the tests of the command line, and what runs a command that fails."""

import json

import numpy as np
from PIL import Image

from keras_maskrcnn.cli.main import main

CATEGORIES = [{"id": 7, "name": "circle"}, {"id": 3, "name": "square"}]


def draw_images(folder, count=4, size=64):
    """Write gray images with one bright square each, and their COCO annotation file beside the folder."""
    rng = np.random.default_rng(0)
    (folder / "images").mkdir()
    images, annotations = [], []
    for number in range(1, count + 1):
        x, y = (int(corner) for corner in rng.integers(4, 30, 2))
        pixels = np.full((size, size, 3), 60, np.uint8)
        pixels[y : y + 24, x : x + 24] = 220
        Image.fromarray(pixels).save(folder / "images" / f"{number}.png")
        images.append({"id": number, "file_name": f"{number}.png", "height": size, "width": size})
        outline = [x, y, x + 24, y, x + 24, y + 24, x, y + 24]
        annotations.append(
            {
                "id": number,
                "image_id": number,
                "category_id": 3 if number % 2 else 7,
                "bbox": [x, y, 24, 24],
                "area": 576,
                "iscrowd": 0,
                "segmentation": [outline],
            }
        )
    content = {"images": images, "annotations": annotations, "categories": CATEGORIES}
    (folder / "annotations.json").write_text(json.dumps(content))


def data(folder):
    return "--annotations", str(folder / "annotations.json"), "--images", str(folder / "images")


def model(folder):
    return str(folder / "run" / "model.keras")


def error(capsys, *arguments):
    """Run a command that fails; return its error line."""
    try:
        code = main([str(argument) for argument in arguments])
    except SystemExit as exit_:  # how argparse ends
        code = exit_.code
    captured = capsys.readouterr()
    assert code == 2
    assert captured.err.startswith("maskrcnn: error: ") and captured.err.count("\n") == 1
    return captured.err
