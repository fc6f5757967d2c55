"""Reads parity kits: what the original frameworks computed, stage by stage, with weights that a recipe rebuilds."""

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest

SHARED = Path(__file__).resolve().parents[2] / "shared"
KITS = SHARED / "parity"
PHOTOS = SHARED / "data" / "coco_mini" / "val2017"


class Kit:
    """One kit: its recorded arrays, its photographs and the weights it was recorded with."""

    def __init__(self, name: str):
        path = KITS / f"{name}.npz"
        if not path.exists():
            pytest.skip(f"the parity kit {path.name} is not on this machine")
        self.name = name
        self.arrays = dict(np.load(path))
        self.photos = [str(PHOTOS / file) for file in self.arrays["images"]]

    def state(self) -> dict[str, np.ndarray]:
        """The checkpoint's tensors by the source's names."""
        spec = importlib.util.spec_from_file_location("make_checkpoint", KITS / "make_checkpoint.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module.make_state(KITS / f"{self.name}.spec.json", int(self.arrays["seed"]))

    def __getitem__(self, key: str) -> np.ndarray:
        return self.arrays[key]

    def difference(self, stage: str, ours: np.ndarray) -> float:
        """Largest difference from the recorded samples of a stage, in the stage's standard deviations."""
        recorded = self.arrays[f"{stage}.val"]
        found = np.asarray(ours).reshape(-1)[self.arrays[f"{stage}.idx"]]
        worst = float(np.abs(found - recorded).max() / recorded.std())
        print(f"{self.name} {stage}: {worst:.1e} standard deviations")
        return worst

    def annotations(self) -> tuple[dict, list[list[dict]]]:
        """COCO's file and, for each photograph, its annotations without crowds."""
        coco = json.loads((PHOTOS.parent / "annotations" / "instances_val2017.json").read_text())
        found = []
        for file in self.arrays["images"]:
            image_id = next(image["id"] for image in coco["images"] if image["file_name"] == str(file))
            found.append([a for a in coco["annotations"] if a["image_id"] == image_id and not a["iscrowd"]])
        return coco, found


def match(boxes: np.ndarray, recorded: np.ndarray, same: np.ndarray | None = None) -> float:
    """Share of `recorded [N, 4]` that has a partner of its own in `boxes [M, 4]` with IoU > 0.99.

    `same [M, N]` bool says which pairs may be partners.
    """
    top_left = np.maximum(boxes[:, None, :2], recorded[None, :, :2])
    bottom_right = np.minimum(boxes[:, None, 2:], recorded[None, :, 2:])
    shared = np.prod(np.maximum(bottom_right - top_left, 0), axis=-1)
    areas, recorded_areas = (np.prod(b[:, 2:] - b[:, :2], axis=-1) for b in (boxes, recorded))
    iou = shared / (areas[:, None] + recorded_areas[None] - shared)
    allowed = iou > 0.99 if same is None else (iou > 0.99) & same
    taken, matched = set(), 0
    for column in range(len(recorded)):
        rows = [row for row in np.argsort(-iou[:, column]) if allowed[row, column] and row not in taken]
        if rows:
            taken.add(rows[0])
            matched += 1
    print(f"{matched} of {len(recorded)} boxes matched one to one")
    return matched / len(recorded)
