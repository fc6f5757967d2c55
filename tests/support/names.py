"""Reads the key lists of the sources' checkpoints, and compares them with a name table."""

import json
import re

import numpy as np
import pytest
from parity import KITS, OWN_NAMES, SHARED, own_shapes

from keras_maskrcnn.weights.sources.table import load, save

LISTS = SHARED / "reference" / "checkpoint-names"
COCO_KEYPOINTS = (
    *("nose", "left_eye", "right_eye", "left_ear", "right_ear", "left_shoulder", "right_shoulder"),
    *("left_elbow", "right_elbow", "left_wrist", "right_wrist", "left_hip", "right_hip"),
    *("left_knee", "right_knee", "left_ankle", "right_ankle"),
)


def classes(count):
    return tuple(f"class {i}" for i in range(1, count + 1))


def shapes_of(*names):
    """{key: shape} of each of these that is there: the list of keys of a parity kit, or one of the shared lists."""
    found = [shapes for name in names if (shapes := _shapes_if_there(name)) is not None]
    if not found:
        pytest.skip(f"the key lists {' and '.join(names)} are not on this machine")
    return found


def _shapes_if_there(name):
    kit = name.removesuffix(".spec.json")
    if kit in OWN_NAMES:
        return own_shapes(kit)
    path = (KITS if kit != name else LISTS) / name
    return _shapes(path) if path.exists() else None


def _shapes(path):
    if path.suffix == ".json":
        return {key: tuple(shape) for key, (shape, _) in json.loads(path.read_text()).items()}
    rows = [line.split("\t") for line in path.read_text().splitlines() if not line.startswith(("#", "key\t"))]
    return {row[0]: tuple(map(int, re.findall(r"\d+", row[1]))) for row in rows}


def older_names(name):
    """{older name: name} of a list that has older names."""
    path = LISTS / name
    if not path.exists():
        pytest.skip(f"the key list {name} is not on this machine")
    rows = [line.split("\t") for line in path.read_text().splitlines() if not line.startswith("#")]
    return {row[2]: row[0] for row in rows if len(row) > 2 and row[2]}


def assert_same_keys(table, lists, without=()):
    """The table has exactly the keys of each list, but for those that end so, in the same shapes."""
    own = {key: value.shape for key, value in save(table).items()}
    for shapes in lists:
        assert own == {key: shape for key, shape in shapes.items() if not key.endswith(without)}


def random_state(table, seed=0):
    rng = np.random.default_rng(seed)
    return {key: rng.normal(size=value.shape).astype("float32") for key, value in save(table).items()}


def assert_round_trip(source, model):
    """Whatever a file holds is loaded and converts back to equal tensors."""
    state = random_state(source.table(model.network))
    load(source.table(model.network), dict(state), model, source.IGNORED)
    back = save(source.table(model.network))
    assert set(back) == set(state)
    for key, value in state.items():
        np.testing.assert_array_equal(back[key], value)
