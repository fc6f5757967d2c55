"""Annotated areas: kept, measured where they cannot be, and doubted aloud."""

import numpy as np
import pytest
from coco_files import HEIGHT, WIDTH, annotation, content, load, with_images


@pytest.fixture
def folder(tmp_path):
    return with_images(tmp_path)


def areas(folder, *values, **options):
    records, _ = load(folder, content(*(annotation(k, area=v) for k, v in enumerate(values))), **options)
    return records[0].areas.tolist(), " ".join(records.report.notes)


def test_plausible_areas_are_kept_as_annotated(folder):
    assert areas(folder, 300, 301.5, 250) == ([300, 301.5, 250], "")


@pytest.mark.parametrize("value", [0, 10 * WIDTH * HEIGHT, WIDTH * HEIGHT, 1e30])
def test_areas_that_no_object_of_the_box_has_are_measured(folder, value):
    measured, _ = areas(folder, None)
    found, notes = areas(folder, value, 300)
    assert found == [*measured, 300]
    assert '1 object with an "area" of 0 or beyond their box, measured instead (annotation 0)' in notes
    assert areas(folder, value, masks=False)[0] == [600]  # the box's


def test_an_area_far_from_its_mask_is_kept_and_named(folder):
    found, notes = areas(folder, 300, 12, 3)
    assert found == [300, 12, 3]
    assert '2 objects with an "area" far from that of their mask' in notes and "(annotation 1, 2)" in notes
    assert areas(folder, 12, masks=False)[1] == ""  # without masks nobody knows


@pytest.mark.parametrize("value", [-1, float("nan"), float("inf"), True, "300", [300]])
def test_what_is_no_area_is_refused(folder, value):
    with pytest.raises(ValueError, match=r'annotation 0: image .*a.png: "area" must be a number from 0'):
        areas(folder, value)


def test_numbers_beyond_64_bits_are_numbers_like_others(folder):
    """JSON's whole numbers have no limit."""
    with pytest.raises(ValueError, match=r"annotations.json: annotation 1: image .*a.png: .*not finite"):
        load(folder, content(annotation(keypoints=[2**70, 5, 2, 10**39, 7, 2])))
    with pytest.raises(ValueError, match=r"annotations.json: annotation 1: image .*a.png: box .*outside"):
        load(folder, content(annotation(bbox=[2**70, 5, 10, 10])))
    records, _ = load(folder, content(annotation(keypoints=[2**70, 5, 2])))
    np.testing.assert_array_equal(records[0].keypoints[0, 0], np.float32([2**70, 5, 2]))
