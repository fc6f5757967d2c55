"""Accuracy of a model of nuclei in mixed_bfloat16 beside float32, and how far both find the same objects.

python benchmarks/bfloat16.py labels --images images --validation-names val.txt --model nuclei.keras

The data is that of samples/nuclei/train.py; the images named are those that the model was not trained on.
"""

import argparse
import os
import sys
from pathlib import Path

os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")  # faster on processors without AVX-512

import keras
import numpy as np
import peers

import keras_maskrcnn as km
from keras_maskrcnn.artefacts.agreement import agree
from keras_maskrcnn.evaluation.coco import score_coco

sys.path.append(str(Path(__file__).resolve().parents[1] / "samples" / "nuclei"))
from train import read_records, split

METRICS = ("mask_AP", "mask_AP50", "mask_AP75", "box_AP")
POLICIES = ("float32", "mixed_bfloat16")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("labels", type=Path, help="label images")
    parser.add_argument("--images", type=Path, required=True, help="their images")
    parser.add_argument("--validation-names", type=Path, required=True, help="a text file of images' names")
    parser.add_argument("--model", type=Path, required=True, help="a .keras file")
    options = parser.parse_args()
    _, records = split(read_records(options.labels, options.images), 0, options.validation_names)
    found = {policy: detected(options.model, policy, records) for policy in POLICIES}
    print(f"{peers.machine()}; {len(records)} images")
    print(f"| | {' | '.join(METRICS)} |\n|---|{'---|' * len(METRICS)}")
    for policy, detections in found.items():
        metrics = score_coco(
            records, detections, km.load_model(options.model).config.class_names, max_detections=500
        )
        print(f"| {policy} | {' | '.join(f'{metrics[name]:.4f}' for name in METRICS)} |")
    print(agree(*(list(map(arrays, found[policy])) for policy in POLICIES)))


def detected(path: Path, policy: str, records: list[km.Record]) -> list[km.Detections]:
    """What the model finds in a precision; a file says its own, so that its weights go into one made anew."""
    keras.config.set_dtype_policy(policy)
    config = km.load_model(path).config
    model = km.MaskRCNN(config)
    model.load_weights(path)
    assert model.dtype_policy.name == policy
    return km.detect_records(model, records, score_threshold=0.05, progress=False)


def arrays(detections: km.Detections) -> dict[str, np.ndarray]:
    return {"boxes": detections.boxes, "scores": detections.scores, "classes": detections.class_ids}


if __name__ == "__main__":
    main()
