"""What happens before the first training step: TensorFlow traces it once, and no more than that."""

import keras
import pytest
from examples import batch, drawn_records
from small_model import small_model

from keras_maskrcnn.data.pipeline.dataset import make_dataset
from keras_maskrcnn.models import mask_rcnn


@pytest.fixture
def traced(monkeypatch):
    """A list that grows by one with each trace of the losses."""
    found = []
    losses = mask_rcnn.all_losses
    monkeypatch.setattr(mask_rcnn, "all_losses", lambda *args: found.append(1) or losses(*args))
    return found


def test_fit_traces_its_step_once(traced):
    model = small_model(mask_head="none")
    model.compile(optimizer=keras.optimizers.SGD(0.01, momentum=0.9))
    data = make_dataset(drawn_records(4), model.config, batch_size=2, training=True)
    model.fit(data, verbose=0)
    assert len(traced) == 1


def test_train_on_batch_traces_its_step_once(traced):
    model = small_model(mask_head="none")
    model.compile(optimizer=keras.optimizers.Adam(1e-3))
    for _ in range(2):
        model.train_on_batch(batch(model.config))
    assert len(traced) == 1


def test_evaluation_makes_nothing_for_the_optimizer():
    model = small_model(mask_head="none")
    model.compile(optimizer=keras.optimizers.Adam(1e-3))
    model.test_on_batch(batch(model.config))
    assert not model.optimizer.built
