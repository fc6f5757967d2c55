"""How the formats of annotations are told apart; the command line asks before anything heavy is loaded."""

from pathlib import Path
from typing import Any

from keras_maskrcnn.data.formats import FORMATS
from keras_maskrcnn.data.formats.format import Format, json_contents
from keras_maskrcnn.utils.text import read_json


def checked_format(
    annotations: str | Path, images: str | Path | None = None, format: str | None = None, **options: Any
) -> Format:
    """Return the format of `load_dataset`'s arguments, found if its name is None.

    Raises:
        FileNotFoundError: there is no such file or folder.
        ValueError: there is no such format, it needs the folder of the images, or it does not take one of the options
            that are not None.
    """
    found = find_format(annotations) if format is None else named_format(format)
    if found.needs_images and images is None and not found.has_images(Path(annotations)):
        raise ValueError(
            f"{annotations}: {found.name} annotations need the folder of their images (--images)"
        )
    for option, value in options.items():
        if value is not None and option not in found.options:
            known = f"but {', '.join(found.options)}" if found.options else "nor other options"
            raise ValueError(f"{annotations}: {found.name} annotations take no {option}, {known}")
    return found


def find_format(annotations: str | Path) -> Format:
    """Return the format of an annotation file or folder, by what is in it.

    Raises:
        FileNotFoundError: there is no such file or folder.
        ValueError: it is of no known format, or may be of several.
    """
    path = Path(annotations)
    fitting = _fitting(path, _json_content(path))
    if not fitting and path.is_dir():
        _refuse_folder_of_file(path)
        fitting = _fitting(path, None, last_resort=True)
    if len(fitting) != 1:
        found = f"may be {' or '.join(row.name for row in fitting)}" if fitting else "has no known format"
        raise ValueError(f"{path} {found}; format (--format) must say which of {_names()} it is")
    return fitting[0]


def named_format(name: str) -> Format:
    """Return the format of a name.

    Raises:
        ValueError: there is none.
    """
    found = next((row for row in FORMATS if row.name == name), None)
    if found is None:
        raise ValueError(f"format must be one of {_names()}; got {name!r}")
    return found


def _names() -> str:
    return ", ".join(row.name for row in FORMATS)


def _fitting(path: Path, content: Any, last_resort: bool = False) -> list[Format]:
    return [row for row in FORMATS if row.last_resort == last_resort and row.looks_like(path, content)]


def _json_content(path: Path) -> Any:
    """The content of a JSON file; None for anything else that exists."""
    if path.exists() and (path.is_dir() or path.suffix != ".json"):
        return None
    try:
        return read_json(path)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def _refuse_folder_of_file(folder: Path) -> None:
    """Refuse a folder that is no dataset itself, but in which a JSON file is one."""
    for file, content in json_contents(folder):
        for row in _fitting(file, content):
            raise ValueError(
                f"{folder}: this is a folder; its file {file} is {row.name}, and may be given itself"
            )
