"""What stands beside an artefact as JSON: all that its inputs and outputs mean, for a reader without this package."""

import importlib.metadata
from typing import Any

from keras_maskrcnn.artefacts.request import Request
from keras_maskrcnn.config.config import Config
from keras_maskrcnn.runtime.description import KEY, VERSION

PACKAGES = ("keras3-maskrcnn", "keras", "tensorflow", "tf2onnx", "onnx", "openvino", "nncf")

SIZES = {
    "floor": "scale = min(min_size / short side, max_size / long side); sides = int(side * scale)",
    "round": "the short side becomes min_size, then both shrink so that the long one is at most max_size; sides = "
    "int(side + 0.5)",
    "round_once": "scale = min(min_size / short side, max_size / long side); sides = int(side * scale + 0.5)",
    "half_even": "scale = max(1, min_size / short side), or max_size / long side if that would be longer; sides = "
    "round(side * scale), half to even",
}
RESIZING = {
    "bilinear": "bilinear with half-pixel centres, no antialiasing, fractions kept",
    "pillow": "Pillow's BILINEAR, antialiased and rounded to whole numbers; bilinear without for images that are not "
    "uint8",
    "opencv": "OpenCV's INTER_LINEAR, not antialiased, in its whole numbers for uint8 and rounded for other integers",
    "skimage": "scikit-image's resize of order 1 with zeros beyond the border, not antialiased, then truncated",
}
PASTING = {
    "exact": "each pixel's centre is looked up in the mask, stretched over its box, bilinearly with zeros around it",
    "torchvision": "as exact, into the box that torchvision's ring of one mask pixel and truncated sides leave",
    "matterport": "as exact, into the box rounded to whole pixels, half to even; a mask nowhere below 0.5 fills it",
}


def describe(config: Config, request: Request) -> dict[str, Any]:
    """Return the description of an artefact as plain values."""
    return {
        KEY: VERSION,
        "format": request.format,
        "inputs": request.inputs,
        "masks": request.masks if config.mask_head != "none" else None,
        "one_image": request.one_image,
        "int8": request.int8,
        "class_names": list(config.class_names),
        "keypoint_names": list(config.keypoint_names),
        "rules": _rules(config, request),
        "config": config.to_dict(),
        "versions": _versions(),
    }


def _rules(config: Config, request: Request) -> dict[str, str]:
    """Say in words what goes in and what comes out."""
    order = "RGB" if config.channels == 3 else f"{config.channels} channels"
    if request.inputs == "uint8":
        inputs = {"image": f"[H, W, {config.channels}] uint8, {order}, of any size; resized inside"}
        frame = "the image"
    else:
        size = (
            f"sides = round(side * {config.image_scale})"
            if config.image_scale
            else SIZES[config.size_rounding]
        )
        batch = "1" if request.one_image else "B"
        inputs = {
            "images": f"[{batch}, H, W, {config.channels}] float32, {order}, 0..255, resized, then padded with zeros "
            f"at the right and bottom to multiples of {config.size_divisor}",
            "sizes": f"[{batch}, 2] int32, height and width of each image without its padding",
            "size": size,
            "resizing": RESIZING[config.resize],
        }
        if config.intensity_percentiles:
            low, high = config.intensity_percentiles
            inputs["stretching"] = f"before, each channel's percentiles {low} and {high} become 0 and 255"
        frame = "the resized image"
    outputs = {
        "boxes": f"float32 x1, y1, x2, y2 in pixels of {frame}",
        "scores": "float32 0..1, best first",
        "classes": "int32; 0: the row holds no detection; k: class_names[k - 1]",
    }
    if config.mask_head != "none" and request.masks == "crops":
        outputs["masks"] = (
            "float32 probabilities 0..1 in the frame of each box; mask is where at least 0.5, after:"
        )
        outputs["pasting"] = PASTING[config.paste]
    elif config.mask_head != "none" and request.masks == "pasted":
        outputs["masks"] = f"bool, of the pixels of {frame}"
    if config.mask_iou_head:
        outputs["mask_scores"] = "float32 0..1, by which masks rank"
    if config.keypoint_names:
        kind = "probability" if config.keypoint_probabilities else "logit"
        outputs["keypoints"] = (
            f"float32 x, y in pixels of {frame} and a {kind}, in the order of keypoint_names"
        )
    return {**inputs, **outputs}


def _versions() -> dict[str, str]:
    found = {}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
