import numpy as np
import pytest
from examples import tiny

from keras_maskrcnn.model import MaskRCNN
from keras_maskrcnn.weights import torchvision
from keras_maskrcnn.weights.table import load, save, torch_dense_after_flatten

CONFIG = tiny(norm="frozen_batch_norm")


@pytest.fixture(scope="module")
def model():
    return MaskRCNN(CONFIG)


def state_of(model):
    rng = np.random.default_rng(0)
    return {
        key: rng.normal(size=value.shape).astype("float32")
        for key, value in save(torchvision.table(model)).items()
    }


def test_every_variable_is_set_and_converts_back(model):
    state = state_of(model)
    load(torchvision.table(model), state, model, torchvision.IGNORED)
    back = save(torchvision.table(model))
    assert set(back) == set(state)
    for key in state:
        np.testing.assert_array_equal(back[key], state[key])


def broken(model, change):
    state = state_of(model)
    change(state)
    before = [variable.numpy() for variable in model.variables]
    with pytest.raises(ValueError) as caught:
        load(torchvision.table(model), state, model, torchvision.IGNORED)
    for variable, value in zip(model.variables, before, strict=True):
        np.testing.assert_array_equal(variable, value)  # nothing is left half loaded
    return str(caught.value)


def test_a_missing_tensor_is_named(model):
    assert "missing from the file: backbone.body.bn1.bias" in broken(
        model, lambda s: s.pop("backbone.body.bn1.bias")
    )


def test_a_tensor_too_many_is_named(model):
    assert "not part of this model: roi_heads.extra" in broken(
        model, lambda s: s.update({"roi_heads.extra": np.zeros(1)})
    )


def test_another_shape_is_named_with_both(model):
    message = broken(model, lambda s: s.update({"backbone.body.conv1.weight": np.zeros((64, 3, 3, 3))}))
    assert "backbone.body.conv1.weight has shape (64, 3, 3, 3); the model needs (64, 3, 7, 7)" in message


def test_a_variable_that_the_table_forgets_is_named(model):
    entries = torchvision.table(model)
    forgotten = next(entry for entry in entries if entry.key == "rpn.head.bbox_pred.bias")
    state = state_of(model)
    del state[forgotten.key]
    with pytest.raises(ValueError, match="would be set 0 times"):
        load([entry for entry in entries if entry is not forgotten], state, model, ())


def test_batch_counters_are_knowingly_ignored(model):
    state = state_of(model) | {"backbone.body.bn1.num_batches_tracked": np.zeros((), np.int64)}
    load(torchvision.table(model), state, model, torchvision.IGNORED)


def test_dense_after_flatten_reorders_channels_last():
    # torch flattens [C, H, W]; weight o of input (c, h, w) is 100c + 10h + w
    c, h, w = np.meshgrid(range(2), range(3), range(4), indexing="ij")
    source = (100 * c + 10 * h + w).reshape(1, -1)
    layout = torch_dense_after_flatten(3, 4)
    assert layout.read(source)[:4, 0].tolist() == [0, 100, 1, 101]
    np.testing.assert_array_equal(layout.write(layout.read(source)), source)


def test_a_model_that_torchvision_does_not_have_is_refused():
    with pytest.raises(ValueError, match="mlp"):
        torchvision.table(MaskRCNN(tiny(mask_head="mlp")))
