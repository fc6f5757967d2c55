"""The public names; all of them load TensorFlow."""

from keras_maskrcnn.config import Config
from keras_maskrcnn.data.coco import load_coco
from keras_maskrcnn.data.draw import draw_augmented
from keras_maskrcnn.data.pipeline import make_dataset
from keras_maskrcnn.data.records import Record, make_record
from keras_maskrcnn.evaluate import CocoEvaluation, evaluate_coco
from keras_maskrcnn.model import MaskRCNN, load_model
from keras_maskrcnn.presets import list_pretrained
from keras_maskrcnn.presets.preset import Preset
from keras_maskrcnn.pretrained import load_pretrained
from keras_maskrcnn.results import Detections
from keras_maskrcnn.train import SGD, BackupAndRestore, WarmUp, sgd
