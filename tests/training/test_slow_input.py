import logging
import time
from types import SimpleNamespace

import numpy as np
import pytest
from examples import drawn_records, tiny

from keras_maskrcnn.data.pipeline.dataset import make_dataset
from keras_maskrcnn.data.records import make_record
from keras_maskrcnn.training import slow_input
from keras_maskrcnn.training.slow_input import SlowInputAdvice

CONFIG = tiny(mask_head="none")


def test_a_batch_is_delivered_when_it_is_taken_not_when_it_is_made():
    data = make_dataset(drawn_records(6), CONFIG, training=True)
    batches = iter(data)
    next(batches)
    for _ in range(4):
        time.sleep(0.1)  # the next one lies ready
        asked = time.time()
        next(batches)
        assert asked - 0.001 <= float(data.clock.delivered) <= time.time() + 0.001


def steps(advice, waits, seconds, monkeypatch):
    """Let the callback see steps of `seconds` each, of which each waits as long as `waits` says."""
    now = [1000.0]
    monkeypatch.setattr(slow_input.time, "time", lambda: now[0])
    for step, wait in enumerate(waits):
        advice.on_train_batch_begin(step)
        advice.dataset.clock.delivered.assign(now[0] + wait)
        now[0] += seconds
        advice.on_train_batch_end(step, {"loss": 1.0})


def advice_for(records, config=CONFIG, **options):
    advice = SlowInputAdvice(make_dataset(records, config, training=True), **options)
    advice.set_model(SimpleNamespace(config=config))
    return advice


def test_the_fraction_is_of_all_steps_but_the_first(monkeypatch):
    advice = advice_for(drawn_records(1))
    steps(
        advice, [9.0, 0.5, 0.1, -3.0], 1.0, monkeypatch
    )  # what was fetched before it was asked for is no wait
    assert advice.fraction == pytest.approx(0.6 / 3)


def test_advice_comes_once_and_names_the_knobs(monkeypatch, caplog):
    image = np.zeros((400, 600, 3), np.uint8)
    advice = advice_for([make_record(image, boxes=[[1, 1, 9, 9]], class_ids=[1], image_id=1)])
    with caplog.at_level(logging.WARNING):
        steps(advice, [0.3] * 150, 1.0, monkeypatch)
        advice.on_epoch_end(0)
    (message,) = (record.getMessage() for record in caplog.records)
    assert "waited for its images 30% of the time" in message and "parallel_calls" in message
    assert "The images have 600 x 400 pixels on average, of which the network sees 96 x 64" in message


def test_no_advice_without_need(monkeypatch, caplog):
    advice = advice_for(drawn_records(1))
    with caplog.at_level(logging.WARNING):
        steps(advice, [0.1] * 60, 1.0, monkeypatch)
        advice.on_epoch_end(0)
        too_few = advice_for(drawn_records(1))
        steps(too_few, [0.9] * 8, 1.0, monkeypatch)
        too_few.on_epoch_end(0)
    assert not caplog.records


def test_a_short_epoch_is_judged_at_its_end_and_small_images_are_not_blamed(monkeypatch, caplog):
    advice = advice_for(drawn_records(1))
    with caplog.at_level(logging.WARNING):
        steps(advice, [0.5] * 12, 1.0, monkeypatch)
        advice.on_epoch_end(0)
    (message,) = (record.getMessage() for record in caplog.records)
    assert "50% of the time" in message and "pixels on average" not in message
