"""What a batch norm says of the group norm that it stands for; artefacts/test_marks.py says what becomes of it."""

import pytest

from keras_maskrcnn.ops.marked_group_norm import marked_groups


def test_the_factor_of_a_batch_norm_of_training_is_the_groups():
    assert marked_groups(is_training=True, factor=32.0) == 32


def test_a_usual_batch_norm_is_no_mark():
    with pytest.raises(ValueError, match="no mark of group normalisation"):
        marked_groups(is_training=False, factor=1.0)
