"""Reads parity kits: what the original frameworks computed, stage by stage, with weights that a recipe rebuilds.

The kits in `kits/` need nothing but this checkout; their photographs come with scikit-image. Those beside the
repository are of photographs of COCO in full size; where they are not at hand, tests that ask for them are skipped.
"""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pycocotools.mask as coco_mask
import pytest
import skimage.data
from kit_recipe import weights
from places import COCO_MINI, SHARED, TESTS

OWN = TESTS / "kits"
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
    "mmdet_mask_rcnn_r50_fpn": "mmdet_mask_rcnn_r50_fpn_1x_coco",
    "mmdet_mask_rcnn_r50_caffe_fpn": "mmdet_mask_rcnn_r50_caffe_fpn_1x_coco",
    "mmdet_mask_rcnn_x101_32x8d_fpn": "mmdet_mask_rcnn_x101_32x8d_fpn_1x_coco",
    "mmdet_cascade_mask_rcnn_r50_fpn": "mmdet_cascade_mask_rcnn_r50_fpn_1x_coco",
    "matterport_mask_rcnn_coco": "matterport_mask_rcnn_coco",
}
"""The kits, and the presets whose architecture they have."""


OWN_NAMES = (
    "torchvision_maskrcnn_resnet50_fpn",
    "torchvision_maskrcnn_resnet50_fpn_v2",
    "torchvision_keypointrcnn_resnet50_fpn",
    "detectron2_mask_rcnn_R_50_FPN",
    "detectron2_mask_rcnn_R_50_C4",
    "detectron2_cascade_mask_rcnn_R_50_FPN",
    "mmdet_mask_rcnn_r50_fpn",
    "mmdet_mask_rcnn_r50_caffe_fpn",
    "mmdet_mask_rcnn_x101_32x8d_fpn",
    "mmdet_cascade_mask_rcnn_r50_fpn",
    "matterport_mask_rcnn_coco",
)
"""The kits of this checkout."""


@dataclasses.dataclass(frozen=True)
class Kit:
    """One kit.

    Attributes:
        name: one of NAMES.
        arrays: what was recorded, by name.
        shapes: the shapes of the checkpoint's tensors by the source's names.
        photos: the photographs that it was recorded with, as files or as arrays.
        coco_file: COCO's annotations of them.
    """

    name: str
    arrays: dict[str, np.ndarray]
    shapes: dict[str, tuple[int, ...]]
    photos: list
    coco_file: Path

    @property
    def source(self) -> str:
        return self.name.split("_")[0]

    @property
    def trained(self) -> bool:
        """Whether losses and gradients were recorded."""
        return "train.grad_names" in self.arrays

    def state(self) -> dict[str, np.ndarray]:
        """The checkpoint's tensors by the source's names."""
        return weights(self.source, self.shapes, int(self["seed"]), "raw_pixels" in self.arrays)

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

    def mask(self, image: int, row: int, recording: str = "") -> np.ndarray:
        """A recorded mask `[H, W]` bool, of the detections of an image or of another recording of it."""
        size = [int(side) for side in self["image_sizes"][image]]
        counts = str(self[f"{recording or f'detections.{image}'}.mask_rle"][row])
        return coco_mask.decode({"size": size, "counts": counts}).astype(bool)

    def annotations(self) -> tuple[dict, list[list[dict]]]:
        """COCO's file and, for each photograph, the annotations that the kit was trained on."""
        keypoints = "keypoint" in self.name
        coco = json.loads(self.coco_file.read_text())
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
                    and (not keypoints or a.get("num_keypoints", 0) > 0)
                ]
            )
        return coco, found


def own_kit(name: str) -> Kit:
    """Read a kit of this checkout."""
    arrays = dict(np.load(OWN / f"{name}.npz"))
    with np.load(OWN / "detectron2_tta.npz") as augmented:
        keys = [key for key in augmented if key.startswith(f"{name}.")]
        arrays |= {key.replace(name, "tta"): augmented[key] for key in keys}
    photos = [photograph(str(file)) for file in arrays["images"]]
    return Kit(name, arrays, own_shapes(name), photos, OWN / "annotations.json")


def own_shapes(name: str) -> dict[str, tuple[int, ...]]:
    """The shapes of a checkpoint's tensors by name."""
    with np.load(OWN / f"{name}.npz") as arrays:
        return {key: tuple(shape) for key, shape in json.loads(str(arrays["tensors"])).items()}


def photograph(file: str) -> np.ndarray:
    """The photograph `[H, W, 3]` that the kits of this checkout call so: of scikit-image, or cut out of such."""
    if file == "garage.png":  # twice as wide as high: regions as large as the coarsest level takes
        return skimage.data.stereo_motorcycle()[0][130:460]
    if file == "crowd.png":  # three people, of three sizes
        people, astronaut = np.stack([skimage.data.camera()] * 3, axis=-1), skimage.data.astronaut()
        people[256:, 256:] = astronaut[::2, ::2]
        people[100:228, 384:] = astronaut[::4, ::4]
        return people[60:]
    return getattr(skimage.data, file.removesuffix(".png"))()


def shared_kit(name: str) -> Kit:
    """Read a kit beside the repository, or skip the test."""
    path = KITS / f"{name}.npz"
    if not path.exists():
        pytest.skip(f"the parity kit {path.name} is not on this machine")
    arrays, training = dict(np.load(path)), KITS / f"{name}.train.npz"
    if training.exists():
        arrays = dict(np.load(training)) | arrays
    shapes = {
        key: tuple(shape) for key, (shape, _) in json.loads((KITS / f"{name}.spec.json").read_text()).items()
    }
    file = "person_keypoints_val2017.json" if "keypoint" in name else "instances_val2017.json"
    photos = [str(PHOTOS / file) for file in arrays["images"]]
    return Kit(name, arrays, shapes, photos, PHOTOS.parent / "annotations" / file)


def match(boxes: np.ndarray, recorded: np.ndarray, same: np.ndarray | None = None) -> list[tuple[int, int]]:
    """Pairs (row of `boxes [M, 4]`, row of `recorded [N, 4]`) with IoU > 0.99, each row in one pair at most.

    `same [M, N]` bool says which rows may be partners.
    """
    top_left = np.maximum(boxes[:, None, :2], recorded[None, :, :2])
    bottom_right = np.minimum(boxes[:, None, 2:], recorded[None, :, 2:])
    shared = np.prod(np.maximum(bottom_right - top_left, 0), axis=-1)
    areas, recorded_areas = (np.prod(b[:, 2:] - b[:, :2], axis=-1) for b in (boxes, recorded))
    iou = shared / np.maximum(areas[:, None] + recorded_areas[None] - shared, 1e-9)
    allowed = iou > 0.99 if same is None else (iou > 0.99) & same
    pairs: list[tuple[int, int]] = []
    taken: set[int] = set()
    for column in range(len(recorded)):
        rows = [row for row in np.argsort(-iou[:, column]) if allowed[row, column] and row not in taken]
        if rows:
            taken.add(rows[0])
            pairs.append((int(rows[0]), column))
    return pairs
