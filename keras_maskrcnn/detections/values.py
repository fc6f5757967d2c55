"""Checks of the numbers that `Detections` are given; the messages name the field and the row."""

from typing import Any

import numpy as np


def float_numbers(name: str, values: Any) -> np.ndarray:
    """Return the values of a field as float32; what that cannot hold is infinite.

    Raises:
        ValueError: they are no numbers.
    """
    try:
        with np.errstate(over="ignore"):  # infinite numbers are refused as such
            return np.asarray(values, np.float32)
    except (TypeError, ValueError) as error:
        raise ValueError(f"Detections.{name} must be numbers: {error}") from None


def whole_class_ids(values: Any) -> np.ndarray:
    """Return class ids as int32, checked before the cast, which would wrap or truncate others.

    Raises:
        ValueError: one is no whole number from 1.
    """
    given = np.asarray(values)
    if given.size and given.dtype.kind not in "iuf":
        raise ValueError(f"Detections.class_ids must be numbers; got {given.dtype}")
    whole = (given >= 1) & (given <= np.iinfo(np.int32).max) & (given == np.floor(given))
    refuse("class_ids", given, ~whole, "1, 2, ...")
    return given.astype(np.int32)


def whole_track_ids(values: Any) -> np.ndarray:
    """Return track ids as int64.

    Raises:
        ValueError: one is no whole number from -1.
    """
    given = np.asarray(values)
    if given.size and given.dtype.kind not in "iuf":
        raise ValueError(f"Detections.track_ids must be numbers; got {given.dtype}")
    refuse(
        "track_ids", given, ~((given >= -1) & (given < 2**53) & (given == np.floor(given))), "-1, 0, 1, ..."
    )
    return given.astype(np.int64)


def refuse(name: str, values: np.ndarray, wrong: np.ndarray, wanted: str) -> None:
    """Raise a ValueError if something is wrong in a row of a field, and name the first such row."""
    if wrong.any():
        row = int(np.argwhere(wrong)[0][0])
        raise ValueError(
            f"Detections.{name} must be {wanted}; got {values[row].tolist()!s:.200} in row {row}"
        )
