"""The class names of a YOLO dataset, from data.yaml or from a text file with a name per line."""

from collections.abc import Iterator
from pathlib import Path

import yaml

from keras_maskrcnn.data.checks import error_prefix
from keras_maskrcnn.utils.text import read_text

FILES = ("data.yaml", "data.yml", "dataset.yaml", "classes.txt", "obj.names")
"""What is looked for, in this order."""
YAML_SUFFIXES = (".yaml", ".yml")
_LONGEST = 1_000_000
"""Characters of YAML; parsing takes seconds for each million, and the names of 20,000 classes fit into one."""


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
        if file.suffix in YAML_SUFFIXES:
            with error_prefix(str(file)):
                if "kpt_shape" in _settings(read_text(file)):
                    raise ValueError(
                        "its kpt_shape says that the labels have keypoints; only polygons and boxes are read"
                    )


def _files_around(folder: Path) -> Iterator[Path]:
    """The files that may say names in a folder and the two around it."""
    for place in (folder, *list(folder.resolve().parents)[:2]):
        yield from (place / file for file in FILES if (place / file).is_file())


def read_names(path: str | Path) -> list[str]:
    """Return the class names in the order of their numbers.

    Of YAML, "names" is a list, or a mapping of the numbers from 0 to names; "nc", if it is there, must be their number.
    Names are text whatever YAML takes them for: no, 1 and on are names like others.

    Raises:
        ValueError: there are none, or they are written in another way; the message names file and line.
    """
    with error_prefix(str(path)):
        text = read_text(path)
        if Path(path).suffix in YAML_SUFFIXES:
            names = _yaml_names(_settings(text))
        else:
            names = [line.strip() for line in text.splitlines() if line.strip()]
        if not names or len(set(names)) < len(names):
            raise ValueError(f"the class names must be different, at least one; got {names}")
    return names


def read_settings(path: Path) -> dict[str, yaml.Node]:
    """Return the outermost keys of a YAML file with their nodes, unbuilt.

    Raises:
        ValueError: it is no such file; the message leaves it to the caller.
    """
    return _settings(read_text(path))


def _settings(text: str) -> dict[str, yaml.Node]:
    """The outermost keys of YAML with their nodes, of which nothing is built: neither Python objects that tags ask for
    nor what aliases would make of a few lines."""
    if len(text) > _LONGEST:
        raise ValueError(f"it has more than {_LONGEST} characters, too many for settings of a dataset")
    try:
        root = yaml.compose(text, Loader=yaml.BaseLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"line {mark.line + 1}: " if mark else ""
        raise ValueError(f"{place}this is no valid YAML: {error.problem or error.context}") from None
    except (yaml.YAMLError, RecursionError) as error:
        raise ValueError(f"this is no valid YAML: {str(error).splitlines()[0]}") from None
    if not isinstance(root, yaml.MappingNode):
        raise ValueError('it has no "names:"')
    return _by_key(root)


def _by_key(node: yaml.MappingNode) -> dict[str, yaml.Node]:
    found: dict[str, yaml.Node] = {}
    for key, value in node.value:
        text = _text(key)
        if text in found:
            raise ValueError(f"{_line(key)}: the key {text} occurs twice")
        found[text] = value
    return found


def _yaml_names(settings: dict[str, yaml.Node]) -> list[str]:
    node = settings.get("names")
    if node is None:
        raise ValueError('it has no "names:"')
    if isinstance(node, yaml.SequenceNode):
        names = [_text(item) for item in node.value]
    elif isinstance(node, yaml.MappingNode):
        numbered = _by_key(node)
        numbers = [str(number) for number in range(len(numbered))]
        if set(numbered) != set(numbers):
            raise ValueError(f"{_line(node)}: names must be numbered from 0 without gaps; got {[*numbered]}")
        names = [_text(numbered[number]) for number in numbers]
    else:
        raise ValueError(f"{_line(node)}: names must be a list or a mapping of numbers to names")
    if "nc" in settings and _text(settings["nc"]) != str(len(names)):
        raise ValueError(
            f"{_line(settings['nc'])}: nc is {_text(settings['nc'])}, but there are {len(names)} names"
        )
    return names


def _text(node: yaml.Node) -> str:
    if not isinstance(node, yaml.ScalarNode) or not node.value:
        raise ValueError(f"{_line(node)}: there must be text here")
    try:
        node.value.encode()
    except UnicodeEncodeError:  # half of a surrogate pair
        raise ValueError(f"{_line(node)}: this is no text in UTF-8: {node.value!r}") from None
    return node.value


def _line(node: yaml.Node) -> str:
    return f"line {node.start_mark.line + 1}"
