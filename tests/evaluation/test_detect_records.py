import pytest
from perfect_model import NAMES, DetectsEverything, records

from keras_maskrcnn.evaluation.analysis import analyse
from keras_maskrcnn.evaluation.detect_records import detect_records
from keras_maskrcnn.evaluation.evaluate import evaluate_coco


def test_the_detections_of_records_are_what_an_analysis_takes():
    model = DetectsEverything(misses=[1])
    found = detect_records(model, records(), progress=False)
    assert [len(one) for one in found] == [1, 0, 1] and all(one.image is None for one in found)
    analysis = analyse(records(), found, NAMES)
    scores = evaluate_coco(model, records(), per_class=True, progress=False)
    assert analysis.scores == pytest.approx(scores, nan_ok=True)
    assert analysis.confusion_matrix().tolist() == [[0, 0, 0], [0, 2, 0], [1, 0, 0]]
