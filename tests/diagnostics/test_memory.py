import json
import subprocess
import sys

import keras
import numpy as np
import pytest
from examples import tiny
from places import ROOT

import keras_maskrcnn as km
from keras_maskrcnn.diagnostics import memory
from keras_maskrcnn.diagnostics.memory import StepMemory, _kept_per_row, _largest, training_memory
from keras_maskrcnn.layers.convolution import ConvNorm

BENCHMARK = ROOT / "benchmarks" / "training_memory.py"


def records(*sizes, objects=1):
    return [
        km.make_record(
            np.zeros((height, width, 3), np.uint8),
            [[4, 4, 20, 20]] * objects,
            [1] * objects,
            image_id=f"{number}",
        )
        for number, (height, width) in enumerate(sizes)
    ]


def test_what_a_gradient_needs_can_be_counted_by_hand():
    conv = ConvNorm(8, 1)
    conv.build((None, 5, 6, 4))
    inputs, outputs = 5 * 6 * 4 * 4, 5 * 6 * 8 * 4  # bytes of float32
    # the kernel's gradient needs the inputs, that of ReLU what it put out
    assert _kept_per_row(conv, (5, 6, 4), conv.trainable_variables) == inputs + outputs
    conv.trainable = False  # then nothing needs the inputs
    assert _kept_per_row(conv, (5, 6, 4), conv.trainable_variables) == outputs
    assert (
        _kept_per_row(conv, (5, 6, 4), [], inputs_too=False) == 0
    )  # and without their gradient nothing at all


def test_a_chain_keeps_what_each_of_its_layers_needs():
    convs = [ConvNorm(8, 1), ConvNorm(8, 1, relu=False)]
    chain = keras.Sequential([keras.Input((5, 6, 8)), *convs])
    one = 5 * 6 * 8 * 4  # bytes
    # the first one's input, and its ReLU's output, which is the second one's input
    assert _kept_per_row(chain, (5, 6, 8), chain.trainable_variables, inputs_too=False) == 2 * one


@pytest.fixture(scope="module")
def of_one():
    return training_memory(tiny(), 1, records((64, 64)))


def test_each_image_of_a_batch_takes_the_same(of_one, monkeypatch):
    model = km.MaskRCNN(tiny())
    monkeypatch.setattr(memory, "MaskRCNN", lambda config: model)  # made once, it is faster
    of_three, of_five = (training_memory(tiny(), batch, records((64, 64))) for batch in (3, 5))
    assert of_three > of_one
    assert of_five - of_three == pytest.approx(of_three - of_one, abs=2)


def test_what_is_not_there_and_what_is_not_trained_takes_less(of_one):
    frozen_without_masks = tiny(mask_head="none", frozen_stages=5)
    assert training_memory(frozen_without_masks, 1, records((64, 64))) < of_one


def test_what_is_computed_again_is_not_kept(of_one):
    assert training_memory(tiny(recomputed_stages=5), 1, records((64, 64))) < of_one


def test_a_batch_is_as_high_as_its_highest_image_and_as_wide_as_its_widest():
    mixed = records((64, 90), (96, 64))  # 64 x 96 and 96 x 64 when padded
    assert _largest(mixed, tiny(), batch_size=1) == (64, 96)
    assert _largest(mixed, tiny(), batch_size=2) == (96, 96)
    assert _largest(mixed[:1], tiny(train_min_sizes=(32, 64)), batch_size=2) == (64, 96)


def test_the_mask_crops_of_the_most_crowded_image_count(of_one):
    crowded = records((64, 64), (64, 64))
    crowded[1] = records((64, 64), objects=300)[0]
    side = tiny().mask_crop_size
    assert training_memory(tiny(), 1, crowded) - of_one == pytest.approx(4 * 299 * side**2, abs=2)
    assert training_memory(tiny(mask_head="none"), 1, crowded) < of_one


def test_the_largest_batch_is_the_last_that_fits(of_one):
    steps = StepMemory(tiny(), records((64, 90), (96, 64)))
    for images in (2, 3, 7):
        assert steps.largest_batch(steps.of(images)) in (images - 1, images)  # whole bytes, rounded down
        assert steps.largest_batch(steps.of(images) + 2) == images
        assert steps.largest_batch(steps.of(images + 1) - 2) == images
    assert steps.largest_batch(steps.of(1)) == 1
    assert steps.largest_batch(steps.of(1) - 1) == 0
    alone = StepMemory(tiny(), records((64, 64)))
    assert alone.of(1) == of_one
    more = StepMemory(tiny(), records((64, 64)), more_per_weight=1)
    weights = sum(int(np.prod(weight.shape)) for weight in km.MaskRCNN(tiny()).weights)
    assert more.of(1) - of_one == pytest.approx(4 * weights, abs=1)


def test_bad_arguments_are_refused():
    with pytest.raises(ValueError, match="needs records and a positive batch_size; got 0 and 1"):
        training_memory(tiny(), 1, [])
    with pytest.raises(ValueError, match="got 1 and 0"):
        training_memory(tiny(), 0, records((64, 64)))


@pytest.mark.slow
@pytest.mark.parametrize("setting", [{"size": 256, "batch": 2}, {"size": 512, "batch": 1}], ids=str)
def test_estimates_are_within_a_quarter_of_the_measured_peak(setting):
    command = [sys.executable, str(BENCHMARK), "--only", json.dumps(setting)]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    estimate, peak = json.loads(output.splitlines()[-1])
    assert estimate == pytest.approx(peak, rel=0.25)
