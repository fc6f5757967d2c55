"""Whether image files exist and have the size that their annotations say."""

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

from keras_maskrcnn.images.io import header_sizes


def file_problems(files: Iterable[tuple[str, int, int]]) -> list[str | None]:
    """Check (path, height, width) of annotated images against the files' headers.

    Returns:
        A sentence for each file that is missing, unreadable or of another size, None for the others, in the order
        given. The size that counts is the one displayed, after EXIF orientation.
    """
    # Opening files is mostly waiting for the disk or the network, where Python lets other threads run.
    with ThreadPoolExecutor(16) as pool:
        return list(pool.map(_problem, files))


def _problem(file: tuple[str, int, int]) -> str | None:
    path, height, width = file
    try:
        displayed, stored = header_sizes(path)
    except (FileNotFoundError, ValueError) as error:
        return str(error)
    if (height, width) == displayed:
        return None
    sizes = f"{displayed[1]} x {displayed[0]} (width x height), but annotated as {width} x {height}"
    if (height, width) == stored:
        return (
            f"{path}: by its EXIF orientation the image is displayed as {sizes}, the way it is stored; "
            "save the image without EXIF orientation, or rotate its annotations"
        )
    return f"{path}: the image is {sizes}"
