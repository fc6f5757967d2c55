"""Keypoint names: COCO's person, and which keypoints change sides in a flip."""

import json

import numpy as np
import pytest
from places import COCO_MINI
from pycocotools.cocoeval import Params

from keras_maskrcnn.config.keypoints import (
    PERSON_KEYPOINTS,
    PERSON_LIMBS,
    PERSON_SIGMAS,
    checked_sigmas,
    flip_indices,
)

COCO = COCO_MINI


def test_sigmas_are_pycocotools():
    np.testing.assert_allclose(PERSON_SIGMAS, Params("keypoints").kpt_oks_sigmas)


@pytest.mark.skipif(not COCO.exists(), reason="needs the coco_mini annotations beside the repository")
def test_names_and_limbs_are_those_of_cocos_files():
    content = json.loads((COCO / "annotations/person_keypoints_val2017.json").read_text())
    (person,) = content["categories"]
    assert list(PERSON_KEYPOINTS) == person["keypoints"]
    named = [tuple(PERSON_KEYPOINTS[number - 1] for number in limb) for limb in person["skeleton"]]
    assert list(PERSON_LIMBS) == named


def test_left_and_right_change_places_in_a_flipped_image():
    order = flip_indices(PERSON_KEYPOINTS)
    assert order == [0, 2, 1, 4, 3, 6, 5, 8, 7, 10, 9, 12, 11, 14, 13, 16, 15]
    assert [order[place] for place in order] == list(range(17))


@pytest.mark.parametrize(
    ("names", "order"),
    [
        (("tail", "LeftEye", "RightEye"), [0, 2, 1]),
        (("ear left", "ear right"), [1, 0]),
        (("left left hand", "left right hand", "right left hand", "right right hand"), [3, 2, 1, 0]),
        (("bright spot", "copyright"), [0, 1]),
        (("nose", "l_eye", "r_eye"), [0, 2, 1]),
        (("L_Eye", "R_Eye", "l-ear", "r-ear"), [1, 0, 3, 2]),
        (("LEye", "REye", "earL", "earR", "rFoot", "lFoot"), [1, 0, 3, 2, 5, 4]),
        (("eye_l", "eye_r", "ear l", "ear r", "L1", "R1"), [1, 0, 3, 2, 5, 4]),
        (("bright_l", "bright_r"), [1, 0]),
        (("ell", "err", "LAB", "RAB", "él", "ér", "LEye", "reye"), list(range(8))),
        ((), []),
    ],
)
def test_sides_are_found_in_names_of_any_spelling(names, order):
    assert flip_indices(names) == order


def test_a_side_without_its_partner_is_refused():
    with pytest.raises(
        ValueError, match=r"'left_eye' has no partner 'right_eye'.*horizontal_flip_probability=0"
    ):
        flip_indices(("left_eye", "rigth_eye"))


def test_a_letter_without_its_partner_means_no_side():
    assert flip_indices(("r", "theta", "point_l")) == [0, 1, 2]


def test_a_persons_keypoints_have_cocos_sigmas_and_others_need_their_own():
    assert checked_sigmas(None, 17) == checked_sigmas(None, 17, PERSON_KEYPOINTS) == list(PERSON_SIGMAS)
    assert checked_sigmas((0.1, 0.2), 2) == [0.1, 0.2]
    horse = tuple(f"part {number}" for number in range(17))
    for count, names in [(2, ()), (17, horse)]:
        with pytest.raises(ValueError, match=f"keypoint_sigmas is needed to score these {count} keypoints"):
            checked_sigmas(None, count, names)
    for wrong in [(0.1,), (0.1, 0.0)]:
        with pytest.raises(ValueError, match="needs 2 numbers above 0"):
            checked_sigmas(wrong, 2)
