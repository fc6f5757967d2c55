"""The public names; all of them load TensorFlow."""

from keras_maskrcnn.artefacts.export import export
from keras_maskrcnn.config.config import Config
from keras_maskrcnn.data.augment.sample import Sample
from keras_maskrcnn.data.draw_augmented import draw_augmented
from keras_maskrcnn.data.draw_records import draw_comparison, draw_record
from keras_maskrcnn.data.formats.coco import load_coco
from keras_maskrcnn.data.formats.coco_results import load_coco_results
from keras_maskrcnn.data.formats.coco_writer import write_coco
from keras_maskrcnn.data.formats.cvat import load_cvat
from keras_maskrcnn.data.formats.cvat_writer import write_cvat
from keras_maskrcnn.data.formats.label_studio import load_label_studio
from keras_maskrcnn.data.formats.label_studio_results import label_studio_results
from keras_maskrcnn.data.formats.label_studio_writer import write_label_studio
from keras_maskrcnn.data.formats.labelme import load_labelme
from keras_maskrcnn.data.formats.labelme_writer import write_labelme
from keras_maskrcnn.data.formats.load import load_dataset
from keras_maskrcnn.data.formats.mask_folders import load_masks
from keras_maskrcnn.data.formats.rle_csv import load_rle_csv
from keras_maskrcnn.data.formats.via import load_via
from keras_maskrcnn.data.formats.voc import load_voc
from keras_maskrcnn.data.formats.write import write_dataset
from keras_maskrcnn.data.formats.yolo import load_yolo
from keras_maskrcnn.data.formats.yolo_writer import write_yolo
from keras_maskrcnn.data.from_detections import detections_to_record
from keras_maskrcnn.data.join import join_datasets
from keras_maskrcnn.data.limits import LimitAdvice, limit_advice
from keras_maskrcnn.data.pipeline.dataset import make_dataset
from keras_maskrcnn.data.records import Record, make_record
from keras_maskrcnn.data.sampling import repeat_factor_sampling
from keras_maskrcnn.detections.detections import Detections
from keras_maskrcnn.diagnostics.anchors import AnchorAdvice, anchor_advice
from keras_maskrcnn.diagnostics.dataset.check import check_dataset
from keras_maskrcnn.diagnostics.dataset.report import DatasetReport
from keras_maskrcnn.diagnostics.draw_stages import draw_inspection, draw_targets
from keras_maskrcnn.diagnostics.inspect_model import Inspection, inspect_model
from keras_maskrcnn.diagnostics.inspect_targets import Targets, inspect_targets
from keras_maskrcnn.diagnostics.memory import training_memory
from keras_maskrcnn.evaluation.analysis import Analysis, analyse
from keras_maskrcnn.evaluation.detect_records import detect_records
from keras_maskrcnn.evaluation.evaluate import CocoEvaluation, evaluate_coco
from keras_maskrcnn.evaluation.instance_matching import MatchingScores, score_label_images, score_matching
from keras_maskrcnn.evaluation.report import write_report
from keras_maskrcnn.evaluation.score_threshold import best_score_threshold
from keras_maskrcnn.masks.outlines import PolygonPart
from keras_maskrcnn.models.load import load_model, load_pretrained
from keras_maskrcnn.models.mask_rcnn import MaskRCNN
from keras_maskrcnn.presets import list_pretrained
from keras_maskrcnn.presets.preset import Preset
from keras_maskrcnn.training.averages import WithAveragedWeights
from keras_maskrcnn.training.backup import TrainingBackup
from keras_maskrcnn.training.not_a_number import StopOnNaN
from keras_maskrcnn.training.optimizers import CoupledSGD, adamw, sgd
from keras_maskrcnn.training.schedules import WarmUp
from keras_maskrcnn.training.slow_input import SlowInputAdvice
from keras_maskrcnn.training.tensorboard import TensorBoardImages, TensorBoardScalars
from keras_maskrcnn.video.detecting import FrameDetections
