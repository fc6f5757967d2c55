"""Text from files and data, made fit for messages and terminals."""

import re

_OWN_CONTROLS = re.compile(r"([\t\n\r\b]|\x1b\[[0-9;]*[Km])")
"""What progress bars and tables need: moving within and to lines, clearing the rest of one, colours."""
LONGEST = 1000
"""Characters of a message, of which a value of a million numbers would be most."""
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""All that terminals obey, but for tabs and line ends; what changes the direction of writing; halves of characters."""


def printable(text: str) -> str:
    """Return a text in which control characters are written as escapes: a file's names can steer no terminal."""
    return _CONTROLS.sub(lambda found: found[0].encode("unicode_escape").decode("ascii"), text)


def harmless(text: str) -> str:
    """Return a text for a terminal, `printable` but for the controls of progress bars."""
    return "".join(
        part if place % 2 else printable(part) for place, part in enumerate(_OWN_CONTROLS.split(text))
    )


def message(text: str) -> str:
    """Return a text for a message: `printable`, and without its middle where it is longer than `LONGEST`."""
    text = printable(text)
    if len(text) <= LONGEST:
        return text
    kept = LONGEST * 2 // 5
    return f"{text[:kept]} ... ({len(text) - 2 * kept} characters) ... {text[-kept:]}"


def spreadsheet_cell(text: str) -> str:
    """Return a text that a spreadsheet shows, and does not compute as a formula."""
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r", "\n")) else text
