import dataclasses

import numpy as np
import pytest

from keras_maskrcnn.artefacts.verify import compare, run_elsewhere, seconds_of


def rows(**changes):
    """Three detections and a padding row."""
    values = {
        "boxes": np.array([[0, 0, 10, 10], [20, 20, 40, 50], [60, 0, 90, 9], [0, 0, 0, 0]], np.float32),
        "scores": np.array([0.9, 0.8, 0.7, 0], np.float32),
        "classes": np.array([1, 2, 1, 0], np.int32),
        "masks": np.full((4, 2, 2), 0.5, np.float32),
        "keypoints": np.ones((4, 1, 3), np.float32),
    }
    return {**values, **changes}


def test_the_same_in_another_order_and_without_padding_is_equal():
    moved = {name: value[[2, 0, 1]] for name, value in rows().items()}
    found = compare([rows()], [moved])
    assert (found.compared, found.equal, found.share) == (3, 3, 1.0)
    assert dataclasses.astuple(found)[2:6] == (0, 0, 0, 0)


def test_differences_within_the_tolerances_are_told():
    other = rows()
    other = {
        **other,
        "boxes": other["boxes"] + np.float32(0.05),
        "scores": other["scores"] * np.float32(0.9999),
    }
    other |= {"masks": other["masks"] + np.float32(0.002), "keypoints": other["keypoints"] + np.float32(0.01)}
    found = compare([rows()], [other])
    assert found.equal == 3
    np.testing.assert_allclose(dataclasses.astuple(found)[2:6], [9e-5, 0.05, 0.002, 0.01], rtol=1e-2)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("boxes", np.array([[0, 0, 10, 11], [20, 20, 40, 50], [60, 0, 90, 9], [0, 0, 0, 0]], np.float32)),
        ("scores", np.array([0.9, 0.8, 0.71, 0], np.float32)),
        ("classes", np.array([1, 1, 1, 0], np.int32)),
        ("classes", np.array([1, 2, 0, 0], np.int32)),
        ("masks", np.concatenate([np.full((3, 2, 2), 0.5), np.zeros((1, 2, 2))])[[0, 3, 1, 2]]),
        ("keypoints", np.array([[[1, 1, 1]], [[1, 3, 1]], [[1, 1, 1]], [[1, 1, 1]]], np.float32)),
    ],
)
def test_one_that_differs_in_anything_is_not_equal(name, value):
    found = compare([rows()], [rows(**{name: value})])
    assert (found.compared, found.equal) == (3, 2)


def test_each_counts_for_one_of_the_other_only():
    twice = {name: value[[0, 0, 0, 3]] for name, value in rows().items()}
    assert compare([rows()], [twice]).equal == 1
    assert compare([twice], [rows()]).equal == 1


def test_images_are_compared_each_with_its_own():
    nothing = {name: value[3:] for name, value in rows().items()}
    assert compare([rows(), nothing], [nothing, rows()]).equal == 0
    assert compare([nothing], [nothing]).share == 1.0


def test_pasted_masks_differ_by_their_share_of_pixels():
    masks = np.zeros((4, 20, 20), bool)
    masks[:, 5:15, 5:15] = True
    other = masks.copy()
    other[0, 5, 5] = False
    found = compare([rows(masks=masks)], [rows(masks=other)])
    assert found.equal == 3 and found.mask_difference == 0.01
    other[0, 5, 6] = False
    assert compare([rows(masks=masks)], [rows(masks=other)]).equal == 2


def test_what_does_not_run_is_told_with_the_runtimes_message(tmp_path):
    (tmp_path / "no.onnx").write_text("this is no ONNX")
    with pytest.raises(RuntimeError, match=r"the artefact does not run \(exit code 1\): "):
        run_elsewhere(tmp_path / "no.onnx", [{"image": np.zeros(1)}])


def test_the_time_is_the_median_of_the_calls_after_the_first():
    calls = []
    assert seconds_of(lambda: calls.append(1), repeats=5) >= 0
    assert len(calls) == 6
