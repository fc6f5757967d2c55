"""Reads parity kits: what the original frameworks computed, stage by stage, with weights that a recipe rebuilds."""

import importlib.util
import json

import numpy as np
import pycocotools.mask as coco_mask
import pytest
from places import COCO_MINI, SHARED

KITS = SHARED / "parity"
PHOTOS = COCO_MINI / "val2017"
NAMES = {
    "torchvision_maskrcnn_resnet50_fpn": "maskrcnn_resnet50_fpn_coco",
    "torchvision_maskrcnn_resnet50_fpn_v2": "maskrcnn_resnet50_fpn_v2_coco",
    "torchvision_fasterrcnn_resnet50_fpn": "fasterrcnn_resnet50_fpn_coco",
    "torchvision_keypointrcnn_resnet50_fpn": "keypointrcnn_resnet50_fpn_coco",
    "detectron2_mask_rcnn_R_50_FPN": "COCO-InstanceSegmentation/mask_rcnn_R_50_FPN_3x",
    "detectron2_mask_rcnn_R_50_C4": "COCO-InstanceSegmentation/mask_rcnn_R_50_C4_3x",
    "detectron2_mask_rcnn_X_101_32x8d_FPN": "COCO-InstanceSegmentation/mask_rcnn_X_101_32x8d_FPN_3x",
    "detectron2_keypoint_rcnn_R_50_FPN": "COCO-Keypoints/keypoint_rcnn_R_50_FPN_3x",
    "detectron2_cascade_mask_rcnn_R_50_FPN": "Misc/cascade_mask_rcnn_R_50_FPN_3x",
    "matterport_mask_rcnn_coco": "matterport_mask_rcnn_coco",
}
"""The kits, and the presets whose architecture they have."""


class Kit:
    """One kit: its recorded arrays, its photographs and the weights it was recorded with."""

    def __init__(self, name: str):
        path = KITS / f"{name}.npz"
        if not path.exists():
            pytest.skip(f"the parity kit {path.name} is not on this machine")
        self.name = name
        self.source = name.split("_")[0]
        self.arrays = dict(np.load(path))
        training = KITS / f"{name}.train.npz"
        if training.exists():
            recorded = dict(np.load(training))
            self.arrays |= {key: value for key, value in recorded.items() if key not in self.arrays}
        self.photos = [str(PHOTOS / file) for file in self.arrays["images"]]

    def state(self) -> dict[str, np.ndarray]:
        """The checkpoint's tensors by the source's names."""
        path, seed = KITS / f"{self.name}.spec.json", int(self.arrays["seed"])
        if self.source == "matterport":
            return {
                key: matterport_fill(key, shape, seed)
                for key, (shape, _) in json.loads(path.read_text()).items()
            }
        return made_state({key: shape for key, (shape, _) in json.loads(path.read_text()).items()}, seed)

    def __getitem__(self, key: str) -> np.ndarray:
        return self.arrays[key]

    def stages(self, prefix: str) -> list[str]:
        """Names of the recorded stages that begin so."""
        return [key[:-4] for key in self.arrays if key.startswith(prefix) and key.endswith(".idx")]

    def difference(self, stage: str, ours: np.ndarray) -> float:
        """Largest difference from the recorded samples of a stage, in the stage's standard deviations."""
        recorded = self.arrays[f"{stage}.val"]
        found = np.asarray(ours).reshape(-1)[self.arrays[f"{stage}.idx"]]
        return float(np.abs(found - recorded).max() / recorded.std())

    def mask(self, image: int, row: int) -> np.ndarray:
        """A recorded mask `[H, W]` bool."""
        size = [int(side) for side in self["image_sizes"][image]]
        counts = str(self[f"detections.{image}.mask_rle"][row])
        return coco_mask.decode({"size": size, "counts": counts}).astype(bool)

    def annotations(self) -> tuple[dict, list[list[dict]]]:
        """COCO's file and, for each photograph, the annotations that the kit was trained on."""
        keypoints = "keypoint" in self.name
        file = "person_keypoints_val2017.json" if keypoints else "instances_val2017.json"
        coco = json.loads((PHOTOS.parent / "annotations" / file).read_text())
        found = []
        for file in self.arrays["images"]:
            image_id = next(image["id"] for image in coco["images"] if image["file_name"] == str(file))
            found.append(
                [
                    a
                    for a in coco["annotations"]
                    if a["image_id"] == image_id
                    and not a["iscrowd"]
                    and min(a["bbox"][2:]) > 1
                    and (not keypoints or a["num_keypoints"] > 0)
                ]
            )
        return coco, found


def made_state(shapes: dict[str, tuple[int, ...]], seed: int = 0) -> dict[str, np.ndarray]:
    """Tensors of torchvision's or Detectron2's names by the kits' recipe."""
    spec = importlib.util.spec_from_file_location("make_checkpoint", KITS / "make_checkpoint.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return {key: module.fill(key, shape, seed) for key, shape in shapes.items()}


def matterport_fill(key: str, shape: list[int], seed: int) -> np.ndarray:
    """One tensor of the Matterport kit, by the recipe of its README."""
    import zlib

    layer, weight = key.removesuffix(":0").split("/")[-2:]
    rng = np.random.RandomState(zlib.crc32(f"{layer}/{weight}:{seed}".encode()) & 0x7FFFFFFF)
    if weight == "gamma":
        values = rng.uniform(*((0.1, 0.3) if layer.endswith("2c") else (0.7, 1.1)), shape)
    elif weight == "moving_variance":
        values = rng.uniform(0.6, 1.4, shape)
    elif weight in ("moving_mean", "beta", "bias"):
        values = rng.normal(0, 0.1 if weight == "moving_mean" else 0.05, shape)
    else:
        gains = {
            "conv1": 1.4142 / 58,
            "rpn_class_raw": 2.0,
            "rpn_bbox_pred": 0.6,
            "mrcnn_class_logits": 2.5,
            "mrcnn_bbox_fc": 0.8,
        }
        fan_in = shape[-1] if layer == "mrcnn_mask_deconv" else np.prod(shape[:-1])
        gain = 0.7 if layer.startswith("fpn") else gains.get(layer, 1.4142)
        values = rng.normal(0, gain / np.sqrt(fan_in), shape)
    return values.astype(np.float32)


def match(boxes: np.ndarray, recorded: np.ndarray, same: np.ndarray | None = None) -> list[tuple[int, int]]:
    """Pairs (row of `boxes [M, 4]`, row of `recorded [N, 4]`) with IoU > 0.99, each row in one pair at most.

    `same [M, N]` bool says which rows may be partners.
    """
    top_left = np.maximum(boxes[:, None, :2], recorded[None, :, :2])
    bottom_right = np.minimum(boxes[:, None, 2:], recorded[None, :, 2:])
    shared = np.prod(np.maximum(bottom_right - top_left, 0), axis=-1)
    areas, recorded_areas = (np.prod(b[:, 2:] - b[:, :2], axis=-1) for b in (boxes, recorded))
    iou = shared / (areas[:, None] + recorded_areas[None] - shared)
    allowed = iou > 0.99 if same is None else (iou > 0.99) & same
    pairs: list[tuple[int, int]] = []
    taken: set[int] = set()
    for column in range(len(recorded)):
        rows = [row for row in np.argsort(-iou[:, column]) if allowed[row, column] and row not in taken]
        if rows:
            taken.add(rows[0])
            pairs.append((int(rows[0]), column))
    return pairs
