"""The class names of a dataset like VOC's, and what stands for them in its images of classes."""

import dataclasses
from pathlib import Path

from keras_maskrcnn.data.checks import error_prefix
from keras_maskrcnn.utils.text import read_text

VOC_CLASSES = (
    "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow", "diningtable", "dog",
    "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor",
)  # fmt: skip
NAMES_FILE, COLORS_FILE = "class_names.txt", "labelmap.txt"
_BACKGROUNDS = ("background", "_background_")
_IGNORED = "__ignore__"


@dataclasses.dataclass(frozen=True)
class VocNames:
    """The classes of a dataset."""

    names: list[str]
    """In the order of their values, which count from 1."""
    colors: dict[int, str] = dataclasses.field(default_factory=dict)
    """By the numbers of colours, as `read_labels` gives them, the classes that have one."""

    def of(self, value: int) -> str:
        """Return the class that a value stands for: a colour, or else a number from 1.

        Raises:
            ValueError: it has no name.
        """
        if value in self.colors:
            return self.colors[value]
        if value > len(self.names):
            is_color = bool(self.colors) or value > 255
            what = f"its colour {_rgb(value)}" if is_color else f"its value {value}"
            raise ValueError(f"{what} in SegmentationClass has no name; there are {len(self.names)} classes")
        return self.names[value - 1]


def read_voc_names(folder: Path) -> VocNames | None:
    """Read class_names.txt, or labelmap.txt as CVAT and datumaro write it; None if neither is in the folder.

    Raises:
        ValueError: there are no classes in it, one occurs twice, or a colour is none; the message names the file.
    """
    for name, read in ((NAMES_FILE, _listed), (COLORS_FILE, _colored)):
        file = folder / name
        if file.is_file():
            with error_prefix(str(file)):
                return read([line.strip() for line in read_text(file).splitlines() if line.strip()])
    return None


def _listed(lines: list[str]) -> VocNames:
    names = [line for line in lines if line != _IGNORED][1:]
    if not names:
        raise ValueError("there are no classes behind the first line, which is the background")
    return VocNames(names)


def _colored(lines: list[str]) -> VocNames:
    """Lines name:red,green,blue:parts:actions; colours may be left out."""
    colors: dict[int, str] = {}
    names: list[str] = []
    for line in lines:
        name, color = [*line.split(":"), ""][:2]
        if line.startswith("#") or name.lower() in _BACKGROUNDS:
            continue
        if name in names:
            raise ValueError(f"the class {name} occurs twice")
        names.append(name)
        if color:
            number = _number(color)
            if number in colors or not number:
                raise ValueError(
                    f"the colour {color} of {name} is that of {colors.get(number, 'the background')}"
                )
            colors[number] = name
    if not names:
        raise ValueError("there are no classes in it")
    return VocNames(names, colors)


def _number(color: str) -> int:
    parts = color.split(",")
    if len(parts) != 3 or not all(part.strip().isdecimal() and int(part) < 256 for part in parts):
        raise ValueError(f"a colour must be red,green,blue in 0..255; got {color}")
    red, green, blue = map(int, parts)
    return (red << 16) + (green << 8) + blue


def _rgb(value: int) -> str:
    return f"{value >> 16},{value >> 8 & 255},{value & 255}"
