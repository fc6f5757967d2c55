"""What keypoint names mean: COCO's of a person, their limbs and spread, and which change places in a flipped image."""

import re
from collections.abc import Sequence

PERSON_KEYPOINTS = (
    "nose", "left_eye", "right_eye", "left_ear", "right_ear", "left_shoulder", "right_shoulder", "left_elbow",
    "right_elbow", "left_wrist", "right_wrist", "left_hip", "right_hip", "left_knee", "right_knee", "left_ankle",
    "right_ankle",
)  # fmt: skip
"""COCO's keypoints of a person, in the order of its annotations."""

PERSON_SIGMAS = (
    0.026, 0.025, 0.025, 0.035, 0.035, 0.079, 0.079, 0.072, 0.072, 0.062, 0.062, 0.107, 0.107, 0.087, 0.087, 0.089,
    0.089,
)  # fmt: skip
"""How far apart annotators mark each of them, in square roots of the person's area; COCO's similarity divides by it."""

PERSON_LIMBS = (
    ("left_ankle", "left_knee"), ("left_knee", "left_hip"), ("right_ankle", "right_knee"),
    ("right_knee", "right_hip"), ("left_hip", "right_hip"), ("left_shoulder", "left_hip"),
    ("right_shoulder", "right_hip"), ("left_shoulder", "right_shoulder"), ("left_shoulder", "left_elbow"),
    ("right_shoulder", "right_elbow"), ("left_elbow", "left_wrist"), ("right_elbow", "right_wrist"),
    ("left_eye", "right_eye"), ("nose", "left_eye"), ("nose", "right_eye"), ("left_eye", "left_ear"),
    ("right_eye", "right_ear"), ("left_ear", "left_shoulder"), ("right_ear", "right_shoulder"),
)  # fmt: skip
"""COCO's skeleton: the pairs that are drawn as lines."""

_SIDES = {"left": "right", "right": "left", "l": "r", "r": "l"}
_SIDE_LETTER = re.compile(r"(?:(?<![^\W\d_])[lrLR]|(?<=[a-z])[LR])(?=[\W\d_]|$|[A-Z][a-z])")
"""An l or r that is a word of its own, as in l_eye, "eye l", LEye and eyeL."""


def flip_indices(names: Sequence[str]) -> list[int]:
    """Return the place of the keypoint that each one becomes in a flipped image.

    A name's partner has "left" for its "right" and the other way round, or "l" for its "r" where that is a word of its
    own (l_eye, LEye), in small letters or large; a name without sides, or with an "l" or "r" that is the only one, is
    its own.

    Args:
        names: J names.

    Returns:
        J places, so that `keypoints[..., flip_indices(names), :]` is in the order of the names again.

    Raises:
        ValueError: a name has the word left or right in it, but no partner.
    """
    places = {name.lower(): place for place, name in enumerate(names)}
    lettered = {_with_marked_letters(name): place for place, name in enumerate(names)}
    order = []
    for place, name in enumerate(names):
        partner = re.sub("left|right", _other_side, name.lower())
        if partner not in places and {"left", "right"} & set(re.split("[^a-z]+", name.lower())):
            raise ValueError(
                f"the keypoint {name!r} has no partner {partner!r} that it becomes in a flipped image; "
                "rename it, or train with horizontal_flip_probability=0 and vertical_flip_probability=0"
            )
        if partner in places and partner != name.lower():
            order.append(places[partner])
        else:
            partner = re.sub("(?<=<)[lr](?=>)", _other_side, _with_marked_letters(name))
            order.append(lettered.get(partner, place))
    return order


def _other_side(side: re.Match[str]) -> str:
    return _SIDES[side.group()]


def _with_marked_letters(name: str) -> str:
    """A name in small letters, where what was a word of its own still differs: LEye is <l>eye, leye is itself."""
    return _SIDE_LETTER.sub(r"<\g<0>>", name).lower()


def checked_sigmas(sigmas: Sequence[float] | None, count: int, names: Sequence[str] = ()) -> list[float]:
    """Return the sigmas by which `count` keypoints are scored: those given, or else COCO's if they are a person's.

    Raises:
        ValueError: none are given for other keypoints than COCO's of a person, which go by their names where these are
            known and else by their number; or there is not one above 0 for each keypoint.
    """
    if sigmas is None:
        if count != len(PERSON_SIGMAS) or (names and tuple(names) != PERSON_KEYPOINTS):
            raise ValueError(
                f"keypoint_sigmas is needed to score these {count} keypoints: COCO has measured how far apart "
                f"annotators mark keypoints for its own {len(PERSON_SIGMAS)} of a person only"
            )
        return list(PERSON_SIGMAS)
    if len(sigmas) != count or min(sigmas) <= 0:
        raise ValueError(f"keypoint_sigmas needs {count} numbers above 0, one per keypoint; got {sigmas}")
    return list(sigmas)
