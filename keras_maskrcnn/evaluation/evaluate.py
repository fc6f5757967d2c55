"""Evaluation of a model: detect on every record, score, and the same as a callback during training."""

from __future__ import annotations

import dataclasses
import logging
import sys
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from keras_maskrcnn.config.keypoints import checked_sigmas
from keras_maskrcnn.data.limits import limit_advice
from keras_maskrcnn.data.records import check_names
from keras_maskrcnn.detections.batching import make_tiles
from keras_maskrcnn.detections.category_ids import check_category_ids
from keras_maskrcnn.detections.views import Augment, make_views
from keras_maskrcnn.evaluation.analysis import analyse
from keras_maskrcnn.evaluation.coco import COCO_LIMIT, check_ground_truth
from keras_maskrcnn.evaluation.detect_records import detect_records, write_coco_results
from keras_maskrcnn.evaluation.instance_matching import score_matching
from keras_maskrcnn.evaluation.report import write_report
from keras_maskrcnn.utils.keras_internals import strategy_of
from keras_maskrcnn.utils.replicas import from_chief

if TYPE_CHECKING:
    from keras_maskrcnn.config.config import Config
    from keras_maskrcnn.data.records import Record
    from keras_maskrcnn.models.mask_rcnn import MaskRCNN
    from keras_maskrcnn.runtime.model import ExportedModel

_log = logging.getLogger(__name__)

LOGGED = ("AP", "AP50", "AP75", "accuracy_50", "accuracy_75", "dsb2018")
"""What the callback logs of each of box, mask, keypoint and matching; `CocoEvaluation.scores` holds the rest."""


def evaluate_coco(
    model: MaskRCNN | ExportedModel,
    records: Sequence[Record],
    batch_size: int = 1,
    per_class: bool = False,
    score_threshold: float | None = None,
    max_detections: int | None = None,
    progress: bool = True,
    results_file: str | Path | None = None,
    category_ids: Sequence[int] | None = None,
    keypoint_sigmas: Sequence[float] | None = None,
    tile: int | None = None,
    tile_overlap: int | None = None,
    tile_whole: bool = True,
    report: str | Path | None = None,
    about: Mapping[str, str] | None = None,
    matching: float | None = None,
    augment: Augment = None,
) -> dict[str, float]:
    """Run a model on records and score its detections, as `score_coco` does.

    Images are read as they are needed and masks kept as RLEs, so memory holds one batch of images.

    Args:
        model: or an exported one; its config's class names, and its keypoint names if it has any, must be those of the
            records.
        records: images with ground truth.
        batch_size: images that go through the network together.
        per_class: also return each class's AP.
        score_threshold: as in `model.detect`; published metrics use 0.05 or less.
        max_detections: as in `model.detect`, None being the config's. The metrics are of COCO's 100 detections
            per image and class, or of this many where it is above 100; with `tile` and None, of all detections. A
            warning says how many objects are out of reach where images have more.
        progress: show a progress bar.
        results_file: where to write the detections as COCO results (JSON): all in this file, and of models that find
            more than boxes also boxes, masks and keypoints in files of their own beside it, as in results.mask.json,
            for pycocotools to score each as here.
        category_ids: category_ids[k - 1] is the id of class k in `results_file`, for all K classes, as in
            `load_coco`'s `records.report.category_ids`; None writes 1..K.
        keypoint_sigmas: as in `score_coco`; needed for other keypoints than COCO's 17 of a person.
        tile, tile_overlap, tile_whole, augment: as in `model.detect`.
        report: folder for a page with curves, confusion matrix and worst mistakes; see `write_report`.
        about: what the page says it is about, like {"model": "best.keras", "dataset": "val.json"}; None names the
            model and the folder of the images.
        matching: also compare as label images those detections that score at least this, 0..1; see `score_matching`.
            None does not. Detections below score_threshold are not there to count.

    Returns:
        What `score_coco` returns. With a limit the names do not depend on the detections: recall is "box_AR1",
        "box_AR10" and "box_AR100", or instead of the last "box_AR300" with a limit of 300. With `matching` also
        "matching_accuracy_50", TP / (TP + FP + FN) at an IoU of 0.50, to "matching_accuracy_95", the other metrics of
        `MatchingScores` named likewise ("matching_tp_50", ...), and "matching_dsb2018".

    Raises:
        ValueError: there is no ground truth to compare with, `category_ids` has not one id per class, the names that
            records know for classes or keypoints are not the model's, keypoints lack their sigmas, or `matching` is out
            of range or there are no masks for it, all of it before the model runs; or an image is unreadable; see
            `score_coco`.

    Example:

    ```python
    import numpy as np

    import keras_maskrcnn as km

    config = km.Config(
        class_names=("square",), depth=18, norm="group_norm", frozen_stages=0, min_size=64, max_size=96,
        fpn_channels=32, post_nms_top_k=20, score_threshold=0.0, max_detections=5,
    )
    model = km.MaskRCNN(config)  # randomly initialised: it has learned nothing yet
    image = np.zeros((64, 96, 3), np.uint8)
    image[10:40, 20:60] = 255
    record = km.make_record(image, masks=[image[:, :, 0] > 0], class_ids=[1], image_id="square")
    scores = km.evaluate_coco(model, [record], progress=False)
    print(scores["box_AP"], scores["mask_AP50"])
    ```
    """
    check_ground_truth(records)
    class_names = model.config.class_names
    _check_names_and_keypoints(records, model.config, keypoint_sigmas)
    if category_ids is not None:
        check_category_ids(category_ids, class_names)
    _check_matching(matching, records, model.config)
    limits, tiles = (batch_size, score_threshold, max_detections), (tile, tile_overlap, tile_whole)
    found = detect_records(model, records, *limits, progress, *tiles, augment)
    if results_file is not None:
        write_coco_results(results_file, records, found, category_ids)
    limit = model.config.max_detections if max_detections is None else max_detections
    all_count = tile is not None and max_detections is None
    scored = None if all_count else max(COCO_LIMIT, limit)
    if not all_count:
        _warn_of_limit(records, model.config, limit)
    analysis = analyse(records, found, class_names, scored, keypoint_sigmas)
    matched = None if matching is None else score_matching(records, found, matching)
    if report is not None:
        said = {} if matching is None else {"matching": f"scores from {matching:g}"}
        write_report(report, analysis, about={"model": model.name, **(about or {}), **said}, matching=matched)
    scores = {name: value for name, value in analysis.scores.items() if per_class or "/" not in name}
    if matched is not None:
        scores |= {f"matching_{name}": value for name, value in matched.to_dict().items()}
    return scores


