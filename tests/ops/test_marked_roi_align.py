"""What a crop says of the RoIAlign that it stands for; artefacts/test_marks.py says what becomes of it."""

import pytest

from keras_maskrcnn.ops.marked_roi_align import Mark


@pytest.mark.parametrize("aligned", [True, False])
@pytest.mark.parametrize("sampling_ratio", [0, 1, 2, 7])
def test_a_mark_is_read_back(sampling_ratio, aligned):
    mark = Mark(sampling_ratio, aligned)
    assert Mark.of(mark.code) == mark


def test_a_usual_crop_is_no_mark():
    with pytest.raises(ValueError, match="no mark of RoIAlign"):
        Mark.of(0.0)
