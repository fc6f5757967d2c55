"""Mask R-CNN for Keras 3 and TensorFlow: instance segmentation that trains with `model.fit`."""

import importlib
import sys
from typing import TYPE_CHECKING, Any

from keras_maskrcnn.utils.backend import check_backend
from keras_maskrcnn.utils.onednn import turn_on

check_backend()
turn_on()
# With Keras at hand the classes are made known to it at once, so that keras.saving.load_model finds them. Without,
# TensorFlow is loaded at the first use of a name: `maskrcnn --help` need not wait for it.
if TYPE_CHECKING or "keras" in sys.modules:
    from keras_maskrcnn.api import *

__version__ = "0.2.0.dev0"
__all__ = [
    "Analysis",
    "AnchorAdvice",
    "CocoEvaluation",
    "Config",
    "CoupledSGD",
    "DatasetReport",
    "Detections",
    "FrameDetections",
    "Inspection",
    "LimitAdvice",
    "MaskRCNN",
    "MatchingScores",
    "PolygonPart",
    "Preset",
    "Record",
    "Sample",
    "SlowInputAdvice",
    "StopOnNaN",
    "Targets",
    "TensorBoardImages",
    "TensorBoardScalars",
    "TrainingBackup",
    "WarmUp",
    "WithAveragedWeights",
    "adamw",
    "analyse",
    "anchor_advice",
    "best_score_threshold",
    "check_dataset",
    "detect_records",
    "detections_to_record",
    "draw_augmented",
    "draw_comparison",
    "draw_inspection",
    "draw_record",
    "draw_targets",
    "evaluate_coco",
    "export",
    "inspect_model",
    "inspect_targets",
    "join_datasets",
    "label_studio_results",
    "limit_advice",
    "list_pretrained",
    "load_coco",
    "load_coco_results",
    "load_cvat",
    "load_dataset",
    "load_label_studio",
    "load_labelme",
    "load_masks",
    "load_model",
    "load_pretrained",
    "load_rle_csv",
    "load_via",
    "load_voc",
    "load_yolo",
    "make_dataset",
    "make_record",
    "repeat_factor_sampling",
    "score_label_images",
    "score_matching",
    "sgd",
    "training_memory",
    "write_coco",
    "write_cvat",
    "write_dataset",
    "write_label_studio",
    "write_labelme",
    "write_report",
    "write_yolo",
]


def __dir__() -> list[str]:
    return __all__


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module("keras_maskrcnn.api"), name)
