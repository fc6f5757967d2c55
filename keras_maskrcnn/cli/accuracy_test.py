"""`maskrcnn evaluate --accuracy-test`: Detectron2's accuracy tests.

They are its `configs/quick_schedules/*_inference_acc_test.yaml`.
"""

import argparse
from collections.abc import Mapping
from pathlib import Path

import tensorflow as tf

from keras_maskrcnn.cli.common import aligned
from keras_maskrcnn.cli.evaluate_parser import coco_files
from keras_maskrcnn.cli.progress import in_terminal
from keras_maskrcnn.data.formats.coco import load_coco
from keras_maskrcnn.evaluation.evaluate import evaluate_coco
from keras_maskrcnn.models.load import load_pretrained
from keras_maskrcnn.presets import find_preset
from keras_maskrcnn.presets.preset import Preset

TOLERANCE = 0.02
EXPECTED: dict[str, dict[str, float]] = {
    "COCO-InstanceSegmentation/mask_rcnn_R_50_FPN_3x": {"box_AP": 47.34, "mask_AP": 42.67},
    "COCO-InstanceSegmentation/mask_rcnn_R_50_C4_3x": {"box_AP": 47.37, "mask_AP": 40.99},
    "COCO-InstanceSegmentation/mask_rcnn_R_50_DC5_3x": {"box_AP": 47.44, "mask_AP": 42.94},
    "COCO-Keypoints/keypoint_rcnn_R_50_FPN_3x": {"box_AP": 52.47, "keypoint_AP": 67.36},
    "Misc/cascade_mask_rcnn_R_50_FPN_3x": {"box_AP": 50.18, "mask_AP": 43.87},
}
"""The AP in % that Detectron2 expects on its 100 images, within the tolerance."""

HEAD = ["model", "metric", "expected", "measured", ""]


def run(args: argparse.Namespace) -> int:
    """Run the tests of all models, or of one, and print a table; return 0 if all pass and 1 if not."""
    if args.model is not None and args.model not in EXPECTED:
        raise ValueError(f"{args.model} has no accuracy test; these have: {', '.join(EXPECTED)}")
    presets = [find_preset(name) for name in ([args.model] if args.model else EXPECTED)]
    for preset in presets:
        coco_files(args.coco, bool(preset.config.keypoint_names), "_100")
    tf.config.experimental.enable_tensor_float_32_execution(False)  # as in Detectron2's tests
    rows = []
    for preset in presets:
        rows += accuracy_test(preset, EXPECTED[preset.name], args.coco, args.weights, args.batch_size)
    print(aligned([HEAD, *rows], left=(0, 1, 4)))
    return int(any(row[-1] != "pass" for row in rows))


def accuracy_test(
    preset: Preset,
    expected: Mapping[str, float],
    coco: Path,
    weights: Path | None = None,
    batch_size: int = 1,
) -> list[list[str]]:
    """Evaluate a model on the 100 images.

    Args:
        preset: the model.
        expected: its AP in %, by `score_coco`'s names.
        coco: the folder with annotations/ and val2017/.
        weights: a checkpoint to use instead of the published one.
        batch_size: images that go through the network together.

    Returns:
        A row for each metric: model, metric, expected, measured, "pass" or "FAIL".
    """
    annotations, images = coco_files(coco, bool(preset.config.keypoint_names), "_100")
    model = load_pretrained(preset, weights)
    masks = model.config.mask_head != "none"
    records, _ = load_coco(annotations, images, model.config.class_names, masks=masks)
    scores = evaluate_coco(model, records, batch_size, progress=in_terminal())
    rows = []
    for name, value in expected.items():
        measured = 100 * scores[name]
        verdict = "pass" if abs(measured - value) <= TOLERANCE else "FAIL"
        rows.append([preset.name, name.replace("_", " "), f"{value:.2f}", f"{measured:.2f}", verdict])
    return rows
