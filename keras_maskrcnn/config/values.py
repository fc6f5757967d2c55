"""Values of a Config's fields by name, as JSON, a file or a command line has them."""

import dataclasses
import difflib
import json
from collections.abc import Mapping
from typing import Any, Self

from keras_maskrcnn.config.fields import check_value, frozen

RENAMED = {
    "flip_probability": "horizontal_flip_probability",
    "turn_probability": "rotate90_probability",
    "rotation_degrees": "max_rotation_degrees",
    "min_object_share": "min_visible_fraction",
    "recompute_backbone": "recomputed_stages",
}
"""Fields by their names in version 0.1.0, whose .keras files and run folders hold them."""
ALL_STAGES = 5
"""Stages of a ResNet: stem, res2, ..., res5."""


def checked_values(cls: type, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return values by the names that their fields have today, each checked by itself.

    Args:
        cls: Config, or a dataclass declared like it.
        values: by field names of today or of version 0.1.0; not every field need be there.

    Raises:
        ValueError: a name is none of a field, which lists the nearest ones; or a value is not what its field may hold.
    """
    fields = {field.name: field for field in dataclasses.fields(cls)}
    checked = {}
    for given, value in values.items():
        name = RENAMED.get(given, given)
        if name not in fields:
            near = difflib.get_close_matches(str(name), fields, n=3, cutoff=0.5)
            raise ValueError(
                f"Config has no field {name!r}" + (f"; nearest: {', '.join(near)}" if near else "")
            )
        if given == "recompute_backbone" and isinstance(value, bool):  # of all stages, or of none
            value = ALL_STAGES * value
        checked[name] = frozen(value)
        check_value(fields[name], checked[name])
    return checked


class JsonValues:
    """A dataclass of plain values, which JSON can hold."""

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as JSON-ready values."""
        return dataclasses.asdict(self)  # type: ignore[call-overload]

    def to_json(self) -> str:
        """Return the config as JSON text; `Config.from_json` reads it back equal."""
        return json.dumps(self.to_dict(), indent=1)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Build a config from `to_dict`'s values; fields may have the names of version 0.1.0.

        Raises:
            ValueError: a key is not a field of Config, or as the class says.
        """
        return cls(**checked_values(cls, values))

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Build a config from `to_json`'s text."""
        return cls.from_dict(json.loads(text))
