"""The order of images and all chance follow from the seed, the epoch and the position: in every run, from any step."""

import dataclasses
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from places import ROOT
from squares import SMALL, assert_equal, batches, names, square

from keras_maskrcnn.data.pipeline.dataset import make_dataset


def test_the_same_seed_gives_the_same_batches_and_another_does_not():
    records = [square(i) for i in range(7)]
    config = dataclasses.replace(SMALL, train_min_sizes=(10, 20))
    options = {"batch_size": 2, "training": True}
    first = batches(records, config, seed=5, **options)
    assert_equal(batches(records, config, seed=5, parallel_calls=1, **options), first)
    assert names(batches(records, config, seed=6, **options)) != names(first)


def test_every_epoch_has_all_images_in_another_order():
    dataset = make_dataset([square(i) for i in range(9)], SMALL, batch_size=2, training=True)
    assert int(dataset.cardinality()) == len(dataset) == 5
    orders = [
        [name for batch in names([{"images": b["images"].numpy()} for b in dataset]) for name in batch]
        for _ in range(3)
    ]
    assert all(sorted(order) == list(range(9)) for order in orders)
    assert len({tuple(order) for order in orders}) == 3
    assert int(dataset.clock.epoch) == 3


def test_any_epoch_can_be_had_from_any_step_without_the_ones_before():
    records = [square(i) for i in range(5)]
    config = dataclasses.replace(SMALL, train_min_sizes=(10, 20))

    def read(dataset):
        return [{key: value.numpy() for key, value in batch.items()} for batch in dataset]

    uninterrupted = make_dataset(records, config, batch_size=2, training=True, seed=3)
    epochs = [read(uninterrupted) for _ in range(3)]
    resumed = make_dataset(records, config, batch_size=2, training=True, seed=3)
    resumed.clock.epoch.assign(1)
    resumed.clock.first_step.assign(2)
    assert len(resumed) == 3
    assert_equal(read(resumed), epochs[1][2:])
    assert_equal(read(resumed), epochs[2])


def test_evaluation_is_in_order_and_always_the_same():
    records = [square(i) for i in range(5)]
    dataset = make_dataset(records, SMALL, batch_size=2)
    assert len(dataset) == 3
    first = [{key: value.numpy() for key, value in batch.items()} for batch in dataset]
    assert names(first) == [[0, 1], [2, 3], [4]]
    assert_equal([{key: value.numpy() for key, value in batch.items()} for batch in dataset], first)
    seeds = np.concatenate([batch["seeds"] for batch in first])
    assert len(np.unique(seeds, axis=0)) == 5


def test_seeds_differ_between_images_and_epochs():
    dataset = make_dataset([square(i) for i in range(4)], SMALL, training=True)
    seeds = np.concatenate([batch["seeds"].numpy() for _ in range(3) for batch in dataset])
    assert len(np.unique(seeds, axis=0)) == 12


class Seen(keras.Model):
    """A model that remembers the first seed of each batch it is trained on."""

    def __init__(self):
        super().__init__()
        self.dense = keras.layers.Dense(1)
        self.seen = []

    def call(self, inputs):
        return self.dense(keras.ops.mean(inputs["images"], axis=(1, 2)))

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        tf.py_function(lambda seeds: self.seen.append(seeds.numpy().tolist()), [x["seeds"]], [])
        return keras.ops.mean(y_pred)


def seeds_of_epochs(records, count, **options):
    dataset = make_dataset(records, SMALL, training=True, **options)
    return [[batch["seeds"].numpy().tolist() for batch in dataset] for _ in range(count)]


@pytest.mark.parametrize("built", [True, False])
def test_fit_sees_one_epoch_after_the_other(built):
    records = [square(i) for i in range(5)]
    model = Seen()
    model.compile("sgd", jit_compile=False)
    if built:
        model({"images": tf.zeros([1, 32, 32, 3])})
    dataset = make_dataset(records, SMALL, batch_size=2, training=True)
    model.fit(dataset, epochs=2, verbose=0, validation_data=make_dataset(records, SMALL))
    model.fit(dataset, epochs=1, verbose=0)
    epochs = seeds_of_epochs(records, 6, batch_size=2)
    batches_of_epochs = [(number, batch) for number, epoch in enumerate(epochs) for batch in epoch]
    trained = [number for seen in model.seen for number, batch in batches_of_epochs if batch == seen]
    assert trained == [0, 0, 0, 1, 1, 1, 2, 2, 2]


STRATEGY = """
import numpy as np
import tensorflow as tf

cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])

from keras_maskrcnn.config.config import Config
from keras_maskrcnn.data.pipeline.dataset import make_dataset
from keras_maskrcnn.data.records import make_record
from keras_maskrcnn.images.resize import resize_image

shapes = [(32, 40), (64, 33), (40, 70), (90, 32), (33, 33), (50, 60), (70, 40)]
records = [make_record(np.zeros(shape, np.uint8), masks=[], image_id=i) for i, shape in enumerate(shapes)]
config = Config(("a",), min_size=32, max_size=96)


def make():
    return make_dataset(records, config, batch_size=4, training=True)


def read(distributed):
    split = strategy.experimental_local_results
    return [[local.numpy().tolist() for local in split(batch["seeds"])] for batch in distributed]


plain = make()
epochs = [[batch["seeds"].numpy().tolist() for batch in plain] for _ in range(3)]
with strategy.scope():
    dataset = make()
distributed = strategy.experimental_distribute_dataset(dataset)
for epoch in epochs[:2]:
    iter(distributed)  # Keras makes iterators that it never reads
    halves = read(distributed)
    assert [a + b for a, b in halves] == epoch, (halves, epoch)
    assert [len(a) for pair in halves for a in pair] == [2, 2, 2, 1]
dataset.clock.epoch.assign(1)
dataset.clock.first_step.assign(1)
assert [a + b for a, b in read(distributed)] == epochs[1][1:]
assert [a + b for a, b in read(distributed)] == epochs[2]
"""


def test_two_replicas_share_batches_also_in_a_resumed_epoch():
    root = ROOT
    done = subprocess.run([sys.executable, "-c", STRATEGY], cwd=root, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
