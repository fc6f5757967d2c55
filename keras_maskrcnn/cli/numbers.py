"""Types of numbers on the command line."""

import argparse


def count(text: str) -> int:
    """Return an integer of at least 1."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"it must be an integer of at least 1; got {text}")
    return int(text)


def count_or_auto(text: str) -> int | str:
    """Return an integer of at least 1, or "auto" as it is."""
    return text if text == "auto" else count(text)


def count_or_zero(text: str) -> int:
    """Return an integer of at least 0."""
    if not text.isdecimal() or int(text) >= 2**31:
        raise argparse.ArgumentTypeError(f"it must be an integer of at least 0; got {text}")
    return int(text)


def epochs(text: str) -> list[int]:
    """Return the integers of at least 1 that commas separate."""
    return [count(number.strip()) for number in text.split(",")]


def fraction(text: str) -> float:
    """Return a number from 0 to 1."""
    value = _number(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"it must lie in 0..1; got {text}")
    return value


def below_one(text: str) -> float:
    """Return a number from 0 to less than 1."""
    value = fraction(text)
    if value == 1:
        raise argparse.ArgumentTypeError(f"it must be less than 1; got {text}")
    return value


def positive(text: str) -> float:
    """Return a number above 0."""
    value = _number(text)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"it must be a finite number above 0; got {text}")
    return value


def not_negative(text: str) -> float:
    """Return a number of at least 0."""
    value = _number(text)
    if not 0 <= value < float("inf"):
        raise argparse.ArgumentTypeError(f"it must be a finite number of at least 0; got {text}")
    return value


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"it must be a number; got {text}") from None
