"""Label Studio's tasks: which image each is of, and which of its annotations or predictions is read."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from keras_maskrcnn.data.checks import collect_errors, error_prefix
from keras_maskrcnn.masks.segmentation_checks import shown

NOT_ANNOTATED = "tasks that nobody has annotated are left out"
SKIPPED = "tasks that were skipped are left out"
_BY_NOBODY_ASKED = "tasks without an annotation by completed_by are left out"
_NOT_PREDICTED = "tasks without predictions are left out"
_CHOSEN = "tasks have several annotations, of which the ground truth is read"
_IMAGE_KEY = "image"
"""Under which Label Studio's own templates have the image."""
_JSON = 'export the project as "JSON"'


class Task(NamedTuple):
    """What is read of a task."""

    name: str
    """What messages call it."""
    image: str
    """The path or URL of its image, as the file has it."""
    results: Any
    """The results of one annotation, of which nothing else is known yet."""


def read_tasks(
    content: Any,
    completed_by: int | str | None,
    predictions: bool | str,
    image_key: str | None,
    problems: list[str],
) -> tuple[list[Task], Counter[str]]:
    """Choose what is read of each task of a file; see `load_label_studio` for the arguments.

    Returns:
        The tasks that are read, and how many are not, by the reason why; what is broken is added to the problems.

    Raises:
        ValueError: it is no JSON export of Label Studio.
    """
    _check_export(content)
    left_out: Counter[str] = Counter()
    chosen: list[Task] = []
    for number, task in enumerate(content):
        name = f"task {_number(task, number)}"
        with collect_errors(problems), error_prefix(name):
            if not isinstance(task, dict):
                raise ValueError(f"it must be an object; got {shown(task)}")
            rows = list(_rows(task, "predictions" if predictions else "annotations"))
            row = (
                _prediction(rows, predictions, left_out)
                if predictions
                else _annotation(rows, completed_by, left_out)
            )
            if row is not None:
                chosen.append(Task(name, _image(task, image_key), row.get("result")))
    return chosen, left_out


def is_task(row: Any) -> bool:
    """Tell whether something is a task of Label Studio, of any version."""
    return (
        isinstance(row, dict)
        and isinstance(row.get("data"), dict)
        and not row.keys().isdisjoint(("annotations", "predictions", "completions"))
    )


def is_flat(row: Any) -> bool:
    """Tell whether something is an annotation of the export JSON_MIN."""
    return isinstance(row, dict) and {"annotation_id", "annotator"} <= row.keys()


def is_table(path: Path) -> bool:
    """Tell whether a file is an export as CSV or TSV."""
    if path.suffix.lower() not in (".csv", ".tsv") or not path.is_file():
        return False
    with path.open(encoding="utf-8-sig", errors="replace") as file:
        line = file.readline(10_000).replace("\t", ",")
    return {"annotation_id", "annotator"} <= {name.strip(' "\r\n') for name in line.split(",")}


def _check_export(content: Any) -> None:
    if isinstance(content, dict) and "result" in content:
        raise ValueError(f"this is one annotation of Label Studio, as its storages get them; {_JSON}")
    if not isinstance(content, list) or not content:
        raise ValueError("this is no JSON export of Label Studio: it is a list of tasks")
    if any(map(is_flat, content)):
        raise ValueError(
            f"this is Label Studio's JSON_MIN, which does not say which results are a region; {_JSON}"
        )
    if any(isinstance(task, dict) and "completions" in task for task in content):
        raise ValueError(
            f'this is of Label Studio before 1.0 ("completions"); open it in a later one and {_JSON}'
        )
    if not any(map(is_task, content)):
        raise ValueError(
            'this is no JSON export of Label Studio: it has no tasks with "data" and "annotations"'
        )


def _number(task: Any, number: int) -> Any:
    own = task.get("id") if isinstance(task, dict) else None
    return own if isinstance(own, int) else f"at {number}"


def _rows(task: dict[str, Any], key: str) -> Iterator[dict[str, Any]]:
    rows = task.get(key, [])
    if not isinstance(rows, list):
        raise ValueError(f'its "{key}" must be a list; got {shown(rows)}')
    for row in rows:
        if not isinstance(row, dict):
            raise ValueError(
                f'its "{key}" are told by number only ({shown(row)}), as the export of a project does; a snapshot '
                'has them whole: POST /api/projects/N/exports with serialization_options {"predictions": {"only_id": '
                "false}}"
                if isinstance(row, int) and key == "predictions"
                else f'each of its "{key}" must be an object; got {shown(row)}'
            )
        yield row


def _annotation(
    rows: list[dict[str, Any]], completed_by: int | str | None, left_out: Counter[str]
) -> dict[str, Any] | None:
    """The annotation that is read; None, and the task is counted, where there is none."""
    kept = [row for row in rows if not row.get("was_cancelled")]
    own = [row for row in kept if completed_by is None or str(completed_by) in _people(row)]
    if not own:
        left_out[_BY_NOBODY_ASKED if kept else SKIPPED if rows else NOT_ANNOTATED] += 1
        return None
    if len(own) == 1:
        return own[0]
    true = [row for row in own if row.get("ground_truth") is True]
    if len(true) == 1:
        left_out[_CHOSEN] += 1
        return true[0]
    people = ", ".join(dict.fromkeys(sorted(_people(row))[0] for row in own if _people(row)))
    raise ValueError(
        f"it has {len(own)} annotations, by {people or 'nobody named'}: mark one as ground truth, or say whose is "
        "read: completed_by (--completed-by)"
    )


def _people(annotation: dict[str, Any]) -> set[str]:
    """The number of who made an annotation, and the address where the export has it."""
    person = annotation.get("completed_by")
    names = [person.get("id"), person.get("email")] if isinstance(person, dict) else [person]
    return {str(name) for name in names if isinstance(name, (int, str))}


def _prediction(
    rows: list[dict[str, Any]], version: bool | str, left_out: Counter[str]
) -> dict[str, Any] | None:
    """The prediction that is read; None, and the task is counted, where there is none."""
    own = [row for row in rows if version is True or row.get("model_version") == version]
    if not own:
        left_out[_NOT_PREDICTED] += 1
        return None
    if len(own) > 1:
        versions = ", ".join(dict.fromkeys(str(row.get("model_version")) for row in own))
        raise ValueError(
            f"it has {len(own)} predictions, of the model versions {versions}: say which is read: predictions=VERSION"
        )
    return own[0]


def _image(task: dict[str, Any], key: str | None) -> str:
    """The path or URL of a task's image."""
    data = task.get("data")
    if not isinstance(data, dict):
        raise ValueError(f'it has no "data"; got {shown(data)}')
    if key is None:
        key = _IMAGE_KEY if _IMAGE_KEY in data else _only_text(data)
    value = data.get(key)
    if not isinstance(value, str) or not value:
        pages = "; tasks of several pages are not read" if isinstance(value, list) else ""
        raise ValueError(f'its "data" must have the path of an image as {key!r}; got {shown(value)}{pages}')
    return value


def _only_text(data: dict[str, Any]) -> str:
    keys = [key for key, value in data.items() if isinstance(value, str)]
    if len(keys) != 1:
        raise ValueError(
            f'its "data" has no {_IMAGE_KEY!r} but {", ".join(map(repr, data)) or "nothing"}: image_key must say '
            "which is the image"
        )
    return keys[0]
