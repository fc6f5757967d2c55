"""Names of the classes of the data that published models were trained on, in the order of their category ids."""

import importlib.resources

COCO = (
    "person", "bicycle", "car", "motorcycle", "airplane", "bus", "train", "truck", "boat", "traffic light",
    "fire hydrant", "stop sign", "parking meter", "bench", "bird", "cat", "dog", "horse", "sheep", "cow", "elephant",
    "bear", "zebra", "giraffe", "backpack", "umbrella", "handbag", "tie", "suitcase", "frisbee", "skis", "snowboard",
    "sports ball", "kite", "baseball bat", "baseball glove", "skateboard", "surfboard", "tennis racket", "bottle",
    "wine glass", "cup", "fork", "knife", "spoon", "bowl", "banana", "apple", "sandwich", "orange", "broccoli",
    "carrot", "hot dog", "pizza", "donut", "cake", "chair", "couch", "potted plant", "bed", "dining table", "toilet",
    "tv", "laptop", "mouse", "remote", "keyboard", "cell phone", "microwave", "oven", "toaster", "sink",
    "refrigerator", "book", "clock", "vase", "scissors", "teddy bear", "hair drier", "toothbrush",
)  # fmt: skip
CITYSCAPES = ("person", "rider", "car", "truck", "bus", "train", "motorcycle", "bicycle")

UNUSED_COCO_IDS = (12, 26, 29, 30, 45, 66, 68, 69, 71, 83)
"""Category ids up to COCO's largest, 90, that no category has."""


def coco_by_id() -> tuple[str, ...]:
    """Return 90 names, one per COCO category id from 1; ids without a category are called "N/A 12"."""
    names = iter(COCO)
    return tuple(f"N/A {i}" if i in UNUSED_COCO_IDS else next(names) for i in range(1, 91))


def lvis_v0_5() -> tuple[str, ...]:
    """Return the 1230 names of LVIS v0.5."""
    text = importlib.resources.files(__package__).joinpath("lvis_v0_5.txt").read_text(encoding="utf-8")
    return tuple(text.splitlines())
