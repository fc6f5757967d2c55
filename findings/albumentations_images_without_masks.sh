#!/usr/bin/env bash
# Albumentations 2.0.8: an array of no masks is refused, a list of none is not.
#
# compose(image=..., masks=...) takes the masks of an image's objects as a list or as an array [N, H, W]. An image without objects
# is usual in instance segmentation. As an empty list its masks pass; as an array [0, H, W] a crop raises a ValueError of
# numpy's that names neither masks nor the transform, while boxes and keypoints of shape [0, 4] and [0, 2] pass. One would expect
# an array [0, h, w] back.
# Seen: the list comes back empty; the array ends in "need at least one array to stack".
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check albumentations==2.0.8 opencv-python-headless==5.0.0.93 \
    numpy==2.4.6
cd "$folder"
NO_ALBUMENTATIONS_UPDATE=1 venv/bin/python -W ignore - <<'PYTHON'
import albumentations as A
import numpy as np

image = np.zeros((8, 9, 3), np.uint8)
crop = A.Compose(
    [A.RandomCrop(4, 5)],
    bbox_params=A.BboxParams("pascal_voc", label_fields=["labels"]),
    keypoint_params=A.KeypointParams("xy"),
)
none = {"bboxes": np.zeros((0, 4)), "labels": [], "keypoints": np.zeros((0, 2))}
out = crop(image=image, masks=[], **none)
print(f"a list: {len(out['masks'])} masks, image {out['image'].shape}")
try:
    crop(image=image, masks=np.zeros((0, 8, 9), np.uint8), **none)
    said = "no error"
except ValueError as error:
    said = str(error)
print(f"an array: {said}")
assert len(out["masks"]) == 0 and said == "need at least one array to stack", "this has changed"
PYTHON
