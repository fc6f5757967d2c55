"""All that a Config lets one choose, from the declarations of its fields, and few configs that have every two of it."""

import dataclasses
import itertools
import random
from typing import Literal, get_args, get_origin

from examples import TINY

from keras_maskrcnn.config.config import Config

PARTS = {
    "keypoint_names": ((), ("left_eye", "right_eye")),
    "cascade_ious": ((), (0.6,)),
    "class_weights": ((), (0.5, 2.0)),
    "soft_nms_sigma": (0.0, 0.5),
}
"""Fields without choices, which add something all the same."""
BASE = dataclasses.replace(
    TINY, max_size=128, score_threshold=0.0, keypoint_head_channels=32, keypoint_convs=1
)
ONE_LEVEL = {"anchor_sizes": ((16, 32, 64),)}
COMPANIONS = {
    ("architecture", "c4"): {**ONE_LEVEL, "box_pool_size": 14},
    ("architecture", "dc5"): ONE_LEVEL,
    ("cascade_ious", (0.6,)): {"cascade_delta_weights": ((20, 20, 10, 10),)},
}
"""Fields that a choice cannot do without."""
NEEDED = {("cascade_mask_heads", True): {"cascade_ious": (0.6,), "class_agnostic_boxes": True}}
"""Other choices that one cannot do without."""


def choices():
    """{field: values}: those of literals and switches, and of PARTS; the default comes first."""
    found = {}
    for field in dataclasses.fields(Config):
        if get_origin(field.type) is Literal:
            found[field.name] = get_args(field.type)
        elif field.type is bool:
            found[field.name] = (False, True)
    found |= PARTS
    default = {name: getattr(BASE, name) for name in found}
    return {name: sorted(values, key=lambda v, n=name: v != default[n]) for name, values in found.items()}


def made(chosen):
    """The Config with these choices; ValueError if it is refused."""
    companions = {}
    for choice in chosen.items():
        companions |= COMPANIONS.get(choice, {})
    return dataclasses.replace(BASE, **companions, **chosen)


def accepted(chosen):
    try:
        made(chosen)
    except ValueError:
        return False
    return True


def completed(pair, fields):
    """Choices that go with two, with at most two others that are not the defaults; None if the two are refused."""
    others = [(name, value) for name in fields if name not in pair for value in fields[name][1:]]
    needed = {name: value for one in pair.items() for name, value in NEEDED.get(one, {}).items()}
    for count in range(3):
        tried = ({**needed, **pair, **dict(more)} for more in itertools.combinations(others, count))
        if (found := next(filter(accepted, tried), None)) is not None:
            return found
    return None


def pairs_of(fields):
    """Every two choices of different fields, as dicts."""
    for one, other in itertools.combinations(fields, 2):
        for values in itertools.product(fields[one], fields[other]):
            yield dict(zip((one, other), values, strict=True))


def key(pair):
    return frozenset(pair.items())


def covering(fields, seed=0):
    """Few full assignments that have every two choices that go together, and the pairs that do not."""
    rng = random.Random(seed)
    starts, refused = {}, []
    for pair in pairs_of(fields):
        start = completed(pair, fields)
        if start is None:
            refused.append(pair)
        else:
            starts[key(pair)] = start
    rows = []
    while starts:
        chosen = {name: values[0] for name, values in fields.items()} | next(iter(starts.values()))
        fixed = next(iter(starts.values()))
        for name in rng.sample(list(fields), len(fields)):
            if name not in fixed:
                options = [{**chosen, name: value} for value in fields[name]]
                chosen = max(filter(accepted, options), key=lambda one, n=name: gain(one, n, starts))
        rows.append(chosen)
        for pair in itertools.combinations(chosen.items(), 2):
            starts.pop(frozenset(pair), None)
    return rows, refused


def gain(chosen, name, left):
    own = (name, chosen[name])
    return sum(frozenset((own, other)) in left for other in chosen.items())
