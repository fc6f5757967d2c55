"""Small files of CVAT, of which a test says one image's shapes."""

import numpy as np
from PIL import Image

from keras_maskrcnn.data.formats.cvat import load_cvat
from keras_maskrcnn.masks.rle import segmentation_to_mask

HEIGHT, WIDTH = 40, 60


def image(shapes="", name="a.png", size=(HEIGHT, WIDTH), **fields):
    more = "".join(f' {key}="{value}"' for key, value in fields.items())
    return f'<image id="0" name="{name}" width="{size[1]}" height="{size[0]}"{more}>{shapes}</image>'


def meta(*labels, top="task"):
    """Labels as (name, type) or, of a skeleton's points, (name, "points", parent)."""
    rows = ""
    for name, kind, *parent in labels:
        rows += f"<label><name>{name}</name><type>{kind}</type><attributes></attributes>"
        rows += "".join(f"<parent>{one}</parent>" for one in parent) + "</label>"
    return f"<meta><{top}><labels>{rows}</labels></{top}></meta>"


def write(folder, *parts, names=("a.png",)):
    """Write the XML and the images; return the XML's path."""
    for name in names:
        path = folder / "images" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((HEIGHT, WIDTH, 3), 7, np.uint8)).save(path)
    path = folder / "annotations.xml"
    path.write_text(f"<annotations><version>1.1</version>{''.join(parts)}</annotations>", encoding="utf-8")
    return path


def read_shapes(folder, shapes, *parts, **options):
    """The record of an image with these shapes, and the class names."""
    records, names = load_cvat(write(folder, *parts, image(shapes)), **options)
    return records[0], names


def masks_of(record):
    return [segmentation_to_mask(mask, record.height, record.width) for mask in record.masks]
