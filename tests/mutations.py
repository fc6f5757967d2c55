"""Wrong wirings, made one by one in a copy of the checkout: each must turn a test of the ordinary run red.

`python tests/mutations.py [NAME ...]` prints a table and exits with 1 if a change survives. Each runs only the tests
that are to catch it, up to the first failure.
"""

import argparse
import dataclasses
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
WIRING = ("tests/network/test_wiring.py",)


@dataclasses.dataclass(frozen=True)
class Mutation:
    """A change of one place in a file of the package, and the tests that are to catch it."""

    name: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...] = WIRING


def wrong_field(layer: str, file: str, old: str, new: str) -> Mutation:
    """A layer's argument that is taken from another field."""
    return Mutation(f"{layer}: {old.partition('=')[0]} from the wrong field", f"network/{file}.py", old, new)


MUTATIONS = (
    Mutation(
        "anchors off by half a stride",
        "ops/anchors.py",
        "y = tf.range(feature_shape[0], dtype=tf.float32) * strides[0]",
        "y = (tf.range(feature_shape[0], dtype=tf.float32) + 0.5) * strides[0]",
        ("tests/ops/test_anchors.py",),
    ),
    Mutation(
        "NMS not per class",
        "layers/detections.py",
        "rules = self.max_detections, self.nms_iou, self.soft_nms_sigma, self.class_agnostic_nms",
        "rules = self.max_detections, self.nms_iou, self.soft_nms_sigma, True",
        ("tests/layers/test_detections.py",),
    ),
    Mutation(
        "soft NMS with TensorFlow's sigma for the paper's",
        "ops/nms.py",
        "soft_nms_sigma=soft_sigma / 2,",
        "soft_nms_sigma=soft_sigma,",
        ("tests/ops/test_nms.py",),
    ),
    Mutation(
        "masks pasted into rounded boxes",
        "masks/crop_paste.py",
        "rows = _bilinear_weights(y1, y2, probabilities",
        "rows = _bilinear_weights(round(y1), round(y2), probabilities",
        ("tests/masks/test_crop_paste.py",),
    ),
    Mutation(
        "delta weights of box and cascade stages swapped",
        "network/box_branch.py",
        "return [config.box_delta_weights, *config.cascade_delta_weights]",
        "return [config.box_delta_weights, *config.cascade_delta_weights][::-1]",
    ),
    Mutation(
        "keypoints of a flipped copy-paste donor not flipped",
        "data/fields.py",
        "return moved[:, flip_indices(self.config.keypoint_names)] if transform.flips else moved",
        "return moved",
        ("tests/data/augment", "tests/data/test_fields.py"),
    ),
    Mutation(
        "the RPN loss's divisor without the batch",
        "layers/losses.py",
        'return anchors_per_image * ops.shape(targets["valid"])[0] if anchors_per_image else None',
        "return anchors_per_image if anchors_per_image else None",
        ("tests/layers/test_losses.py",),
    ),
    Mutation(
        "anchors_per_image ignored",
        "layers/losses.py",
        'return anchors_per_image * ops.shape(targets["valid"])[0] if anchors_per_image else None',
        "return None",
        ("tests/layers/test_losses.py",),
    ),
    wrong_field(
        "RoIAlign", "pooling", "sampling_ratio=config.roi_sampling_ratio", "sampling_ratio=config.box_fcs + 1"
    ),
    wrong_field("RoIAlign", "pooling", "aligned=config.roi_aligned", "aligned=config.clamp_deltas"),
    wrong_field("RoIAlign", "pooling", "level_rule=config.level_rule", 'level_rule="torchvision"'),
    wrong_field(
        "ProposalTargets",
        "training_graph",
        "positive_fraction=config.box_positive_fraction",
        "positive_fraction=config.rpn_positive_fraction",
    ),
    wrong_field("BoxLoss", "network", "beta=config.box_smooth_l1_beta", "beta=config.rpn_smooth_l1_beta"),
    wrong_field(
        "Proposals",
        "dense",
        "pre_nms_top_k=config.pre_nms_top_k_train if training else config.pre_nms_top_k",
        "pre_nms_top_k=config.pre_nms_top_k",
    ),
    wrong_field(
        "Proposals",
        "dense",
        "post_nms_top_k=config.post_nms_top_k_train if training else config.post_nms_top_k",
        "post_nms_top_k=config.post_nms_top_k",
    ),
    wrong_field("RPN losses", "network", "anchors_per_image=anchors, name", "anchors_per_image=0, name"),
    Mutation(
        "Keras' `same` padding in a strided convolution",
        "layers/convolution.py",
        "        if self.strides > 1 and self.kernel_size > 1:",
        "        if False:",
        ("tests/layers/test_backbone.py",),
    ),
    Mutation(
        "class rows rolled by one for Detectron2",
        "weights/sources/detectron2.py",
        "Layout(lambda x: np.roll(x, 1, axis=0), lambda x: np.roll(x, -1, axis=0))",
        "Layout(lambda x: x, lambda x: x)",
        ("tests/test_parity.py", "-k", "detectron2_mask_rcnn_R_50_C4 and not shared"),
    ),
    Mutation(
        "mask crops from the wrong frame",
        "layers/targets.py",
        'relative = (rois["boxes"] - origin) / tf.maximum(extent, 1e-6)',
        'relative = (rois["boxes"] - origin[:, ::-1]) / tf.maximum(extent, 1e-6)',
        ("tests/layers/test_targets.py",),
    ),
)


def caught_by(mutation: Mutation) -> str | None:
    """Return the test that fails under a change, None if all pass."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder)
        for name in ("keras_maskrcnn", "custom_ops", "tests", "pyproject.toml"):
            source = ROOT / name
            ignored = shutil.ignore_patterns("__pycache__")
            if source.is_dir():
                shutil.copytree(source, copy / name, ignore=ignored)
            else:
                shutil.copy(source, copy / name)
        path = copy / "keras_maskrcnn" / mutation.file
        text = path.read_text()
        if text.count(mutation.old) < 1:
            raise ValueError(f"{mutation.name}: {mutation.file} does not hold {mutation.old!r}")
        path.write_text(text.replace(mutation.old, mutation.new))
        command = [sys.executable, "-m", "pytest", "-x", "-p", "no:cacheprovider", *mutation.tests]
        environment = os.environ | {"PYTHONPATH": str(copy), "TF_CPP_MIN_LOG_LEVEL": "3"}
        done = subprocess.run(command, cwd=copy, env=environment, capture_output=True, text=True)
    failed = [line for line in done.stdout.splitlines() if line.startswith(("FAILED", "ERROR"))]
    if done.returncode == 1 and failed:
        return failed[0].split()[1].removeprefix("tests/")
    if done.returncode != 0:
        raise RuntimeError(f"{mutation.name}: pytest ended with {done.returncode}:\n{done.stdout[-2000:]}")
    return None


def main() -> int:
    """Print a row for each change; return 1 if one survives."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="parts of names; all if there are none")
    wanted = parser.parse_args().names
    survivors = 0
    print("| change | caught by |\n|---|---|")
    for mutation in MUTATIONS:
        if wanted and not any(name in mutation.name for name in wanted):
            continue
        test = caught_by(mutation)
        survivors += test is None
        print(f"| {mutation.name} | {test or 'NOTHING'} |", flush=True)
    return int(survivors > 0)


if __name__ == "__main__":
    sys.exit(main())
