"""`maskrcnn convert`: weights from any source to a `.keras` file, or to what torchvision and Detectron2 read."""

import argparse
import textwrap
from pathlib import Path

from keras_maskrcnn.cli.common import open_model
from keras_maskrcnn.config.config import Config
from keras_maskrcnn.config.fields import network_fields
from keras_maskrcnn.models.mask_rcnn import MaskRCNN
from keras_maskrcnn.presets import detectron2 as detectron2_presets
from keras_maskrcnn.presets import torchvision as torchvision_presets
from keras_maskrcnn.weights.builders import detectron2 as detectron2_builder
from keras_maskrcnn.weights.builders import torchvision as torchvision_builder
from keras_maskrcnn.weights.checkpoint import read_checkpoint_of
from keras_maskrcnn.weights.files.write import write_half, write_pkl, write_pth
from keras_maskrcnn.weights.sources import detectron2, own, torchvision
from keras_maskrcnn.weights.sources.table import save

CONVENTIONS = (
    "bgr", "intensity_percentiles", "pixel_mean", "pixel_std", "min_size", "max_size", "image_scale", "size_rounding",
    "resize", "stride_in_1x1", "norm_epsilon", "pool_padding", "anchor_sizes", "anchor_ratios", "round_anchors",
    "rpn_delta_weights", "pre_nms_top_k", "post_nms_top_k", "rpn_nms_iou", "joint_proposals", "clamp_deltas",
    "clamp_shrinking", "level_rule", "roi_mode", "roi_sampling_ratio", "roi_aligned", "box_delta_weights",
    "cascade_scores", "mask_pool_size", "score_threshold", "nms_iou", "soft_nms_sigma", "class_agnostic_nms",
    "one_class_per_box", "max_detections",
)  # fmt: skip
"""Config fields that change what a model detects but not its tensors, so that no checkpoint can say them."""

REFERENCES = {
    ".pth": {
        "torchvision's maskrcnn_resnet50_fpn": Config(class_names=("any",)),
        "torchvision's maskrcnn_resnet50_fpn_v2": torchvision_presets.MASK_V2,
    },
    ".pkl": {"Detectron2's mask_rcnn_R_50_FPN": detectron2_presets.MASK},
}
"""Models that a user of a checkpoint knows there, by its suffix."""
LOAD_STATE_DICT = "import torch\nmodel.load_state_dict(torch.load(FILE))"
LOAD_CHECKPOINT = (
    "from detectron2.checkpoint import DetectionCheckpointer\nDetectionCheckpointer(model).load(FILE)"
)
COUNTED = ("cascade_ious", "keypoint_names")
"""Fields that count layers or their outputs, which `network_fields` leaves out."""


def run(args: argparse.Namespace) -> int:
    """Convert, and say what was written; return the exit code."""
    model = _source(args)
    write_model(model, args.target)
    print(f"Written: {args.target} ({model.config.num_classes} classes, {model.count_params():,} parameters)")
    for line in notes(model.config, args.target.suffix):
        print(line)
    return 0


def write_model(model: MaskRCNN, target: Path) -> None:
    """Write a model as its target's suffix says, whole or not at all.

    Raises:
        ValueError: the model has parts that the target's framework has no names for; the message names them.
    """
    if target.suffix == ".pth":
        write_pth(target, save(torchvision.table(model.network)))
    elif target.suffix == ".pkl":
        write_pkl(target, save(detectron2.table(model.network)))
    elif target.suffix == ".safetensors":
        write_half(target, save(own.table(model.network)), model.config.to_json())
    else:
        model.save(target)


def notes(config: Config, suffix: str) -> list[str]:
    """Return what a user of the written checkpoint has to know, a line each."""
    if suffix == ".keras":
        return []
    if suffix == ".safetensors":
        return ["The tensors are in half precision; the Config is in the file's metadata."]
    differences = {name: _differences(config, there) for name, there in REFERENCES[suffix].items()}
    nearest = min(differences, key=lambda name: len(differences[name]))
    names = ", ".join(config.class_names[:5]) + (", ..." if config.num_classes > 5 else "")
    lines = [f"The file holds tensors only. Classes, in their order: {names}"]
    if differences[nearest]:
        lines.append(f"Where this model differs from {nearest}: {', '.join(differences[nearest])}")
    if suffix == ".pth":
        there, code, load = "torchvision", torchvision_builder.code(config), LOAD_STATE_DICT
    else:
        there, code, load = "Detectron2", detectron2_builder.code(config), LOAD_CHECKPOINT
    lines.append(f"{there} builds it so, and cannot be told what is not named here:")
    return [*lines, textwrap.indent(f"{code}\n{load}", "  ")]


def _differences(config: Config, there: Config) -> list[str]:
    """The fields, of tensors and of conventions, in which a model is another than `there`.

    Rows for the background, which nothing reads, are written as the framework has them.
    """
    return [
        f"{field}={getattr(config, field)!r}"
        for field in (*network_fields(Config), *COUNTED, *CONVENTIONS)
        if getattr(config, field) != getattr(there, field) and field != "background_outputs"
    ]


def _source(args: argparse.Namespace) -> MaskRCNN:
    if args.config:
        fields = args.config if args.classes is None else {**args.config, "class_names": args.classes}
        if "class_names" not in fields:
            raise ValueError(
                "--config has no class_names: --classes must name the checkpoint's, in its order"
            )
        return read_checkpoint_of(MaskRCNN, Config.from_dict(fields), args.source)
    if args.model is None:
        return open_model(args.source)
    return open_model(args.model, args.source, args.classes)
