"""What the rest of the package knows of an annotation format: the row with which its reader's module ends."""

import dataclasses
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from keras_maskrcnn.data.report import Records
from keras_maskrcnn.utils.files import json_files


@dataclasses.dataclass(frozen=True)
class Format:
    """One annotation format; `formats.FORMATS` lists them all."""

    name: str
    """What `load_dataset(format=...)` and `--format` call it."""
    description: str
    """What its annotations are, as a noun: "a folder of labelme's JSON files"."""
    object_name: str
    """What its messages call an object, which a number or a name follows: "region" of "region 3 of a.jpg"."""
    looks_like: Callable[[Path, Any], bool]
    """Tells from an existing path, and from what is in it if it is a JSON file (None else), whether it may be one."""
    load: Callable[..., tuple[Records, list[str]]]
    """Called with annotations and images, the keywords class_names, masks, check_images and problems, which mean what
    they mean to `load_coco`, and those of `options` that are given."""
    needs_images: bool = False
    """Whether it cannot know where its images are, but for what `has_images` says."""
    has_images: Callable[[Path], bool] = lambda path: False
    """Tells from the path of annotations whether their images are with them."""
    options: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """Further keywords of `load`, and what each means."""
    last_resort: bool = False
    """Whether it is considered only where no other format fits."""
    write: Callable[..., None] | None = None
    """Called with target, records, class names and the keywords image_folder and scores; None where it is read
    alone."""
    file_name: str = ""
    """What its file is called where nobody says so; empty of a format that is written as a folder."""


def json_contents(folder: Path) -> Iterator[tuple[Path, Any]]:
    """Yield the JSON files in a folder and below with their content, but for broken ones: telling that is the
    reader's."""
    for file in json_files(folder):
        try:
            content = json.loads(file.read_bytes())
        except (ValueError, RecursionError, OSError):
            continue
        yield file, content
