import numpy as np
import pytest
import tensorflow as tf
from examples import drawn_records, tiny

from keras_maskrcnn.data.pipeline.dataset import make_dataset
from keras_maskrcnn.data.pipeline.parts import Part


@pytest.mark.parametrize(
    ("count", "batch_size", "replicas"), [(8, 4, 2), (5, 4, 2), (7, 3, 2), (2, 4, 4), (9, 5, 3)]
)
def test_parts_are_each_batch_once_and_in_order(count, batch_size, replicas):
    parts = [Part(first, 1, replicas).positions(count, batch_size).numpy() for first in range(replicas)]
    joined = np.concatenate(parts, axis=1)  # [steps, replicas, slots]
    for step, row in enumerate(joined):
        begin, end = step * batch_size, min(count, (step + 1) * batch_size)
        assert row[row >= 0].tolist() == list(range(begin, end))
    sizes = (joined[0] >= 0).sum(axis=1)
    assert count < batch_size or sizes.max() - sizes.min() <= 1


def test_a_process_has_the_places_of_its_replicas():
    one, two = Part(0, 2, 4), Part(2, 2, 4)
    assert one.positions(8, 4).numpy().tolist() == [[[0], [1]], [[4], [5]]]
    assert two.positions(7, 4).numpy().tolist() == [[[2], [3]], [[6], [-1]]]
    for position in range(8):
        assert one.has(position, 4) == (position % 4 < 2) and two.has(position, 4) == (position % 4 >= 2)


@pytest.fixture
def dataset():
    return make_dataset(drawn_records(5), tiny(), batch_size=4, training=True, seed=3)


def test_the_images_of_parts_are_those_of_the_whole(dataset):
    whole = [batch["images"].numpy() for batch in dataset]
    batches = []
    for first in range(2):
        dataset.clock.epoch.assign(0)
        batches.append([batch["images"].numpy() for batch in dataset._batches(Part(first, 1, 2))])
    assert [len(part) for part in batches] == [2, 2]
    for step in range(2):
        there = [part[step] for part in batches if len(part[step])]
        np.testing.assert_array_equal(np.concatenate(there), whole[step])
    assert len(batches[1][1]) == 0  # the fifth image is the first part's


def test_dropped_objects_are_counted_of_the_parts_own_images(dataset):
    for _ in dataset._batches(Part(1, 1, 2)):
        pass
    objects, _ = dataset.dropped.by_epoch()[0]
    assert objects == 2 * 2  # two images of two objects


def test_a_resumed_epoch_begins_at_its_step(dataset):
    dataset.clock.first_step.assign(1)
    (batch,) = dataset._batches(Part(0, 1, 2))
    assert batch["images"].shape[0] == 1


def test_a_strategy_gets_as_many_steps_as_there_are_batches(dataset):
    strategy = tf.distribute.MirroredStrategy(["CPU:0"])
    distributed = dataset.distributed(strategy)
    assert int(distributed.cardinality) == 2
    assert sum(1 for _ in distributed) == 2
