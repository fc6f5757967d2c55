import numpy as np
import pytest
from inspected import annotated

from keras_maskrcnn.diagnostics.draw_stages import draw_inspection, draw_targets
from keras_maskrcnn.diagnostics.inspect_targets import inspect_targets

pytestmark = [
    pytest.mark.usefixtures("without_traces"),
    pytest.mark.filterwarnings("ignore:Even though the `tf.config.experimental_run_functions_eagerly`"),
]


def test_every_stage_is_drawn(inspected):
    model, _, stages = inspected
    images = draw_inspection(stages)
    expected = ["network input", "features", "anchors", "objectness", "best anchors", "proposals", "box head"]
    expected += [f"box head {number}" for number in range(2, 2 + len(model.config.cascade_ious))]
    expected += ["pooled", "candidates", "detections"]
    expected += ["masks"] if stages.masks is not None else []
    expected += ["keypoint maps"] if model.config.keypoint_names else []
    assert list(images) == expected
    for name, image in images.items():
        assert image.mode == "RGB" and len(set(np.asarray(image).reshape(-1, 3).sum(axis=1).tolist())) > 2, (
            name
        )


def test_targets_are_drawn_and_the_models_losses_are_left_alone(inspected):
    model, _, _ = inspected
    before = [float(layer.tracker.count.numpy()) for layer in model.loss_layers]
    images = draw_targets(inspect_targets(model, annotated(model)))
    assert [float(layer.tracker.count.numpy()) for layer in model.loss_layers] == before
    expected = ["ground truth", "anchors", "sampled anchors", "rois"]
    expected += [f"rois {number}" for number in range(2, 2 + len(model.config.cascade_ious))]
    expected += ["mask targets"] if model.config.mask_head != "none" else []
    assert list(images) == expected
    assert all(image.mode == "RGB" for image in images.values())