def _check_matching(min_score: float | None, records: Sequence[Record], config: Config) -> None:
    """Check what can be known of matching before there are detections."""
    if min_score is None:
        return
    if isinstance(min_score, bool) or not 0 <= min_score <= 1:
        raise ValueError(f"matching must be the least score, in 0..1, or None; got {min_score!r}")
    if config.mask_head == "none":
        raise ValueError('matching compares masks, which Config(mask_head="none") does not predict')
    for record in records if isinstance(records, (list, tuple)) else ():
        if record.masks is None and len(record.boxes):
            raise ValueError(f"{record.name}: matching compares masks; its objects have boxes only")


def _warn_of_limit(records: Sequence[Record], config: Config, limit: int) -> None:
    """Warn that not all objects can be found, which no score tells from a bad model."""
    limit = min(limit, config.post_nms_top_k * config.num_classes)
    advice = limit_advice(records, dataclasses.replace(config, max_detections=limit))
    if advice.images:
        warnings.warn(f"evaluate_coco: {advice}", stacklevel=3)


def _check_names_and_keypoints(
    records: Sequence[Record], config: Config, sigmas: Sequence[float] | None
) -> None:
    """Check what can be known of scoring before there are detections: of lists, or by the first with objects."""
    names = config.keypoint_names
    first = next(record for record in map(records.__getitem__, range(len(records))) if len(record.boxes))
    for record in records if isinstance(records, (list, tuple)) else (first,):
        check_names(record, config.class_names, names)
    if names and first.keypoints is not None:
        annotated = first.keypoints.shape[1]
        if annotated != len(names):
            raise ValueError(
                f"{first.name}: its objects have {annotated} keypoints; the model predicts {len(names)}"
            )
        checked_sigmas(sigmas, len(names), names)


