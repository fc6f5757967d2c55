"""Text from data steers no terminal, and no message is longer than a few lines."""

import pytest

from keras_maskrcnn.data.checks import collect_errors, error_prefix
from keras_maskrcnn.utils.display import LONGEST, harmless, message, printable

TITLE = "\x1b]0;owned\x07"
"""Sets the title of a terminal's window."""


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        (TITLE, r"\x1b]0;owned\x07"),
        ("a\rb\bc", r"a\rb\x08c"),
        ("\x9b2J", r"\x9b2J"),  # the same as ESC [ in one character
        ("\u202ecat.png", r"\u202ecat.png"),
        ("half \ud83d", r"half \ud83d"),
        ("\x7f\x00", r"\x7f\x00"),
    ],
)
def test_control_characters_become_escapes(text, escaped):
    assert printable(text) == escaped


def test_letters_of_all_scripts_tabs_and_line_ends_stay():
    text = "chat é кот 猫 שלום\n\t→ 🐈"
    assert printable(text) == text and harmless(text) == text


def test_what_progress_bars_need_passes():
    bar = "\r\x1b[K\x1b[1m3/10\x1b[0m \x1b[32m━━\x1b[0m\b\b"
    assert harmless(bar) == bar
    assert harmless(f"{bar}{TITLE}\x1b[2J") == bar + printable(TITLE) + r"\x1b[2J"


def test_a_message_keeps_its_beginning_and_its_end():
    long = "a.json: " + "x" * 10**6 + " is wrong"
    said = message(long)
    assert said.startswith("a.json: xxx") and said.endswith("xxx is wrong") and len(said) <= LONGEST
    assert f"({len(long) - 800} characters)" in said and message(said) == said
    assert message("short") == "short"


def test_errors_of_readers_are_such_messages():
    problems = []
    with collect_errors(problems), error_prefix(f"image {TITLE}"):
        raise ValueError("9" * 10**6)
    assert len(problems[0]) <= LONGEST and "\x1b" not in problems[0]
    with pytest.raises(ValueError) as refused, error_prefix("a"), error_prefix("b"):
        raise ValueError("9" * 10**6)
    assert str(refused.value).startswith("a: b: 999") and len(str(refused.value)) <= LONGEST + 100
