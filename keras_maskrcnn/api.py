"""The public names; all of them load TensorFlow."""

from keras_maskrcnn.advice import AnchorAdvice, anchor_advice
from keras_maskrcnn.analysis import Analysis, analyse
from keras_maskrcnn.checking.check import check_dataset
from keras_maskrcnn.checking.report import DatasetReport
from keras_maskrcnn.config import Config
from keras_maskrcnn.data.coco import load_coco
from keras_maskrcnn.data.coco_results import load_coco_results
from keras_maskrcnn.data.coco_writer import write_coco
from keras_maskrcnn.data.dataset_files import load_dataset
from keras_maskrcnn.data.draw import draw_augmented
from keras_maskrcnn.data.labelme import load_labelme
from keras_maskrcnn.data.mask_folders import load_masks
from keras_maskrcnn.data.pictures import draw_comparison, draw_record
from keras_maskrcnn.data.pipeline import make_dataset
from keras_maskrcnn.data.records import Record, make_record
from keras_maskrcnn.data.sampling import repeat_factor_sampling
from keras_maskrcnn.data.via import load_via
from keras_maskrcnn.data.voc import load_voc
from keras_maskrcnn.data.yolo import load_yolo
from keras_maskrcnn.evaluate import CocoEvaluation, detect_records, evaluate_coco
from keras_maskrcnn.evaluation_report import write_report
from keras_maskrcnn.inspection import Inspection, inspect_model
from keras_maskrcnn.memory import training_memory
from keras_maskrcnn.model import MaskRCNN, load_model
from keras_maskrcnn.presets import list_pretrained
from keras_maskrcnn.presets.preset import Preset
from keras_maskrcnn.pretrained import load_pretrained
from keras_maskrcnn.results import Detections
from keras_maskrcnn.target_inspection import Targets, inspect_targets
from keras_maskrcnn.training.averages import OnAverages
from keras_maskrcnn.training.backup import BackupAndRestore
from keras_maskrcnn.training.not_a_number import StopOnNaN
from keras_maskrcnn.training.optimizers import SGD, adamw, sgd
from keras_maskrcnn.training.schedules import WarmUp
from keras_maskrcnn.training.slow_input import SlowInputAdvice
from keras_maskrcnn.training.tensorboard import TensorBoard, TensorBoardPictures
from keras_maskrcnn.visualize import draw_inspection, draw_targets