class CocoEvaluation(keras.callbacks.Callback):
    """Evaluate during `fit` and log val_box_AP, val_box_AP50, val_box_AP75 and the same for masks and keypoints.

    Callbacks that come after it in the list, like `EarlyStopping(monitor="val_mask_AP", mode="max")` and
    `ModelCheckpoint`, see these values. It evaluates after epoch 1, after every epoch whose number is a multiple of
    `every`, and after the last. The epochs between have no such values in their logs, as with `validation_freq` of
    `fit`, for a value of before would look like a new one: callbacks that monitor them pass over these epochs (Keras
    warns of it), so that the patience of `EarlyStopping` counts evaluations, and a history has as many values as there
    were evaluations; `epochs` tells of which.

    Args:
        records: images with ground truth that are not trained on.
        every: epochs from one evaluation to the next.
        batch_size: images that go through the network together.
        prefix: of the names in the logs.
        per_class: also log each class's AP, as "val_box_AP/<class name>".
        score_threshold, max_detections, keypoint_sigmas, tile, tile_overlap, tile_whole, augment: as in
            `evaluate_coco`.
        matching: as in `evaluate_coco`; logged are "val_matching_accuracy_50", "val_matching_accuracy_75" and
            "val_matching_dsb2018".
        progress: show a progress bar during each evaluation; None shows one in a terminal or a notebook, and not in a
            file.

    Raises:
        ValueError: no record has an object to detect, or `every`, the tiles or `augment` are out of range; when
            training begins, the keypoints of records and model differ, or lack their sigmas, or `matching` cannot be.

    Example:

    ```python
    import numpy as np

    import keras_maskrcnn as km

    config = km.Config(
        class_names=("square",), depth=18, norm="group_norm", frozen_stages=0, min_size=64, max_size=96,
        fpn_channels=32, post_nms_top_k=20, score_threshold=0.0, max_detections=5,
    )
    model = km.MaskRCNN(config)  # randomly initialised: it has learned nothing yet
    image = np.zeros((64, 96, 3), np.uint8)
    image[10:40, 20:60] = 255
    record = km.make_record(image, masks=[image[:, :, 0] > 0], class_ids=[1], image_id="square")
    model.compile(km.sgd(learning_rate=0.001), run_eagerly=True)  # no graph for a single step
    evaluation = km.CocoEvaluation([record], every=5)
    history = model.fit(
        km.make_dataset([record], config, training=True), epochs=1, callbacks=[evaluation], verbose=0
    )
    print(history.history["val_mask_AP"], evaluation.epochs, evaluation.scores["box_AR100"])
    ```
    """

    def __init__(
        self,
        records: Sequence[Record],
        every: int = 1,
        batch_size: int = 1,
        prefix: str = "val_",
        per_class: bool = False,
        score_threshold: float | None = None,
        max_detections: int | None = None,
        progress: bool | None = None,
        keypoint_sigmas: Sequence[float] | None = None,
        tile: int | None = None,
        tile_overlap: int | None = None,
        tile_whole: bool = True,
        matching: float | None = None,
        augment: Augment = None,
    ):
        super().__init__()
        if every < 1:
            raise ValueError(f"CocoEvaluation's every must be at least 1; got {every}")
        check_ground_truth(records)
        make_tiles(tile, tile_overlap, tile_whole)
        make_views(augment)
        self.records = records
        self.every = every
        self.prefix = prefix
        self.epochs: list[int] = []
        """The epochs of the last run, counted from 1, after which the model was evaluated."""
        self.scores: dict[str, float] = {}
        """All metrics of the last evaluation, named as in `score_coco`."""
        self._options: dict[str, Any] = {
            "batch_size": batch_size,
            "per_class": per_class,
            "score_threshold": score_threshold,
            "max_detections": max_detections,
            "progress": _can_redraw() if progress is None else progress,
            "keypoint_sigmas": keypoint_sigmas,
            "tile": tile,
            "tile_overlap": tile_overlap,
            "tile_whole": tile_whole,
            "matching": matching,
            "augment": augment,
        }

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Forget the run before; refuse what could not be scored after an epoch of training."""
        self.scores, self.epochs = {}, []
        _check_matching(self._options["matching"], self.records, self.model.config)
        _check_names_and_keypoints(self.records, self.model.config, self._options["keypoint_sigmas"])

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Evaluate if it is time, and put the metrics into the logs that the callbacks after this one get."""
        # By its number alone, so that a resumed run is evaluated when an uninterrupted one is.
        if epoch > 0 and epoch + 1 != self.params.get("epochs") and (epoch + 1) % self.every:
            return
        _log.info("Evaluating on %d images after epoch %d", len(self.records), epoch + 1)
        self.scores = self._scores()
        self.epochs.append(epoch + 1)
        for name, value in self.scores.items():
            if logs is not None and ("/" in name or name.split("_", 1)[1] in LOGGED):
                logs[self.prefix + name] = value

    def _scores(self) -> dict[str, float]:
        """Evaluate; of several workers each one, and all get what the chief has found, so that all stop alike."""
        scores = evaluate_coco(self.model, self.records, **self._options)
        values = from_chief(np.array(list(scores.values()), np.float64), strategy_of(self.model))
        return dict(zip(scores, values.tolist(), strict=True))


def _can_redraw() -> bool:
    """Whether output goes where a progress bar can be redrawn: a terminal or a notebook."""
    return sys.stdout.isatty() or "ipykernel" in sys.modules
