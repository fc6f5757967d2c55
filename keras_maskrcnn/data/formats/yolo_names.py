"""The class names of a YOLO dataset, from data.yaml or from a text file with a name per line."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from keras_maskrcnn.data.checks import error_prefix
from keras_maskrcnn.utils.text import read_text

FILES = ("data.yaml", "data.yml", "dataset.yaml", "classes.txt", "obj.names")
"""What is looked for, in this order."""
_KEY = re.compile(r"^names[ \t]*:[ \t]*(.*)$", re.MULTILINE)
_KEYPOINTS = re.compile(r"^kpt_shape[ \t]*:", re.MULTILINE)
_COUNT = re.compile(r"^nc[ \t]*:[ \t]*(\d+)", re.MULTILINE)
_SINGLE = r"'(?:[^'\n]|'')*'"
_DOUBLE = r'"(?:[^"\\\n]|\\.)*"'
_PLAIN = r"""[^\s'"#,\[\]{}](?:[^'"#,\[\]{}\n]*)"""
_GAP = r"(?:\s|#[^\n]*+)*+"
_IN_BRACKETS = {
    "[": re.compile(rf"{_GAP}()({_SINGLE}|{_DOUBLE}|{_PLAIN}){_GAP}(,{_GAP}\]|[,\]])"),
    "{": re.compile(rf"{_GAP}(\d+)\s*:\s*({_SINGLE}|{_DOUBLE}|{_PLAIN}){_GAP}(,{_GAP}\}}|[,}}])"),
}
"""A number in braces, the name, and the comma or bracket behind it."""
_ITEM = re.compile(r"[ \t]*(?:-|(\d+)[ \t]*:)[ \t]+(.+)")
_QUOTED = re.compile(rf"({_SINGLE}|{_DOUBLE})[ \t]*(?:#.*)?")
_KNOWN_ESCAPES = re.compile(
    r"""(?:[^\\]|\\(?:["\\abfnrtv]|x[\da-fA-F]{2}|u(?![dD][89a-fA-F])[\da-fA-F]{4}|U000[\da-fA-F]{5}))*"""
)
"""What means in YAML what it means in Python."""


def find_names(folder: Path) -> list[str]:
    """Return the names that a file in a folder, or in one of the two around it, says.

    Raises:
        ValueError: there is no such file, or it cannot be read.
    """
    file = next(_files_around(folder), None)
    if file is None:
        raise ValueError(
            f"there is no {', '.join(FILES)} in {folder} or the two folders around it; label_names must say the classes"
        )
    return read_names(file)


def refuse_keypoints(folder: Path, *files: Path) -> None:
    """Refuse the labels in a folder if a YAML file around it, or one of `files`, says that they have keypoints.

    Raises:
        ValueError: the file has "kpt_shape"; the keypoints in such labels would pass for points of polygons.
    """
    for file in (*_files_around(folder), *files):
        with error_prefix(str(file)):
            if file.suffix in (".yaml", ".yml") and _KEYPOINTS.search(read_text(file)):
                raise ValueError(
                    "its kpt_shape says that the labels have keypoints; only polygons and boxes are read"
                )


def _files_around(folder: Path) -> Iterator[Path]:
    """The files that may say names in a folder and the two around it."""
    for place in (folder, *list(folder.resolve().parents)[:2]):
        yield from (place / file for file in FILES if (place / file).is_file())


def read_names(path: str | Path) -> list[str]:
    """Return the class names in the order of their numbers.

    Of YAML, `names:` is understood with a list in brackets, with a mapping of numbers in braces, and with either on
    lines of its own.

    Raises:
        ValueError: there are none, or they are written in another way.
    """
    with error_prefix(str(path)):
        text = read_text(path)
    if Path(path).suffix not in (".yaml", ".yml"):
        names = [line.strip() for line in text.splitlines() if line.strip()]
    else:
        names = _yaml_names(text, str(path))
    if not names or len(set(names)) < len(names):
        raise ValueError(f"{path}: the class names must be different, at least one; got {names}")
    return names


def _yaml_names(text: str, path: str) -> list[str]:
    key = _KEY.search(text)
    if key is None:
        raise ValueError(f"{path}: there is no names: in it")
    rows = _bracketed(text[key.start(1) :]) if key[1][:1] in ("[", "{") else _on_lines(text[key.end() :])
    numbers = [int(number) for number, _ in rows if number is not None]
    if numbers:
        rows = sorted(rows, key=lambda row: int(row[0] or 0))
    count = _COUNT.search(text)
    whole = count is None or int(count[1]) == len(rows)
    if not rows or not whole or (numbers and sorted(numbers) != list(range(len(rows)))):
        raise ValueError(
            f"{path}: its names: cannot be read; they must be a list, or numbered from 0 without gaps, as many as nc:"
        )
    return [name for _, name in rows]


Row = tuple[str | None, str]
"""A name's number, if it has one, and the name."""


def _bracketed(text: str) -> list[Row]:
    rows: list[Row] = []
    place, behind = 1, ","
    while behind == ",":
        item = _IN_BRACKETS[text[0]].match(text, place)
        name = None if item is None else _unquoted(item[2].strip())
        if item is None or name is None:
            return []
        rows.append((item[1] or None, name))
        place, behind = item.end(), item[3]
    return rows


def _on_lines(text: str) -> list[Row]:
    rows: list[Row] = []
    for line in text.splitlines():
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        item = _ITEM.fullmatch(line)
        if item is None:
            break
        quoted = _QUOTED.fullmatch(item[2].strip())
        name = _unquoted(quoted[1] if quoted else re.sub(r"\s#.*", "", item[2]).strip())
        if name is None:
            return []
        rows.append((item[1], name))
    return rows


def _unquoted(text: str) -> str | None:
    """What a name in quotes, or without them, stands for; None if that is not understood."""
    if re.fullmatch(_SINGLE, text):
        return text[1:-1].replace("''", "'")
    if re.fullmatch(_DOUBLE, text) and _KNOWN_ESCAPES.fullmatch(text):
        return ast.literal_eval(text)
    return None if text[:1] in ("'", '"') else text
