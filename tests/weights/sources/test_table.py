import keras
import numpy as np
import pytest
from examples import tiny
from names import assert_round_trip, random_state

from keras_maskrcnn.layers.convolution import ConvNorm
from keras_maskrcnn.models.mask_rcnn import MaskRCNN
from keras_maskrcnn.weights.sources import torchvision
from keras_maskrcnn.weights.sources.table import (
    TORCH,
    TORCH_CONV,
    TORCH_DENSE,
    Entry,
    load,
    parameters,
    save,
    torch_conv,
    torch_dense_after_flatten,
)

CONFIG = tiny(norm="frozen_batch_norm")


@pytest.fixture(scope="module")
def model():
    return MaskRCNN(CONFIG)


def state_of(model):
    return random_state(torchvision.table(model.network))


def test_every_variable_is_set_and_converts_back(model):
    assert_round_trip(torchvision, model)


def test_tensors_are_taken_out_as_they_are_set(model):
    state = state_of(model) | {"backbone.body.bn1.num_batches_tracked": np.zeros((), np.int64)}
    load(torchvision.table(model.network), state, model, torchvision.IGNORED)
    assert list(state) == ["backbone.body.bn1.num_batches_tracked"]  # memory holds no tensor twice


def broken(model, change):
    state = state_of(model)
    change(state)
    keys = set(state)
    before = [variable.numpy() for variable in model.variables]
    with pytest.raises(ValueError) as caught:
        load(torchvision.table(model.network), state, model, torchvision.IGNORED)
    for variable, value in zip(model.variables, before, strict=True):
        np.testing.assert_array_equal(variable, value)  # nothing is left half loaded
    assert set(state) == keys
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


def test_integers_are_refused_by_name(model):
    # such as a quantised checkpoint has
    message = broken(model, lambda s: s.update({"backbone.body.bn1.bias": np.zeros(64, np.int8)}))
    assert "backbone.body.bn1.bias holds int8; the model needs floats" in message


def test_all_problems_are_listed_at_once(model):
    def change(state):
        del state["backbone.body.bn1.bias"]
        state["extra"] = np.zeros(1)
        state["rpn.head.bbox_pred.bias"] = np.zeros(7)

    message = broken(model, change)
    assert message.startswith("The weights do not fit the model (3 problems):")
    assert message.count("\n") == 3


def test_a_variable_that_the_table_forgets_is_named(model):
    entries = torchvision.table(model.network)
    forgotten = next(entry for entry in entries if entry.key == "rpn.head.bbox_pred.bias")
    state = state_of(model)
    del state[forgotten.key]
    with pytest.raises(ValueError, match="would be set 0 times"):
        load([entry for entry in entries if entry is not forgotten], state, model)


def test_a_variable_that_the_table_has_twice_is_named():
    layer = keras.layers.Dense(2)
    layer.build((None, 3))
    entries = [Entry("kernel", layer.kernel), Entry("bias", layer.bias), Entry("again", layer.bias)]
    with pytest.raises(ValueError, match=r"dense.*/bias would be set 2 times"):
        load(entries, save(entries), layer)


def test_batch_counters_are_knowingly_ignored(model):
    state = state_of(model)
    counter = {"backbone.body.bn1.num_batches_tracked": np.zeros((), np.int64)}
    load(torchvision.table(model.network), state | counter, model, torchvision.IGNORED)
    found = save(torchvision.table(model.network))
    assert found.keys() == state.keys()
    assert all(np.array_equal(found[name], state[name]) for name in state)


def test_half_precision_becomes_the_models():
    layer = keras.layers.Dense(2)
    layer.build((None, 3))
    entries = list(parameters(layer, "fc", TORCH, TORCH_DENSE))
    load(entries, {"fc.weight": np.full((2, 3), 0.5, np.float16), "fc.bias": np.ones(2)}, layer)
    assert layer.kernel.numpy().tolist() == [[0.5, 0.5]] * 3


def test_a_layer_has_entries_for_the_variables_that_it_has():
    conv = ConvNorm(4, 3, norm="batch_norm")
    conv.build((None, 8, 8, 2))
    shapes = {entry.key: tuple(entry.variable.shape) for entry in torch_conv(conv, "conv1", "bn1")}
    assert shapes == {
        "conv1.weight": (3, 3, 2, 4),
        "bn1.weight": (4,),
        "bn1.bias": (4,),
        "bn1.running_mean": (4,),
        "bn1.running_var": (4,),
    }


def test_convolutions_are_transposed():
    # kernel of output o, input i, tap (y, x) is 1000 o + 100 i + 10 y + x
    o, i, y, x = np.meshgrid(range(2), range(3), range(4), range(5), indexing="ij")
    kernel = TORCH_CONV.read(1000 * o + 100 * i + 10 * y + x)
    assert kernel.shape == (4, 5, 3, 2) and kernel[3, 4, 2, 1] == 1234


def test_dense_after_flatten_reorders_channels_last():
    # torch flattens [C, H, W]; weight o of input (c, h, w) is 100c + 10h + w
    c, h, w = np.meshgrid(range(2), range(3), range(4), indexing="ij")
    source = (100 * c + 10 * h + w).reshape(1, -1)
    layout = torch_dense_after_flatten(3, 4)
    assert layout.read(source)[:4, 0].tolist() == [0, 100, 1, 101]
    np.testing.assert_array_equal(layout.write(layout.read(source)), source)
