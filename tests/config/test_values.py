"""Some of a Config's fields by name, as files and command lines give them."""

import pytest

from keras_maskrcnn.config.config import Config
from keras_maskrcnn.config.values import RENAMED, checked_values


def test_not_every_field_need_be_there():
    assert checked_values(Config, {"anchor_ratios": [1, 2]}) == {"anchor_ratios": (1, 2)}


def test_names_of_version_0_1_0_are_todays():
    assert checked_values(Config, {"flip_probability": 0.25}) == {"horizontal_flip_probability": 0.25}
    assert checked_values(Config, {"recompute_backbone": True}) == {"recomputed_stages": 5}
    assert checked_values(Config, {"recompute_backbone": False}) == {"recomputed_stages": 0}
    assert set(RENAMED.values()) <= {*Config.__dataclass_fields__}
    assert not set(RENAMED) & {*Config.__dataclass_fields__}


def test_an_unknown_name_lists_the_nearest_ones():
    with pytest.raises(ValueError, match="Config has no field 'minsize'; nearest: min_size"):
        checked_values(Config, {"minsize": 3})
    with pytest.raises(ValueError, match=r"Config has no field 'zzz'$"):
        checked_values(Config, {"zzz": 3})


def test_each_value_is_checked_by_itself():
    with pytest.raises(ValueError, match=r"Config\.min_size must be an integer of at least 1; got 1\.5"):
        checked_values(Config, {"min_size": 1.5})
