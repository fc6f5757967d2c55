import numpy as np
import pytest
import tensorflow as tf

from keras_maskrcnn.ops.dialect import dialect, write_in
from keras_maskrcnn.ops.rows import map_rows


@pytest.mark.parametrize("chosen", ["native", "elementary"])
def test_a_function_of_each_row(chosen):
    values, factors = np.arange(12.0, dtype=np.float32).reshape(4, 3), np.array([1, 2, 3, 4], np.float32)

    def sums(row):
        return tf.stack([tf.reduce_sum(row[0]), tf.reduce_sum(row[0]) * row[1]])

    with write_in(chosen):
        found = map_rows(sums, (tf.constant(values), tf.constant(factors)), (2,), at_once=2)
    np.testing.assert_array_equal(found, np.stack([values.sum(1), values.sum(1) * factors], axis=1))


def test_a_dialect_ends_with_its_block_also_by_an_error():
    with pytest.raises(KeyError), write_in("marked"):
        assert dialect() == "marked"
        raise KeyError
    assert dialect() == "native"
