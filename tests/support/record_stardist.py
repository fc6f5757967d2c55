"""Records what StarDist says of `label_scenes`, where it is installed: it is no dependency of the tests.

`python tests/support/record_stardist.py tests/evaluation/stardist_matching.json`
"""

import importlib.metadata
import json
import sys
from pathlib import Path

from label_scenes import THRESHOLDS, scenes
from stardist.matching import matching, matching_dataset

COUNTS = ("tp", "fp", "fn", "mean_matched_score")
METRICS = (*COUNTS, "precision", "recall", "f1", "accuracy", "mean_true_score", "panoptic_quality")


def plain(scores, names):
    return {name: [round(float(getattr(score, name)), 7) for score in scores] for name in names}


if __name__ == "__main__":
    pairs = scenes()
    recorded = {
        "stardist": importlib.metadata.version("stardist"),
        "images": [plain(matching(true, predicted, THRESHOLDS), COUNTS) for true, predicted in pairs],
        "together": plain(
            matching_dataset(*zip(*pairs, strict=True), THRESHOLDS, show_progress=False), METRICS
        ),
    }
    Path(sys.argv[1]).write_text(json.dumps(recorded) + "\n")
